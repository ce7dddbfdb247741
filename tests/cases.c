/* cases.c -- runs a row of the table: makes its inputs, calls its op, walks back, reads what came out. */
#include "cases.h"

#include "base/bf16.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

const vq_case *vq_case_at(int number)
{
  const vq_case *list[] = {vq_cases_basic, vq_cases_clip, vq_cases_vqgan, vq_cases_augment};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    for (const vq_case *c = list[i]; c->name; c++)
      if (number-- == 0)
        return c;
  return NULL;
}

static void draw(const vq_case *c, int i, int64_t count, uint64_t seed, void *host)
{
  const vq_input *in = &c->in[i];
  for (int64_t e = 0; e < count; e++)
    if (in->kind == VQ_INPUT_IDS)
      ((int32_t *)host)[e] =
          (int32_t)vq_rng_below(seed, VQ_RNG_WEIGHTS, (uint32_t)i, (uint64_t)e, (uint32_t)in->below);
    else if (in->kind == VQ_INPUT_F64)
      ((double *)host)[e] = vq_rng_normal(seed, VQ_RNG_WEIGHTS, (uint32_t)i, (uint64_t)e);
    else
      ((vq_real *)host)[e] =
          (vq_real)(in->mean + (in->spread != 0 ? in->spread : 1) *
                                   vq_rng_normal(seed, VQ_RNG_WEIGHTS, (uint32_t)i, (uint64_t)e));
  if (c->fill)
    c->fill(i, host);
}

static void round_to_bf16(vq_real *x, int64_t count)
{
  for (int64_t i = 0; i < count; i++)
    x[i] = vq_bf16_to_float(vq_bf16_from_float((float)x[i]));
}

/* Makes bf16 of reals, or reals of bf16, in place. */
static void pack(void *host, int64_t count)
{
  for (int64_t i = 0; i < count; i++) {
    uint16_t half = vq_bf16_from_float((float)((vq_real *)host)[i]);
    memcpy((char *)host + 2 * i, &half, sizeof half);
  }
}

static void unpack(void *host, int64_t count)
{
  for (int64_t i = count - 1; i >= 0; i--) {
    uint16_t half;
    memcpy(&half, (char *)host + 2 * i, sizeof half);
    ((vq_real *)host)[i] = vq_bf16_to_float(half);
  }
}

/* On a device that computes by frozen weights of BF16, and all else in float. */
static bool only_weights(const vq_device *device)
{
  return device->backend->bf16_weights && device->products == VQ_BF16;
}

static vq_status make_input(const vq_case *c, int i, vq_tape *tape, unsigned halves, uint64_t seed,
                            const void *given, vq_tensor **out)
{
  const vq_input *in = &c->in[i];
  vq_device *device = vq_tape_device(tape);
  vq_dtype dtype = in->kind == VQ_INPUT_IDS ? VQ_I32 : in->kind == VQ_INPUT_F64 ? VQ_F64 : VQ_REAL;
  bool half = halves & c->op->bf16 & 1u << i;
  vq_shape s = vq_shape_make(dtype, in->rank, in->dim);
  void *host = malloc(vq_shape_bytes(&s) + 1);
  vq_status status = VQ_OK;
  if (given)
    memcpy(host, given, vq_shape_bytes(&s));
  else
    draw(c, i, vq_shape_count(&s), seed, host);
  bool low = half && (device->backend->bf16 || only_weights(device));
  if (half)
    round_to_bf16(host, vq_shape_count(&s));
  if (low) {
    s.dtype = VQ_BF16;
    pack(host, vq_shape_count(&s));
  }
  if (in->kind == VQ_INPUT_FROZEN)
    status = vq_weight_create(out, device, &s, host, false);
  else
    *out = vq_leaf(tape, &s, host, in->kind == VQ_INPUT_LEAF);
  free(host);
  return status ? status : vq_tape_status(tape);
}

vq_status vq_case_inputs(const vq_case *c, vq_tape *tape, unsigned halves, uint64_t seed, const void *const *given,
                         vq_tensor **in)
{
  for (int i = 0; i < VQ_IN; i++) {
    in[i] = NULL;
    if (c->in[i].kind != VQ_INPUT_NONE)
      VQ_TRY(make_input(c, i, tape, halves, seed, given ? given[i] : NULL, &in[i]));
  }
  return VQ_OK;
}

