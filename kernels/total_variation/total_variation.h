/* total_variation.h -- how much neighbouring pixels differ: what takes the speckle out of a picture.
 *
 *   x [N,H,W,C]    y = weight (mean (x[n,r+1,q,c] - x[n,r,q,c])^2 + mean (x[n,r,q+1,c] - x[n,r,q,c])^2), a scalar
 *
 * each mean over the differences that there are (0 if there is none).
 *
 *   dx[p] = dy weight 2 (sum over vertical neighbours p' of (x[p] - x[p']) / vertical differences + the same across)
 *
 * Keeps x. Equals weight * ((x[:,1:] - x[:,:-1]).pow(2).mean() + (x[:,:,1:] - x[:,:,:-1]).pow(2).mean()) in PyTorch.
 */
#ifndef VQ_KERNELS_TOTAL_VARIATION_H
#define VQ_KERNELS_TOTAL_VARIATION_H

#include "autograd/tape.h"

extern const vq_op vq_op_total_variation;

vq_tensor *vq_total_variation(vq_tape *tape, vq_tensor *x, double weight);

#endif
