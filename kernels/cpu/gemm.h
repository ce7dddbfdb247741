/* gemm.h -- matrix products on the CPU: fast ones in what runs, plain loops in the oracle.
 *
 * Row-major. op(A) is [m,k], op(B) is [k,n]; a transposed operand is stored the other way round. lda, ldb and ldc are
 * the elements from one stored row to the next.
 */
#ifndef VQ_KERNELS_CPU_GEMM_H
#define VQ_KERNELS_CPU_GEMM_H

#include "autograd/device.h"

typedef struct vq_gemm_args {
  bool ta, tb; /* A is stored [k,m]; B is stored [n,k] */
  int64_t m, n, k;
  vq_real alpha;
  const vq_real *a;
  int64_t lda;
  const vq_real *b;
  int64_t ldb;
  vq_real beta; /* 0: c is only written, never read */
  vq_real *c;
  int64_t ldc;
  const vq_real *bias, *skip; /* [n], and [m,n] with rows as C has them: added to the product. NULL: none */
  bool panels;                /* what stands at b was laid out by vq_gemm_keep_panels; ldb is as before that */
} vq_gemm_args;

/* C = alpha op(A) op(B) + beta C + bias + skip, on the calling thread. For use inside a task. */
void vq_gemm(const vq_gemm_args *g);

/* The same without bias and skip: for comparisons. Not in the oracle. */
void vq_gemm_own(const vq_gemm_args *g);

/* For what stands behind vq_gemm: makes C what the product is to be added to, where there is a bias or a skip; returns the
 * arguments that are left. */
vq_gemm_args vq_gemm_start(const vq_gemm_args *g);

/* The same, cut into blocks of C that the pool's threads compute; the cut depends on m and n alone. */
void vq_gemm_parallel(vq_threads *threads, const vq_gemm_args *g);

/* Lays a frozen weight [n,k] out as panels (kernels/cpu/panels.h) in the place of its values, [n / VQ_PANEL, k, VQ_PANEL], and sets both
 * of w->prepared to them. As a B that is stored [n,k] they are what the innermost loop reads. Does nothing where n or k is no multiple of
 * VQ_PANEL, nor in the oracle. */
vq_status vq_gemm_keep_panels(vq_device *device, vq_tensor *w);

/* "AVX-512", "AVX2", "plain vectors", or the oracle's "plain loops" */
const char *vq_gemm_backend(void);

#endif
