/* max_pool.h -- whole pictures brought to S x S by the largest and the mean of uneven windows.
 *
 *   x [N,H,W,C]   y [N,S,S,C] = share max + (1 - share) mean, of x over rows floor(r H / S) ... ceil((r+1) H / S) - 1
 *                                                      and columns floor(q W / S) ... ceil((q+1) W / S) - 1
 *
 *   dx[p] = share (sum of dy over the windows whose largest is p) + (1 - share) (sum of dy / size over those with p in them)
 *
 * The first of equals, row by row, is the largest; a NaN is larger than any number. Windows overlap where S does not divide
 * the side, and are repeated where S is larger: dx is gathered, window after window. Saves where the largest were, i32. Equals, in PyTorch,
 *
 *   share * F.adaptive_max_pool2d(x, S) + (1 - share) * F.adaptive_avg_pool2d(x, S)
 *
 * The pooling notebooks' (max + mean) / 2 is a share of 0.5; the n equal cutouts that they make of it are vq_resample's, of boxes
 * as large as it is.
 */
#ifndef VQ_KERNELS_MAX_POOL_H
#define VQ_KERNELS_MAX_POOL_H

#include "autograd/tape.h"

extern const vq_op vq_op_max_pool;

/* 0 <= share <= 1 */
vq_tensor *vq_max_pool(vq_tape *tape, vq_tensor *x, int64_t side, double share);

#endif
