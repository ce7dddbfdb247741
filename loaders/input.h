/* input.h -- a file that is read whole: mapped into memory, or block by block; and recognised by its first bytes. */
#ifndef VQ_LOADERS_INPUT_H
#define VQ_LOADERS_INPUT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vq_input {
  const uint8_t *data; /* read only; the file must not shrink while it is open */
  size_t bytes;        /* > 0 */
} vq_input;

/* VQ_ERR_FILE: not there, not readable, a folder, a device or a pipe. VQ_ERR_FORMAT: empty. */
vq_status vq_input_open(vq_input *out, const char *path);
void vq_input_close(vq_input *input);

/* Gives `take` all of a file, a block after the other, that is read once and not mapped: a tenth faster than touching each of its pages for
 * the first time, and no matter how large it is. As vq_input_open fails, and VQ_ERR_FILE where reading does. */
vq_status vq_input_each(const char *path, void (*take)(void *user, const void *block, size_t bytes), void *user);

/* These bytes of an open file will all be read now: their pages are mapped at once, a quarter faster than each when it is touched. */
void vq_input_want(const void *data, size_t bytes);

/* These bytes of an open file will hardly be read again: its whole pages among them need not stay in memory. */
void vq_input_forget(const void *data, size_t bytes);

typedef struct vq_input_kind {
  const char *name;   /* "a zip archive": completes "the file is ..." */
  const char *advice; /* what to do with it where something else was wanted */
  bool picture;
} vq_input_kind;

/* What the content looks like, whatever the file is called; NULL when it is none of the kinds listed in input.c. */
const vq_input_kind *vq_input_guess(const void *data, size_t bytes);

/* VQ_ERR_FORMAT for a file that is not `wanted` ("a safetensors file"), saying what it is where that can be guessed. */
vq_status vq_input_mistaken(const vq_input *input, const char *path, const char *wanted);

#endif
