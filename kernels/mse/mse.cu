/* mse.cu -- the mean squared error on CUDA. Contract: mse.h. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

namespace
{

#define THREADS 256
#define SLAB    4096 /* elements that a block adds up */

enum { X, TARGET, WEIGHT };

int64_t slabs(const vq_call *c)
{
  return (vq_count(c->in[X]) + SLAB - 1) / SLAB;
}

size_t mse_scratch_cuda(const vq_call *c, bool backward)
{
  return backward ? 0 : (size_t)slabs(c) * sizeof(float);
}

const float *target_of(const vq_call *c)
{
  return c->in[TARGET] ? vq_values(c->in[TARGET]) : NULL;
}

__global__ void slab_squares_kernel(float *sums, const float *x, const float *target, int64_t count)
{
  VQ_SHARED(float, room, THREADS / VQ_WARP);
  int64_t from = blockIdx.x * (int64_t)SLAB, to = from + SLAB < count ? from + SLAB : count;
  float sum = 0;
  for (int64_t i = from + threadIdx.x; i < to; i += THREADS) {
    float d = target ? x[i] - target[i] : x[i];
    sum += d * d;
  }
  sum = vq_block_sum<THREADS>(sum, room);
  if (threadIdx.x == 0)
    sums[blockIdx.x] = sum;
}

__global__ void mse_kernel(float *y, const float *sums, const float *weight, int64_t slabs, int64_t count)
{
  VQ_SHARED(float, room, THREADS / VQ_WARP);
  float sum = 0;
  for (int64_t i = threadIdx.x; i < slabs; i += THREADS)
    sum += sums[i];
  sum = vq_block_sum<THREADS>(sum, room);
  if (threadIdx.x == 0)
    *y = (float)((double)*weight * ((double)sum / (double)count));
}

vq_status mse_forward_cuda(const vq_call *c)
{
  float *sums = static_cast<float *>(c->scratch);
  int64_t count = vq_count(c->in[X]);
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(slab_squares_kernel, (unsigned)slabs(c), THREADS, vq_stream(c), sums,
                                  vq_values(c->in[X]), target_of(c), count),
                        "mse"));
  return vq_cuda_status(VQ_LAUNCH(mse_kernel, 1, THREADS, vq_stream(c), vq_values(c->out), sums,
                                  vq_values(c->in[WEIGHT]), slabs(c), count),
                        "mse");
}

/* sign 1: d of x; -1: of the target. */
__global__ void mse_gradient_kernel(float *d, bool add, const float *x, const float *target, const float *weight,
                                    const float *dy, int sign, int64_t count)
{
  float a = (float)(sign * 2 * (double)*dy * (double)*weight / (double)count);
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    vq_put_gradient(d + i, add, a * (target ? x[i] - target[i] : x[i]));
}

vq_status mse_backward_cuda(const vq_call *c)
{
  int64_t count = vq_count(c->in[X]);
  for (int k = X; k <= TARGET; k++)
    if (vq_wants(c, k))
      VQ_TRY(vq_cuda_status(VQ_LAUNCH(mse_gradient_kernel, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                      vq_grad(c->in[k]), vq_adds(c, k), vq_values(c->in[X]), target_of(c),
                                      vq_values(c->in[WEIGHT]), vq_grad(c->out), k == X ? 1 : -1, count),
                            "mse"));
  return VQ_OK;
}

} // namespace

const vq_kernels vq_cuda_mse = {mse_forward_cuda, mse_backward_cuda, mse_scratch_cuda, NULL};
