/* npy.h -- reads and writes .npy files, NumPy's form of one array: what numpy.load and numpy.save exchange.
 *
 *     6 bytes       "\x93NUMPY"
 *     2 bytes       version, 1.0 to 3.0
 *     2 or 4 bytes  length of the header, little-endian (4 from version 2 on)
 *     header        {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   spaces, newline
 *     the rest      the elements
 *
 * Read: the types of file_tensor.h but BF16, in C order. Other types, big-endian numbers and Fortran order are refused
 * by name.
 */
#ifndef VQ_LOADERS_NPY_H
#define VQ_LOADERS_NPY_H

#include "loaders/file_tensor.h"

typedef struct vq_npy {
  vq_file_tensor tensor; /* name NULL; its data is owned below */
  void *data;
} vq_npy;

/* VQ_ERR_FILE, VQ_ERR_FORMAT, VQ_ERR_UNSUPPORTED. */
vq_status vq_npy_read(vq_npy *out, const char *path);
void vq_npy_free(vq_npy *array);

/* As vq_output does, whole or not at all; the name is not written. VQ_ERR_ARGUMENT, VQ_ERR_WRITE; VQ_ERR_UNSUPPORTED:
 * BF16, which NumPy does not have. */
vq_status vq_npy_write(const char *path, const vq_file_tensor *tensor);

#endif
