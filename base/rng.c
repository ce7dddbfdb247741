/* rng.c -- Philox 4x32-10 and the draws made from it. Formulas and source: rng.h. */
#include "base/rng.h"

#include <math.h>

static uint32_t multiply(uint32_t a, uint32_t b, uint32_t *high)
{
  uint64_t product = (uint64_t)a * b;
  *high = (uint32_t)(product >> 32);
  return (uint32_t)product;
}

void vq_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint32_t high0, high1;
    uint32_t low0 = multiply(0xD2511F53u, c0, &high0);
    uint32_t low1 = multiply(0xCD9E8D57u, c2, &high1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u; /* the golden ratio and sqrt(3) - 1, as 32-bit fractions */
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

uint32_t vq_rng_bits(uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t index)
{
  uint64_t block = index / 4;
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), step, (uint32_t)purpose};
  uint32_t out[4];
  vq_philox(out, counter, key);
  return out[index % 4];
}

float vq_rng_uniform(uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t index)
{
  return (float)(vq_rng_bits(seed, purpose, step, index) >> 8) * 0x1p-24f;
}

uint32_t vq_rng_below(uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t index, uint32_t n)
{
  return (uint32_t)(((uint64_t)vq_rng_bits(seed, purpose, step, index) * n) >> 32);
}

double vq_rng_normal(uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t index)
{
  uint64_t pair = index & ~(uint64_t)1;
  /* u is in (0,1]: its logarithm is finite. */
  double u = (vq_rng_bits(seed, purpose, step, pair) + 1.0) * 0x1p-32;
  double angle = 6.283185307179586 * (vq_rng_bits(seed, purpose, step, pair + 1) * 0x1p-32);
  double radius = sqrt(-2.0 * log(u));
  return radius * (index & 1 ? sin(angle) : cos(angle));
}
