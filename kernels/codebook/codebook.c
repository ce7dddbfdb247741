/* codebook.c -- choose and soft_quantise on the CPU. Contract: codebook.h. */
#include "kernels/codebook/codebook.h"

#include "kernels/check.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"

#include <string.h>

enum { LOGITS, UNIFORM };
enum { BOOK = 1, IDS };

#define COST 40 /* of an exponential */

/* Of one token alone, [1]. */
static vq_shape token_shape(vq_dtype type, const vq_tensor *logits)
{
  return logits->rank > 1 ? vq_shape_make(type, logits->rank - 1, logits->dim)
                          : vq_shape_make(type, 1, (int64_t[]){1});
}

/* ---- choose ---- */

static vq_status choose_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *logits = c->in[LOGITS];
  (void)saved;
  VQ_TRY(vq_check_types(c, "choose", 0));
  if (logits->rank < 1 || vq_last(logits) < 1 || vq_last(logits) > INT32_MAX)
    return vq_fail(VQ_ERR_SHAPE, "choose: logits have no rows of codes");
  vq_shape each = token_shape(VQ_REAL, logits);
  if (c->in[UNIFORM])
    VQ_TRY(vq_check_same("choose", "uniform", c->in[UNIFORM], &each));
  *out = token_shape(VQ_I32, logits);
  return VQ_OK;
}

static size_t choose_scratch(const vq_call *c, bool backward)
{
  return backward || !c->in[UNIFORM] ? 0 : (size_t)vq_count(c->in[LOGITS]) * sizeof(vq_real);
}

static int32_t largest(const vq_real *x, int64_t n)
{
  int64_t best = 0;
  for (int64_t k = 1; k < n; k++)
    if (x[k] > x[best])
      best = k;
  return (int32_t)best;
}

/* Added up twice in the same order, so that a draw below 1 is always reached; where nothing can be compared, 0. */
static int32_t drawn(vq_real *weight, const vq_real *x, int64_t n, double uniform)
{
  vq_real most = vq_max_row(x, n);
  double sum = 0, so_far = 0;
  for (int64_t k = 0; k < n; k++)
    weight[k] = vq_exp(x[k] - most);
  for (int64_t k = 0; k < n; k++)
    sum += (double)weight[k];
  for (int64_t k = 0; k < n; k++) {
    so_far += (double)weight[k];
    if (so_far > uniform * sum)
      return (int32_t)k;
  }
  return 0;
}

static void choose_tokens(const vq_call *c, int64_t from, int64_t to)
{
  int64_t K = vq_last(c->in[LOGITS]);
  const vq_real *uniform = c->in[UNIFORM] ? vq_values(c->in[UNIFORM]) : NULL;
  for (int64_t m = from; m < to; m++) {
    const vq_real *x = vq_values(c->in[LOGITS]) + m * K;
    vq_real *weight = uniform ? (vq_real *)c->scratch + m * K : NULL;
    ((int32_t *)c->out->data)[m] = uniform ? drawn(weight, x, K, (double)uniform[m]) : largest(x, K);
  }
}

static vq_status choose_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, vq_rows(c->in[LOGITS]), (c->in[UNIFORM] ? COST : 1) * vq_last(c->in[LOGITS]), choose_tokens);
  return VQ_OK;
}

const vq_op vq_op_choose = {
    .name = "choose",
    .optional = 1u << UNIFORM,
    .shape = choose_shape,
    .scratch = choose_scratch,
    .forward = choose_forward_cpu,
};

vq_tensor *vq_choose(vq_tape *tape, vq_tensor *logits, vq_tensor *uniform)
{
  vq_tensor *seen = logits ? vq_view(tape, logits, logits->rank, logits->dim) : NULL;
  if (!seen)
    return NULL;
  seen->wants = false; /* what is chosen does not change with small changes: nothing leads back from it */
  vq_tensor *ids = vq_record(tape, &vq_op_choose, VQ_INPUTS(seen, uniform), NULL);
  vq_done(tape, seen);
  return ids;
}

/* ---- soft_quantise ---- */

