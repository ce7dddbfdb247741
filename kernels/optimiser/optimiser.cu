/* optimiser.cu -- AdamW, Adagrad, Adamax, RMSprop and RAdam on CUDA. Contract: optimiser.h. In double between loads and stores, as
 * adam.cu. */
#include "kernels/cuda/cuda.cuh"

extern "C" {
#include "kernels/optimiser/optimiser.h"
}

namespace
{

#define THREADS 256

enum { Z, M, V, PAR, LOW, HIGH };

/* An element before the update, with its gradient g; `update` makes of it what it is after. */
struct element {
  double z, g;
  float m, v;
};

VQ_DEVICE void average(element *e)
{
  const double beta1 = 0.9, beta2 = 0.999;
  e->m = (float)(beta1 * e->m + (1 - beta1) * e->g);
  e->v = (float)(beta2 * e->v + (1 - beta2) * e->g * e->g);
}

template <int KIND> VQ_DEVICE void update(element *e, double rate, double root, double keep)
{
  if (KIND == VQ_OPTIMISER_ADAMW) {
    average(e);
    e->z = keep * e->z - rate * e->m / (sqrt((double)e->v) / root + 1e-8);
  } else if (KIND == VQ_OPTIMISER_ADAGRAD) {
    e->v = (float)(e->v + e->g * e->g);
    e->z -= rate * e->g / (sqrt((double)e->v) + 1e-10);
  } else if (KIND == VQ_OPTIMISER_ADAMAX) {
    double decayed = 0.999 * e->v, now = fabs(e->g) + 1e-8;
    e->m = (float)(0.9 * e->m + (1 - 0.9) * e->g);
    e->v = (float)(decayed > now ? decayed : now);
    e->z -= rate * e->m / e->v;
  } else if (KIND == VQ_OPTIMISER_RMSPROP) {
    e->v = (float)(0.99 * e->v + (1 - 0.99) * e->g * e->g);
    e->z -= rate * e->g / (sqrt((double)e->v) + 1e-8);
  } else {
    average(e);
    e->z -= rate * e->m / (root != 0 ? sqrt((double)e->v) + 1e-8 : 1);
  }
}

template <int KIND>
__global__ void optimise_kernel(float *z, float *m, float *v, const float *g, const float *par, const float *low,
                                const float *high, int64_t count, int64_t C)
{
  int64_t i = vq_thread();
  if (i >= count)
    return;
  element e = {z[i], g[i], m[i], v[i]};
  update<KIND>(&e, par[0], par[1], par[2]);
  float moved = (float)e.z;
  if (low) {
    int64_t channel = i % C;
    moved = moved < low[channel] ? low[channel] : moved > high[channel] ? high[channel] : moved;
  }
  m[i] = e.m;
  v[i] = e.v;
  z[i] = moved;
}

template <int KIND> vq_status optimise(const vq_call *c)
{
  int64_t count = vq_count(c->in[Z]);
  return vq_cuda_status(VQ_LAUNCH(optimise_kernel<KIND>, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                  vq_values(c->in[Z]), vq_values(c->in[M]), vq_values(c->in[V]), vq_grad(c->in[Z]),
                                  vq_values(c->in[PAR]), c->in[LOW] ? vq_values(c->in[LOW]) : NULL,
                                  c->in[HIGH] ? vq_values(c->in[HIGH]) : NULL, count, vq_last(c->in[Z])),
                        "optimise");
}

vq_status optimise_forward_cuda(const vq_call *c)
{
  switch (c->attr->i[0]) {
  case VQ_OPTIMISER_ADAMW: return optimise<VQ_OPTIMISER_ADAMW>(c);
  case VQ_OPTIMISER_ADAGRAD: return optimise<VQ_OPTIMISER_ADAGRAD>(c);
  case VQ_OPTIMISER_ADAMAX: return optimise<VQ_OPTIMISER_ADAMAX>(c);
  case VQ_OPTIMISER_RMSPROP: return optimise<VQ_OPTIMISER_RMSPROP>(c);
  default: return optimise<VQ_OPTIMISER_RADAM>(c);
  }
}

} // namespace

const vq_kernels vq_cuda_optimise = {optimise_forward_cuda, NULL, NULL, NULL};
