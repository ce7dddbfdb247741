/* sharpen.h -- each cutout between itself and a blurred one, or beyond.
 *
 *   x [n,H,W,C]   factor [n], f of cutout j
 *   blur = min(max((sum of x's 3x3 neighbours, itself five times) / 13, 0), 1) inside; at the border, x
 *   y = blur + f (x - blur), and, where f is below 0 or above 1, that held to [0,1]
 *
 *   dx = f g + (sum over the 3x3 neighbours inside, itself five times, of (1 - f) g where their sum / 13 is within [0,1]) / 13
 *   at the border g in the place of f g; g = dy, and 0 where y was held
 *
 * A factor of 1 gives x itself, of 0 the blur; the notebooks' 0 to 0.3 mostly blurs. Keeps x and factor. Equals sharpness(x, factor) of
 * kornia 0.5.4, whose RandomSharpness draws the factor. Newer ones hold y to [0,1] whatever the factor is: jitter does that.
 */
#ifndef VQ_KERNELS_SHARPEN_H
#define VQ_KERNELS_SHARPEN_H

#include "autograd/tape.h"

extern const vq_op vq_op_sharpen;

vq_tensor *vq_sharpen(vq_tape *tape, vq_tensor *x, vq_tensor *factor);

#endif
