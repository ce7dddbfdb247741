/* exp.h -- the exponential, and the softmax of a row, in loops that a compiler can vectorise.
 *
 * The C library's expf is a call for each element; a float's own is a handful of instructions. With n = round(x / ln 2)
 * and r = x - n ln 2, |r| <= 0.35,
 *
 *     e^x = 2^n e^r,      e^r by its Taylor series to r^7, whose remainder is below 6e-9 of it
 *
 * Within 2 units in the last place; a NaN stays one; held to [1.2e-38, 2.4e38] instead of reaching 0 or infinity.
 * The double build takes the C library's.
 */
#ifndef VQ_KERNELS_CPU_EXP_H
#define VQ_KERNELS_CPU_EXP_H

#include "kernels/cpu/reduce.h"

#include <math.h>
#include <string.h>

#ifdef VQ_DOUBLE
static inline vq_real vq_exp(vq_real x)
{
  return exp(x);
}
#else
static inline vq_real vq_exp(vq_real x)
{
  const float low = -87.33f, high = 88.37f, to_int = 0x1.8p23f;  /* x + to_int has x's integer in its last bits */
  const float ln2_high = 0x1.62ep-1f, ln2_low = 0x1.0bfbe8p-15f; /* n ln2_high is exact */
  x = x < low ? low : x;
  x = x > high ? high : x;
  float t = x * 0x1.715476p0f + to_int, n = t - to_int;
  float r = (x - n * ln2_high) - n * ln2_low;
  float p = 1.f / 5040;
  p = p * r + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + .5f;
  p = p * r * r + r + 1;
  uint32_t bits;
  memcpy(&bits, &t, sizeof bits);
  bits = (bits << 23) + 0x3f800000u; /* 2^n */
  memcpy(&t, &bits, sizeof t);
  return p * t;
}
#endif

/* max x[i], n >= 1 */
static inline vq_real vq_max_row(const vq_real *x, int64_t n)
{
  vq_real lane[VQ_LANES], most;
  int64_t i = 0;
  for (int j = 0; j < VQ_LANES; j++)
    lane[j] = x[0];
  for (; i + VQ_LANES <= n; i += VQ_LANES)
    for (int j = 0; j < VQ_LANES; j++)
      lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
  for (int j = 0; i < n; i++, j++)
    lane[j] = x[i] > lane[j] ? x[i] : lane[j];
  most = lane[0];
  for (int j = 1; j < VQ_LANES; j++)
    most = lane[j] > most ? lane[j] : most;
  return most;
}

/* log sum e^x[i], n >= 1 */
static inline vq_real vq_log_sum_exp(const vq_real *x, int64_t n)
{
  vq_real lane[VQ_LANES] = {0}, most = vq_max_row(x, n);
  int64_t i = 0;
  for (; i + VQ_LANES <= n; i += VQ_LANES)
    for (int j = 0; j < VQ_LANES; j++)
      lane[j] += vq_exp(x[i + j] - most);
  for (int j = 0; i < n; i++, j++)
    lane[j] += vq_exp(x[i] - most);
  return most + (vq_real)log((double)vq_fold_lanes(lane));
}

/* x becomes its softmax; returns log sum exp x. n >= 1 */
static inline vq_real vq_softmax_row(vq_real *x, int64_t n)
{
  vq_real most = vq_max_row(x, n), sum, scale;
  for (int64_t i = 0; i < n; i++)
    x[i] = vq_exp(x[i] - most);
  sum = vq_sum_row(x, n);
  scale = 1 / sum;
  for (int64_t i = 0; i < n; i++)
    x[i] *= scale;
  return most + (vq_real)log((double)sum);
}

#endif
