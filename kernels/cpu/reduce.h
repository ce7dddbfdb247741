/* reduce.h -- sums of long rows in a fixed order that a compiler can vectorise.
 *
 * LANES partial sums run side by side and are added in pairs at the end: the order depends on the length alone, and the
 * error grows with the length over LANES instead of the length.
 */
#ifndef VQ_KERNELS_CPU_REDUCE_H
#define VQ_KERNELS_CPU_REDUCE_H

#include "autograd/tensor.h"

#define VQ_LANES 16

static inline vq_real vq_fold_lanes(vq_real lane[VQ_LANES])
{
  for (int half = VQ_LANES / 2; half; half /= 2)
    for (int j = 0; j < half; j++)
      lane[j] += lane[j + half];
  return lane[0];
}

static inline vq_real vq_dot(const vq_real *a, const vq_real *b, int64_t n)
{
  vq_real lane[VQ_LANES] = {0};
  int64_t i = 0;
  for (; i + VQ_LANES <= n; i += VQ_LANES)
    for (int j = 0; j < VQ_LANES; j++)
      lane[j] += a[i + j] * b[i + j];
  for (int j = 0; i < n; i++, j++)
    lane[j] += a[i] * b[i];
  return vq_fold_lanes(lane);
}

static inline vq_real vq_sum_row(const vq_real *a, int64_t n)
{
  vq_real lane[VQ_LANES] = {0};
  int64_t i = 0;
  for (; i + VQ_LANES <= n; i += VQ_LANES)
    for (int j = 0; j < VQ_LANES; j++)
      lane[j] += a[i + j];
  for (int j = 0; i < n; i++, j++)
    lane[j] += a[i];
  return vq_fold_lanes(lane);
}

/* sum (a[i] - b)^2 */
static inline vq_real vq_sum_squares(const vq_real *a, vq_real b, int64_t n)
{
  vq_real lane[VQ_LANES] = {0};
  int64_t i = 0;
  for (; i + VQ_LANES <= n; i += VQ_LANES)
    for (int j = 0; j < VQ_LANES; j++)
      lane[j] += (a[i + j] - b) * (a[i + j] - b);
  for (int j = 0; i < n; i++, j++)
    lane[j] += (a[i] - b) * (a[i] - b);
  return vq_fold_lanes(lane);
}

/* sum (a[i] - b[i])^2 */
static inline vq_real vq_distance(const vq_real *a, const vq_real *b, int64_t n)
{
  vq_real lane[VQ_LANES] = {0};
  int64_t i = 0;
  for (; i + VQ_LANES <= n; i += VQ_LANES)
    for (int j = 0; j < VQ_LANES; j++)
      lane[j] += (a[i + j] - b[i + j]) * (a[i + j] - b[i + j]);
  for (int j = 0; i < n; i++, j++)
    lane[j] += (a[i] - b[i]) * (a[i] - b[i]);
  return vq_fold_lanes(lane);
}

#endif
