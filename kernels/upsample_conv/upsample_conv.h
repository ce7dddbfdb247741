/* upsample_conv.h -- every pixel repeated twice both ways, then a 3x3 convolution with a border of zeros.
 *
 *   x [N,H,W,I]
 *   w [O,3,3,I]
 *   b [O]             or NULL
 *   y [N,2H,2W,O]
 *
 *   p[n,r,q,i] = x[n, r/2, q/2, i]     y[n,r,q,o] = b[o] + sum over u, v, i of w[o,u,v,i] p[n, r+u-1, q+v-1, i]
 *
 * A pixel of x is read by 4x4 pixels of y, so its gradient is one convolution with stride 2 and a border of one:
 *
 *   dx[n,r,q,i] = sum over s, t in 0..3 and o of spread[i,s,t,o] dy[n, 2r-1+s, 2q-1+t, o]
 *   spread = rows w[2], w[1] + w[2], w[0] + w[1], w[0] of the kernel, and its columns likewise
 *
 * which has 16 products where the convolution and the sum over four pixels would have 36. For networks that are frozen: x may want a
 * gradient, the parameters may not. Keeps nothing; frozen weights are kept spread [I,4,4,O], once,
 * or, where Winograd's filtering fits them, in its forms of four 2x2 convolutions, both ways (kernels/cpu/winograd.h). Equals
 * F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), w, b, padding=1) in PyTorch.
 */
#ifndef VQ_KERNELS_UPSAMPLE_CONV_H
#define VQ_KERNELS_UPSAMPLE_CONV_H

#include "autograd/tape.h"

extern const vq_op vq_op_upsample_conv;

vq_tensor *vq_upsample_conv(vq_tape *tape, vq_tensor *x, vq_tensor *w, vq_tensor *b);

#endif
