/* group_norm.h -- each sample's groups of channels brought to mean 0 and variance 1, then scaled and shifted.
 *
 *   x    [N,H,W,C] or [N,T,C]
 *   g, b [C]
 *   y    like x
 *
 *   u = (x - mean) rstd, mean and rstd = 1 / sqrt(variance + eps) over a sample's pixels and a group's C / groups channels
 *   y = u g + b
 *
 *   dx = rstd (g dy - A - u B), A and B the means of g dy and of g dy u over the group
 *   dg = sum over samples and pixels of dy u       db = sum of dy
 *
 * Saves mean and rstd [N,groups,2]; keeps x if x or g wants a gradient, and g if x does. The variance is the mean of
 * squared differences, never a difference of means. Equals torch.nn.functional.group_norm(x, groups, g, b, eps).
 */
#ifndef VQ_KERNELS_GROUP_NORM_H
#define VQ_KERNELS_GROUP_NORM_H

#include "autograd/tape.h"

/* What a room that goes on from the norm applies to it (norm_act_conv). */
typedef enum vq_act { VQ_ACT_NONE, VQ_ACT_SILU } vq_act;

extern const vq_op vq_op_group_norm;

vq_tensor *vq_group_norm(vq_tape *tape, vq_tensor *x, vq_tensor *g, vq_tensor *b, int groups, double eps);

#endif
