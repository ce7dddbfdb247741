/* normals.h -- many of base/rng.h's normals at once, in loops that a compiler can vectorise.
 *
 * The draws are vq_rng_normal's: four from each Philox block, Box and Muller on words 0, 1 and 2, 3. The logarithm, the sine
 * and the cosine are polynomials in double, so that the C library has no say in the bits:
 *
 *     u = 2^e m, m in [sqrt 1/2, sqrt 2)    log u = e ln 2 + 2 atanh s, s = (m - 1) / (m + 1), |s| <= 0.172, to s^15
 *     the angle is an integer over 2^32: its quarter turn is taken off exactly, and what is left, |x| <= pi/4, goes
 *     into the Taylor series to x^13 and x^14
 *
 * What is left out is below 1e-12: far below a float's rounding.
 */
#ifndef VQ_KERNELS_NORMALS_H
#define VQ_KERNELS_NORMALS_H

#include "base/rng.h"

#define VQ_NORMALS 256 /* drawn at once */

/* normal[i] = vq_rng_normal(seed, purpose, step, first + i), to 1e-12. `first` is a multiple of 4. */
void vq_normals(double normal[VQ_NORMALS], uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t first);

#endif
