/* warp.h -- each cutout seen through a 3x3 matrix: rotated, moved, sheared, in perspective.
 *
 *   x [n,H,W,C]   M [n,3,3] f64, in any build: from a pixel (q, r, 1) of y to the point (u, v) of x that it is taken from,
 *                 (u, v) = (M0 q + M1 r + M2, M3 q + M4 r + M5) / (M6 q + M7 r + M8), pixels' middles at whole numbers
 *   y[j,r,q] = the four pixels around (u, v), by their distances (bilinear); of those outside x,
 *
 *   VQ_WARP_ZEROS    each counts as 0
 *   VQ_WARP_BORDER   (u, v) is first brought to the nearest point inside
 *
 *   dx[p] = the sum of weight dy over the pixels of y that p went into
 *
 * Thousands of outputs may come from one pixel, so dx cannot be gathered: weight dy is rounded to whole multiples of 1 / VQ_WARP_SCALE
 * and added up as int64, in any order to the same sum. The scale is the same whatever the data are. If a cutout's |dy| add up to
 * VQ_WARP_MOST, a sum could overflow: VQ_ERR_ARGUMENT; if to what is no number, VQ_ERR_NAN. Where M[j] is the identity, y and
 * dx are copied. A NaN in a point counts as far to the left or above. Keeps M. Equals F.grid_sample(bilinear) in PyTorch, with a
 * grid of (2 u + 1) / W - 1, (2 v + 1) / H - 1 and align_corners=False; geometry.h makes the matrices of kornia's warps.
 */
#ifndef VQ_KERNELS_WARP_H
#define VQ_KERNELS_WARP_H

#include "autograd/tape.h"
#include "kernels/warp/geometry.h"

#define VQ_WARP_SCALE 0x1p50
#define VQ_WARP_MOST  0x1p12

typedef enum vq_warp_padding { VQ_WARP_ZEROS, VQ_WARP_BORDER } vq_warp_padding;

extern const vq_op vq_op_warp;

vq_tensor *vq_warp(vq_tape *tape, vq_tensor *x, vq_tensor *M, vq_warp_padding padding);

#endif
