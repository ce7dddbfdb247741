/* mse.c -- the mean squared error on the CPU. Contract: mse.h. */
#include "kernels/mse/mse.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce.h"

enum { X, TARGET, WEIGHT };

/* The sum is made of sums of blocks of so many elements. */
#define BLOCK 4096

static vq_status mse_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  vq_shape x = vq_shape_of(c->in[X]);
  (void)saved;
  VQ_TRY(vq_check_types(c, "mse", 0));
  if (c->in[TARGET])
    VQ_TRY(vq_check_same("mse", "target", c->in[TARGET], &x));
  VQ_TRY(vq_check_dims("mse", "weight", c->in[WEIGHT], 1, 1, -1, -1, -1));
  *out = vq_shape_make(VQ_REAL, 0, NULL);
  return VQ_OK;
}

static int64_t blocks(const vq_call *c)
{
  return (vq_count(c->in[X]) + BLOCK - 1) / BLOCK;
}

static size_t mse_scratch(const vq_call *c, bool backward)
{
  return backward ? 0 : (size_t)blocks(c) * sizeof(vq_real);
}

static void forward_blocks(const vq_call *c, int64_t from, int64_t to)
{
  const vq_real *x = vq_values(c->in[X]), *target = c->in[TARGET] ? vq_values(c->in[TARGET]) : NULL;
  vq_real *sum = c->scratch;
  int64_t count = vq_count(c->in[X]);
  for (int64_t b = from; b < to; b++) {
    int64_t at = b * BLOCK, n = count - at < BLOCK ? count - at : BLOCK;
    sum[b] = target ? vq_distance(x + at, target + at, n) : vq_sum_squares(x + at, 0, n);
  }
}

static vq_status mse_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, blocks(c), 3 * BLOCK, forward_blocks);
  double mean = (double)vq_sum_row(c->scratch, blocks(c)) / (double)vq_count(c->in[X]);
  *vq_values(c->out) = (vq_real)((double)*vq_values(c->in[WEIGHT]) * mean);
  return VQ_OK;
}

static void backward_elements(const vq_call *c, int64_t from, int64_t to)
{
  const vq_real *x = vq_values(c->in[X]), *target = c->in[TARGET] ? vq_values(c->in[TARGET]) : NULL;
  double slope = 2 * (double)*vq_grad(c->out) * (double)*vq_values(c->in[WEIGHT]) / (double)vq_count(c->in[X]);
  for (int i = X; i <= TARGET; i++)
    if (vq_wants(c, i)) {
      vq_real *dx = vq_grad(c->in[i]), a = (vq_real)(i == X ? slope : -slope);
      for (int64_t e = from; e < to; e++)
        vq_put(&dx[e], vq_adds(c, i), a * (target ? x[e] - target[e] : x[e]));
    }
}

static vq_status mse_backward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, vq_count(c->in[X]), 6, backward_elements);
  return VQ_OK;
}

const vq_op vq_op_mse = {
    .name = "mse",
    .reads = {[X] = VQ_READS_IN(X) | VQ_READS_IN(TARGET) | VQ_READS_IN(WEIGHT),
              [TARGET] = VQ_READS_IN(X) | VQ_READS_IN(TARGET) | VQ_READS_IN(WEIGHT)},
    .gives = 1u << X | 1u << TARGET,
    .optional = 1u << TARGET,
    .shape = mse_shape,
    .scratch = mse_scratch,
    .forward = mse_forward_cpu,
    .backward = mse_backward_cpu,
};

vq_tensor *vq_mse(vq_tape *tape, vq_tensor *x, vq_tensor *target, vq_tensor *weight)
{
  return vq_record(tape, &vq_op_mse, VQ_INPUTS(x, target, weight), NULL);
}
