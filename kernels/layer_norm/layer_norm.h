/* layer_norm.h -- every row to mean 0 and variance 1, then a scale and a shift for each column.
 *
 *   x    [..., C]   rows of any number; seen as [M, C]
 *   g, b [C]
 *   eps  > 0
 *   y    [..., C]   = n g + b,  n = (x - mean) rstd,  rstd = 1 / sqrt(variance + eps)
 *
 *   dx = rstd (h - mean of h - n (mean of h n)),  h = dy g, means over the row
 *   dg[c] = sum over m of dy[m,c] n[m,c]      db[c] = sum over m of dy[m,c]
 *
 * The variance is the mean of (x - mean)^2 over C, from a second pass over the row. Saves [M, 2]: mean, rstd. Keeps x if x
 * or g wants a gradient, and g only if x does. Equals torch.nn.functional.layer_norm(x, (C,), g, b, eps).
 */
#ifndef VQ_KERNELS_LAYER_NORM_H
#define VQ_KERNELS_LAYER_NORM_H

#include "autograd/tape.h"

extern const vq_op vq_op_layer_norm; /* attr.f[0] = eps */

vq_tensor *vq_layer_norm(vq_tape *tape, vq_tensor *x, vq_tensor *g, vq_tensor *b, double eps);

#endif
