/* optimiser.cu -- AdamW, Adagrad, Adamax, RMSprop, RAdam, DiffGrad and AdamP on CUDA. Contract: optimiser.h. In double between loads and
 * stores, as adam.cu. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

extern "C" {
#include "kernels/optimiser/optimiser.h"
}

namespace
{

#define THREADS 256
#define WHOLE   512 /* threads of the one block that looks at all of z */

enum { Z, M, V, PAR, LOW, HIGH, PAST };

/* An element before the update, with its gradient g; `update` makes of it what it is after. */
struct element {
  double z, g;
  float m, v, past;
};

VQ_DEVICE void average(element *e)
{
  const double beta1 = 0.9, beta2 = 0.999;
  e->m = (float)(beta1 * e->m + (1 - beta1) * e->g);
  e->v = (float)(beta2 * e->v + (1 - beta2) * e->g * e->g);
}

VQ_DEVICE double adams_step(const element *e, double root)
{
  return e->m / (sqrt((double)e->v) / root + 1e-8);
}

template <int KIND> VQ_DEVICE void update(element *e, double rate, double root, double keep)
{
  if (KIND == VQ_OPTIMISER_ADAMW) {
    average(e);
    e->z = keep * e->z - rate * adams_step(e, root);
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
  } else if (KIND == VQ_OPTIMISER_DIFFGRAD) {
    e->g += 1e-9 * e->z;
    average(e);
    double friction = 1 / (1 + exp(-fabs(e->past - e->g)));
    e->past = (float)e->g;
    e->z -= rate * root * e->m * friction / (sqrt((double)e->v) + 1e-9);
  } else {
    average(e);
    e->z -= rate * e->m / (root != 0 ? sqrt((double)e->v) + 1e-8 : 1);
  }
}

VQ_DEVICE float held(double moved, const float *low, const float *high, int64_t channel)
{
  float x = (float)moved;
  return !low ? x : x < low[channel] ? low[channel] : x > high[channel] ? high[channel] : x;
}

/* past: NULL but for diffgrad. */
template <int KIND>
__global__ void optimise_kernel(float *z, float *m, float *v, float *past, const float *g, const float *par,
                                const float *low, const float *high, int64_t count, int64_t C)
{
  int64_t i = vq_thread();
  if (i >= count)
    return;
  element e = {z[i], g[i], m[i], v[i], past ? past[i] : 0};
  update<KIND>(&e, par[0], par[1], par[2]);
  m[i] = e.m;
  v[i] = e.v;
  if (past)
    past[i] = e.past;
  z[i] = held(e.z, low, high, i % C);
}

/* adamp, by one block: it looks at all of z before it moves any of it, and z is small. */
__global__ void adamp_kernel(float *z, float *m, float *v, const float *g, const float *par, const float *low,
                             const float *high, int64_t count, int64_t C)
{
  VQ_SHARED(double, room, WHOLE / VQ_WARP);
  double rate = par[0], root = par[1], zz = 0, gg = 0, gz = 0, zp = 0;
  for (int64_t i = threadIdx.x; i < count; i += WHOLE) {
    element e = {z[i], g[i], m[i], v[i], 0};
    average(&e);
    m[i] = e.m;
    v[i] = e.v;
    zz += e.z * e.z;
    gg += e.g * e.g;
    gz += e.g * e.z;
    zp += e.z * adams_step(&e, root);
  }
  zz = vq_block_sum<WHOLE>(zz, room);
  gg = vq_block_sum<WHOLE>(gg, room);
  gz = vq_block_sum<WHOLE>(gz, room);
  zp = vq_block_sum<WHOLE>(zp, room);
  double length = sqrt(zz) + 1e-8, along = 0;
  if (fabs(gz) / (sqrt(gg) + 1e-8) / length < 0.1 / sqrt((double)count))
    along = zp / (length * length);
  for (int64_t i = threadIdx.x; i < count; i += WHOLE) {
    element e = {z[i], 0, m[i], v[i], 0};
    z[i] = held(e.z - rate * (adams_step(&e, root) - along * e.z), low, high, i % C);
  }
}

float *values_or_null(const vq_call *c, int i)
{
  return c->in[i] ? vq_values(c->in[i]) : NULL;
}

template <int KIND> vq_status optimise(const vq_call *c)
{
  int64_t count = vq_count(c->in[Z]);
  return vq_cuda_status(VQ_LAUNCH(optimise_kernel<KIND>, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                  vq_values(c->in[Z]), vq_values(c->in[M]), vq_values(c->in[V]),
                                  values_or_null(c, PAST), vq_grad(c->in[Z]), vq_values(c->in[PAR]),
                                  values_or_null(c, LOW), values_or_null(c, HIGH), count, vq_last(c->in[Z])),
                        "optimise");
}

vq_status adamp(const vq_call *c)
{
  return vq_cuda_status(VQ_LAUNCH(adamp_kernel, 1, WHOLE, vq_stream(c), vq_values(c->in[Z]), vq_values(c->in[M]),
                                  vq_values(c->in[V]), vq_grad(c->in[Z]), vq_values(c->in[PAR]),
                                  values_or_null(c, LOW), values_or_null(c, HIGH), vq_count(c->in[Z]),
                                  vq_last(c->in[Z])),
                        "optimise");
}

vq_status optimise_forward_cuda(const vq_call *c)
{
  switch (c->attr->i[0]) {
  case VQ_OPTIMISER_ADAMW: return optimise<VQ_OPTIMISER_ADAMW>(c);
  case VQ_OPTIMISER_ADAGRAD: return optimise<VQ_OPTIMISER_ADAGRAD>(c);
  case VQ_OPTIMISER_ADAMAX: return optimise<VQ_OPTIMISER_ADAMAX>(c);
  case VQ_OPTIMISER_RMSPROP: return optimise<VQ_OPTIMISER_RMSPROP>(c);
  case VQ_OPTIMISER_RADAM: return optimise<VQ_OPTIMISER_RADAM>(c);
  case VQ_OPTIMISER_DIFFGRAD: return optimise<VQ_OPTIMISER_DIFFGRAD>(c);
  default: return adamp(c);
  }
}

} // namespace

const vq_kernels vq_cuda_optimise = {optimise_forward_cuda, NULL, NULL, NULL};
