/* norm_act_conv.h -- group norm, activation and convolution in one, with a residual: the heart of a VQGAN's decoder.
 *
 *   x    [N,H,W,I]
 *   g, b [I]            the norm's scale and shift
 *   w    [O,k,k,I]      k = 1, or k = 3 with a border of zeros
 *   bias [O]            or NULL
 *   skip [N,H,W,O]      or NULL
 *   y    [N,H,W,O]
 *
 *   v = group_norm(x, g, b, groups, eps)       h = v, or silu(v) = v / (1 + e^-v)      y = conv(h, w) + bias + skip
 *
 *   dh = conv's gradient with regard to h      dv = dh act'(v)      dx = group_norm's gradient of dv      dskip = dy
 *
 * For networks that are frozen: x and skip may want a gradient, the parameters may not. Saves mean and rstd [N,groups,2] and
 * keeps x; h and dh live in scratch, and on the CPU there is no more of a large picture's h at a time than the few lines that the
 * convolution reads (kernels/cpu/lines.h). Equals F.conv2d(F.silu(F.group_norm(x, groups, g, b, eps)), w, bias, padding=k//2) +
 * skip in PyTorch.
 */
#ifndef VQ_KERNELS_NORM_ACT_CONV_H
#define VQ_KERNELS_NORM_ACT_CONV_H

#include "autograd/tape.h"
#include "kernels/group_norm/group_norm.h"

extern const vq_op vq_op_norm_act_conv;

vq_tensor *vq_norm_act_conv(vq_tape *tape, vq_tensor *x, vq_tensor *g, vq_tensor *b, int groups, double eps,
                            vq_act act, vq_tensor *w, vq_tensor *bias, vq_tensor *skip);

#endif
