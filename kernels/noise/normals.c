/* normals.c -- normals by the block. normals.h has the formulas. */
#include "kernels/noise/normals.h"

#include "kernels/cpu/simd.h"

#define VQ_NORMAL static inline VQ_BODY
#include "kernels/noise/box_muller.h"

#define BLOCKS (VQ_NORMALS / 4) /* of Philox */

/* vq_philox on BLOCKS counters side by side. */
static inline VQ_BODY void philox(uint32_t c0[BLOCKS], uint32_t c1[BLOCKS], uint32_t c2[BLOCKS],
                                  uint32_t c3[BLOCKS], uint64_t seed)
{
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < BLOCKS; i++) {
      uint32_t high0, low0, high1, low1;
      vq_multiply_words(&high0, &low0, 0xD2511F53u, c0[i]);
      vq_multiply_words(&high1, &low1, 0xCD9E8D57u, c2[i]);
      c0[i] = high1 ^ c1[i] ^ k0;
      c1[i] = low1;
      c2[i] = high0 ^ c3[i] ^ k1;
      c3[i] = low0;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

/* The pairs from words a and b of each block, to normal[4 i] and normal[4 i + 1]. */
static inline VQ_BODY void pairs(double *normal, const uint32_t a[BLOCKS], const uint32_t b[BLOCKS])
{
  double cosine[BLOCKS], sine[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) {
    double r = vq_radius((vq_double_of_word(a[i]) + 1) * 0x1p-32), x, y;
    vq_circle(b[i], &x, &y);
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
