/* linear.c -- linear on the CPU. Contract: linear.h. */
#include "kernels/linear/linear.h"

#include "kernels/check.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/columns.h"
#include "kernels/cpu/gemm.h"

enum { X, W, B, SKIP };

/* What may be BF16. */
#define MAY_BE_BF16 (1u << X | 1u << W | 1u << SKIP)

static vq_status linear_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X], *w = c->in[W];
  (void)saved;
  VQ_TRY(vq_check_types_product(c, "linear", W, MAY_BE_BF16));
  VQ_TRY(vq_check_rank("linear", "w", w, 2));
  if (x->rank < 1 || vq_last(x) != w->dim[1])
    return vq_fail_shape("linear", "x", x, "does not fit", "w", w);
  *out = vq_shape_of(x);
  out->dtype = vq_product_type(c, W);
  out->dim[x->rank - 1] = w->dim[0];
  if (c->in[B])
    VQ_TRY(vq_check_dims("linear", "b", c->in[B], 1, w->dim[0], -1, -1, -1));
  if (c->in[SKIP])
    VQ_TRY(vq_check_same("linear", "skip", c->in[SKIP], out));
  return VQ_OK;
}

static bool in_bf16(const vq_call *c)
{
  return c->in[W]->dtype == VQ_BF16;
}

static size_t linear_scratch(const vq_call *c, bool backward)
{
  return in_bf16(c) ? vq_bf16_linear_scratch(vq_rows(c->out), vq_last(backward ? c->out : c->in[X])) : 0;
}

static vq_status linear_prepare(const vq_call *c)
{
  vq_tensor *w = c->in[W];
  if (in_bf16(c))
    return vq_bf16_prepare(c->device, w, c->in[X]->wants);
  return w->weight && !w->wants && !w->prepared[VQ_FORWARD] ? vq_gemm_keep_panels(c->device, w) : VQ_OK;
}

static vq_status linear_forward_cpu(const vq_call *c)
{
  const vq_tensor *x = c->in[X], *w = c->in[W];
  int64_t M = vq_rows(x), I = w->dim[1], O = w->dim[0];
  if (in_bf16(c)) {
    vq_bf16_linear low = {M, O, I, vq_values(x), w->prepared[VQ_FORWARD], .y = vq_values(c->out)};
    low.bias = c->in[B] ? vq_values(c->in[B]) : NULL;
    low.skip = c->in[SKIP] ? vq_values(c->in[SKIP]) : NULL;
    vq_bf16_linear_cpu(c->device, &low, c->scratch);
    return VQ_OK;
  }
  vq_gemm_args product = {false, true, M, O, I, 1, vq_values(x), I, vq_values(w), I, 0, vq_values(c->out), O};
  product.panels = w->prepared[VQ_FORWARD];
  product.bias = c->in[B] ? vq_values(c->in[B]) : NULL;
  product.skip = c->in[SKIP] ? vq_values(c->in[SKIP]) : NULL;
  vq_gemm_parallel(c->device->threads, &product);
  return VQ_OK;
}

static vq_status linear_backward_cpu(const vq_call *c)
{
  const vq_tensor *x = c->in[X], *w = c->in[W], *b = c->in[B];
  const vq_real *dy = vq_grad(c->out);
  int64_t M = vq_rows(c->out), I = w->dim[1], O = w->dim[0];
  if (vq_wants(c, X) && in_bf16(c)) {
    vq_bf16_linear low = {M, I, O, dy, w->prepared[VQ_BACKWARD], .add = vq_adds(c, X), .y = vq_grad(c->in[X])};
    vq_bf16_linear_cpu(c->device, &low, c->scratch);
  } else if (vq_wants(c, X)) {
    vq_gemm_args product = {false, false, M, I, O, 1, dy, O, vq_values(w), I, vq_adds(c, X), vq_grad(x), I};
    product.panels = w->prepared[VQ_BACKWARD];
    vq_gemm_parallel(c->device->threads, &product);
  }
  if (vq_wants(c, W)) {
    vq_gemm_args product = {true, false, O, I, M, 1, dy, O, vq_values(x), I, vq_adds(c, W), vq_grad(w), I};
    vq_gemm_parallel(c->device->threads, &product);
  }
  if (vq_wants(c, B))
    vq_sum_columns(c->device->threads, vq_grad(b), vq_adds(c, B), dy, M, O);
  return VQ_OK;
}

const vq_op vq_op_linear = {
    .name = "linear",
    .reads = {[X] = VQ_READS_IN(W), [W] = VQ_READS_IN(X)},
    .passes = 1u << SKIP,
    .gives = 1u << X | 1u << W | 1u << B | 1u << SKIP,
    .optional = 1u << B | 1u << SKIP,
    .bf16 = MAY_BE_BF16,
    .multiplies = 1u << W,
    .shape = linear_shape,
    .scratch = linear_scratch,
    .prepare = linear_prepare,
    .forward = linear_forward_cpu,
    .backward = linear_backward_cpu,
};

vq_tensor *vq_linear(vq_tape *tape, vq_tensor *x, vq_tensor *w, vq_tensor *b, vq_tensor *skip)
{
  return vq_record(tape, &vq_op_linear, VQ_INPUTS(x, w, b, skip), NULL);
}
