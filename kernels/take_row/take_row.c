/* take_row.c -- one row of each sequence, on the CPU. Contract: take_row.h. */
#include "kernels/take_row/take_row.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"

#include <string.h>

enum { X, ROW };

/* What may be BF16. */
#define MAY_BE_BF16 (1u << X)

static const int32_t *row_of(const vq_call *c)
{
  return (const int32_t *)vq_root(c->in[ROW])->data;
}

static vq_status take_row_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X];
  (void)saved;
  VQ_TRY(vq_check_types_bf16(c, "take_row", 1u << ROW, MAY_BE_BF16));
  VQ_TRY(vq_check_rank("take_row", "x", x, 3));
  VQ_TRY(vq_check_dims("take_row", "row", c->in[ROW], 1, x->dim[0], -1, -1, -1));
  *out = vq_shape_make(x->dtype, 2, (int64_t[]){x->dim[0], x->dim[2]});
  return VQ_OK;
}

static vq_status take_row_forward_cpu(const vq_call *c)
{
  int64_t T = c->in[X]->dim[1], C = vq_last(c->out);
  for (int64_t b = 0; b < c->out->dim[0]; b++) {
    int64_t t = row_of(c)[b];
    if (t < 0 || t >= T)
      return vq_fail(VQ_ERR_ARGUMENT, "take_row: row[%lld] is %lld and x has rows 0 to %lld", (long long)b,
                     (long long)t, (long long)T - 1);
    memcpy(vq_values(c->out) + b * C, vq_values(c->in[X]) + (b * T + t) * C, (size_t)C * sizeof(vq_real));
  }
  return VQ_OK;
}

/* Sequences [from, to) of dx. */
static void backward_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t T = c->in[X]->dim[1], C = vq_last(c->out);
  vq_real *dx = vq_grad(c->in[X]);
  if (!vq_adds(c, X))
    memset(dx + from * T * C, 0, (size_t)((to - from) * T * C) * sizeof *dx);
  for (int64_t b = from; b < to; b++)
    for (int64_t j = 0; j < C; j++)
      dx[(b * T + row_of(c)[b]) * C + j] += vq_grad(c->out)[b * C + j];
}

static vq_status take_row_backward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, c->in[X]->dim[0], c->in[X]->dim[1] * vq_last(c->out), backward_rows);
  return VQ_OK;
}

const vq_op vq_op_take_row = {
    .name = "take_row",
    .reads = {[X] = VQ_READS_IN(ROW)},
    .gives = 1u << X,
    .bf16 = MAY_BE_BF16,
    .shape = take_row_shape,
    .forward = take_row_forward_cpu,
    .backward = take_row_backward_cpu,
};

vq_tensor *vq_take_row(vq_tape *tape, vq_tensor *x, vq_tensor *row)
{
  return vq_record(tape, &vq_op_take_row, VQ_INPUTS(x, row), NULL);
}
