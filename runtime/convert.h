/* convert.h -- a network as it was published, written in the project's own form (network.h): one file with all that a run needs.
 *
 * Tensor by tensor: in memory is the largest of them, not the file. Metadata beside that of network.h:
 *   source          the name of the file that it was made from
 *   source_sha256   and that file's SHA-256, where one is known that it can be compared with,
 *   source_xxh128   or its XXH3-128 (source_hash.h); never both
 */
#ifndef VQ_RUNTIME_CONVERT_H
#define VQ_RUNTIME_CONVERT_H

#include "runtime/network.h"

typedef enum vq_convert_dtype {
  VQ_CONVERT_AS_STORED,
  VQ_CONVERT_F32,
  VQ_CONVERT_F16,
  VQ_CONVERT_BF16
} vq_convert_dtype;

/* Records the source's SHA-256 if `sha256`; else only of what has OpenAI's form or a published name, of a VQGAN where there is a names.txt
 * (model_name.h), and where the build lacks XXH3-128. VQ_ERR_NETWORK: tensors are missing, or there is no vocabulary; VQ_ERR_WRITE.
 * Then nothing is written. */
vq_status vq_convert(const vq_network *net, const char *path, vq_convert_dtype dtype, bool sha256,
                     const vq_log *log);

/* ---- known files, by their SHA-256 ---- */

/* The published name that a file of this hash has ("ViT-B-32.pt"); NULL: none is recorded. */
const char *vq_known_name(const char *sha256);

/* The hash that a file of this name is published with; NULL: none is recorded. */
const char *vq_known_hash(const char *name);

#endif
