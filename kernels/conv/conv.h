/* conv.h -- y = convolution of x with w, plus b: a picture's layer.
 *
 *   x   [N,H,W,I]
 *   w   [O,kh,kw,I]
 *   b   [O]             or NULL
 *   pad                 rows and columns of zeros around x: top, left, bottom, right, each smaller than the kernel
 *   y   [N,OH,OW,O]     OH = (H + top + bottom - kh) / stride + 1, rounded down; OW likewise
 *
 *   y[n,r,q,o] = b[o] + sum over u, v, i of w[o,u,v,i] x[n, r*stride - top + u, q*stride - left + v, i]
 *
 *   dx = convolution of dy with w turned and transposed (stride 1; with a stride, the taps that read a pixel are gathered)
 *   dw[o,u,v,i] = sum over n, r, q of dy[n,r,q,o] x[n, r*stride - top + u, q*stride - left + v, i]
 *   db[o] = sum over n, r, q of dy
 *
 * Keeps x only if w wants a gradient, and w only if x does; frozen weights of a kernel larger than 1x1 are kept turned, once
 * (kernels/conv/gradients.h). Equals torch.nn.functional.conv2d on F.pad(x, (left, right, top, bottom)).
 */
#ifndef VQ_KERNELS_CONV_CONV_H
#define VQ_KERNELS_CONV_CONV_H

#include "autograd/tape.h"

extern const vq_op vq_op_conv;

vq_tensor *vq_conv(vq_tape *tape, vq_tensor *x, vq_tensor *w, vq_tensor *b, int stride, const int pad[4]);

#endif
