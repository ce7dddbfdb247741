/* document.h -- settings as people write them, YAML or JSON, read as a list of what stands where.
 *
 * A scalar is called by the way to it, keys and indices joined by dots: "model.params.ddconfig.ch_mult.0". Both ways of writing a
 * list in YAML ("- 1" and [1, 1]) give the same.
 */
#ifndef VQ_LOADERS_DOCUMENT_H
#define VQ_LOADERS_DOCUMENT_H

#include "base/status.h"

#include <stddef.h>

typedef struct vq_document vq_document;

/* A file of at most 4 MiB: JSON if it begins with a brace and is that, else YAML. VQ_ERR_FILE, VQ_ERR_FORMAT (with the line);
 * VQ_ERR_UNSUPPORTED: YAML, in a build without libyaml. */
vq_status vq_document_open(vq_document **out, const char *path);
void vq_document_free(vq_document *document);

/* In the file's order. Borrowed. */
int vq_document_count(const vq_document *document);
const char *vq_document_way(const vq_document *document, int index);
const char *vq_document_text(const vq_document *document, int index);

/* The text of "BASE.KEY" (or of KEY, if base is ""); NULL if there is none. Borrowed. */
const char *vq_document_find(const vq_document *document, const char *base, const char *key);

#endif
