/* notebook.h -- what the notebook wrote into its pictures, to the letter: a message in the lowest bits and fields of XMP.
 *
 *   {"title": "a | b", "notebook": "VQGAN+CLIP", "i": 50, "model": "ImageNet 16384", "seed": "42", "input_images": ""}
 *
 * as Python's json.dumps has it; and in XMP, each an item of an ordered list in Dublin Core's namespace, creator
 * "VQGAN+CLIP", title, i, model, seed and input_images as Python's str() has them.
 */
#ifndef VQ_RUNTIME_NOTEBOOK_H
#define VQ_RUNTIME_NOTEBOOK_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct vq_notebook_fields {
  const char *title; /* the prompts, joined by " | "; NULL: none */
  int64_t i;         /* updates of z */
  const char *model;
  uint64_t seed;
  bool input_images; /* it began with a picture, or was prompted with one */
} vq_notebook_fields;

/* The message; the caller frees it. NULL: no memory. */
char *vq_notebook_message(const vq_notebook_fields *fields);

#define VQ_XMP_DC    "http://purl.org/dc/elements/1.1/"
#define VQ_XMP_VQGEN "urn:vqgen:settings"

/* The packet; the caller frees it. NULL: no memory. Without fields, or with settings (record.h), which stand as
 * vqgen:settings for formats that have no place of their own for them. */
char *vq_notebook_xmp(const vq_notebook_fields *fields, const char *settings);

/* The notebook's name for a checkpoint, known by its file's or network's name and the size of its codebook; the name as
 * it is for all others. */
const char *vq_notebook_model(const char *name, int64_t codes);

#endif
