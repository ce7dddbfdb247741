/* optimiser.c -- AdamW, Adagrad, Adamax, RMSprop, RAdam, DiffGrad and AdamP on the CPU. Contract: optimiser.h. */
#include "kernels/optimiser/optimiser.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"

#include <math.h>

enum { Z, M, V, PAR, LOW, HIGH, PAST };

static const double beta1 = 0.9, beta2 = 0.999;

static vq_status optimise_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  int64_t C = vq_last(c->in[Z]), kind = c->attr->i[0];
  (void)saved;
  *out = vq_shape_of(c->in[Z]);
  if (kind < 0 || kind >= VQ_OPTIMISERS)
    return vq_fail(VQ_ERR_ARGUMENT, "optimise: there is no optimiser number %lld", (long long)kind);
  VQ_TRY(vq_check_types(c, "optimise", 0));
  VQ_TRY(vq_check_same("optimise", "m", c->in[M], out));
  VQ_TRY(vq_check_same("optimise", "v", c->in[V], out));
  VQ_TRY(vq_check_dims("optimise", "par", c->in[PAR], 1, 3, -1, -1, -1));
  if ((kind == VQ_OPTIMISER_DIFFGRAD) != (c->in[PAST] != NULL))
    return vq_fail(VQ_ERR_ARGUMENT,
                   "optimise: the gradient of the update before is diffgrad's, and given to it alone");
  if (c->in[PAST])
    VQ_TRY(vq_check_same("optimise", "past", c->in[PAST], out));
  if (!c->in[LOW] && !c->in[HIGH])
    return VQ_OK;
  if (!c->in[LOW] || !c->in[HIGH])
    return vq_fail(VQ_ERR_ARGUMENT, "optimise: low and high are given together or not at all");
  VQ_TRY(vq_check_dims("optimise", "low", c->in[LOW], 1, C, -1, -1, -1));
  return vq_check_dims("optimise", "high", c->in[HIGH], 1, C, -1, -1, -1);
}

/* ---- one element each: moves its state, and returns where z goes ---- */

typedef struct parameters {
  double rate, root, keep;
  double along; /* adamp's: how much of z is taken out of its step */
} parameters;

/* An element's own m, v and past; past is NULL but for diffgrad. */
typedef struct memory {
  vq_real *m, *v, *past;
} memory;

typedef double (*update_fn)(double z, double g, memory own, const parameters *p);

static void average(memory own, double g)
{
  *own.m = (vq_real)(beta1 * *own.m + (1 - beta1) * g);
  *own.v = (vq_real)(beta2 * *own.v + (1 - beta2) * g * g);
}

/* Adam's step, but for the rate. */
static double adams_step(memory own, const parameters *p)
{
  return *own.m / (sqrt((double)*own.v) / p->root + 1e-8);
}

static double adamw(double z, double g, memory own, const parameters *p)
{
  average(own, g);
  return p->keep * z - p->rate * adams_step(own, p);
}

static double adagrad(double z, double g, memory own, const parameters *p)
{
  *own.v = (vq_real)(*own.v + g * g);
  return z - p->rate * g / (sqrt((double)*own.v) + 1e-10);
}

static double adamax(double z, double g, memory own, const parameters *p)
{
  double decayed = beta2 * *own.v, now = fabs(g) + 1e-8;
  *own.m = (vq_real)(beta1 * *own.m + (1 - beta1) * g);
  *own.v = (vq_real)(decayed > now ? decayed : now);
  return z - p->rate * *own.m / *own.v;
}

static double rmsprop(double z, double g, memory own, const parameters *p)
{
  *own.v = (vq_real)(0.99 * *own.v + (1 - 0.99) * g * g);
  return z - p->rate * g / (sqrt((double)*own.v) + 1e-8);
}

static double radam(double z, double g, memory own, const parameters *p)
{
  average(own, g);
  return z - p->rate * *own.m / (p->root != 0 ? sqrt((double)*own.v) + 1e-8 : 1);
}

static double diffgrad(double z, double g, memory own, const parameters *p)
{
  g += 1e-9 * z;
  average(own, g);
  double friction = 1 / (1 + exp(-fabs(*own.past - g)));
  *own.past = (vq_real)g;
  return z - p->rate * p->root * *own.m * friction / (sqrt((double)*own.v) + 1e-9);
}

static double adamp(double z, double g, memory own, const parameters *p)
{
  (void)g; /* z's neighbours are looked at first, below, and m and v moved there */
  return z - p->rate * (adams_step(own, p) - p->along * z);
}

static const update_fn updates[VQ_OPTIMISERS] = {adamw, adagrad, adamax, rmsprop, radam, diffgrad, adamp};

/* ---- all of them ---- */

static parameters parameters_of(const vq_call *c)
{
  const vq_real *par = vq_values(c->in[PAR]);
  return (parameters){(double)par[0], (double)par[1], (double)par[2], 0};
}

