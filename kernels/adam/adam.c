/* adam.c -- Adam and the clamp on the CPU. Contract: adam.h. */
#include "kernels/adam/adam.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"

#include <math.h>

enum { Z, M, V, PAR, LOW, HIGH };

static const double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;

static vq_status adam_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  int64_t C = vq_last(c->in[Z]);
  (void)saved;
  *out = vq_shape_of(c->in[Z]);
  VQ_TRY(vq_check_types(c, "adam", 0));
  VQ_TRY(vq_check_same("adam", "m", c->in[M], out));
  VQ_TRY(vq_check_same("adam", "v", c->in[V], out));
  VQ_TRY(vq_check_dims("adam", "par", c->in[PAR], 1, 2, -1, -1, -1));
  if (!c->in[LOW] && !c->in[HIGH])
    return VQ_OK;
  if (!c->in[LOW] || !c->in[HIGH])
    return vq_fail(VQ_ERR_ARGUMENT, "adam: low and high are given together or not at all");
  VQ_TRY(vq_check_dims("adam", "low", c->in[LOW], 1, C, -1, -1, -1));
  return vq_check_dims("adam", "high", c->in[HIGH], 1, C, -1, -1, -1);
}

static void adam_rows(const vq_call *c, int64_t from, int64_t to)
{
  const vq_real *par = vq_values(c->in[PAR]);
  const vq_real *low = c->in[LOW] ? vq_values(c->in[LOW]) : NULL,
                *high = c->in[HIGH] ? vq_values(c->in[HIGH]) : NULL;
  int64_t C = vq_last(c->in[Z]);
  double rate = (double)par[0], root = (double)par[1];
  for (int64_t row = from; row < to; row++) {
    vq_real *z = vq_values(c->in[Z]) + row * C, *m = vq_values(c->in[M]) + row * C,
            *v = vq_values(c->in[V]) + row * C;
    const vq_real *g = vq_grad(c->in[Z]) + row * C;
    for (int64_t i = 0; i < C; i++) {
      m[i] = (vq_real)(beta1 * m[i] + (1 - beta1) * g[i]);
      v[i] = (vq_real)(beta2 * v[i] + (1 - beta2) * g[i] * g[i]);
      vq_real moved = (vq_real)(z[i] - rate * m[i] / (sqrt((double)v[i]) / root + eps));
      if (low)
        moved = moved < low[i] ? low[i] : moved > high[i] ? high[i] : moved;
      z[i] = moved;
    }
  }
}

static vq_status adam_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, vq_rows(c->in[Z]), 16 * vq_last(c->in[Z]), adam_rows);
  return VQ_OK;
}

const vq_op vq_op_adam_clamp = {
    .name = "adam_clamp",
    .optional = 1u << LOW | 1u << HIGH,
    .shape = adam_shape,
    .forward = adam_forward_cpu,
};

void vq_adam_parameters(vq_real par[2], double lr, int64_t t)
{
  par[0] = (vq_real)(lr / (1 - pow(beta1, (double)t)));
  par[1] = (vq_real)sqrt(1 - pow(beta2, (double)t));
}

vq_status vq_adam_clamp(vq_device *device, vq_tensor *z, vq_tensor *m, vq_tensor *v, vq_tensor *par, vq_tensor *low,
                        vq_tensor *high)
{
  static const vq_attr none;
  vq_call call = {.device = device, .attr = &none, .in = {z, m, v, par, low, high}, .out = z};
  vq_kernels by;
  vq_shape out, saved;
  VQ_TRY(adam_shape(&call, &out, &saved));
  device->backend->find(device, &vq_op_adam_clamp, &by);
  if (!by.forward)
    return vq_fail(VQ_ERR_UNSUPPORTED, "adam_clamp: the %s device has no kernel for it", device->backend->name);
  if (!vq_root(z)->grad)
    return vq_fail(VQ_ERR_GRADIENT, "adam_clamp: z has no gradient, so there is nothing to follow");
  if (device->plan)
    return VQ_OK;
  VQ_TRY(by.forward(&call));
  return vq_device_settle(device, "adam_clamp");
}
