/* safetensors.h -- reads and writes .safetensors files.
 *
 *     8 bytes     n, the length of the header, little-endian
 *     n bytes     JSON: {"NAME": {"dtype": "F32", "shape": [2,3], "data_offsets": [BEGIN,END]}, ...
 *                        "__metadata__": {"KEY": "VALUE", ...}}      spaces may follow
 *     the rest    the tensors' bytes; offsets count from here and leave neither gaps nor overlaps
 *
 * A file is checked in full before anything of it is handed out. Written files are those of the format's reference
 * implementation, byte for byte: the test has its Python package write the same.
 */
#ifndef VQ_LOADERS_SAFETENSORS_H
#define VQ_LOADERS_SAFETENSORS_H

#include "loaders/file_tensor.h"
#include "loaders/output.h"

typedef struct vq_safetensors vq_safetensors;

/* Maps the file: it must not shrink while it is open, and tensors are read from the disk when they are touched.
 * VQ_ERR_FILE, VQ_ERR_FORMAT; VQ_ERR_UNSUPPORTED: a type or a rank that file_tensor.h does not have. */
vq_status vq_safetensors_open(vq_safetensors **out, const char *path);

/* Ends all that was borrowed from it. NULL is allowed. */
void vq_safetensors_close(vq_safetensors *file);

/* Tensors in the order of their names (by bytes), 0 <= index < count. Borrowed. */
int vq_safetensors_count(const vq_safetensors *file);
const vq_file_tensor *vq_safetensors_at(const vq_safetensors *file, int index);

/* NULL when there is none of that name. Borrowed. */
const vq_file_tensor *vq_safetensors_find(const vq_safetensors *file, const char *name);

/* The value of a metadata key; NULL when there is none. UTF-8, borrowed. */
const char *vq_safetensors_metadata(const vq_safetensors *file, const char *key);

/* All metadata: key, value, key, value ..., 2 * *pairs strings in the file's order. Borrowed. */
const char *const *vq_safetensors_metadata_pairs(const vq_safetensors *file, int *pairs);

/* Writes `count` tensors, in any order, and `pairs` metadata pairs (2 * pairs strings) as vq_output does, whole or not
 * at all. VQ_ERR_ARGUMENT: a name twice, text that is not UTF-8, a shape that does not fit its bytes. VQ_ERR_WRITE */
vq_status vq_safetensors_write(const char *path, const vq_file_tensor *tensors, int count,
                               const char *const *metadata_pairs, int pairs);

/* The same for tensors that are not all in memory: when a tensor's turn comes, `put` writes its bytes to `out`, in as many pieces as it
 * likes. `data` of the tensors is not looked at. VQ_ERR_ARGUMENT: other than tensor->bytes bytes.
 *
 * `end`, unless NULL, is called after the last tensor and may put other texts of the same length where the metadata's are: a hash that was
 * computed meanwhile. VQ_ERR_ARGUMENT: of another length. */
typedef vq_status (*vq_safetensors_put)(void *user, const vq_file_tensor *tensor, vq_output *out);
typedef vq_status (*vq_safetensors_end)(void *user);
vq_status vq_safetensors_write_each(const char *path, const vq_file_tensor *tensors, int count,
                                    const char *const *metadata_pairs, int pairs, vq_safetensors_put put,
                                    vq_safetensors_end end, void *user);

#endif