static memory memory_of(const vq_call *c, int64_t i)
{
  return (memory){vq_values(c->in[M]) + i, vq_values(c->in[V]) + i,
                  c->in[PAST] ? vq_values(c->in[PAST]) + i : NULL};
}

static void move_rows(const vq_call *c, int64_t from, int64_t to, const parameters *p)
{
  const vq_real *low = c->in[LOW] ? vq_values(c->in[LOW]) : NULL,
                *high = c->in[HIGH] ? vq_values(c->in[HIGH]) : NULL;
  int64_t C = vq_last(c->in[Z]);
  update_fn update = updates[c->attr->i[0]];
  for (int64_t row = from; row < to; row++) {
    vq_real *z = vq_values(c->in[Z]) + row * C;
    const vq_real *g = vq_grad(c->in[Z]) + row * C;
    for (int64_t i = 0; i < C; i++) {
      vq_real moved = (vq_real)update((double)z[i], (double)g[i], memory_of(c, row * C + i), p);
      if (low)
        moved = moved < low[i] ? low[i] : moved > high[i] ? high[i] : moved;
      z[i] = moved;
    }
  }
}

static void optimise_rows(const vq_call *c, int64_t from, int64_t to)
{
  const parameters p = parameters_of(c);
  move_rows(c, from, to, &p);
}

/* Sums over all of z, in its order, so on one thread: z is small. */
static void adamp_all(const vq_call *c)
{
  parameters p = parameters_of(c);
  const vq_real *z = vq_values(c->in[Z]), *g = vq_grad(c->in[Z]);
  int64_t count = vq_count(c->in[Z]);
  double zz = 0, gg = 0, gz = 0, zp = 0;
  for (int64_t i = 0; i < count; i++) {
    memory own = memory_of(c, i);
    average(own, (double)g[i]);
    zz += (double)z[i] * (double)z[i];
    gg += (double)g[i] * (double)g[i];
    gz += (double)g[i] * (double)z[i];
    zp += (double)z[i] * adams_step(own, &p);
  }
  double length = sqrt(zz) + 1e-8;
  if (fabs(gz) / (sqrt(gg) + 1e-8) / length < 0.1 / sqrt((double)count))
    p.along = zp / (length * length);
  move_rows(c, 0, vq_rows(c->in[Z]), &p);
}

static vq_status optimise_forward_cpu(const vq_call *c)
{
  if (c->attr->i[0] == VQ_OPTIMISER_ADAMP)
    adamp_all(c);
  else
    vq_parallel_rows(c, vq_rows(c->in[Z]), 20 * vq_last(c->in[Z]), optimise_rows);
  return VQ_OK;
}

const vq_op vq_op_optimise = {
    .name = "optimise",
    .optional = 1u << LOW | 1u << HIGH | 1u << PAST,
    .shape = optimise_shape,
    .forward = optimise_forward_cpu,
};

/* In double: in float, 1 - beta2^t of the first steps would lose five of its digits. */
void vq_optimiser_parameters(vq_real par[3], vq_optimiser kind, double lr, double decay, int64_t t)
{
  double power = pow(beta2, (double)t), root = sqrt(1 - power);
  double rate =
      kind == VQ_OPTIMISER_ADAGRAD || kind == VQ_OPTIMISER_RMSPROP ? lr : lr / (1 - pow(beta1, (double)t));
  if (kind == VQ_OPTIMISER_RADAM) {
    double most = 2 / (1 - beta2) - 1, length = most - 2 * (double)t * power / (1 - power); /* of the average */
    if (length > 5)
      rate *= root * sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length));
    else
      root = 0;
  }
  par[0] = (vq_real)rate;
  par[1] = (vq_real)root;
  par[2] = (vq_real)(kind == VQ_OPTIMISER_ADAMW ? 1 - lr * decay : 1);
}

vq_status vq_optimise(vq_device *device, vq_optimiser kind, vq_tensor *z, vq_tensor *m, vq_tensor *v,
                      vq_tensor *par, vq_tensor *low, vq_tensor *high, vq_tensor *past)
{
  const vq_attr attr = {.i = {kind}};
  vq_call call = {.device = device, .attr = &attr, .in = {z, m, v, par, low, high, past}, .out = z};
  vq_kernels by;
  vq_shape out, saved;
  VQ_TRY(optimise_shape(&call, &out, &saved));
  device->backend->find(device, &vq_op_optimise, &by);
  if (!by.forward)
    return vq_fail(VQ_ERR_UNSUPPORTED, "optimise: the %s device has no kernel for it", device->backend->name);
  if (!vq_root(z)->grad)
    return vq_fail(VQ_ERR_GRADIENT, "optimise: z has no gradient, so there is nothing to follow");
  if (device->plan)
    return VQ_OK;
  VQ_TRY(by.forward(&call));
  return vq_device_settle(device, "optimise");
}
