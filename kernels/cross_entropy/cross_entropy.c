/* cross_entropy.c -- cross entropy on the CPU. Contract: cross_entropy.h. */
#include "kernels/cross_entropy/cross_entropy.h"

#include "kernels/check.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/parallel.h"

enum { LOGITS, TARGET };

static const int32_t *target_of(const vq_call *c)
{
  return (const int32_t *)vq_root(c->in[TARGET])->data;
}

static vq_status cross_entropy_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *logits = c->in[LOGITS];
  VQ_TRY(vq_check_types(c, "cross_entropy", 1u << TARGET));
  VQ_TRY(vq_check_rank("cross_entropy", "logits", logits, 2));
  VQ_TRY(vq_check_dims("cross_entropy", "target", c->in[TARGET], 1, logits->dim[0], -1, -1, -1));
  if (!vq_count(logits))
    return vq_fail(VQ_ERR_SHAPE, "cross_entropy: logits are empty");
  *out = vq_shape_make(VQ_REAL, 0, NULL);
  *saved = vq_shape_make(VQ_REAL, 1, logits->dim);
  return VQ_OK;
}

/* A loss for each row. */
static size_t cross_entropy_scratch(const vq_call *c, bool backward)
{
  return backward ? 0 : (size_t)c->in[LOGITS]->dim[0] * sizeof(vq_real);
}

static void forward_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t K = vq_last(c->in[LOGITS]);
  vq_real *lse = vq_values(c->saved), *loss = c->scratch;
  for (int64_t m = from; m < to; m++) {
    const vq_real *x = vq_values(c->in[LOGITS]) + m * K;
    lse[m] = vq_log_sum_exp(x, K);
    loss[m] = lse[m] - x[target_of(c)[m]];
  }
}

static vq_status cross_entropy_forward_cpu(const vq_call *c)
{
  int64_t M = c->in[LOGITS]->dim[0], K = c->in[LOGITS]->dim[1];
  for (int64_t m = 0; m < M; m++)
    if (target_of(c)[m] < 0 || target_of(c)[m] >= K)
      return vq_fail(VQ_ERR_ARGUMENT, "cross_entropy: target[%lld] is %ld and the logits have classes 0 to %lld",
                     (long long)m, (long)target_of(c)[m], (long long)K - 1);
  vq_parallel_rows(c, M, 20 * K, forward_rows);
  *vq_values(c->out) = vq_sum_row(c->scratch, M) / (vq_real)M;
  return VQ_OK;
}

static void backward_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t M = c->in[LOGITS]->dim[0], K = c->in[LOGITS]->dim[1];
  vq_real scale = *vq_grad(c->out) / (vq_real)M;
  for (int64_t m = from; m < to; m++) {
    const vq_real *x = vq_values(c->in[LOGITS]) + m * K, lse = vq_values(c->saved)[m];
    vq_real *dx = vq_grad(c->in[LOGITS]) + m * K;
    bool add = vq_adds(c, LOGITS);
    for (int64_t k = 0; k < K; k++)
      vq_put(dx + k, add, scale * vq_exp(x[k] - lse));
    dx[target_of(c)[m]] -= scale;
  }
}

static vq_status cross_entropy_backward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, c->in[LOGITS]->dim[0], 20 * c->in[LOGITS]->dim[1], backward_rows);
  return VQ_OK;
}

const vq_op vq_op_cross_entropy = {
    .name = "cross_entropy",
    .reads = {[LOGITS] = VQ_READS_IN(LOGITS) | VQ_READS_IN(TARGET) | VQ_READS_SAVED},
    .gives = 1u << LOGITS,
    .shape = cross_entropy_shape,
    .scratch = cross_entropy_scratch,
    .forward = cross_entropy_forward_cpu,
    .backward = cross_entropy_backward_cpu,
};

vq_tensor *vq_cross_entropy(vq_tape *tape, vq_tensor *logits, vq_tensor *target)
{
  return vq_record(tape, &vq_op_cross_entropy, VQ_INPUTS(logits, target), NULL);
}
