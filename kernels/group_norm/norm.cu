/* norm.cu -- group norm's kernels. Contract: norm.cuh.
 *
 * All of them are bound by memory. Forward reads x twice (the statistics' second pass over a slab finds it in the cache) and writes y; back
 * reads x and dy twice and writes dx: dy act' is computed in both passes, which costs less than writing it.
 */
#include "kernels/group_norm/norm.cuh"
#include "kernels/cuda/reduce.cuh"

#include <type_traits>

namespace
{

#define THREADS 256
#define LEAST   8    /* pixels of a slab */
#define WANTED  1024 /* slabs: several for each multiprocessor of the largest cards */

int64_t slab_pixels(const vq_cuda_norm *a)
{
  int64_t pixels = (a->n * a->pixels + WANTED - 1) / WANTED;
  return pixels > LEAST ? pixels : LEAST;
}

int64_t slabs(const vq_cuda_norm *a)
{
  return (a->pixels + slab_pixels(a) - 1) / slab_pixels(a);
}

/* What kernels are told of the sizes. found [n,slabs,2,channels]: of a slab's channels; group [n,groups,2]. */
struct norm_job {
  int64_t n, pixels, channels, groups, wide, slab, slabs;
  float eps;
  bool silu;
  const float *g, *b;
  float *statistics, *found, *group;
};

norm_job job_of(const vq_cuda_norm *a, void *scratch)
{
  norm_job j = {a->n, a->pixels, a->channels, a->groups, a->channels / a->groups, slab_pixels(a), slabs(a)};
  j.eps = (float)a->eps;
  j.silu = a->act == VQ_ACT_SILU;
  j.g = a->g;
  j.b = a->b;
  j.statistics = a->statistics;
  j.found = static_cast<float *>(scratch);
  j.group = j.found + 2 * a->n * j.slabs * a->channels;
  return j;
}

VQ_DEVICE float sigmoid(float v)
{
  return 1 / (1 + __expf(-v));
}

/* ---- a slab, by a block: threads lie ACROSS its channels, V to each, and down its pixels ---- */

struct lines {
  unsigned across, down; /* threads: their product is the block's */
};

lines lines_of(int64_t channels, int V)
{
  int64_t across = (channels + V - 1) / V;
  across = across < THREADS ? across : THREADS;
  return {(unsigned)across, THREADS / (unsigned)across};
}

/* A thread's place in a launch of (slabs, tiles of channels, samples) blocks. */
struct here {
  int64_t channel, first, end,
      at; /* its first channel; the slab's pixels; of x's element at the slab's first pixel and that channel */
  unsigned across, line, down;
};

template <int V> VQ_DEVICE here place_of(const norm_job &j, lines l)
{
  here p;
  p.across = threadIdx.x % l.across;
  p.line = threadIdx.x / l.across;
  p.down = l.down;
  p.channel = ((int64_t)blockIdx.y * l.across + p.across) * V;
  p.first = (int64_t)blockIdx.x * j.slab;
  p.end = min(p.first + j.slab, j.pixels);
  p.at = ((int64_t)blockIdx.z * j.pixels + p.first) * j.channels + p.channel;
  return p;
}

/* The lines' sums, added up in their order: every thread gets those of its channels. `room`: THREADS * V floats. */
template <int V> VQ_DEVICE void add_lines(float (&sum)[V], float *room, const here &p, unsigned across)
{
  __syncthreads();
#pragma unroll
  for (int k = 0; k < V; k++)
    room[(p.line * V + k) * across + p.across] = sum[k];
  __syncthreads();
#pragma unroll
  for (int k = 0; k < V; k++) {
    sum[k] = 0;
    for (unsigned line = 0; line < p.down; line++)
      sum[k] += room[(line * V + k) * across + p.across];
  }
}

/* Puts a slab's two numbers of each channel where the merging kernels look for them. */
template <int V>
VQ_DEVICE void put_found(const norm_job &j, const here &p, const float (&one)[V], const float (&two)[V])
{
  float *found = j.found + ((int64_t)blockIdx.z * j.slabs + blockIdx.x) * 2 * j.channels + p.channel;
  if (p.line == 0 && p.channel < j.channels)
#pragma unroll
    for (int k = 0; k < V; k++) {
      found[k] = one[k];
      found[j.channels + k] = two[k];
    }
}

/* Each channel's mean in the slab and its sum of squared differences from it. The differences' own sum, which would be zero
 * without rounding, corrects both. */
template <class X, int V> __global__ void __launch_bounds__(THREADS) measure_kernel(const X *x, norm_job j, lines l)
{
  VQ_SHARED(float, room, THREADS *V);
  here p = place_of<V>(j, l);
  bool mine = p.channel < j.channels;
  float mean[V] = {}, off[V] = {}, square[V] = {}, count = (float)(p.end - p.first);
  for (int64_t i = p.line; mine && i < p.end - p.first; i += p.down) {
    vq_pack<X, V> v = vq_load<V>(x + p.at + i * j.channels);
#pragma unroll
    for (int k = 0; k < V; k++)
      mean[k] += vq_float(v.at[k]);
  }
  add_lines<V>(mean, room, p, l.across);
#pragma unroll
  for (int k = 0; k < V; k++)
    mean[k] /= count;
  for (int64_t i = p.line; mine && i < p.end - p.first; i += p.down) {
    vq_pack<X, V> v = vq_load<V>(x + p.at + i * j.channels);
#pragma unroll
    for (int k = 0; k < V; k++) {
      float difference = vq_float(v.at[k]) - mean[k];
      off[k] += difference;
      square[k] += difference * difference;
    }
  }
  add_lines<V>(off, room, p, l.across);
  add_lines<V>(square, room, p, l.across);
#pragma unroll
  for (int k = 0; k < V; k++) {
    float correction = off[k] / count;
    mean[k] += correction;
    square[k] -= off[k] * correction;
  }
  put_found<V>(j, p, mean, square);
}

/* One sample's group, by a block: parts of count_i, mean_i and M2_i have the mean sum count_i mean_i / sum count_i, and their squared
 * differences from it add up to sum M2_i + count_i (mean_i - mean)^2. */
__global__ void __launch_bounds__(THREADS) merge_kernel(norm_job j)
{
  VQ_SHARED(double, room, THREADS / VQ_WARP);
  int64_t group = blockIdx.x % j.groups, sample = blockIdx.x / j.groups;
  unsigned wide = (unsigned)j.wide, parts = (unsigned)j.slabs * wide;
  const float *found = j.found + sample * j.slabs * 2 * j.channels + group * j.wide;
  double mean = 0, square = 0, total = (double)(j.pixels * j.wide);
  for (unsigned i = threadIdx.x; i < parts; i += THREADS) {
    int64_t s = i / wide, count = min(j.slab, j.pixels - s * j.slab);
    mean += (double)count * (double)found[s * 2 * j.channels + i % wide];
  }
  mean = vq_block_sum<THREADS>(mean, room) / total;
  for (unsigned i = threadIdx.x; i < parts; i += THREADS) {
    int64_t s = i / wide, count = min(j.slab, j.pixels - s * j.slab);
    double difference = (double)found[s * 2 * j.channels + i % wide] - mean;
    square += (double)found[(s * 2 + 1) * j.channels + i % wide] + (double)count * difference * difference;
  }
  square = vq_block_sum<THREADS>(square, room);
  if (threadIdx.x == 0) {
    j.statistics[2 * (sample * j.groups + group)] = (float)mean;
    j.statistics[2 * (sample * j.groups + group) + 1] = (float)(1 / sqrt(square / total + (double)j.eps));
  }
}

/* ---- the map ---- */

/* What a thread needs of its channels: it keeps them for all of its pixels. */
template <int V> struct columns {
  float mean[V], rstd[V], g[V], b[V];
};

template <int V> VQ_DEVICE columns<V> columns_of(const norm_job &j, const here &p)
{
  columns<V> c = {};
  for (int k = 0; k < V && p.channel < j.channels; k++) {
    int64_t at = 2 * ((int64_t)blockIdx.z * j.groups + (p.channel + k) / j.wide);
    c.mean[k] = j.statistics ? j.statistics[at] : 0; /* what is not needed may not have been kept */
    c.rstd[k] = j.statistics ? j.statistics[at + 1] : 0;
    c.g[k] = j.g ? j.g[p.channel + k] : 0;
    c.b[k] = j.b ? j.b[p.channel + k] : 0;
  }
  return c;
}

template <class X, class Y, int V>
__global__ void __launch_bounds__(THREADS) apply_kernel(Y *y, const X *x, norm_job j, lines l)
{
  here p = place_of<V>(j, l);
  columns<V> c = columns_of<V>(j, p);
  for (int64_t i = p.line; p.channel < j.channels && i < p.end - p.first; i += p.down) {
    vq_pack<X, V> v = vq_load<V>(x + p.at + i * j.channels);
    vq_pack<Y, V> out;
#pragma unroll
    for (int k = 0; k < V; k++) {
      float u = (vq_float(v.at[k]) - c.mean[k]) * c.rstd[k] * c.g[k] + c.b[k];
      out.at[k] = vq_round<Y>(j.silu ? u * sigmoid(u) : u);
    }
    vq_store<V>(y + p.at + i * j.channels, out);
  }
}

/* ---- the way back ---- */

/* dv = dy act'(u g + b). */
VQ_DEVICE float through_act(bool silu, float dy, float u, float g, float b)
{
  float v = u * g + b, s = sigmoid(v);
  return silu ? dy * (s + v * s * (1 - s)) : dy;
}

/* The slab's sum of dv and of dv u for each channel. */
template <class X, class D, int V>
__global__ void __launch_bounds__(THREADS) sum_kernel(const X *x, const D *dy, norm_job j, lines l)
{
  VQ_SHARED(float, room, THREADS *V);
  here p = place_of<V>(j, l);
  columns<V> c = columns_of<V>(j, p);
  float plain[V] = {}, times[V] = {};
  for (int64_t i = p.line; p.channel < j.channels && i < p.end - p.first; i += p.down) {
    vq_pack<X, V> v = vq_load<V>(x + p.at + i * j.channels);
    vq_pack<D, V> d = vq_load<V>(dy + p.at + i * j.channels);
#pragma unroll
    for (int k = 0; k < V; k++) {
      float u = (vq_float(v.at[k]) - c.mean[k]) * c.rstd[k];
      float dv = through_act(j.silu, vq_float(d.at[k]), u, c.g[k], c.b[k]);
      plain[k] += dv;
      times[k] += dv * u;
    }
  }
  add_lines<V>(plain, room, p, l.across);
  add_lines<V>(times, room, p, l.across);
  put_found<V>(j, p, plain, times);
}

/* A and B of one sample's group, by a block. */
__global__ void __launch_bounds__(THREADS) group_kernel(norm_job j)
{
  VQ_SHARED(double, room, THREADS / VQ_WARP);
  int64_t group = blockIdx.x % j.groups, sample = blockIdx.x / j.groups;
  const float *found = j.found + sample * j.slabs * 2 * j.channels + group * j.wide;
  double plain = 0, times = 0, total = (double)(j.pixels * j.wide);
  for (int64_t i = threadIdx.x; i < j.slabs * j.wide; i += THREADS) {
    int64_t s = i / j.wide, k = i % j.wide;
    double g = (double)j.g[group * j.wide + k];
    plain += g * (double)found[s * 2 * j.channels + k];
    times += g * (double)found[(s * 2 + 1) * j.channels + k];
  }
  plain = vq_block_sum<THREADS>(plain, room);
  times = vq_block_sum<THREADS>(times, room);
  if (threadIdx.x == 0) {
    j.group[2 * (sample * j.groups + group)] = (float)(plain / total);
    j.group[2 * (sample * j.groups + group) + 1] = (float)(times / total);
  }
}

template <class X, class D, int V>
__global__ void __launch_bounds__(THREADS) dx_kernel(X *dx, bool add, const X *x, const D *dy, norm_job j, lines l)
{
  here p = place_of<V>(j, l);
  columns<V> c = columns_of<V>(j, p);
  float A[V] = {}, B[V] = {};
  for (int k = 0; k < V && p.channel < j.channels; k++) {
    const float *s = j.group + 2 * ((int64_t)blockIdx.z * j.groups + (p.channel + k) / j.wide);
    A[k] = s[0];
    B[k] = s[1];
  }
  for (int64_t i = p.line; p.channel < j.channels && i < p.end - p.first; i += p.down) {
    vq_pack<X, V> v = vq_load<V>(x + p.at + i * j.channels), out = {};
    vq_pack<D, V> d = vq_load<V>(dy + p.at + i * j.channels);
    if (add)
      out = vq_load<V>(dx + p.at + i * j.channels);
#pragma unroll
    for (int k = 0; k < V; k++) {
      float u = (vq_float(v.at[k]) - c.mean[k]) * c.rstd[k];
      float dv = through_act(j.silu, vq_float(d.at[k]), u, c.g[k], c.b[k]);
      vq_put_gradient(&out.at[k], add, c.rstd[k] * (c.g[k] * dv - A[k] - u * B[k]));
    }
    vq_store<V>(dx + p.at + i * j.channels, out);
  }
}

/* dg (which = 1) or db (0) of a channel, by a thread: the slabs' sums, added up. */
__global__ void parameter_kernel(float *to, bool add, norm_job j, int which)
{
  int64_t channel = vq_thread();
  double sum = 0;
  if (channel >= j.channels)
    return;
  for (int64_t s = 0; s < j.n * j.slabs; s++)
    sum += (double)j.found[(s * 2 + which) * j.channels + channel];
  vq_put_gradient(to + channel, add, (float)sum);
}

/* ---- launches ---- */

/* f(x's type, the other's type, how many channels a thread takes: 16 bytes of the larger type, or 1). */
template <class F> vq_status by_types(const vq_cuda_norm *a, vq_dtype other, F f)
{
  return vq_by_type(a->x_type, [&](auto x) {
    return vq_by_type(other, [&](auto y) {
      constexpr int V = 16 / (sizeof x > sizeof y ? sizeof x : sizeof y);
      return a->channels % V == 0 ? f(x, y, std::integral_constant<int, V>())
                                  : f(x, y, std::integral_constant<int, 1>());
    });
  });
}

dim3 slab_blocks(const vq_cuda_norm *a, lines l, int V)
{
  return dim3((unsigned)slabs(a), vq_blocks((a->channels + V - 1) / V, l.across), (unsigned)a->n);
}

} // namespace

