/* upsample_conv.c -- upsample_conv on the CPU. Contract: upsample_conv.h. */
#include "kernels/upsample_conv/upsample_conv.h"

#include "base/bf16.h"
#include "kernels/check.h"
#include "kernels/conv/gradients.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/winograd.h"

#include <stdlib.h>

enum { X, W, B };

/* What may be BF16. */
#define MAY_BE_BF16 (1u << X | 1u << W)

static vq_status upsample_conv_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X], *w = c->in[W];
  (void)saved;
  VQ_TRY(vq_check_types_product(c, "upsample_conv", W, MAY_BE_BF16));
  VQ_TRY(vq_check_rank("upsample_conv", "x", x, 4));
  VQ_TRY(vq_check_dims("upsample_conv", "w", w, 4, -1, 3, 3, vq_last(x)));
  *out = vq_shape_of(x);
  out->dtype = vq_product_type(c, W);
  out->dim[1] *= 2;
  out->dim[2] *= 2;
  out->dim[3] = w->dim[0];
  if (c->in[B])
    VQ_TRY(vq_check_dims("upsample_conv", "b", c->in[B], 1, w->dim[0], -1, -1, -1));
  return VQ_OK;
}

static bool in_bf16(const vq_tensor *w)
{
  return w->dtype == VQ_BF16;
}

static vq_conv_args forwards(const vq_call *c)
{
  const vq_tensor *w = c->in[W];
  vq_conv_args a = vq_conv_sizes(c->in[X], w, c->out, 1, 1, 1);
  a.upsample = true;
  a.form = in_bf16(w) ? NULL : w->prepared[VQ_FORWARD];
  a.panels = in_bf16(w) ? w->prepared[VQ_FORWARD] : NULL;
  return a;
}

/* dx with a form: the gradient of the convolution, and of the repeating. */
static vq_conv_args backwards_by_winograd(const vq_call *c)
{
  vq_conv_args a = forwards(c);
  return (vq_conv_args){.n = a.n,
                        .h = a.oh,
                        .w = a.ow,
                        .ci = a.co,
                        .kh = 3,
                        .kw = 3,
                        .co = a.ci,
                        .stride = 1,
                        .top = 1,
                        .left = 1,
                        .oh = a.oh,
                        .ow = a.ow,
                        .halve = true,
                        .form = c->in[W]->prepared[VQ_BACKWARD]};
}

/* dx by the spread weights. */
static vq_conv_args backwards(const vq_call *c)
{
  const vq_tensor *x = c->in[X], *w = c->in[W];
  if (vq_conv_by_winograd(w, 1) && w->prepared[VQ_BACKWARD])
    return backwards_by_winograd(c);
  return (vq_conv_args){.n = x->dim[0],
                        .h = 2 * x->dim[1],
                        .w = 2 * x->dim[2],
                        .ci = w->dim[0],
                        .kh = 4,
                        .kw = 4,
                        .co = x->dim[3],
                        .stride = 2,
                        .top = 1,
                        .left = 1,
                        .oh = x->dim[1],
                        .ow = x->dim[2],
                        .panels = in_bf16(w) ? w->prepared[VQ_BACKWARD] : NULL};
}

/* ---- the weights, spread ---- */

static size_t spread_bytes(const vq_tensor *w)
{
  size_t bytes = (size_t)(w->dim[0] * 16 * w->dim[3]) * sizeof(vq_real);
  return (bytes + VQ_POOL_ALIGN - 1) / VQ_POOL_ALIGN * VQ_POOL_ALIGN;
}

typedef struct spread_job {
  const vq_real *w;
  vq_real *spread;
  int64_t O, I;
} spread_job;

static void spread_task(void *context, int64_t i)
{
  static const int first[4] = {2, 1, 0, 0}, last[4] = {2, 2, 1, 0};
  const spread_job *j = context;
  for (int s = 0; s < 4; s++)
    for (int t = 0; t < 4; t++)
      for (int64_t o = 0; o < j->O; o++) {
        vq_real sum = 0;
        for (int u = first[s]; u <= last[s]; u++)
          for (int v = first[t]; v <= last[t]; v++)
            sum += j->w[((o * 3 + u) * 3 + v) * j->I + i];
        j->spread[((i * 4 + s) * 4 + t) * j->O + o] = sum;
      }
}

static void spread(vq_device *device, const vq_tensor *w, const vq_real *values, vq_real *to)
{
  spread_job j = {values, to, w->dim[0], w->dim[3]};
  vq_parallel(device->threads, j.I, spread_task, &j);
}

/* ---- the weights in BF16: of y's even and odd rows and columns, and spread; sums are made before they are rounded ---- */

/* to[r,q,o,s,t,i]: of rows of parity r and columns of parity q, which read 2x2 pixels of x. */
static void split_task(void *context, int64_t o)
{
  static const int first[2][2] = {{0, 1}, {0, 2}}, last[2][2] = {{0, 2}, {1, 2}}; /* [parity][s] */
  const spread_job *j = context;
  for (int part = 0; part < 4; part++)
    for (int tap = 0; tap < 4; tap++)
      for (int64_t i = 0; i < j->I; i++) {
        int r = part / 2, q = part % 2, s = tap / 2, t = tap % 2;
        vq_real sum = 0;
        for (int u = first[r][s]; u <= last[r][s]; u++)
          for (int v = first[q][t]; v <= last[q][t]; v++)
            sum += j->w[((o * 3 + u) * 3 + v) * j->I + i];
        j->spread[((part * j->O + o) * 4 + tap) * j->I + i] = sum;
      }
}

