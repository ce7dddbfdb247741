/* elementwise.cu -- add, mul, sum and cast on CUDA. Contract: elementwise.h. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

namespace
{

#define THREADS 256

/* One element a thread, or as many as a launch of at most this many blocks leaves it. */
#define MOST_BLOCKS 4096

unsigned blocks_for(int64_t count)
{
  unsigned blocks = vq_blocks(count, THREADS);
  return blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS;
}

/* ---- add ---- */

template <class T> __global__ void add_kernel(T *y, const T *a, const T *b, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    y[i] = vq_round<T>(vq_float(a[i]) + vq_float(b[i]));
}

vq_status add_forward_cuda(const vq_call *c)
{
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    int64_t count = vq_count(c->out);
    return vq_cuda_status(VQ_LAUNCH(add_kernel<T>, blocks_for(count), THREADS, vq_stream(c),
                                    vq_values_as<T>(c->out), vq_values_as<T>(c->in[0]), vq_values_as<T>(c->in[1]),
                                    count),
                          "add");
  });
}

/* ---- mul ---- */

template <class T> __global__ void mul_kernel(T *y, const T *a, const T *b, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    y[i] = vq_round<T>(vq_float(a[i]) * vq_float(b[i]));
}

/* d of one factor. */
template <class T> __global__ void mul_gradient_kernel(T *d, bool add, const T *dy, const T *other, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    vq_put_gradient(d + i, add, vq_float(dy[i]) * vq_float(other[i]));
}

vq_status mul_forward_cuda(const vq_call *c)
{
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    int64_t count = vq_count(c->out);
    return vq_cuda_status(VQ_LAUNCH(mul_kernel<T>, blocks_for(count), THREADS, vq_stream(c),
                                    vq_values_as<T>(c->out), vq_values_as<T>(c->in[0]), vq_values_as<T>(c->in[1]),
                                    count),
                          "mul");
  });
}

vq_status mul_backward_cuda(const vq_call *c)
{
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    int64_t count = vq_count(c->out);
    for (int k = 0; k < 2; k++)
      if (vq_wants(c, k))
        VQ_TRY(vq_cuda_status(VQ_LAUNCH(mul_gradient_kernel<T>, blocks_for(count), THREADS, vq_stream(c),
                                        vq_grad_as<T>(c->in[k]), vq_adds(c, k), vq_grad_as<T>(c->out),
                                        vq_values_as<T>(c->in[1 - k]), count),
                              "mul"));
    return VQ_OK;
  });
}

/* ---- sum: of slabs by a block each, then of the slabs' sums by one ---- */

#define SLAB 4096

int64_t slabs(const vq_call *c)
{
  return (vq_count(c->in[0]) + SLAB - 1) / SLAB;
}

size_t sum_scratch_cuda(const vq_call *c, bool backward)
{
  return backward ? 0 : (size_t)slabs(c) * sizeof(float);
}

/* sums[block] = the sum of x[block * slab ...], at most `slab` of `count` elements. */
__global__ void slab_sum_kernel(float *sums, const float *x, int64_t count, int64_t slab)
{
  VQ_SHARED(float, room, THREADS / VQ_WARP);
  int64_t from = blockIdx.x * slab, to = from + slab < count ? from + slab : count;
  float sum = 0;
  for (int64_t i = from + threadIdx.x; i < to; i += THREADS)
    sum += x[i];
  sum = vq_block_sum<THREADS>(sum, room);
  if (threadIdx.x == 0)
    sums[blockIdx.x] = sum;
}

vq_status sum_forward_cuda(const vq_call *c)
{
  float *sums = static_cast<float *>(c->scratch);
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(slab_sum_kernel, (unsigned)slabs(c), THREADS, vq_stream(c), sums,
                                  vq_values(c->in[0]), vq_count(c->in[0]), (int64_t)SLAB),
                        "sum"));
  return vq_cuda_status(
      VQ_LAUNCH(slab_sum_kernel, 1, THREADS, vq_stream(c), vq_values(c->out), sums, slabs(c), slabs(c)), "sum");
}

__global__ void sum_gradient_kernel(float *dx, bool add, const float *dy, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    vq_put_gradient(dx + i, add, *dy);
}

vq_status sum_backward_cuda(const vq_call *c)
{
  int64_t count = vq_count(c->in[0]);
  return vq_cuda_status(VQ_LAUNCH(sum_gradient_kernel, blocks_for(count), THREADS, vq_stream(c), vq_grad(c->in[0]),
                                  vq_adds(c, 0), vq_grad(c->out), count),
                        "sum");
}

/* ---- cast ---- */

template <class Y, class X> __global__ void cast_kernel(Y *y, bool add, const X *x, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    vq_put_gradient(y + i, add, vq_float(x[i]));
}

/* `to` of type `type`, from the other type of the two. */
vq_status cast_cuda(const vq_call *c, vq_dtype type, void *to, bool add, const void *from, int64_t count)
{
  if (type == VQ_BF16)
    return vq_cuda_status(VQ_LAUNCH((cast_kernel<vq_bf16, float>), blocks_for(count), THREADS, vq_stream(c),
                                    static_cast<vq_bf16 *>(to), add, static_cast<const float *>(from), count),
                          "cast");
  return vq_cuda_status(VQ_LAUNCH((cast_kernel<float, vq_bf16>), blocks_for(count), THREADS, vq_stream(c),
                                  static_cast<float *>(to), add, static_cast<const vq_bf16 *>(from), count),
                        "cast");
}

vq_status cast_forward_cuda(const vq_call *c)
{
  return cast_cuda(c, c->out->dtype, vq_values(c->out), false, vq_values(c->in[0]), vq_count(c->out));
}

vq_status cast_backward_cuda(const vq_call *c)
{
  return cast_cuda(c, c->in[0]->dtype, vq_grad(c->in[0]), vq_adds(c, 0), vq_grad(c->out), vq_count(c->out));
}

} // namespace

const vq_kernels vq_cuda_add = {add_forward_cuda, NULL, NULL, NULL};
const vq_kernels vq_cuda_mul = {mul_forward_cuda, mul_backward_cuda, NULL, NULL};
const vq_kernels vq_cuda_sum = {sum_forward_cuda, sum_backward_cuda, sum_scratch_cuda, NULL};
const vq_kernels vq_cuda_cast = {cast_forward_cuda, cast_backward_cuda, NULL, NULL};
