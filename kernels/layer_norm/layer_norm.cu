/* layer_norm.cu -- layer_norm on CUDA, a warp to a row. Contract: layer_norm.h. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

#include <type_traits>

namespace
{

enum { X, G, B };

#define THREADS 128
#define ROWS    (THREADS / VQ_WARP) /* of a block */

/* f(the type, how many columns a lane takes at once: 16 bytes, or 1) */
template <class F> vq_status by_type_and_width(const vq_call *c, F f)
{
  return vq_by_type(c->out->dtype, [&](auto type) {
    constexpr int V = 16 / sizeof type;
    return vq_last(c->out) % V == 0 ? f(type, std::integral_constant<int, V>())
                                    : f(type, std::integral_constant<int, 1>());
  });
}

/* A row is read three times, and comes from memory once. */
template <class T, int V>
__global__ void __launch_bounds__(THREADS)
    forward_kernel(T *y, float *saved, const T *x, const float *g, const float *b, int64_t rows, int C, float eps)
{
  int64_t row = (int64_t)blockIdx.x * ROWS + threadIdx.x / VQ_WARP;
  int lane = threadIdx.x % VQ_WARP;
  float mean = 0, variance = 0;
  if (row >= rows) /* the whole warp */
    return;
  x += row * C;
  y += row * C;
  for (int i = lane * V; i < C; i += VQ_WARP * V) {
    vq_pack<T, V> v = vq_load<V>(x + i);
#pragma unroll
    for (int k = 0; k < V; k++)
      mean += vq_float(v.at[k]);
  }
  mean = vq_warp_sum(mean) / (float)C;
  for (int i = lane * V; i < C; i += VQ_WARP * V) {
    vq_pack<T, V> v = vq_load<V>(x + i);
#pragma unroll
    for (int k = 0; k < V; k++)
      variance += (vq_float(v.at[k]) - mean) * (vq_float(v.at[k]) - mean);
  }
  variance = vq_warp_sum(variance) / (float)C;
  float rstd = 1 / sqrtf(variance + eps);
  for (int i = lane * V; i < C; i += VQ_WARP * V) {
    vq_pack<T, V> v = vq_load<V>(x + i);
#pragma unroll
    for (int k = 0; k < V; k++)
      v.at[k] = vq_round<T>((vq_float(v.at[k]) - mean) * rstd * g[i + k] + b[i + k]);
    vq_store<V>(y + i, v);
  }
  if (lane == 0) {
    saved[2 * row] = mean;
    saved[2 * row + 1] = rstd;
  }
}

vq_status layer_norm_forward_cuda(const vq_call *c)
{
  return by_type_and_width(c, [&](auto type, auto width) {
    using T = decltype(type);
    constexpr int V = decltype(width)::value;
    int64_t rows = vq_rows(c->out);
    return vq_cuda_status(VQ_LAUNCH((forward_kernel<T, V>), vq_blocks(rows, ROWS), THREADS, vq_stream(c),
                                    vq_values_as<T>(c->out), vq_values(c->saved), vq_values_as<T>(c->in[X]),
                                    vq_values(c->in[G]), vq_values(c->in[B]), rows, (int)vq_last(c->out),
                                    (float)c->attr->f[0]),
                          "layer_norm");
  });
}

/* ---- the way back ---- */

template <class T, int V>
__global__ void __launch_bounds__(THREADS)
    dx_kernel(T *dx, bool add, const T *dy, const T *x, const float *saved, const float *g, int64_t rows, int C)
{
  int64_t row = (int64_t)blockIdx.x * ROWS + threadIdx.x / VQ_WARP;
  int lane = threadIdx.x % VQ_WARP;
  float h = 0, hn = 0;
  if (row >= rows)
    return;
  float mean = saved[2 * row], rstd = saved[2 * row + 1];
  x += row * C;
  dx += row * C;
  dy += row * C;
  for (int i = lane * V; i < C; i += VQ_WARP * V) {
    vq_pack<T, V> v = vq_load<V>(x + i), d = vq_load<V>(dy + i);
#pragma unroll
    for (int k = 0; k < V; k++) {
      float slope = vq_float(d.at[k]) * g[i + k];
      h += slope;
      hn += slope * (vq_float(v.at[k]) - mean);
    }
  }
  h = vq_warp_sum(h) / (float)C;
  hn = vq_warp_sum(hn) * rstd / (float)C;
  for (int i = lane * V; i < C; i += VQ_WARP * V) {
    vq_pack<T, V> v = vq_load<V>(x + i), d = vq_load<V>(dy + i), out = {};
    if (add)
      out = vq_load<V>(dx + i);
#pragma unroll
    for (int k = 0; k < V; k++) {
      float n = (vq_float(v.at[k]) - mean) * rstd;
      vq_put_gradient(&out.at[k], add, rstd * (vq_float(d.at[k]) * g[i + k] - h - n * hn));
    }
    vq_store<V>(dx + i, out);
  }
}

/* dg, or, with x NULL, db: a thread to a column. For networks that are trained, which is not what this is fast for. */
template <class T>
__global__ void parameter_kernel(float *to, bool add, const T *dy, const T *x, const float *saved, int64_t rows,
                                 int C)
{
  int64_t j = vq_thread();
  float sum = 0;
  if (j >= C)
    return;
  for (int64_t m = 0; m < rows; m++)
    sum += vq_float(dy[m * C + j]) * (x ? (vq_float(x[m * C + j]) - saved[2 * m]) * saved[2 * m + 1] : 1);
  vq_put_gradient(to + j, add, sum);
}

template <class T> vq_status parameter(const vq_call *c, int i, const T *x)
{
  int64_t C = vq_last(c->out);
  return vq_cuda_status(VQ_LAUNCH(parameter_kernel<T>, vq_blocks(C, THREADS), THREADS, vq_stream(c),
                                  vq_grad(c->in[i]), vq_adds(c, i), vq_grad_as<T>(c->out), x,
                                  x ? vq_values(c->saved) : nullptr, vq_rows(c->out), (int)C),
                        "layer_norm");
}

vq_status layer_norm_backward_cuda(const vq_call *c)
{
  return by_type_and_width(c, [&](auto type, auto width) {
    using T = decltype(type);
    constexpr int V = decltype(width)::value;
    int64_t rows = vq_rows(c->out);
    if (vq_wants(c, G))
      VQ_TRY(parameter<T>(c, G, vq_values_as<T>(c->in[X])));
    if (vq_wants(c, B))
      VQ_TRY(parameter<T>(c, B, nullptr));
    if (!vq_wants(c, X))
      return VQ_OK;
    return vq_cuda_status(VQ_LAUNCH((dx_kernel<T, V>), vq_blocks(rows, ROWS), THREADS, vq_stream(c),
                                    vq_grad_as<T>(c->in[X]), vq_adds(c, X), vq_grad_as<T>(c->out),
                                    vq_values_as<T>(c->in[X]), vq_values(c->saved), vq_values(c->in[G]), rows,
                                    (int)vq_last(c->out)),
                          "layer_norm");
  });
}

} // namespace

const vq_kernels vq_cuda_layer_norm = {layer_norm_forward_cuda, layer_norm_backward_cuda, NULL, NULL};