static vq_status read_back(vq_device *device, const vq_tensor *x, bool gradient, int slot, vq_result *result)
{
  result->count[slot] = vq_count(x);
  result->value[slot] = calloc((size_t)vq_count(x), sizeof(vq_real));
  VQ_TRY(gradient ? vq_grad_read(device, x, result->value[slot]) : vq_tensor_read(device, x, result->value[slot]));
  if (x->dtype == VQ_BF16)
    unpack(result->value[slot], vq_count(x));
  return VQ_OK;
}

static bool in_halves(const vq_call *call)
{
  bool halves = call->out->dtype == VQ_BF16;
  for (int i = 0; i < VQ_IN; i++)
    halves = halves || (call->in[i] && call->in[i]->dtype == VQ_BF16);
  return halves;
}

static void look_for_others(void *user, const vq_op *op, const vq_call *call, bool backward, double seconds)
{
  vq_result *result = user;
  (void)seconds;
  if (op == result->op) {
    result->attr = *call->attr;
    result->calls += !backward;
    result->ran |= 1u << VQ_RAN(in_halves(call), backward);
  }
  result->composed = result->composed || (op != result->op && op != &vq_op_add);
}

static vq_status run_on(vq_tape *tape, const vq_case *c, unsigned halves, uint64_t seed, const void *const *given,
                        const vq_real *dy, vq_result *result)
{
  vq_device *device = vq_tape_device(tape);
  vq_tensor *in[VQ_IN];
  VQ_TRY(vq_case_inputs(c, tape, halves, seed, given, in));
  vq_mark mark = vq_tape_mark(tape);
  result->op = c->op;
  vq_tape_watch(tape, look_for_others, result);
  vq_tensor *y = c->call(tape, in);
  VQ_TRY(vq_tape_status(tape));
  VQ_TRY(read_back(device, y, false, VQ_IN, result));
  result->dtype = y->dtype;
  if (y->wants) {
    int64_t count = vq_count(y);
    vq_real *drawn = malloc((size_t)count * sizeof *drawn);
    for (int64_t e = 0; e < count; e++)
      drawn[e] = dy ? dy[e] : (vq_real)vq_rng_normal(seed, VQ_RNG_WEIGHTS, VQ_IN, (uint64_t)e);
    if (halves && !only_weights(device))
      round_to_bf16(drawn, count);
    if (y->dtype == VQ_BF16)
      pack(drawn, count);
    vq_seed_with(tape, y, drawn);
    free(drawn);
    VQ_TRY(vq_backward(tape, NULL, mark));
    for (int i = 0; i < VQ_IN; i++)
      if (in[i] && in[i]->wants)
        VQ_TRY(read_back(device, in[i], true, i, result));
  }
  vq_tape_watch(tape, NULL, NULL);
  result->peak = vq_device_peak(device);
  return VQ_OK;
}

/* What the case takes of the step pool, by a dry run. */
static vq_status measure(const vq_case *c, const vq_device *like, unsigned halves, size_t *bytes)
{
  vq_device *plan;
  vq_result dry;
  VQ_TRY(vq_plan_create(&plan, like->backend));
  plan->products = like->products;
  plan->products_by = like->products_by;
  vq_status status = vq_case_run_on(c, plan, halves, 0, NULL, NULL, &dry);
  *bytes = dry.peak;
  vq_result_free(&dry);
  vq_device_free(plan);
  return status;
}

vq_status vq_case_run_on(const vq_case *c, vq_device *device, unsigned halves, uint64_t seed,
                         const void *const *given, const vq_real *dy, vq_result *result)
{
  vq_tape *tape = NULL;
  size_t bytes = 0;
  memset(result, 0, sizeof *result);
  vq_status status = device->plan ? VQ_OK : measure(c, device, halves, &bytes);
  if (!status && !device->plan)
    status = vq_device_reserve(device, bytes);
  if (!status)
    status = vq_tape_create(&tape, device);
  if (!status)
    status = run_on(tape, c, halves, seed, given, dy, result);
  vq_tape_free(tape);
  return status;
}

vq_status vq_case_run(const vq_case *c, int threads, uint64_t seed, const void *const *given, const vq_real *dy,
                      vq_result *result)
{
  vq_device *device;
  VQ_TRY(threads ? vq_cpu_create(&device, threads) : vq_plan_create(&device, &vq_cpu_backend));
  vq_status status = vq_case_run_on(c, device, 0, seed, given, dy, result);
  vq_device_free(device);
  return status;
}

void vq_result_free(vq_result *result)
{
  for (int i = 0; i <= VQ_IN; i++)
    free(result->value[i]);
}
