/* module.h -- the seam between the program and libvqgen-cuda.so, which has all that needs CUDA.
 *
 * The program opens the module when it runs: where there is no CUDA, or no module, it goes on without. All that passes the seam is C
 * functions in two tables, each a thing that grows with its version, and structs of autograd/, which both sides are built from. The
 * module's errors reach the program's vq_error_message through the host's table.
 */
#ifndef VQ_KERNELS_CUDA_MODULE_H
#define VQ_KERNELS_CUDA_MODULE_H

#include "kernels/cuda/backend.h"

/* Raised with every change of a struct that passes: two that differ do not work together. */
#define VQ_CUDA_MODULE_VERSION 2

typedef struct vq_cuda_host {
  vq_status (*fail)(vq_status code, const char *message); /* keeps the message */
  vq_status (*fail_in)(vq_status code, const char *context);
} vq_cuda_host;

typedef struct vq_cuda_module {
  const vq_backend *backend;
  vq_status (*count)(int *cards);
  vq_status (*describe)(vq_cuda_card *out, int ordinal);
  vq_status (*create)(vq_device **out, int ordinal, vq_dtype products);
  vq_status (*library)(int maker, int ordinal, char *text, size_t bytes);
  bool (*chooses)(int products_by, int maker);
  int64_t (*computed)(const vq_device *device, int maker);
} vq_cuda_module;

/* What the module exports: NULL for another version than its own. `host` must stay. */
const vq_cuda_module *vq_cuda_module_open(int version, const vq_cuda_host *host);

/* In the program. Opens the module: the file that $VQGEN_CUDA_MODULE names, else libvqgen-cuda.so beside the program, beside the
 * library, or where the system finds it. VQ_ERR_DEVICE, saying why, where it is not there or does not fit. */
vq_status vq_cuda_open(const vq_cuda_module **out);

/* Was the program built with a module, so that its user may expect one? */
bool vq_cuda_expected(void);

#endif
