/* panels.h -- the innermost loop of matrix products: a few rows of A times a panel of B.
 *
 * A panel is VQ_PANEL columns of B [k,n], one row of it after the other, [k, VQ_PANEL]: what the loop reads lies in one piece.
 */
#ifndef VQ_KERNELS_CPU_PANELS_H
#define VQ_KERNELS_CPU_PANELS_H

#include "autograd/tensor.h"

#define VQ_PANEL 16

/* c[i,j] = alpha (sum over k of a[i,k] panel[k,j]) + beta c[i,j], i < m, j < VQ_PANEL; with beta 0, c is not read. The k products
 * of an element are added in order. On the calling thread. */
void vq_panel_product(int64_t m, int64_t k, const vq_real *a, int64_t lda, const vq_real *panel, vq_real alpha,
                      vq_real beta, vq_real *c, int64_t ldc);

#endif