static vq_status prepare_bf16(vq_device *device, vq_tensor *w, int which)
{
  int64_t O = w->dim[0], I = w->dim[3], count = vq_count(w);
  size_t each = vq_bf16_panels_bytes(O, 4, I);
  VQ_TRY(vq_weights_take(device, which == VQ_FORWARD ? 4 * each : vq_bf16_panels_bytes(I, 16, O),
                         &w->prepared[which]));
  if (device->plan)
    return VQ_OK;
  vq_real *values = malloc((size_t)(17 * count) * sizeof *values), *made = values + count;
  if (!values) {
    w->prepared[which] = NULL;
    return vq_fail(VQ_ERR_MEMORY, "no memory to lay a weight out");
  }
  for (int64_t i = 0; i < count; i++)
    values[i] = (vq_real)vq_bf16_to_float(((const uint16_t *)w->data)[i]);
  if (which == VQ_FORWARD) {
    spread_job j = {values, made, O, I};
    vq_parallel(device->threads, O, split_task, &j);
    for (int part = 0; part < 4; part++)
      vq_bf16_lay_out(device->threads, made + part * O * 4 * I, O, 4, I,
                      (uint16_t *)((char *)w->prepared[which] + (size_t)part * each));
  } else {
    spread(device, w, values, made);
    vq_bf16_lay_out(device->threads, made, I, 16, O, w->prepared[which]);
  }
  free(values);
  return VQ_OK;
}

static vq_status prepare_winograd(vq_device *device, vq_tensor *w, int which)
{
  int64_t O = w->dim[0], I = w->dim[3];
  VQ_TRY(vq_weights_take(device, vq_winograd_repeated_bytes(O, I), &w->prepared[which]));
  if (device->plan)
    return VQ_OK;
  if (which == VQ_FORWARD)
    vq_winograd_prepare_repeated(device->threads, vq_values(w), false, O, I, w->prepared[which]);
  else
    vq_winograd_prepare_repeated(device->threads, vq_values(w), true, I, O, w->prepared[which]);
  return VQ_OK;
}

static vq_status prepare_form(vq_device *device, vq_tensor *w, int which)
{
  return in_bf16(w) ? prepare_bf16(device, w, which) : prepare_winograd(device, w, which);
}

static vq_status upsample_conv_prepare(const vq_call *c)
{
  vq_tensor *w = c->in[W];
  if (!w->weight || w->wants)
    return VQ_OK;
  if (in_bf16(w) || vq_conv_by_winograd(w, 1)) {
    if (!w->prepared[VQ_FORWARD])
      VQ_TRY(prepare_form(c->device, w, VQ_FORWARD));
    if (!c->in[X]->wants || w->prepared[VQ_BACKWARD])
      return VQ_OK;
    VQ_TRY(prepare_form(c->device, w, VQ_BACKWARD));
    vq_weight_drop(c->device, w);
    return VQ_OK;
  }
  if (!c->in[X]->wants || w->prepared[VQ_BACKWARD])
    return VQ_OK;
  VQ_TRY(vq_weights_take(c->device, spread_bytes(w), &w->prepared[VQ_BACKWARD]));
  if (!c->device->plan)
    spread(c->device, w, vq_values(w), w->prepared[VQ_BACKWARD]);
  return VQ_OK;
}

/* ---- kernels ---- */

static size_t upsample_conv_scratch(const vq_call *c, bool backward)
{
  vq_conv_args a = backward ? backwards(c) : forwards(c);
  return vq_conv_cpu_scratch(&a) + (backward && !c->in[W]->prepared[VQ_BACKWARD] ? spread_bytes(c->in[W]) : 0);
}

static vq_status upsample_conv_forward_cpu(const vq_call *c)
{
  vq_conv_args a = forwards(c);
  a.x = vq_values(c->in[X]);
  a.weight = vq_values(c->in[W]);
  a.bias = c->in[B] ? vq_values(c->in[B]) : NULL;
  a.y = vq_values(c->out);
  return vq_conv_cpu(c->device, &a, c->scratch);
}

static vq_status upsample_conv_backward_cpu(const vq_call *c)
{
  vq_conv_args a = backwards(c);
  const vq_tensor *w = c->in[W];
  void *scratch = c->scratch;
  a.weight = w->prepared[VQ_BACKWARD];
  if (!w->prepared[VQ_BACKWARD]) {
    spread(c->device, w, vq_values(w), scratch);
    a.weight = scratch;
    scratch = (char *)scratch + spread_bytes(w);
  }
  a.x = vq_grad(c->out);
  a.y = vq_grad(c->in[X]);
  a.add = vq_adds(c, X);
  return vq_conv_cpu(c->device, &a, scratch);
}

const vq_op vq_op_upsample_conv = {
    .name = "upsample_conv",
    .reads = {[X] = VQ_READS_IN(W)},
    .gives = 1u << X,
    .optional = 1u << B,
    .bf16 = MAY_BE_BF16,
    .multiplies = 1u << W,
    .shape = upsample_conv_shape,
    .scratch = upsample_conv_scratch,
    .prepare = upsample_conv_prepare,
    .forward = upsample_conv_forward_cpu,
    .backward = upsample_conv_backward_cpu,
};

vq_tensor *vq_upsample_conv(vq_tape *tape, vq_tensor *x, vq_tensor *w, vq_tensor *b)
{
  return vq_record(tape, &vq_op_upsample_conv, VQ_INPUTS(x, w, b), NULL);
}
