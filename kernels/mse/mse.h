/* mse.h -- how far a tensor is from where it should stay: the mean squared error, with a weight.
 *
 *   x [...]   target [...] as x, or left out: zeros   weight [1]   y = weight[0] mean (x - target)^2, a scalar
 *
 *   dx = dy weight[0] 2 (x - target) / count        dtarget = -dx
 *
 * The weight is a tensor because it may fall from step to step. Keeps x, target and weight. Equals
 * weight * torch.nn.functional.mse_loss(x, target) in PyTorch. The notebooks' init_weight is this with half of it.
 */
#ifndef VQ_KERNELS_MSE_H
#define VQ_KERNELS_MSE_H

#include "autograd/tape.h"

extern const vq_op vq_op_mse;

/* target may be NULL. */
vq_tensor *vq_mse(vq_tape *tape, vq_tensor *x, vq_tensor *target, vq_tensor *weight);

#endif
