/* optimiser.h -- the optimisers besides Adam, then the clamp to the codebook's range. In torch.optim's forms and with its numbers;
 * diffgrad and adamp in those of the package torch_optimizer, as nerdyrodent's tool called them.
 *
 *   z, m, v [..., C]   values and the optimiser's own state, 0 before the first update; changed in place; the gradient g is z's own
 *   par     [3]        what changes with the step, made by vq_optimiser_parameters: rate, root, keep
 *   low, high [C]      range of each channel, or both NULL
 *   past    [..., C]   diffgrad's: the gradient of the update before, 0 before the first; changed in place. The others': NULL
 *
 *   adamw     m = .9 m + .1 g      v = .999 v + .001 g g    z = keep z - rate m / (sqrt(v) / root + 1e-8)
 *   adagrad                        v = v + g g              z = z - rate g / (sqrt(v) + 1e-10)
 *   adamax    m = .9 m + .1 g      v = max(.999 v, |g| + 1e-8)          z = z - rate m / v
 *   rmsprop                        v = .99 v + .01 g g      z = z - rate g / (sqrt(v) + 1e-8)
 *   radam     m = .9 m + .1 g      v = .999 v + .001 g g    z = z - rate m / (sqrt(v) + 1e-8), or, while root is 0, z - rate m
 *
 *   diffgrad  g = g + 1e-9 z       m = .9 m + .1 g   v = .999 v + .001 g g      past = g, after
 *             z = z - rate root m / (1 + exp(-|past - g|)) / (sqrt(v) + 1e-9)
 *   adamp     m = .9 m + .1 g      v = .999 v + .001 g g    p = m / (sqrt(v) / root + 1e-8)         z = z - rate p, or
 *             z = z - rate (p - u (u . p)), u = z / (|z| + 1e-8), if |g . z| / ((|g| + 1e-8) (|z| + 1e-8)) < .1 / sqrt(elements of z)
 *
 *   diffgrad (Dubey et al. 2020) takes smaller steps where the gradient hardly changes. adamp (Heo et al. 2021) takes a step that does not
 *   lengthen z where the gradient is at right angles to z, for then the scale of z says nothing. There z is one vector: the published
 *   code looks at each slice of the first dimension, of which z has one, and then at all of it.
 *
 *   rate is lr, over 1 - .9^t where there is an m; root sqrt(1 - .999^t); keep 1 - lr decay. radam's rate holds its rectification
 *   (Liu et al. 2020) times sqrt(1 - .999^t) from the sixth update on; before, v says too little, and root is 0.
 *
 * Adam itself is adam.h's. Off the tape, as adam.h says: vq_optimise runs it at once, and the record is there for backends; in[] is
 * z, m, v, par, low, high, past, attr.i[0] the vq_optimiser.
 */
#ifndef VQ_KERNELS_OPTIMISER_H
#define VQ_KERNELS_OPTIMISER_H

#include "autograd/op.h"

extern const vq_op vq_op_optimise;

typedef enum vq_optimiser {
  VQ_OPTIMISER_ADAMW,
  VQ_OPTIMISER_ADAGRAD,
  VQ_OPTIMISER_ADAMAX,
  VQ_OPTIMISER_RMSPROP,
  VQ_OPTIMISER_RADAM,
  VQ_OPTIMISER_DIFFGRAD,
  VQ_OPTIMISER_ADAMP
} vq_optimiser;
#define VQ_OPTIMISERS 7

/* par for update number t, counted from 1; `decay` is adamw's. */
void vq_optimiser_parameters(vq_real par[3], vq_optimiser kind, double lr, double decay, int64_t t);

/* VQ_ERR_SHAPE; VQ_ERR_GRADIENT where z has no gradient; VQ_ERR_UNSUPPORTED where the device has no kernel. */
vq_status vq_optimise(vq_device *device, vq_optimiser kind, vq_tensor *z, vq_tensor *m, vq_tensor *v,
                      vq_tensor *par, vq_tensor *low, vq_tensor *high, vq_tensor *past);

#endif
