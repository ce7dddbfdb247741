/* cublaslt.h -- matrix products by NVIDIA's cuBLASLt, in the place of our own kernels.
 *
 *   y[m,n] = bias[n] + skip[m,n] + y[m,n] (if it adds) + sum over k of x[m,k] w[n,k], or of x[m,k] w[k,n]
 *
 * All matrices are by rows. cuBLASLt's are by columns, so it computes y^T = w x^T. Sums are in float. Of its algorithms only those come into
 * question that give the same bits each time; which one is asked once for each product (its heuristic, no race), and kept.
 */
#ifndef VQ_KERNELS_CUDA_CUBLASLT_H
#define VQ_KERNELS_CUDA_CUBLASLT_H

#include "autograd/tensor.h"
#include "base/status.h"

/* Both kinds of libraries may take this much scratch for themselves: what cuBLASLt's manual gives it on Hopper. */
#define VQ_LIBRARY_WORKSPACE ((size_t)32 << 20)

/* Alignments, of tensors and scratch, that are told apart: a choice must not depend on where in the pool a tensor lies. */
#define VQ_LIBRARY_ALIGN           16
#define VQ_LIBRARY_WORKSPACE_ALIGN 256

/* A product but for its addresses: that by which it is kept. All of one type, so that two can be compared byte by byte. */
typedef struct vq_lt_product {
  int64_t rows, outputs, terms; /* M, N, K */
  int64_t by_channel;           /* w is [K,N], not [N,K] */
  int64_t w_row;                /* elements from row to row of w */
  int64_t type, y_type;         /* vq_dtype of x and w; of y and skip */
  int64_t bias, bias_type;      /* is there one? of y's type */
  int64_t skip, add;            /* at most one of them */
  int64_t tf32;                 /* of float: operands may be rounded to tf32 */
  int64_t align[5];             /* of x, w, bias, skip, y: bytes, VQ_LIBRARY_ALIGN at most */
} vq_lt_product;

/* Where it all is, on the device. */
typedef struct vq_library_places {
  const void *x, *w, *bias, *skip;
  void *y, *workspace; /* workspace: VQ_LIBRARY_WORKSPACE bytes */
  void *stream;        /* cudaStream_t */
} vq_library_places;

typedef struct vq_cublaslt vq_cublaslt;
typedef struct vq_lt_plan vq_lt_plan;

/* Opens libcublasLt (or the file that $VQGEN_CUBLASLT names) for the current card. VQ_ERR_DEVICE, saying why, where that cannot be. */
vq_status vq_cublaslt_open(vq_cublaslt **out);
void vq_cublaslt_close(vq_cublaslt *lt);

/* Whether the library is there, without a card: "13.4.1 (libcublasLt.so.13)". VQ_ERR_DEVICE, saying why. */
vq_status vq_cublaslt_version(char *text, size_t bytes);

/* How it computes that; *out is NULL where it does not. Owned by lt. Asks the library the first time only, and queues nothing. */
vq_status vq_cublaslt_find(vq_cublaslt *lt, const vq_lt_product *product, const vq_library_places *places,
                           const vq_lt_plan **out);

/* Queues it. `op` is for messages. */
vq_status vq_cublaslt_run(vq_cublaslt *lt, const vq_lt_plan *plan, const vq_library_places *places, const char *op);

#endif