vq_cuda_norm vq_cuda_norm_of(const vq_tensor *x, int64_t groups, double eps, vq_act act)
{
  vq_cuda_norm a = {x->dim[0], vq_rows(x) / x->dim[0], vq_last(x), groups, eps, act, x->dtype, NULL, NULL, NULL,
                    NULL};
  return a;
}

size_t vq_cuda_norm_scratch(const vq_cuda_norm *a)
{
  return (size_t)(2 * a->n * (slabs(a) * a->channels + a->groups)) * sizeof(float);
}

vq_status vq_cuda_norm_measure(const vq_call *c, const vq_cuda_norm *a, void *scratch, const char *op)
{
  norm_job j = job_of(a, scratch);
  VQ_TRY(by_types(a, a->x_type, [&](auto x, auto, auto per) {
    using X = decltype(x);
    constexpr int V = decltype(per)::value;
    lines l = lines_of(a->channels, V);
    return vq_cuda_status(VQ_LAUNCH((measure_kernel<X, V>), slab_blocks(a, l, V), l.across * l.down, vq_stream(c),
                                    static_cast<const X *>(a->x), j, l),
                          op);
  }));
  return vq_cuda_status(VQ_LAUNCH(merge_kernel, (unsigned)(a->n * a->groups), THREADS, vq_stream(c), j), op);
}

