/* rules.c -- arithmetic and errors, op by op. Contract: rules.h. */
#include "tools/vqbench/rules.h"

#include "kernels/ops.h"

static double elements(const vq_shape *s)
{
  return (double)vq_shape_count(s);
}

static double last(const vq_shape *s)
{
  return (double)s->dim[s->rank - 1];
}

/* Gradients that are asked for, of the inputs in `of`: each is as much work as the forward. */
static double times(const bench_case *c, unsigned of)
{
  double n = 0;
  for (int i = 0; i < VQ_IN; i++)
    n += c->wants & of & 1u << i ? 1 : 0;
  return c->backward ? n : 1;
}

static double reads(const vq_shape *w)
{
  return elements(w) / (double)w->dim[0];
}

static double conv_flops(const bench_case *c, int weight)
{
  return 2 * elements(&c->out) * reads(&c->in[weight].shape) * times(c, 1u << 0 | 1u << weight);
}

/* A gradient sums over what its element went into: output channels, or, of a weight, pixels. */
static double conv_depth(const bench_case *c, int weight)
{
  const vq_shape *w = &c->in[weight].shape;
  if (!c->backward)
    return reads(w);
  return c->wants >> weight & 1 ? elements(&c->out) / last(&c->out) : elements(w) / last(w);
}

static double attention_flops(const bench_case *c)
{
  double T = (double)c->out.dim[1], all = 4 * elements(&c->out) * T;
  return (c->backward ? 2 : 1) * (c->attr.i[1] ? all / 2 : all);
}

double bench_flops(const bench_case *c)
{
  const vq_op *op = c->op;
  if (op == &vq_op_linear)
    return 2 * elements(&c->out) * last(&c->in[0].shape) * times(c, 3);
  if (op == &vq_op_conv || op == &vq_op_upsample_conv)
    return conv_flops(c, 1);
  if (op == &vq_op_norm_act_conv)
    return conv_flops(c, 3);
  if (op == &vq_op_attention)
    return attention_flops(c);
  if (op == &vq_op_soft_quantise && c->backward)
    return 2 * elements(&c->in[0].shape) * last(&c->in[1].shape);
  if (op == &vq_op_nearest)
    return 3 * elements(&c->in[0].shape) * (double)c->in[1].shape.dim[0];
  return 0;
}

#define FEW \
  64 /* of what works element by element, or sums along an axis of a cutout: two divisions count for some */

double bench_depth(const bench_case *c)
{
  const vq_op *op = c->op;
  if (op == &vq_op_linear)
    return c->wants >> 1 & 1 && c->backward ? elements(&c->out) / last(&c->out)
                                            : last(c->backward ? &c->out : &c->in[0].shape);
  if (op == &vq_op_conv)
    return conv_depth(c, 1);
  if (op == &vq_op_upsample_conv)
    return conv_depth(c, 1) * (c->backward ? 4 : 1);
  if (op == &vq_op_norm_act_conv)
    return conv_depth(c, 3);
  if (op == &vq_op_soft_quantise)
    return c->backward ? last(&c->in[1].shape) + last(&c->in[0].shape) : 1;
  if (op == &vq_op_attention)
    return (double)c->out.dim[1] + last(&c->out) / (double)c->attr.i[0];
  if (c->out.rank == 0 && !c->backward)
    return elements(&c->in[0].shape);
  return FEW;
}

double bench_bends(const bench_case *c)
{
  const vq_op *op = c->op;
  return op == &vq_op_jitter || op == &vq_op_sharpen ? 1e-4 : 0;
}
