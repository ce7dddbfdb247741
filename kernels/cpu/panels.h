/* panels.h -- the innermost loop of matrix products: a few rows of A times panels of B.
 *
 * A panel is VQ_PANEL columns of B [k,n], one row of it after the other, [k, VQ_PANEL]: what the loop reads lies in one piece.
 */
#ifndef VQ_KERNELS_CPU_PANELS_H
#define VQ_KERNELS_CPU_PANELS_H

#include "autograd/tensor.h"

#define VQ_PANEL      16
#define VQ_PANEL_ROWS 12 /* of A that a product has in hand at most: a good multiple for a caller's blocks */

/* c[i,j] = alpha (sum over p of a[i,p] b[p,j]) + beta c[i,j], i < m, j < panels * VQ_PANEL, b's panels `apart` elements from one to
 * the next; with beta 0, c is not read. The k products of an element are added in order. On the calling thread. */
void vq_panel_products(int64_t m, int64_t panels, int64_t k, const vq_real *a, int64_t lda, const vq_real *b,
                       int64_t apart, vq_real alpha, vq_real beta, vq_real *c, int64_t ldc);

#endif
