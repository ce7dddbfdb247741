/* cross_entropy.h -- how badly rows of logits name their classes.
 *
 *   logits [M, K]
 *   target [M]      I32 in [0, K)
 *   y      scalar   = mean over m of (log sum over k of e^logits[m,k]) - logits[m,target[m]]
 *
 *   dlogits[m,k] = dy / M (softmax of the row at k - (1 where k = target[m]))
 *
 * A target outside is VQ_ERR_ARGUMENT when the op runs. Saves the log-sum-exp, [M]; keeps logits and target. Equals
 * torch.nn.functional.cross_entropy(logits, target).
 */
#ifndef VQ_KERNELS_CROSS_ENTROPY_H
#define VQ_KERNELS_CROSS_ENTROPY_H

#include "autograd/tape.h"

extern const vq_op vq_op_cross_entropy;

vq_tensor *vq_cross_entropy(vq_tape *tape, vq_tensor *logits, vq_tensor *target);

#endif