vq_status vq_cuda_norm_apply(const vq_call *c, const vq_cuda_norm *a, void *y, vq_dtype y_type, const char *op)
{
  norm_job j = job_of(a, NULL);
  return by_types(a, y_type, [&](auto x, auto out, auto per) {
    using X = decltype(x);
    using Y = decltype(out);
    constexpr int V = decltype(per)::value;
    lines l = lines_of(a->channels, V);
    return vq_cuda_status(VQ_LAUNCH((apply_kernel<X, Y, V>), slab_blocks(a, l, V), l.across * l.down, vq_stream(c),
                                    static_cast<Y *>(y), static_cast<const X *>(a->x), j, l),
                          op);
  });
}

vq_status vq_cuda_norm_back(const vq_call *c, const vq_cuda_norm *a, const vq_cuda_norm_gradients *d, void *scratch,
                            const char *op)
{
  norm_job j = job_of(a, scratch);
  VQ_TRY(by_types(a, d->dy_type, [&](auto x, auto dy, auto per) {
    using X = decltype(x);
    using D = decltype(dy);
    constexpr int V = decltype(per)::value;
    lines l = lines_of(a->channels, V);
    return vq_cuda_status(VQ_LAUNCH((sum_kernel<X, D, V>), slab_blocks(a, l, V), l.across * l.down, vq_stream(c),
                                    static_cast<const X *>(a->x), static_cast<const D *>(d->dy), j, l),
                          op);
  }));
  if (d->dg)
    VQ_TRY(vq_cuda_status(VQ_LAUNCH(parameter_kernel, vq_blocks(a->channels, THREADS), THREADS, vq_stream(c), d->dg,
                                    d->adds_dg, j, 1),
                          op));
  if (d->db)
    VQ_TRY(vq_cuda_status(VQ_LAUNCH(parameter_kernel, vq_blocks(a->channels, THREADS), THREADS, vq_stream(c), d->db,
                                    d->adds_db, j, 0),
                          op));
  if (!d->dx)
    return VQ_OK;
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(group_kernel, (unsigned)(a->n * a->groups), THREADS, vq_stream(c), j), op));
  return by_types(a, d->dy_type, [&](auto x, auto dy, auto per) {
    using X = decltype(x);
    using D = decltype(dy);
    constexpr int V = decltype(per)::value;
    lines l = lines_of(a->channels, V);
    return vq_cuda_status(VQ_LAUNCH((dx_kernel<X, D, V>), slab_blocks(a, l, V), l.across * l.down, vq_stream(c),
                                    static_cast<X *>(d->dx), d->adds_dx, static_cast<const X *>(a->x),
                                    static_cast<const D *>(d->dy), j, l),
                          op);
  });
}
