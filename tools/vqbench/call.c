/* call.c -- makes a call's tensors and runs its kernels. Contract: call.h. */
#include "tools/vqbench/call.h"

#include "base/bf16.h"

#include <stdlib.h>
#include <string.h>

struct bench_call {
  vq_device *device;
  vq_call call;
  vq_attr attr;
  vq_kernels by;
  bool reals, backward,
      in_place; /* in_place: an optimiser, whose output is its first input and which reads that one's gradient */
  unsigned wants;
};

#define BEFORE 0.5 /* what a gradient is that is added to */

/* ---- values on the host and on the device ---- */

static vq_dtype here(vq_dtype dtype)
{
  return dtype == VQ_F32 ? VQ_REAL : dtype;
}

/* F32 host values into a tensor of the real type. */
static vq_status upload_reals(vq_device *device, void *to, const float *from, int64_t count)
{
  vq_real *wide = malloc((size_t)count * sizeof *wide + 1);
  if (!wide)
    return vq_fail(VQ_ERR_MEMORY, "no memory for values");
  for (int64_t i = 0; i < count; i++)
    wide[i] = (vq_real)from[i];
  vq_status status = device->backend->upload(device, to, wide, (size_t)count * sizeof *wide);
  free(wide);
  return status;
}

/* BF16 host values into a tensor of the real type. */
static vq_status upload_widened(vq_device *device, void *to, const uint16_t *from, int64_t count)
{
  float *wide = malloc((size_t)count * sizeof *wide + 1);
  if (!wide)
    return vq_fail(VQ_ERR_MEMORY, "no memory for values");
  for (int64_t i = 0; i < count; i++)
    wide[i] = vq_bf16_to_float(from[i]);
  vq_status status = upload_reals(device, to, wide, count);
  free(wide);
  return status;
}

static vq_status tensor(vq_tensor **out, vq_device *device, const vq_shape *given, const void *host, bool reals)
{
  int64_t count = vq_shape_count(given);
  bool widen = reals && given->dtype == VQ_BF16, as_given = given->dtype != VQ_F32 && !widen;
  vq_shape s = vq_shape_make(widen ? VQ_REAL : here(given->dtype), given->rank, given->dim);
  VQ_TRY(vq_weight_create(out, device, &s, as_given ? host : NULL, false));
  (*out)->weight = false;
  if (as_given)
    return VQ_OK;
  return widen ? upload_widened(device, (*out)->data, host, count)
               : upload_reals(device, (*out)->data, host, count);
}

/* F32 host values into a BF16 one. */
static vq_status upload_halves(vq_device *device, void *to, const float *from, int64_t count)
{
  uint16_t *half = malloc((size_t)count * sizeof *half + 1);
  if (!half)
    return vq_fail(VQ_ERR_MEMORY, "no memory for values");
  for (int64_t i = 0; i < count; i++)
    half[i] = vq_bf16_from_float(from[i]);
  vq_status status = device->backend->upload(device, to, half, (size_t)count * sizeof *half);
  free(half);
  return status;
}

/* host NULL: one that a kernel writes, or, if `add`, adds to. */
static vq_status gradient(vq_device *device, vq_tensor *x, const float *host, bool add)
{
  vq_shape s = vq_shape_of(x);
  VQ_TRY(vq_weights_take(device, vq_shape_bytes(&s), &x->grad));
  if (host)
    return (x->dtype == VQ_BF16 ? upload_halves : upload_reals)(device, x->grad, host, vq_count(x));
  return add ? device->backend->fill(device, x->dtype, x->grad, BEFORE, vq_count(x)) : VQ_OK;
}

/* ---- making ---- */

static vq_status make_inputs(bench_call *b, const bench_case *c, const bench_data *data)
{
  for (int i = 0; i < VQ_IN; i++) {
    const bench_input *in = &c->in[i];
    if (in->there && in->same_as >= 0)
      b->call.in[i] = b->call.in[in->same_as];
    if (!in->there || in->same_as >= 0)
      continue;
    VQ_TRY(tensor(&b->call.in[i], b->device, &in->shape, data->in[i], b->reals));
    b->call.in[i]->weight = in->frozen;
    b->call.in[i]->wants = in->wants;
  }
  return VQ_OK;
}

static vq_status make_outputs(bench_call *b, const vq_op *op, const bench_data *data)
{
  vq_shape out, saved = {.rank = -1};
  VQ_TRY(op->shape(&b->call, &out, &saved));
  if (b->in_place) {
    b->call.out = b->call.in[0];
    return gradient(b->device, b->call.in[0], data->dy, false);
  }
  VQ_TRY(vq_weight_create(&b->call.out, b->device, &out, NULL, false));
  b->call.out->weight = false;
  b->call.out->wants = b->wants != 0;
  if (saved.rank >= 0)
    VQ_TRY(vq_weight_create(&b->call.saved, b->device, &saved, NULL, false));
  return VQ_OK;
}

