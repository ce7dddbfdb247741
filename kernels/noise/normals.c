/* normals.c -- normals by the block. normals.h has the formulas. */
#include "kernels/noise/normals.h"

#include "kernels/cpu/simd.h"

#include <math.h>
#include <string.h>

#define BLOCKS (VQ_NORMALS / 4) /* of Philox */

static inline VQ_BODY void multiply(uint32_t *high, uint32_t *low, uint32_t a, uint32_t b)
{
  uint64_t product = (uint64_t)a * b;
  *high = (uint32_t)(product >> 32);
  *low = (uint32_t)product;
}

/* vq_philox on BLOCKS counters side by side. */
static inline VQ_BODY void philox(uint32_t c0[BLOCKS], uint32_t c1[BLOCKS], uint32_t c2[BLOCKS],
                                  uint32_t c3[BLOCKS], uint64_t seed)
{
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < BLOCKS; i++) {
      uint32_t high0, low0, high1, low1;
      multiply(&high0, &low0, 0xD2511F53u, c0[i]);
      multiply(&high1, &low1, 0xCD9E8D57u, c2[i]);
      c0[i] = high1 ^ c1[i] ^ k0;
      c1[i] = low1;
      c2[i] = high0 ^ c3[i] ^ k1;
      c3[i] = low0;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

static inline VQ_BODY double of_word(uint32_t word)
{
  return (double)(int32_t)(word ^ 0x80000000u) + 0x1p31;
}

/* sqrt(-2 log u), 0 < u <= 1 */
static inline VQ_BODY double radius(double u)
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
static inline VQ_BODY void circle(uint32_t word, double *cosine, double *sine)
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

/* The pairs from words a and b of each block, to normal[4 i] and normal[4 i + 1]. */
static inline VQ_BODY void pairs(double *normal, const uint32_t a[BLOCKS], const uint32_t b[BLOCKS])
{
  double cosine[BLOCKS], sine[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) {
    double r = radius((of_word(a[i]) + 1) * 0x1p-32), x, y;
    circle(b[i], &x, &y);
    cosine[i] = r * x;
    sine[i] = r * y;
  }
  for (int i = 0; i < BLOCKS; i++) {
    normal[4 * i] = cosine[i];
    normal[4 * i + 1] = sine[i];
  }
}

static inline VQ_BODY void draw_body(double *normal, uint64_t seed, vq_rng_purpose purpose, uint32_t step,
                                     uint64_t first)
{
  uint32_t c0[BLOCKS], c1[BLOCKS], c2[BLOCKS], c3[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) {
    uint64_t block = first / 4 + (uint64_t)i;
    c0[i] = (uint32_t)block;
    c1[i] = (uint32_t)(block >> 32);
    c2[i] = step;
    c3[i] = (uint32_t)purpose;
  }
  philox(c0, c1, c2, c3, seed);
  pairs(normal, c0, c1);
  pairs(normal + 2, c2, c3);
}
VQ_LOOP(draw, (double *normal, uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t first),
        (normal, seed, purpose, step, first))

void vq_normals(double normal[VQ_NORMALS], uint64_t seed, vq_rng_purpose purpose, uint32_t step, uint64_t first)
{
  draw(normal, seed, purpose, step, first);
}
