/* adam.h -- Adam (Kingma and Ba 2015) in torch.optim.Adam's form, then the clamp to the codebook's range.
 *
 *   z, m, v [..., C]   values, first and second moment, changed in place; the gradient g is z's own
 *   par     [2]        what changes with the step, made by vq_adam_parameters: lr / (1 - beta1^t), sqrt(1 - beta2^t)
 *   low, high [C]      range of each channel, or both NULL
 *
 *   m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g g
 *   z = z - par[0] m / (sqrt(v) / par[1] + eps)                    beta1 .9, beta2 .999, eps 1e-8
 *   z = min(max(z, low), high)         the moments are not touched by it
 *
 * What changes from step to step is data, so that a captured step can be run again without another argument. The host makes
 * it in double: in float, 1 - beta2^t of the first steps would lose five of its digits. It has no gradient and is no node of
 * a tape: vq_adam_clamp runs it at once. The record is there for backends, which find their kernel by it; in[] is z, m, v,
 * par, low, high.
 */
#ifndef VQ_KERNELS_ADAM_H
#define VQ_KERNELS_ADAM_H

#include "autograd/op.h"

extern const vq_op vq_op_adam_clamp;

/* par for update number t, counted from 1. */
void vq_adam_parameters(vq_real par[2], double lr, int64_t t);

/* VQ_ERR_SHAPE; VQ_ERR_GRADIENT where z has no gradient. */
vq_status vq_adam_clamp(vq_device *device, vq_tensor *z, vq_tensor *m, vq_tensor *v, vq_tensor *par, vq_tensor *low,
                        vq_tensor *high);

#endif