static vq_status prepare(bench_call *b)
{
  for (int i = 0; i < VQ_IN && b->by.prepare; i++) {
    const vq_tensor *x = b->call.in[i];
    if (x && x->weight && !(x->prepared[0] && x->prepared[1]))
      VQ_TRY(b->by.prepare(&b->call));
  }
  return VQ_OK;
}

static vq_status make_gradients(bench_call *b, const vq_op *op, const bench_case *c, const bench_data *data)
{
  VQ_TRY(gradient(b->device, b->call.out, data->dy, false));
  b->call.wants = c->wants & ~op->passes;
  b->call.add = c->add;
  for (int i = 0; i < VQ_IN; i++)
    if (b->call.wants >> i & 1 && !b->call.in[i]->grad)
      VQ_TRY(gradient(b->device, b->call.in[i], NULL, c->add >> i & 1));
  return VQ_OK;
}

static vq_status take_scratch(bench_call *b, bool backward)
{
  size_t bytes = b->by.scratch ? b->by.scratch(&b->call, backward) : 0;
  b->call.scratch = NULL;
  return bytes ? vq_weights_take(b->device, bytes, &b->call.scratch) : VQ_OK;
}

static vq_status make(bench_call *b, const vq_op *op, const bench_case *c, const bench_data *data)
{
  b->device->backend->find(b->device, op, &b->by);
  if (!b->by.forward || (c->backward && !b->by.backward))
    return vq_fail(VQ_ERR_UNSUPPORTED, "%s: the %s device has no %s for it", op->name, b->device->backend->name,
                   b->by.forward ? "gradient" : "kernel");
  VQ_TRY(make_inputs(b, c, data));
  for (int i = 0; i < VQ_IN; i++)
    b->wants |= (unsigned)c->in[i].wants << i;
  b->call.wants = b->wants;
  VQ_TRY(make_outputs(b, op, data));
  VQ_TRY(prepare(b));
  VQ_TRY(take_scratch(b, false));
  if (!c->backward)
    return VQ_OK;
  VQ_TRY(b->by.forward(&b->call));
  VQ_TRY(make_gradients(b, op, c, data));
  return take_scratch(b, true);
}

vq_status bench_call_create(bench_call **out, vq_device *device, const vq_op *op, const bench_case *c,
                            const bench_data *data, bool reals)
{
  *out = NULL;
  bench_call *b = calloc(1, sizeof *b);
  if (!b)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a call");
  b->device = device;
  b->backward = c->backward;
  b->attr = c->attr;
  b->call = (vq_call){.device = device, .attr = &b->attr};
  b->in_place = !strcmp(op->name, "adam_clamp") || !strcmp(op->name, "optimise");
  bool cast = !strcmp(op->name, "cast");
  b->reals = reals && !cast;
  if (cast)
    b->attr.i[0] = here((vq_dtype)c->attr.i[0]);
  vq_status status = make(b, op, c, data);
  if (status)
    bench_call_free(b);
  else
    *out = b;
  return status;
}

void bench_call_free(bench_call *b)
{
  free(b);
}

vq_status bench_call_run(bench_call *b)
{
  return b->backward ? b->by.backward(&b->call) : b->by.forward(&b->call);
}

/* ---- reading ---- */

void bench_result_free(bench_result *result)
{
  for (int i = 0; i <= VQ_IN; i++)
    free(result->value[i]);
  *result = (bench_result){{0}, {0}};
}

static double element(const void *host, vq_dtype dtype, int64_t i)
{
  switch (dtype) {
  case VQ_F32: return (double)((const float *)host)[i];
  case VQ_F64: return ((const double *)host)[i];
  case VQ_I32: return ((const int32_t *)host)[i];
  case VQ_BF16: return (double)vq_bf16_to_float(((const uint16_t *)host)[i]);
  }
  return 0;
}

static vq_status read_one(bench_call *b, const vq_tensor *x, bool of_gradient, int slot, bench_result *result)
{
  vq_shape s = vq_shape_of(x);
  void *host = malloc(vq_shape_bytes(&s) + 1);
  double *value = malloc((size_t)vq_count(x) * sizeof *value + 1);
  vq_status status = host && value ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for an op's results");
  if (!status)
    status = of_gradient ? vq_grad_read(b->device, x, host) : vq_tensor_read(b->device, x, host);
  for (int64_t i = 0; !status && i < vq_count(x); i++)
    value[i] = element(host, x->dtype, i);
  free(host);
  if (status)
    free(value);
  else {
    result->value[slot] = value;
    result->count[slot] = vq_count(x);
  }
  return status;
}

vq_status bench_call_read(bench_call *b, bench_result *result)
{
  *result = (bench_result){{0}, {0}};
  if (!b->backward)
    VQ_TRY(read_one(b, b->call.out, false, VQ_IN, result));
  static const int states[] = {1, 2, 6};
  for (int i = 0; b->in_place && i < 3; i++)
    if (b->call.in[states[i]])
      VQ_TRY(read_one(b, b->call.in[states[i]], false, states[i], result));
  for (int i = 0; b->backward && i < VQ_IN; i++)
    if (b->call.wants >> i & 1)
      VQ_TRY(read_one(b, b->call.in[i], true, i, result));
  return VQ_OK;
}
