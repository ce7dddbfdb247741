/* box_muller.h -- two words of Philox to two normals, for one pair: the functions that normals.h speaks of. The CPU's loops and
 * CUDA's kernels include it, each with its own word for what becomes part of a loop:
 *
 *     #define VQ_NORMAL static inline VQ_BODY
 */
#ifndef VQ_KERNELS_NOISE_BOX_MULLER_H
#define VQ_KERNELS_NOISE_BOX_MULLER_H

#include <math.h>
#include <stdint.h>
#include <string.h>

VQ_NORMAL void vq_multiply_words(uint32_t *high, uint32_t *low, uint32_t a, uint32_t b)
{
  uint64_t product = (uint64_t)a * b;
  *high = (uint32_t)(product >> 32);
  *low = (uint32_t)product;
}

VQ_NORMAL double vq_double_of_word(uint32_t word)
{
  return (double)(int32_t)(word ^ 0x80000000u) + 0x1p31;
}

/* sqrt(-2 log u), 0 < u <= 1 */
VQ_NORMAL double vq_radius(double u)
{
  uint64_t bits;
  double m, e;
  memcpy(&bits, &u, sizeof bits);
  uint64_t exponent = bits >> 52 | 0x4330000000000000u; /* as a double: 2^52 + u's biased exponent */
  bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
  memcpy(&m, &bits, sizeof m); /* [1,2) */
  memcpy(&e, &exponent, sizeof e);
  e -= 0x1p52 + 1023;
  e = m > 0x1.6a09e667f3bcdp0 ? e + 1 : e;
  m = m > 0x1.6a09e667f3bcdp0 ? m / 2 : m;
  double s = (m - 1) / (m + 1), z = s * s, p = 1.0 / 15;
  p = p * z + 1.0 / 13;
  p = p * z + 1.0 / 11;
  p = p * z + 1.0 / 9;
  p = p * z + 1.0 / 7;
  p = p * z + 1.0 / 5;
  p = p * z + 1.0 / 3;
  p = p * z + 1;
  return sqrt(-2 * (e * 0x1.62e42fefa39efp-1 + 2 * s * p));
}

/* Cosine and sine of word / 2^32 turns. */
VQ_NORMAL void vq_circle(uint32_t word, double *cosine, double *sine)
{
  uint32_t quarter = (word + (1u << 29)) >> 30;
  double x = (double)(int32_t)(word - (quarter << 30)) * 0x1.921fb54442d18p-30, z = x * x;
  double s = 1.0 / 6227020800, c = -1.0 / 87178291200;
  s = s * z - 1.0 / 39916800;
  s = s * z + 1.0 / 362880;
  s = s * z - 1.0 / 5040;
  s = s * z + 1.0 / 120;
  s = s * z - 1.0 / 6;
  s = s * z * x + x;
  c = c * z + 1.0 / 479001600;
  c = c * z - 1.0 / 3628800;
  c = c * z + 1.0 / 40320;
  c = c * z - 1.0 / 720;
  c = c * z + 1.0 / 24;
  c = c * z - 0.5;
  c = c * z + 1;
  double along = quarter & 1 ? s : c, across = quarter & 1 ? c : s;
  *cosine = (quarter + 1) & 2 ? -along : along;
  *sine = quarter & 2 ? -across : across;
}

#endif
