/* gradients.h -- the gradients of a convolution on the CPU, for the rooms that have one.
 *
 * d loss / d x of a convolution with stride 1 is a convolution too: of dy, padded by k - 1 - pad, with the weights turned
 * by half a turn and transposed:
 *
 *   turned[i,u,v,o] = w[o, kh-1-u, kw-1-v, i]
 *
 * Frozen weights are turned once: w->prepared on the CPU is turned [I,kh,kw,O] in the weights arena. A 1x1 convolution
 * needs no such form (dx = dy w), nor does one with a stride (loops that gather).
 */
#ifndef VQ_KERNELS_CONV_GRADIENTS_H
#define VQ_KERNELS_CONV_GRADIENTS_H

#include "autograd/op.h"
#include "kernels/cpu/conv.h"

/* For vq_op.prepare: turned weights of call->in[w] [O,kh,kw,I], if x wants a gradient and the weight is frozen. */
vq_status vq_conv_prepare(const vq_call *call, int x, int w, int64_t stride);

/* dx (+)= d loss / d x. `a` describes the forward convolution (its pointers are not read); w is its weight. */
size_t vq_conv_dx_scratch(const vq_conv_args *a, const vq_tensor *w);
vq_status vq_conv_dx(vq_device *device, const vq_conv_args *a, const vq_tensor *w, const vq_real *dy, bool add,
                     vq_real *dx, void *scratch);

/* dw (+)= d loss / d w: reads a->x. Not for `upsample`. */
size_t vq_conv_dw_scratch(const vq_conv_args *a);
void vq_conv_dw(vq_device *device, const vq_conv_args *a, const vq_real *dy, bool add, vq_real *dw, void *scratch);

#endif
