/* resample.h -- squares of a picture, each brought to the size that CLIP sees, by the tables of bands.h.
 *
 *   x [N,H,W,C]    tables for n cutouts, a multiple of N: cutout j is of picture j / (n / N)
 *   y [n,S,S,C]    y[j,r,q,c] = sum over a, b of Y[j,r,a] X[j,q,b] x[picture, a, b, c]
 *   dx[p,a,b,c]   (+)= sum over the cutouts j of picture p, in order, over r, q of Y[j,r,a] X[j,q,b] dy[j,r,q,c]
 *
 * Keeps the tables, not x. The gradient gathers by the transposed tables: each pixel has one writer, who starts from what stands there
 * if he is to add: cutouts in two calls leave the bits that they leave in one. Equals
 * torch.nn.functional.adaptive_avg_pool2d of crops, or the notebooks' resample of them.
 */
#ifndef VQ_KERNELS_RESAMPLE_H
#define VQ_KERNELS_RESAMPLE_H

#include "autograd/tape.h"
#include "kernels/resample/bands.h"

extern const vq_op vq_op_resample;

/* The tables as vq_bands_fill makes them, along the height and along the width. */
vq_tensor *vq_resample(vq_tape *tape, vq_tensor *x, vq_tensor *y_index, vq_tensor *y_weight, vq_tensor *x_index,
                       vq_tensor *x_weight, const vq_bands *bands);

#endif
