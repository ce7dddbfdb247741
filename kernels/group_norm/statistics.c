/* statistics.c -- group norm on the CPU. Contract: statistics.h. */
#include "kernels/group_norm/statistics.h"

#include "kernels/activation/activation.h"
#include "kernels/check.h"
#include "kernels/cpu/simd.h"

#include <math.h>

#define SLAB_ELEMENTS 4096 /* stays in a first-level cache between the passes over it */
#define CHANNELS      128  /* in hand at a time: of the largest pictures all, so that memory is read as it lies */

vq_status vq_norm_check(const char *op, const vq_tensor *x, const vq_tensor *g, const vq_tensor *b, int64_t groups,
                        double eps)
{
  if (x->rank != 3 && x->rank != 4)
    return vq_fail(VQ_ERR_SHAPE, "%s: x has rank %d and must be [N,H,W,C] or [N,T,C]", op, x->rank);
  VQ_TRY(vq_check_dims(op, "g", g, 1, vq_last(x), -1, -1, -1));
  VQ_TRY(vq_check_dims(op, "b", b, 1, vq_last(x), -1, -1, -1));
  if (groups < 1 || vq_last(x) % groups)
    return vq_fail(VQ_ERR_ARGUMENT, "%s: %lld channels cannot be shared out to %lld groups", op,
                   (long long)vq_last(x), (long long)groups);
  if (!(eps > 0))
    return vq_fail(VQ_ERR_ARGUMENT, "%s: an eps of %g, it must be above 0", op, eps);
  return VQ_OK;
}

vq_norm vq_norm_sizes(const vq_tensor *x, int64_t groups, double eps, vq_act act)
{
  return (vq_norm){.n = x->dim[0],
                   .pixels = vq_rows(x) / x->dim[0],
                   .channels = vq_last(x),
                   .groups = groups,
                   .eps = eps,
                   .act = act};
}

vq_shape vq_norm_saved(const vq_tensor *x, int64_t groups)
{
  return vq_shape_make(VQ_REAL, 3, (int64_t[]){x->dim[0], groups, 2});
}

/* ---- slabs ---- */

static int64_t slab_pixels(const vq_norm *a)
{
  int64_t pixels = SLAB_ELEMENTS / a->channels;
  return pixels < 16 ? 16 : pixels;
}

static int64_t slabs(const vq_norm *a)
{
  return (a->pixels + slab_pixels(a) - 1) / slab_pixels(a);
}

/* Two numbers for each sample, slab and channel; then two for each sample and group. */
size_t vq_norm_scratch(const vq_norm *a)
{
  return (size_t)(2 * a->n * (slabs(a) * a->channels + a->groups)) * sizeof(vq_real);
}

size_t vq_norm_mapped_scratch(const vq_norm *a)
{
  return (size_t)(2 * a->n * a->channels) * sizeof(vq_real);
}

typedef struct slab_job {
  const vq_norm *a;
  const vq_norm_gradients *d;
  vq_real *found; /* [n,slabs,2,channels] */
  vq_real *group; /* [n,groups,2] */
  vq_real *y;
} slab_job;

/* A block of one slab's channels, and what the map does to them. */
typedef struct block {
  int64_t pixels, channels, stride;
  int64_t at; /* of its first element in x, y, dy */
  int64_t channel, sample;
  vq_real *found; /* [2,a->channels], at `channel` */
  vq_real mean[CHANNELS], rstd[CHANNELS];
} block;

static block block_of(const slab_job *j, int64_t task, int64_t channel)
{
  const vq_norm *a = j->a;
  int64_t many = slabs(a), slab = task % many, sample = task / many, first = slab * slab_pixels(a);
  block k = {.channel = channel, .sample = sample, .stride = a->channels};
  k.pixels = a->pixels - first < slab_pixels(a) ? a->pixels - first : slab_pixels(a);
  k.channels = a->channels - channel < CHANNELS ? a->channels - channel : CHANNELS;
  k.at = (sample * a->pixels + first) * a->channels + channel;
  k.found = j->found ? j->found + task * 2 * a->channels + channel : NULL;
  return k;
}

