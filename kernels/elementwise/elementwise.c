/* elementwise.c -- add, mul, sum and cast on the CPU. Contract: elementwise.h. */
#include "kernels/elementwise/elementwise.h"

#include "base/bf16.h"
#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce.h"
#include "kernels/cpu/simd.h"

#include <string.h>

#define ROW 1024 /* elements are handed out, and summed, in rows of this many */

/* Rows of the input; elements before row `row`. */
static int64_t rows(const vq_call *c)
{
  return (vq_count(c->in[0]) + ROW - 1) / ROW;
}

static int64_t start(const vq_call *c, int64_t row)
{
  int64_t count = vq_count(c->in[0]);
  return row * ROW < count ? row * ROW : count;
}

static vq_status check_pair(const vq_call *c, const char *op, vq_shape *out)
{
  VQ_TRY(vq_check_types_bf16(c, op, 0, 3));
  *out = vq_shape_of(c->in[0]);
  return vq_check_same(op, "b", c->in[1], out);
}

/* ---- add ---- */

static vq_status add_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  return check_pair(c, "add", out);
}

static inline VQ_BODY void add_rows_body(const vq_call *c, int64_t from, int64_t to)
{
  const vq_real *a = vq_values(c->in[0]), *b = vq_values(c->in[1]);
  vq_real *y = vq_values(c->out);
  for (int64_t i = start(c, from), n = start(c, to); i < n; i++)
    y[i] = a[i] + b[i];
}
VQ_LOOP(add_rows, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

static vq_status add_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, rows(c), ROW, add_rows);
  return VQ_OK;
}

const vq_op vq_op_add = {
    .name = "add",
    .passes = 3,
    .gives = 3,
    .bf16 = 3,
    .shape = add_shape,
    .forward = add_forward_cpu,
};

/* ---- mul ---- */

static vq_status mul_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  return check_pair(c, "mul", out);
}

static void mul_rows(const vq_call *c, int64_t from, int64_t to)
{
  const vq_real *a = vq_values(c->in[0]), *b = vq_values(c->in[1]);
  vq_real *y = vq_values(c->out);
  for (int64_t i = start(c, from), n = start(c, to); i < n; i++)
    y[i] = a[i] * b[i];
}

static vq_status mul_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, rows(c), ROW, mul_rows);
  return VQ_OK;
}

static void mul_gradient_rows(const vq_call *c, int64_t from, int64_t to)
{
  const vq_real *dy = vq_grad(c->out);
  for (int k = 0; k < 2; k++) {
    if (!vq_wants(c, k))
      continue;
    const vq_real *other = vq_values(c->in[1 - k]);
    vq_real *d = vq_grad(c->in[k]);
    bool add = vq_adds(c, k);
    for (int64_t i = start(c, from), n = start(c, to); i < n; i++)
      vq_put(d + i, add, dy[i] * other[i]);
  }
}

static vq_status mul_backward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, rows(c), 2 * ROW, mul_gradient_rows);
  return VQ_OK;
}

const vq_op vq_op_mul = {
    .name = "mul",
    .reads = {VQ_READS_IN(1), VQ_READS_IN(0)},
    .gives = 3,
    .bf16 = 3,
    .shape = mul_shape,
    .forward = mul_forward_cpu,
    .backward = mul_backward_cpu,
};

/* ---- sum: of rows, then of their sums ---- */

static vq_status sum_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  VQ_TRY(vq_check_types(c, "sum", 0));
  *out = vq_shape_make(VQ_REAL, 0, NULL);
  return VQ_OK;
}

static size_t sum_scratch(const vq_call *c, bool backward)
{
  return backward ? 0 : (size_t)rows(c) * sizeof(vq_real);
}

static void sum_rows(const vq_call *c, int64_t from, int64_t to)
{
  for (int64_t m = from; m < to; m++)
    ((vq_real *)c->scratch)[m] = vq_sum_row(vq_values(c->in[0]) + m * ROW, start(c, m + 1) - m * ROW);
}

