/* clamp01.cu -- clamp01 on CUDA. Contract: clamp01.h. */
#include "kernels/cuda/cuda.cuh"

namespace
{

#define THREADS 256

enum { SCALE, SHIFT }; /* attr->f */

VQ_DEVICE float clamp(float u)
{
  return u < 0 ? 0 : u > 1 ? 1 : u;
}

__global__ void clamp01_kernel(float *y, const float *x, float scale, float shift, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    y[i] = clamp(scale * x[i] + shift);
}

__global__ void clamp01_gradient_kernel(float *dx, bool add, const float *x, const float *dy, float scale,
                                        float shift, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count()) {
    float u = scale * x[i] + shift;
    vq_put_gradient(dx + i, add, dy[i] * (u - clamp(u)) >= 0 ? scale * dy[i] : 0);
  }
}

vq_status clamp01_forward_cuda(const vq_call *c)
{
  int64_t count = vq_count(c->out);
  return vq_cuda_status(VQ_LAUNCH(clamp01_kernel, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                  vq_values(c->out), vq_values(c->in[0]), (float)c->attr->f[SCALE],
                                  (float)c->attr->f[SHIFT], count),
                        "clamp01");
}

vq_status clamp01_backward_cuda(const vq_call *c)
{
  int64_t count = vq_count(c->out);
  return vq_cuda_status(VQ_LAUNCH(clamp01_gradient_kernel, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                  vq_grad(c->in[0]), vq_adds(c, 0), vq_values(c->in[0]), vq_grad(c->out),
                                  (float)c->attr->f[SCALE], (float)c->attr->f[SHIFT], count),
                        "clamp01");
}

} // namespace

const vq_kernels vq_cuda_clamp01 = {clamp01_forward_cuda, clamp01_backward_cuda, NULL, NULL};
