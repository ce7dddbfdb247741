/* gradients.h -- the gradients of a convolution on the CPU, for the rooms that have one.
 *
 * d loss / d x of a convolution with stride 1 is a convolution too: of dy, padded by k - 1 - pad, with the weights turned
 * by half a turn and transposed:
 *
 *   turned[i,u,v,o] = w[o, kh-1-u, kw-1-v, i]
 *
 * Frozen weights get other forms once, in the weights arena: 3x3 ones that vq_winograd_fits get its forms, for the convolution
 * (prepared[VQ_FORWARD]) and for its gradient (prepared[VQ_BACKWARD]); others are kept turned [I,kh,kw,O] for the gradient. A 1x1
 * convolution needs no such form (dx = dy w), nor does one with a stride (loops that gather). Those of BF16 are all kept as panels
 * (kernels/cpu/bf16.h), but for 3x3 ones that vq_winograd_bf16_fits.
 */
#ifndef VQ_KERNELS_CONV_GRADIENTS_H
#define VQ_KERNELS_CONV_GRADIENTS_H

#include "autograd/op.h"
#include "kernels/cpu/conv.h"

/* Whether w [O,kh,kw,I], if it is frozen, gets Winograd's forms. */
bool vq_conv_by_winograd(const vq_tensor *w, int64_t stride);

/* The sizes of y = convolution of x by w [O,kh,kw,I], padded by `top` and `left`; no pointers. */
vq_conv_args vq_conv_sizes(const vq_tensor *x, const vq_tensor *w, const vq_tensor *y, int64_t stride, int64_t top,
                           int64_t left);

/* Sets a->form, panels and filtered to the form that w, if it is frozen, is convolved in that way; to NULL without one. */
void vq_conv_take_form(vq_conv_args *a, const vq_tensor *w, int which);

/* For vq_op.prepare: the forms of call->in[w] [O,kh,kw,I], if it is frozen; those for backward if x wants a gradient. */
vq_status vq_conv_prepare(const vq_call *call, int x, int w, int64_t stride);

/* dx (+)= d loss / d x. `a` describes the forward convolution (its pointers are not read); w is its weight. */
size_t vq_conv_dx_scratch(const vq_conv_args *a, const vq_tensor *w);
vq_status vq_conv_dx(vq_device *device, const vq_conv_args *a, const vq_tensor *w, const vq_real *dy, bool add,
                     vq_real *dx, void *scratch);

/* dw (+)= d loss / d w: reads a->x. Not for `upsample`. */
size_t vq_conv_dw_scratch(const vq_conv_args *a);
void vq_conv_dw(vq_device *device, const vq_conv_args *a, const vq_real *dy, bool add, vq_real *dw, void *scratch);

#endif
