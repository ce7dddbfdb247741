/* conv.c -- conv on the CPU. Contract: conv.h. */
#include "kernels/conv/conv.h"

#include "kernels/check.h"
#include "kernels/conv/gradients.h"
#include "kernels/cpu/columns.h"

enum { X, W, B };
enum { STRIDE, TOP, LEFT, BOTTOM, RIGHT }; /* attr->i */

/* What may be BF16. */
#define MAY_BE_BF16 (1u << X | 1u << W)

static vq_status conv_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X], *w = c->in[W];
  const int64_t *attr = c->attr->i;
  (void)saved;
  VQ_TRY(vq_check_types_product(c, "conv", W, MAY_BE_BF16));
  VQ_TRY(vq_check_rank("conv", "x", x, 4));
  VQ_TRY(vq_check_rank("conv", "w", w, 4));
  if (x->dim[3] != w->dim[3])
    return vq_fail_shape("conv", "x", x, "has not as many channels as are read by", "w", w);
  if (attr[STRIDE] < 1)
    return vq_fail(VQ_ERR_ARGUMENT, "conv: a stride of %lld, it must be at least 1", (long long)attr[STRIDE]);
  for (int side = TOP; side <= RIGHT; side++) {
    int64_t kernel = w->dim[side == TOP || side == BOTTOM ? 1 : 2];
    if (attr[side] < 0 || attr[side] >= kernel)
      return vq_fail(VQ_ERR_ARGUMENT, "conv: padding of %lld, it must be from 0 to less than the kernel's %lld",
                     (long long)attr[side], (long long)kernel);
  }
  int64_t high = x->dim[1] + attr[TOP] + attr[BOTTOM], wide = x->dim[2] + attr[LEFT] + attr[RIGHT];
  if (high < w->dim[1] || wide < w->dim[2])
    return vq_fail_shape("conv", "x", x, "with its padding is smaller than", "w", w);
  *out = vq_shape_of(x);
  out->dtype = vq_product_type(c, W);
  out->dim[1] = (high - w->dim[1]) / attr[STRIDE] + 1;
  out->dim[2] = (wide - w->dim[2]) / attr[STRIDE] + 1;
  out->dim[3] = w->dim[0];
  if (c->in[B])
    VQ_TRY(vq_check_dims("conv", "b", c->in[B], 1, w->dim[0], -1, -1, -1));
  return VQ_OK;
}

static vq_conv_args sizes(const vq_call *c)
{
  const int64_t *attr = c->attr->i;
  vq_conv_args a = vq_conv_sizes(c->in[X], c->in[W], c->out, attr[STRIDE], attr[TOP], attr[LEFT]);
  vq_conv_take_form(&a, c->in[W], VQ_FORWARD);
  return a;
}

static size_t conv_scratch(const vq_call *c, bool backward)
{
  vq_conv_args a = sizes(c);
  size_t dx = backward && vq_wants(c, X) ? vq_conv_dx_scratch(&a, c->in[W]) : 0;
  size_t dw = backward && vq_wants(c, W) ? vq_conv_dw_scratch(&a) : 0;
  if (!backward)
    return vq_conv_cpu_scratch(&a);
  return dx > dw ? dx : dw;
}

static vq_status conv_prepare(const vq_call *c)
{
  return vq_conv_prepare(c, X, W, c->attr->i[STRIDE]);
}

static vq_status conv_forward_cpu(const vq_call *c)
{
  vq_conv_args a = sizes(c);
  a.x = vq_values(c->in[X]);
  a.weight = vq_values(c->in[W]);
  a.bias = c->in[B] ? vq_values(c->in[B]) : NULL;
  a.y = vq_values(c->out);
  return vq_conv_cpu(c->device, &a, c->scratch);
}

static vq_status conv_backward_cpu(const vq_call *c)
{
  vq_conv_args a = sizes(c);
  const vq_real *dy = vq_grad(c->out);
  if (vq_wants(c, X))
    VQ_TRY(vq_conv_dx(c->device, &a, c->in[W], dy, vq_adds(c, X), vq_grad(c->in[X]), c->scratch));
  if (vq_wants(c, W)) {
    a.x = vq_values(c->in[X]);
    vq_conv_dw(c->device, &a, dy, vq_adds(c, W), vq_grad(c->in[W]), c->scratch);
  }
  if (vq_wants(c, B))
    vq_sum_columns(c->device->threads, vq_grad(c->in[B]), vq_adds(c, B), dy, vq_rows(c->out), a.co);
  return VQ_OK;
}

const vq_op vq_op_conv = {
    .name = "conv",
    .reads = {[X] = VQ_READS_IN(W), [W] = VQ_READS_IN(X)},
    .gives = 1u << X | 1u << W | 1u << B,
    .optional = 1u << B,
    .bf16 = MAY_BE_BF16,
    .multiplies = 1u << W,
    .shape = conv_shape,
    .scratch = conv_scratch,
    .prepare = conv_prepare,
    .forward = conv_forward_cpu,
    .backward = conv_backward_cpu,
};

vq_tensor *vq_conv(vq_tape *tape, vq_tensor *x, vq_tensor *w, vq_tensor *b, int stride, const int pad[4])
{
  vq_attr attr = {.i = {stride, pad[0], pad[1], pad[2], pad[3]}};
  return vq_record(tape, &vq_op_conv, VQ_INPUTS(x, w, b), &attr);
}
