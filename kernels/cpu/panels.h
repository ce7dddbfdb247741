/* panels.h -- matrix products with an operand that is laid out once and used many times.
 *
 * B [k,n] as panels of VQ_PANEL columns, [n / VQ_PANEL, k, VQ_PANEL]: what the innermost loop reads lies one after the
 * other. n is a multiple of VQ_PANEL.
 */
#ifndef VQ_KERNELS_CPU_PANELS_H
#define VQ_KERNELS_CPU_PANELS_H

#include "autograd/tensor.h"

#define VQ_PANEL 16

/* C [m, panels * VQ_PANEL] = A [m,k] B, on the calling thread; every element's k products are added in order. */
void vq_panel_product(int64_t m, int64_t panels, int64_t k, const vq_real *a, int64_t lda, const vq_real *b, vq_real *c,
                      int64_t ldc);

#endif