static void look_up_statistics(const vq_norm *a, block *k)
{
  for (int64_t c = 0; c < k->channels; c++) {
    int64_t group = (k->channel + c) / (a->channels / a->groups);
    const vq_real *s = a->statistics + (k->sample * a->groups + group) * 2;
    k->mean[c] = s[0];
    k->rstd[c] = s[1];
  }
}

/* ---- forward ---- */

/* Each channel's mean in the slab and its sum of squared differences from it. The differences' own sum, which would be
 * zero without rounding, corrects both. */
static inline VQ_BODY void measure_block_body(const vq_norm *a, block *k)
{
  const vq_real *x = a->x + k->at;
  vq_real mean[CHANNELS] = {0}, off[CHANNELS] = {0}, square[CHANNELS] = {0};
  for (int64_t p = 0; p < k->pixels; p++)
    for (int64_t c = 0; c < k->channels; c++)
      mean[c] += x[p * k->stride + c];
  for (int64_t c = 0; c < k->channels; c++)
    mean[c] /= (vq_real)k->pixels;
  for (int64_t p = 0; p < k->pixels; p++)
    for (int64_t c = 0; c < k->channels; c++) {
      vq_real difference = x[p * k->stride + c] - mean[c];
      off[c] += difference;
      square[c] += difference * difference;
    }
  for (int64_t c = 0; c < k->channels; c++) {
    vq_real correction = off[c] / (vq_real)k->pixels;
    k->found[c] = mean[c] + correction;
    k->found[a->channels + c] = square[c] - off[c] * correction;
  }
}
VQ_LOOP(measure_block, (const vq_norm *a, block *k), (a, k))

static void measure_task(void *context, int64_t task)
{
  const slab_job *j = context;
  for (int64_t c = 0; c < j->a->channels; c += CHANNELS) {
    block k = block_of(j, task, c);
    measure_block(j->a, &k);
  }
}

/* One sample's group: parts of count_i, mean_i and M2_i have the mean sum count_i mean_i / sum count_i, and their squared
 * differences from it add up to sum M2_i + count_i (mean_i - mean)^2. */
static void merge_task(void *context, int64_t task)
{
  const slab_job *j = context;
  const vq_norm *a = j->a;
  int64_t wide = a->channels / a->groups, sample = task / a->groups, many = slabs(a);
  const vq_real *found = j->found + sample * many * 2 * a->channels + task % a->groups * wide;
  double mean = 0, square = 0, total = (double)(a->pixels * wide);
  for (int64_t s = 0; s < many; s++) {
    int64_t left = a->pixels - s * slab_pixels(a), count = left < slab_pixels(a) ? left : slab_pixels(a);
    for (int64_t c = 0; c < wide; c++)
      mean += (double)count * (double)found[s * 2 * a->channels + c];
  }
  mean /= total;
  for (int64_t s = 0; s < many; s++) {
    int64_t left = a->pixels - s * slab_pixels(a), count = left < slab_pixels(a) ? left : slab_pixels(a);
    for (int64_t c = 0; c < wide; c++) {
      double difference = (double)found[s * 2 * a->channels + c] - mean;
      square += (double)found[(s * 2 + 1) * a->channels + c] + (double)count * difference * difference;
    }
  }
  a->statistics[2 * task] = (vq_real)mean;
  a->statistics[2 * task + 1] = (vq_real)(1 / sqrt(square / total + a->eps));
}

/* spread [n,2,channels]: each channel's mean and rstd, in the place of what the slabs had found. */
static void spread_statistics(const vq_norm *a, vq_real *spread)
{
  int64_t wide = a->channels / a->groups;
  for (int64_t n = 0; n < a->n; n++)
    for (int which = 0; which < 2; which++)
      for (int64_t c = 0; c < a->channels; c++)
        spread[(2 * n + which) * a->channels + c] = a->statistics[(n * a->groups + c / wide) * 2 + which];
}