static vq_status sum_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, rows(c), ROW, sum_rows);
  *vq_values(c->out) = vq_sum_row(c->scratch, rows(c));
  return VQ_OK;
}

static void sum_gradient_rows(const vq_call *c, int64_t from, int64_t to)
{
  vq_real dy = *vq_grad(c->out), *dx = vq_grad(c->in[0]);
  bool add = vq_adds(c, 0);
  for (int64_t i = start(c, from), n = start(c, to); i < n; i++)
    vq_put(dx + i, add, dy);
}

static vq_status sum_backward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, rows(c), ROW, sum_gradient_rows);
  return VQ_OK;
}

const vq_op vq_op_sum = {
    .name = "sum",
    .gives = 1,
    .shape = sum_shape,
    .scratch = sum_scratch,
    .forward = sum_forward_cpu,
    .backward = sum_backward_cpu,
};

/* ---- cast ---- */

static vq_status cast_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  vq_dtype from = c->in[0]->dtype, to = (vq_dtype)c->attr->i[0];
  (void)saved;
  if (!(from == VQ_REAL && to == VQ_BF16) && !(from == VQ_BF16 && to == VQ_REAL))
    return vq_fail(VQ_ERR_SHAPE, "cast: from %s to %s; it goes between %s and bf16", vq_dtype_name(from),
                   vq_dtype_name(to), vq_dtype_name(VQ_REAL));
  *out = vq_shape_of(c->in[0]);
  out->dtype = to;
  return VQ_OK;
}

typedef struct cast_job {
  const vq_call *call;
  void *to;
  const void *from;
  bool to_half, add;
} cast_job;

static void cast_task(void *context, int64_t task)
{
  const cast_job *job = context;
  int64_t i = start(job->call, task), n = start(job->call, task + 1);
  if (job->to_half) {
    const vq_real *x = job->from;
    uint16_t *y = job->to;
    for (; i < n; i++)
      y[i] = vq_bf16_from_float((float)(job->add ? vq_bf16_to_float(y[i]) + x[i] : x[i]));
  } else {
    const uint16_t *x = job->from;
    vq_real *y = job->to;
    for (; i < n; i++)
      vq_put(y + i, job->add, vq_bf16_to_float(x[i]));
  }
}

static vq_status cast_forward_cpu(const vq_call *c)
{
  cast_job job = {c, vq_values(c->out), vq_values(c->in[0]), c->out->dtype == VQ_BF16, false};
  vq_parallel(c->device->threads, rows(c), cast_task, &job);
  return VQ_OK;
}

static vq_status cast_backward_cpu(const vq_call *c)
{
  cast_job job = {c, vq_grad(c->in[0]), vq_grad(c->out), c->in[0]->dtype == VQ_BF16, vq_adds(c, 0)};
  vq_parallel(c->device->threads, rows(c), cast_task, &job);
  return VQ_OK;
}

const vq_op vq_op_cast = {
    .name = "cast",
    .gives = 1,
    .shape = cast_shape,
    .forward = cast_forward_cpu,
    .backward = cast_backward_cpu,
};

/* ---- what nets call ---- */

vq_tensor *vq_add(vq_tape *tape, vq_tensor *a, vq_tensor *b)
{
  return vq_record(tape, &vq_op_add, VQ_INPUTS(a, b), NULL);
}

vq_tensor *vq_mul(vq_tape *tape, vq_tensor *a, vq_tensor *b)
{
  return vq_record(tape, &vq_op_mul, VQ_INPUTS(a, b), NULL);
}

vq_tensor *vq_sum(vq_tape *tape, vq_tensor *x)
{
  return vq_record(tape, &vq_op_sum, VQ_INPUTS(x), NULL);
}

vq_tensor *vq_cast(vq_tape *tape, vq_tensor *x, vq_dtype dtype)
{
  if (x && x->dtype == dtype)
    return vq_view(tape, x, x->rank, x->dim);
  return vq_record(tape, &vq_op_cast, VQ_INPUTS(x), &(vq_attr){.i = {dtype}});
}
