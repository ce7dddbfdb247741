/* adam.cu -- Adam and the clamp on CUDA. Contract: adam.h. In double between loads and stores, as on the CPU: z is what the whole
 * run is about, and is small. */
#include "kernels/cuda/cuda.cuh"

namespace
{

#define THREADS 256

enum { Z, M, V, PAR, LOW, HIGH };

__global__ void adam_kernel(float *z, float *m, float *v, const float *g, const float *par, const float *low,
                            const float *high, int64_t count, int64_t C)
{
  const double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  int64_t i = vq_thread();
  if (i >= count)
    return;
  double slope = g[i];
  float first = (float)(beta1 * m[i] + (1 - beta1) * slope);
  float second = (float)(beta2 * v[i] + (1 - beta2) * slope * slope);
  float moved = (float)(z[i] - (double)par[0] * first / (sqrt((double)second) / (double)par[1] + eps));
  if (low) {
    int64_t channel = i % C;
    moved = moved < low[channel] ? low[channel] : moved > high[channel] ? high[channel] : moved;
  }
  m[i] = first;
  v[i] = second;
  z[i] = moved;
}

vq_status adam_forward_cuda(const vq_call *c)
{
  int64_t count = vq_count(c->in[Z]);
  return vq_cuda_status(VQ_LAUNCH(adam_kernel, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                  vq_values(c->in[Z]), vq_values(c->in[M]), vq_values(c->in[V]), vq_grad(c->in[Z]),
                                  vq_values(c->in[PAR]), c->in[LOW] ? vq_values(c->in[LOW]) : NULL,
                                  c->in[HIGH] ? vq_values(c->in[HIGH]) : NULL, count, vq_last(c->in[Z])),
                        "adam_clamp");
}

} // namespace

const vq_kernels vq_cuda_adam_clamp = {adam_forward_cuda, NULL, NULL, NULL};
