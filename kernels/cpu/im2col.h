/* im2col.h -- the values that a convolution reads for one output pixel, copied side by side. */
#ifndef VQ_KERNELS_CPU_IM2COL_H
#define VQ_KERNELS_CPU_IM2COL_H

#include "kernels/cpu/lines.h"

/* For output pixels [from,to) of n*oh*ow and weight rows u in [u0,u1), columns v in [v0,v1):
 * out[(pixel - from), u - u0, v - v0, i] = p[...]. `lines`: where x lies if it is made as it is read, else NULL. */
void vq_im2col(const vq_conv_args *a, const vq_lines *lines, int64_t from, int64_t to, int64_t u0, int64_t u1,
               int64_t v0, int64_t v1, vq_real *out);

#endif