void vq_norm_measure(vq_threads *threads, const vq_norm *a, void *scratch)
{
  slab_job j = {.a = a, .found = scratch};
  vq_parallel(threads, a->n * slabs(a), measure_task, &j);
  vq_parallel(threads, a->n * a->groups, merge_task, &j);
  spread_statistics(a, scratch);
}

static inline VQ_BODY void map_pixels_body(const vq_norm *a, const vq_real *spread, int64_t first, int64_t pixels,
                                           vq_real *restrict y)
{
  const int64_t channels = a->channels;
  const vq_real *x = a->x + first * channels, *g = a->g, *b = a->b;
  const vq_real *mean = spread + first / a->pixels * 2 * channels, *rstd = mean + channels;
  const bool silu = a->act == VQ_ACT_SILU;
  for (int64_t p = 0; p < pixels; p++, x += channels, y += channels)
    if (silu)
      for (int64_t c = 0; c < channels; c++)
        y[c] = vq_silu_value((x[c] - mean[c]) * rstd[c] * g[c] + b[c]);
    else
      for (int64_t c = 0; c < channels; c++)
        y[c] = (x[c] - mean[c]) * rstd[c] * g[c] + b[c];
}
VQ_LOOP(map_pixels, (const vq_norm *a, const vq_real *spread, int64_t first, int64_t pixels, vq_real *y),
        (a, spread, first, pixels, y))

void vq_norm_map(const vq_norm *a, const void *scratch, int64_t first, int64_t pixels, vq_real *y)
{
  map_pixels(a, scratch, first, pixels, y);
}

static void apply_task(void *context, int64_t task)
{
  const slab_job *j = context;
  const vq_norm *a = j->a;
  int64_t slab = task % slabs(a), from = slab * slab_pixels(a), left = a->pixels - from;
  int64_t first = task / slabs(a) * a->pixels + from;
  map_pixels(a, j->found, first, left < slab_pixels(a) ? left : slab_pixels(a), j->y + first * a->channels);
}

void vq_norm_apply(vq_threads *threads, const vq_norm *a, void *scratch, vq_real *y)
{
  slab_job j = {.a = a, .found = scratch, .y = y};
  vq_parallel(threads, a->n * slabs(a), apply_task, &j);
}

/* ---- backward ---- */

/* dv = dy act'(v), in place. */
static inline VQ_BODY void slope_block_body(const vq_norm *a, const block *k, vq_real *dv)
{
  const vq_real *x = a->x + k->at, *g = a->g + k->channel, *b = a->b + k->channel;
  for (int64_t p = 0; p < k->pixels; p++, x += k->stride, dv += k->stride)
    for (int64_t c = 0; c < k->channels; c++)
      dv[c] *= vq_silu_slope((x[c] - k->mean[c]) * k->rstd[c] * g[c] + b[c]);
}
VQ_LOOP(slope_block, (const vq_norm *a, const block *k, vq_real *dv), (a, k, dv))

/* The slab's sum of dv and of dv u for each channel. */
static inline VQ_BODY void sum_block_body(const vq_norm *a, const block *k, const vq_real *dv)
{
  const vq_real *x = a->x + k->at;
  vq_real plain[CHANNELS] = {0}, times[CHANNELS] = {0};
  for (int64_t p = 0; p < k->pixels; p++, x += k->stride, dv += k->stride)
    for (int64_t c = 0; c < k->channels; c++) {
      plain[c] += dv[c];
      times[c] += dv[c] * ((x[c] - k->mean[c]) * k->rstd[c]);
    }
  for (int64_t c = 0; c < k->channels; c++) {
    k->found[c] = plain[c];
    k->found[a->channels + c] = times[c];
  }
}
VQ_LOOP(sum_block, (const vq_norm *a, const block *k, const vq_real *dv), (a, k, dv))

