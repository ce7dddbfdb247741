/* activation.h -- functions of one element, for tensors of any shape.
 *
 *   gelu, quick   y = x s(1.702 x)                    dx = dy (s + 1.702 x s (1 - s)),  s(a) = 1 / (1 + e^-a)
 *   gelu, exact   y = x P(x)                          dx = dy (P + x e^(-x^2/2) / sqrt(2 pi)),  P(x) = (1 + erf(x / sqrt 2)) / 2
 *   silu          y = x s(x)                          dx = dy (s + x s (1 - s))
 *   tanh          y = tanh x                          dx = dy (1 - y^2)
 *
 * y has x's shape. gelu and silu keep x, tanh keeps y. Equal OpenAI CLIP's QuickGELU, torch.nn.functional.gelu, silu and
 * torch.tanh.
 */
#ifndef VQ_KERNELS_ACTIVATION_H
#define VQ_KERNELS_ACTIVATION_H

#include "autograd/tape.h"
#include "kernels/cpu/exp.h"

typedef enum vq_gelu_kind { VQ_GELU_QUICK, VQ_GELU_EXACT } vq_gelu_kind; /* attr.i[0] of gelu */

extern const vq_op vq_op_gelu, vq_op_silu, vq_op_tanh;

vq_tensor *vq_gelu(vq_tape *tape, vq_tensor *x, vq_gelu_kind kind);
vq_tensor *vq_silu(vq_tape *tape, vq_tensor *x);
vq_tensor *vq_tanh(vq_tape *tape, vq_tensor *x);

/* For rooms that apply silu on the way: silu and its derivative at x. Loops over them vectorise. */
static inline vq_real vq_silu_value(vq_real x)
{
  return x / (1 + vq_exp(-x));
}
static inline vq_real vq_silu_slope(vq_real x)
{
  vq_real s = 1 / (1 + vq_exp(-x));
  return s + x * s * (1 - s);
}

#endif
