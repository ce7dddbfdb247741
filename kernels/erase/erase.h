/* erase.h -- a rectangle of each cutout painted over.
 *
 *   x [n,H,W,C]   box [n,4] i32 = left, top, width, height of cutout j's rectangle; a width or height of 0 erases nothing
 *   y[j,r,q,c] = value inside the rectangle, x[j,r,q,c] outside
 *
 *   dx = dy outside, 0 inside
 *
 * What of a rectangle is outside the cutout does not count. Keeps box. Equals kornia's RandomErasing with these parameters.
 */
#ifndef VQ_KERNELS_ERASE_H
#define VQ_KERNELS_ERASE_H

#include "autograd/tape.h"

extern const vq_op vq_op_erase;

vq_tensor *vq_erase(vq_tape *tape, vq_tensor *x, vq_tensor *box, double value);

/* The rectangle that kornia makes of its draws: of `area` (a share of the picture's) and `ratio` (height over width), each side
 * rounded, half to even, and held to 1 ... the picture's; its place is floor(u (picture - side + 1)), u and v in [0,1). */
void vq_erase_box(int32_t box[4], int width, int height, double area, double ratio, double u, double v);

#endif
