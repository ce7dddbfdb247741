/* activation.cu -- gelu, silu and tanh on CUDA. Contract: activation.h. */
#include "kernels/cuda/cuda.cuh"

extern "C" {
#include "kernels/activation/activation.h"
}

namespace
{

#define THREADS     256
#define MOST_BLOCKS 8192

/* Each is a value, and a slope that is computed from what backward keeps: x, or y. */

VQ_DEVICE float sigmoid(float a)
{
  return 1 / (1 + __expf(-a));
}

struct quick_gelu {
  static VQ_DEVICE float value(float x)
  {
    return x * sigmoid(1.702f * x);
  }
  static VQ_DEVICE float slope(float x)
  {
    float s = sigmoid(1.702f * x);
    return s + 1.702f * x * s * (1 - s);
  }
};

struct exact_gelu {
  static VQ_DEVICE float value(float x)
  {
    return x * 0.5f * (1 + erff(x * 0.70710678f));
  }
  static VQ_DEVICE float slope(float x)
  {
    return 0.5f * (1 + erff(x * 0.70710678f)) + x * __expf(-0.5f * x * x) * 0.39894228f;
  }
};

struct silu {
  static VQ_DEVICE float value(float x)
  {
    return x * sigmoid(x);
  }
  static VQ_DEVICE float slope(float x)
  {
    float s = sigmoid(x);
    return s + x * s * (1 - s);
  }
};

struct tangent {
  static VQ_DEVICE float value(float x)
  {
    return tanhf(x);
  }
  static VQ_DEVICE float slope(float y)
  {
    return 1 - y * y;
  }
};

/* V elements to a thread: 16 bytes; what is left over at the end, less than a pack, is taken one by one, in loops that are not
 * unrolled: that would cost registers for nothing. */
template <class A, class T, int V>
__global__ void __launch_bounds__(THREADS) value_kernel(T *y, const T *x, int64_t count)
{
  int64_t packs = count / V;
  for (int64_t i = vq_thread(); i < packs; i += vq_thread_count()) {
    vq_pack<T, V> v = vq_load<V>(x + i * V);
#pragma unroll
    for (int k = 0; k < V; k++)
      v.at[k] = vq_round<T>(A::value(vq_float(v.at[k])));
    vq_store<V>(y + i * V, v);
  }
#pragma unroll 1
  for (int64_t i = packs * V + vq_thread(); i < count; i += vq_thread_count())
    y[i] = vq_round<T>(A::value(vq_float(x[i])));
}

template <class A, class T, int V>
__global__ void __launch_bounds__(THREADS) slope_kernel(T *dx, bool add, const T *dy, const T *kept, int64_t count)
{
  int64_t packs = count / V;
  for (int64_t i = vq_thread(); i < packs; i += vq_thread_count()) {
    vq_pack<T, V> v = vq_load<V>(kept + i * V), d = vq_load<V>(dy + i * V), out = {};
    if (add)
      out = vq_load<V>(dx + i * V);
#pragma unroll
    for (int k = 0; k < V; k++)
      vq_put_gradient(&out.at[k], add, vq_float(d.at[k]) * A::slope(vq_float(v.at[k])));
    vq_store<V>(dx + i * V, out);
  }
#pragma unroll 1
  for (int64_t i = packs * V + vq_thread(); i < count; i += vq_thread_count())
    vq_put_gradient(dx + i, add, vq_float(dy[i]) * A::slope(vq_float(kept[i])));
}

unsigned blocks_for(int64_t packs)
{
  unsigned blocks = vq_blocks(packs, THREADS);
  return blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS;
}

template <class A> vq_status forward(const vq_call *c, const char *op)
{
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    constexpr int V = 16 / sizeof type;
    int64_t count = vq_count(c->out);
    return vq_cuda_status(VQ_LAUNCH((value_kernel<A, T, V>), blocks_for(count / V), THREADS, vq_stream(c),
                                    vq_values_as<T>(c->out), vq_values_as<T>(c->in[0]), count),
                          op);
  });
}

template <class A> vq_status backward(const vq_call *c, const vq_tensor *kept, const char *op)
{
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    constexpr int V = 16 / sizeof type;
    int64_t count = vq_count(c->out);
    return vq_cuda_status(VQ_LAUNCH((slope_kernel<A, T, V>), blocks_for(count / V), THREADS, vq_stream(c),
                                    vq_grad_as<T>(c->in[0]), vq_adds(c, 0), vq_grad_as<T>(c->out),
                                    vq_values_as<T>(kept), count),
                          op);
  });
}

vq_status gelu_forward_cuda(const vq_call *c)
{
  return c->attr->i[0] == VQ_GELU_QUICK ? forward<quick_gelu>(c, "gelu") : forward<exact_gelu>(c, "gelu");
}

vq_status gelu_backward_cuda(const vq_call *c)
{
  return c->attr->i[0] == VQ_GELU_QUICK ? backward<quick_gelu>(c, c->in[0], "gelu")
                                        : backward<exact_gelu>(c, c->in[0], "gelu");
}

vq_status silu_forward_cuda(const vq_call *c)
{
  return forward<silu>(c, "silu");
}

vq_status silu_backward_cuda(const vq_call *c)
{
  return backward<silu>(c, c->in[0], "silu");
}

vq_status tanh_forward_cuda(const vq_call *c)
{
  return forward<tangent>(c, "tanh");
}

vq_status tanh_backward_cuda(const vq_call *c)
{
  return backward<tangent>(c, c->out, "tanh");
}

} // namespace

const vq_kernels vq_cuda_gelu = {gelu_forward_cuda, gelu_backward_cuda, NULL, NULL};
const vq_kernels vq_cuda_silu = {silu_forward_cuda, silu_backward_cuda, NULL, NULL};
const vq_kernels vq_cuda_tanh = {tanh_forward_cuda, tanh_backward_cuda, NULL, NULL};
