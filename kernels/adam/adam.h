/* adam.h -- Adam (Kingma and Ba 2015) in torch.optim.Adam's form, then the clamp to the codebook's range.
 *
 *   z, m, v [..., C]   values, first and second moment, changed in place; the gradient g is z's own
 *   par     [4]        lr, beta1^t, beta2^t, unused: t counts updates from 1
 *   low, high [C]      range of each channel, or both NULL
 *
 *   m = m + (g - m)(1 - beta1)        v = beta2 v + (1 - beta2) g g
 *   z = z - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)          beta1 .9, beta2 .999, eps 1e-8
 *   z = min(max(z, low), high)        the moments are not touched by it
 *
 * The powers come from the host, in double, because what changes from step to step is data: a captured step can be run
 * again without another argument. It has no gradient and is no node of a tape: vq_adam_clamp runs it at once. The record
 * is there for backends, which find their kernel by it; in[] is z, m, v, par, low, high.
 */
#ifndef VQ_KERNELS_ADAM_H
#define VQ_KERNELS_ADAM_H

#include "autograd/op.h"

extern const vq_op vq_op_adam_clamp;

/* VQ_ERR_SHAPE; a z without a gradient is left as it is. */
vq_status vq_adam_clamp(vq_device *device, vq_tensor *z, vq_tensor *m, vq_tensor *v, vq_tensor *par, vq_tensor *low,
                        vq_tensor *high);

#endif
