/* layer_norm.c -- layer norm on the CPU. Contract: layer_norm.h. */
#include "kernels/layer_norm/layer_norm.h"

#include "kernels/check.h"
#include "kernels/cpu/columns.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce.h"
#include "kernels/cpu/simd.h"

#include <math.h>

enum { X, G, B };

/* What may be BF16. */
#define MAY_BE_BF16 (1u << X)

#define BLOCK_COLUMNS 64 /* a task of dg */

static vq_status layer_norm_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X];
  VQ_TRY(vq_check_types_bf16(c, "layer_norm", 0, MAY_BE_BF16));
  if (x->rank < 1)
    return vq_fail(VQ_ERR_SHAPE, "layer_norm: x is a scalar and must have rows");
  if (!(c->attr->f[0] > 0))
    return vq_fail(VQ_ERR_ARGUMENT, "layer_norm: eps is %g and must be above 0", c->attr->f[0]);
  VQ_TRY(vq_check_dims("layer_norm", "g", c->in[G], 1, vq_last(x), -1, -1, -1));
  VQ_TRY(vq_check_dims("layer_norm", "b", c->in[B], 1, vq_last(x), -1, -1, -1));
  *out = vq_shape_of(x);
  *saved = vq_shape_make(VQ_REAL, 2, (int64_t[]){vq_rows(x), 2});
  return VQ_OK;
}

static inline VQ_BODY void forward_rows_body(const vq_call *c, int64_t from, int64_t to)
{
  int64_t C = vq_last(c->out);
  const vq_real *g = vq_values(c->in[G]), *b = vq_values(c->in[B]);
  for (int64_t m = from; m < to; m++) {
    const vq_real *x = vq_values(c->in[X]) + m * C;
    vq_real *y = vq_values(c->out) + m * C, *saved = vq_values(c->saved) + 2 * m;
    vq_real mean = vq_sum_row(x, C) / (vq_real)C, variance = vq_sum_squares(x, mean, C) / (vq_real)C;
    vq_real rstd = (vq_real)(1 / sqrt((double)variance + c->attr->f[0]));
    for (int64_t j = 0; j < C; j++)
      y[j] = (x[j] - mean) * rstd * g[j] + b[j];
    saved[0] = mean;
    saved[1] = rstd;
  }
}
VQ_LOOP(forward_rows, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

static vq_status layer_norm_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, vq_rows(c->out), 6 * vq_last(c->out), forward_rows);
  return VQ_OK;
}

/* sums[0] = sum of h, sums[1] = sum of h n, in the order of reduce.h */
static void sum_h(vq_real sums[2], const vq_real *dy, const vq_real *g, const vq_real *x, const vq_real *saved,
                  int64_t C)
{
  vq_real h[VQ_LANES] = {0}, hn[VQ_LANES] = {0}, mean = saved[0];
  int64_t i = 0;
  for (; i + VQ_LANES <= C; i += VQ_LANES)
    for (int j = 0; j < VQ_LANES; j++) {
      h[j] += dy[i + j] * g[i + j];
      hn[j] += dy[i + j] * g[i + j] * (x[i + j] - mean);
    }
  for (int j = 0; i < C; i++, j++) {
    h[j] += dy[i] * g[i];
    hn[j] += dy[i] * g[i] * (x[i] - mean);
  }
  sums[0] = vq_fold_lanes(h);
  sums[1] = vq_fold_lanes(hn) * saved[1];
}

static inline VQ_BODY void dx_rows_body(const vq_call *c, int64_t from, int64_t to)
{
  int64_t C = vq_last(c->out);
  const vq_real *g = vq_values(c->in[G]);
  for (int64_t m = from; m < to; m++) {
    const vq_real *x = vq_values(c->in[X]) + m * C, *dy = vq_grad(c->out) + m * C;
    const vq_real *saved = vq_values(c->saved) + 2 * m;
    vq_real *dx = vq_grad(c->in[X]) + m * C, sums[2];
    sum_h(sums, dy, g, x, saved, C);
    vq_real mean = saved[0], rstd = saved[1], h = sums[0] / (vq_real)C, hn = sums[1] / (vq_real)C * rstd;
    if (vq_adds(c, X))
      for (int64_t j = 0; j < C; j++)
        dx[j] += rstd * (dy[j] * g[j] - h - (x[j] - mean) * hn);
    else
      for (int64_t j = 0; j < C; j++)
        dx[j] = rstd * (dy[j] * g[j] - h - (x[j] - mean) * hn);
  }
}
VQ_LOOP(dx_rows, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

/* A block of columns of dg, rows in order. */
static void dg_task(void *context, int64_t task)
{
  const vq_call *c = context;
  int64_t C = vq_last(c->out), M = vq_rows(c->out), from = task * BLOCK_COLUMNS;
  int64_t n = C - from < BLOCK_COLUMNS ? C - from : BLOCK_COLUMNS;
  vq_real *dg = vq_grad(c->in[G]) + from, sum[BLOCK_COLUMNS] = {0};
  for (int64_t m = 0; m < M; m++) {
    const vq_real *x = vq_values(c->in[X]) + m * C + from, *dy = vq_grad(c->out) + m * C + from;
    vq_real mean = vq_values(c->saved)[2 * m], rstd = vq_values(c->saved)[2 * m + 1];
    for (int64_t j = 0; j < n; j++)
      sum[j] += dy[j] * ((x[j] - mean) * rstd);
  }
  for (int64_t j = 0; j < n; j++)
    vq_put(dg + j, vq_adds(c, G), sum[j]);
}

static vq_status layer_norm_backward_cpu(const vq_call *c)
{
  int64_t M = vq_rows(c->out), C = vq_last(c->out);
  if (vq_wants(c, X))
    vq_parallel_rows(c, M, 12 * C, dx_rows);
  if (vq_wants(c, G))
    vq_parallel(c->device->threads, (C + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS, dg_task, (void *)c);
  if (vq_wants(c, B))
    vq_sum_columns(c->device->threads, vq_grad(c->in[B]), vq_adds(c, B), vq_grad(c->out), M, C);
  return VQ_OK;
}

const vq_op vq_op_layer_norm = {
    .name = "layer_norm",
    .reads = {[X] = VQ_READS_IN(X) | VQ_READS_IN(G) | VQ_READS_SAVED, [G] = VQ_READS_IN(X) | VQ_READS_SAVED},
    .gives = 1u << X | 1u << G | 1u << B,
    .bf16 = MAY_BE_BF16,
    .shape = layer_norm_shape,
    .forward = layer_norm_forward_cpu,
    .backward = layer_norm_backward_cpu,
};

vq_tensor *vq_layer_norm(vq_tape *tape, vq_tensor *x, vq_tensor *g, vq_tensor *b, double eps)
{
  return vq_record(tape, &vq_op_layer_norm, VQ_INPUTS(x, g, b), &(vq_attr){.f = {eps}});
}