static vq_status soft_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *logits = c->in[LOGITS], *book = c->in[BOOK];
  (void)saved;
  VQ_TRY(vq_check_types(c, "soft_quantise", 1u << IDS));
  VQ_TRY(vq_check_rank("soft_quantise", "book", book, 2));
  if (logits->rank < 1 || vq_last(logits) != book->dim[0] || book->dim[0] < 1)
    return vq_fail_shape("soft_quantise", "logits", logits, "are not one for each row of", "book", book);
  vq_shape ids = token_shape(VQ_I32, logits);
  VQ_TRY(vq_check_same("soft_quantise", "ids", c->in[IDS], &ids));
  *out = vq_shape_of(logits);
  out->dim[out->rank - 1] = book->dim[1];
  return VQ_OK;
}

/* dp, of every code of every token. */
static size_t soft_scratch(const vq_call *c, bool backward)
{
  return backward ? (size_t)vq_count(c->in[LOGITS]) * sizeof(vq_real) : 0;
}

static vq_status soft_forward_cpu(const vq_call *c)
{
  int64_t rows = vq_rows(c->in[LOGITS]), K = c->in[BOOK]->dim[0], C = c->in[BOOK]->dim[1];
  const int32_t *ids = (const int32_t *)vq_values(c->in[IDS]);
  for (int64_t m = 0; m < rows; m++) {
    if (ids[m] < 0 || ids[m] >= K)
      return vq_fail(VQ_ERR_ARGUMENT, "soft_quantise: token %lld has the id %d, the book has rows 0 to %lld",
                     (long long)m, (int)ids[m], (long long)K - 1);
    memcpy(vq_values(c->out) + m * C, vq_values(c->in[BOOK]) + ids[m] * C, (size_t)C * sizeof(vq_real));
  }
  return VQ_OK;
}

static void soft_backward_tokens(const vq_call *c, int64_t from, int64_t to)
{
  int64_t K = c->in[BOOK]->dim[0];
  for (int64_t m = from; m < to; m++) {
    const vq_real *x = vq_values(c->in[LOGITS]) + m * K, *dp = (const vq_real *)c->scratch + m * K;
    vq_real *dx = vq_grad(c->in[LOGITS]) + m * K, all = vq_log_sum_exp(x, K), lane[VQ_LANES] = {0};
    for (int64_t k = 0; k < K; k++)
      lane[k % VQ_LANES] += vq_exp(x[k] - all) * dp[k];
    vq_real mean = vq_fold_lanes(lane);
    for (int64_t k = 0; k < K; k++)
      vq_put(&dx[k], vq_adds(c, LOGITS), vq_exp(x[k] - all) * (dp[k] - mean));
  }
}

static vq_status soft_backward_cpu(const vq_call *c)
{
  int64_t rows = vq_rows(c->in[LOGITS]), K = c->in[BOOK]->dim[0], C = c->in[BOOK]->dim[1];
  vq_gemm_args product = {.tb = true,
                          .m = rows,
                          .n = K,
                          .k = C,
                          .alpha = 1,
                          .a = vq_grad(c->out),
                          .lda = C,
                          .b = vq_values(c->in[BOOK]),
                          .ldb = C,
                          .c = c->scratch,
                          .ldc = K};
  vq_gemm_parallel(c->device->threads, &product);
  vq_parallel_rows(c, rows, 2 * COST * K, soft_backward_tokens);
  return VQ_OK;
}

const vq_op vq_op_soft_quantise = {
    .name = "soft_quantise",
    .reads = {[LOGITS] = VQ_READS_IN(LOGITS) | VQ_READS_IN(BOOK)},
    .gives = 1u << LOGITS,
    .shape = soft_shape,
    .scratch = soft_scratch,
    .forward = soft_forward_cpu,
    .backward = soft_backward_cpu,
};

vq_tensor *vq_soft_quantise(vq_tape *tape, vq_tensor *logits, vq_tensor *book, vq_tensor *ids)
{
  return vq_record(tape, &vq_op_soft_quantise, VQ_INPUTS(logits, book, ids), NULL);
}
