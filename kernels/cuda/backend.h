/* backend.h -- CUDA as a backend: memory, copies, and the rooms' kernels.
 *
 * Everything is queued on one stream of the device's. What a caller gives for upload may be changed as soon as the call has returned:
 * it goes through pinned buffers that are used in turn. */
#ifndef VQ_KERNELS_CUDA_BACKEND_H
#define VQ_KERNELS_CUDA_BACKEND_H

#include "autograd/device.h"

extern const vq_backend vq_cuda_backend;

/* Who computes matrix products and convolutions: vq_device.products_by. By the table (kernels/cuda/product_table.h); our own kernels; or a
 * library, what it takes, and our own kernels the rest. */
typedef enum vq_products_by {
  VQ_PRODUCTS_TABLE,
  VQ_PRODUCTS_OWN,
  VQ_PRODUCTS_CUBLASLT,
  VQ_PRODUCTS_CUDNN,
  VQ_PRODUCTS_LIBRARIES /* both: cuBLASLt what both take */
} vq_products_by;

/* Their names in that order, for options and $VQGEN_CUDA_PRODUCTS. */
#define VQ_PRODUCTS_NAMES "table|own|cublaslt|cudnn|libraries"

/* Who has computed one. */
enum { VQ_OWN, VQ_CUBLASLT, VQ_CUDNN, VQ_MAKERS };

/* A device on the card of that number, which networks give weights of `products` (VQ_F32 or VQ_BF16). VQ_ERR_DEVICE if there is no such
 * card or no driver. The caller frees it, after its tapes. */
vq_status vq_cuda_create(vq_device **out, int ordinal, vq_dtype products);

/* What there is: cards, and for each its name, compute capability and memory in bytes; free is what is free now, whoever uses the rest.
 * VQ_ERR_DEVICE, saying why, where CUDA cannot be used. */
typedef struct vq_cuda_card {
  char name[256];
  int major, minor, multiprocessors;
  size_t memory, free;
} vq_cuda_card;
vq_status vq_cuda_count(int *cards);
vq_status vq_cuda_describe(vq_cuda_card *out, int ordinal);

/* What there is of that library (VQ_CUBLASLT, VQ_CUDNN): "13.4.1 (libcublasLt.so.13)". VQ_ERR_DEVICE, saying why, where it is not there or, for a
 * card (-1: none is asked), cannot be used on it. */
vq_status vq_cuda_library(int maker, int ordinal, char *text, size_t bytes);

/* Whether products_by may give anything to that library. */
bool vq_cuda_chooses(int products_by, int maker);

/* How many products and convolutions that library has computed on the device. */
int64_t vq_cuda_computed(const vq_device *device, int maker);

#endif
