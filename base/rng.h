/* rng.h -- Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), counter-based.
 *
 * A number is a pure function of (seed, purpose, step, index): nothing is carried from one draw to the next, so a
 * resumed run, another number of threads and another device draw the same numbers. Compared in the tests with the
 * known answers that the authors' Random123 publishes.
 */
#ifndef VQ_BASE_RNG_H
#define VQ_BASE_RNG_H

#include <stdint.h>

/* What a number is drawn for. The values are part of a run's identity: never renumber them. */
typedef enum vq_rng_purpose {
  VQ_RNG_TOKENS = 1,  /* starting codebook rows */
  VQ_RNG_CUTOUTS = 2, /* sizes and places of cutouts */
  VQ_RNG_START = 3,   /* noise of a starting picture */
  VQ_RNG_WEIGHTS = 4, /* seeded random weights, for tests and examples */
  VQ_RNG_NOISE = 5,   /* added to cutouts */
  VQ_RNG_AUGMENT = 6, /* which augmentation meets which cutout, and by how much */
  VQ_RNG_PROMPT = 7,  /* noise prompts */
  VQ_RNG_GUMBEL = 8,  /* tokens that GumbelVQ's encoder draws */
  VQ_RNG_CODES = 9    /* codes that are drawn by their logits, each step, and the first logits, in step 2^32 - 1 */
} vq_rng_purpose;

/* One block: out[0..3] from counter[0..3] and key[0..1], ten rounds. */
void vq_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* 32 random bits: word index%4 of the block with key = seed and counter = (index/4 low, index/4 high, step, purpose). */
uint32_t vq_rng_bits(uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t index);

/* Uniform in [0,1): the upper 24 bits over 2^24, so that it is exact in a float. */
float vq_rng_uniform(uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t index);

/* Uniform integer in [0,n), n > 0: the upper half of bits * n (bias below n / 2^32). */
uint32_t vq_rng_below(uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t index, uint32_t n);

/* Standard normal by Box and Muller from words 2k and 2k+1, k = index/2: cosine for even index, sine for odd. */
double vq_rng_normal(uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t index);

#endif
