/* output.h -- files that are written whole or not at all.
 *
 * What is written goes to a file without a name in the folder of the path, or to a temporary one where there is no such thing,
 * and takes the path's name only once every byte is on the disk: a crash, a full disk or an interrupt leaves the old file as it
 * was, or none, and no pieces. Through a link the file that it points to is replaced. What exists must be a plain file and not
 * write-protected.
 *
 *     vq_output *out;
 *     VQ_TRY(vq_output_open(&out, path));
 *     vq_output_write(out, data, bytes);
 *     return vq_output_commit(out);
 */
#ifndef VQ_LOADERS_OUTPUT_H
#define VQ_LOADERS_OUTPUT_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct vq_output vq_output;

/* Starts a file that is to become `path`. It ends with exactly one commit or abandon. VQ_ERR_WRITE */
vq_status vq_output_open(vq_output **out, const char *path);

/* The same as where no file can be without a name: for the tests. */
vq_status vq_output_open_named(vq_output **out, const char *path);

/* Appends bytes. The first failure is kept and commit reports it: callers need not check. */
void vq_output_write(vq_output *out, const void *data, size_t bytes);

/* That vq_output_write has been given. */
uint64_t vq_output_bytes(const vq_output *out);

/* Waits until what has been written is on the disk, which commit does too: for those who have something else to wait for meanwhile. */
void vq_output_sync(vq_output *out);

/* The stream behind it, for fprintf and the like; borrowed, never to be closed. */
FILE *vq_output_stream(vq_output *out);

/* Gives the file its name and frees `out`; where that fails, the temporary file is gone and `path` as it was. */
vq_status vq_output_commit(vq_output *out);

/* Removes the temporary file and frees `out`. NULL is allowed. */
void vq_output_abandon(vq_output *out);

/* Could `path` be written? To ask before a long run; leaves nothing behind. VQ_ERR_WRITE */
vq_status vq_output_check(const char *path);

#endif