static void sum_task(void *context, int64_t task)
{
  const slab_job *j = context;
  for (int64_t c = 0; c < j->a->channels; c += CHANNELS) {
    block k = block_of(j, task, c);
    look_up_statistics(j->a, &k);
    if (j->a->act == VQ_ACT_SILU)
      slope_block(j->a, &k, j->d->dv + k.at);
    sum_block(j->a, &k, j->d->dv + k.at);
  }
}

/* A and B of one sample's group. */
static void group_task(void *context, int64_t task)
{
  const slab_job *j = context;
  const vq_norm *a = j->a;
  int64_t wide = a->channels / a->groups, sample = task / a->groups, channel = task % a->groups * wide;
  double plain = 0, times = 0;
  for (int64_t s = 0; s < slabs(a); s++) {
    const vq_real *found = j->found + (sample * slabs(a) + s) * 2 * a->channels + channel;
    for (int64_t c = 0; c < wide; c++) {
      plain += (double)a->g[channel + c] * (double)found[c];
      times += (double)a->g[channel + c] * (double)found[a->channels + c];
    }
  }
  j->group[2 * task] = (vq_real)(plain / (double)(a->pixels * wide));
  j->group[2 * task + 1] = (vq_real)(times / (double)(a->pixels * wide));
}

static inline VQ_BODY void dx_block_body(const slab_job *j, const block *k)
{
  const vq_norm *a = j->a;
  const vq_real *x = a->x + k->at, *g = a->g + k->channel, *dv = j->d->dv + k->at;
  vq_real *dx = j->d->dx + k->at, A[CHANNELS], B[CHANNELS];
  for (int64_t c = 0; c < k->channels; c++) {
    int64_t group = (k->channel + c) / (a->channels / a->groups);
    A[c] = j->group[(k->sample * a->groups + group) * 2];
    B[c] = j->group[(k->sample * a->groups + group) * 2 + 1];
  }
  for (int64_t p = 0; p < k->pixels; p++, x += k->stride, dv += k->stride, dx += k->stride)
    for (int64_t c = 0; c < k->channels; c++) {
      vq_real u = (x[c] - k->mean[c]) * k->rstd[c];
      vq_put(&dx[c], j->d->adds_dx, k->rstd[c] * (g[c] * dv[c] - A[c] - u * B[c]));
    }
}
VQ_LOOP(dx_block, (const slab_job *j, const block *k), (j, k))

static void dx_task(void *context, int64_t task)
{
  const slab_job *j = context;
  for (int64_t c = 0; c < j->a->channels; c += CHANNELS) {
    block k = block_of(j, task, c);
    look_up_statistics(j->a, &k);
    dx_block(j, &k);
  }
}

/* dg (which = 1) or db (0): the slabs' sums, added up. */
static void put_sums(const slab_job *j, int which, vq_real *to, bool add)
{
  const vq_norm *a = j->a;
  for (int64_t c = 0; c < a->channels; c++) {
    double sum = 0;
    for (int64_t s = 0; s < a->n * slabs(a); s++)
      sum += (double)j->found[(s * 2 + which) * a->channels + c];
    vq_put(&to[c], add, (vq_real)sum);
  }
}

void vq_norm_back(vq_threads *threads, const vq_norm *a, const vq_norm_gradients *d, void *scratch)
{
  slab_job j = {.a = a, .d = d, .found = scratch};
  j.group = j.found + 2 * a->n * slabs(a) * a->channels;
  vq_parallel(threads, a->n * slabs(a), sum_task, &j);
  if (d->dg)
    put_sums(&j, 1, d->dg, d->adds_dg);
  if (d->db)
    put_sums(&j, 0, d->db, d->adds_db);
  if (!d->dx)
    return;
  vq_parallel(threads, a->n * a->groups, group_task, &j);
  vq_parallel(threads, a->n * slabs(a), dx_task, &j);
}
