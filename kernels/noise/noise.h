/* noise.h -- normal noise on each cutout, by a factor of its own.
 *
 *   x [n,...]   factor [n]   key [n,4] i32 = seed (low, high word), step, and number of cutout j among all of the step
 *   y[j,e] = x[j,e] + factor[j] vq_rng_normal(seed, VQ_RNG_NOISE, step, number * elements of a cutout + e)
 *
 *   dx is dy itself. factor wants none.
 *
 * A draw belongs to an element of a numbered cutout in a step of a run: how many cutouts go through at once, and on how many
 * threads, changes nothing. Where the factor is 0, y is x. In a float, the normal is vq_rng_normal's rounded, to about 1e-7 of
 * 1 more or less: a polynomial of ours in the place of the C library's, so that the bits are the same with any.
 * Equals x + factor[:,None,None,None] * torch.randn_like(x) in law, not in numbers.
 */
#ifndef VQ_KERNELS_NOISE_H
#define VQ_KERNELS_NOISE_H

#include "autograd/tape.h"

extern const vq_op vq_op_noise;

vq_tensor *vq_noise(vq_tape *tape, vq_tensor *x, vq_tensor *factor, vq_tensor *key);

/* One row of key. */
void vq_noise_key(int32_t key[4], uint64_t seed, uint32_t step, uint32_t cutout);

#endif
