/* group_norm.c -- group_norm on the CPU. Contract: group_norm.h; the arithmetic: statistics.h. */
#include "kernels/group_norm/group_norm.h"

#include "kernels/check.h"
#include "kernels/cpu/columns.h"
#include "kernels/group_norm/statistics.h"

enum { X, G, B };
enum { GROUPS }; /* attr->i */
enum { EPS };    /* attr->f */

/* What may be BF16. */
#define MAY_BE_BF16 (1u << X)

static vq_norm sizes(const vq_call *c)
{
  return vq_norm_sizes(c->in[X], c->attr->i[GROUPS], c->attr->f[EPS], VQ_ACT_NONE);
}

static vq_status group_norm_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  VQ_TRY(vq_check_types_bf16(c, "group_norm", 0, MAY_BE_BF16));
  VQ_TRY(vq_norm_check("group_norm", c->in[X], c->in[G], c->in[B], c->attr->i[GROUPS], c->attr->f[EPS]));
  *out = vq_shape_of(c->in[X]);
  *saved = vq_norm_saved(c->in[X], c->attr->i[GROUPS]);
  return VQ_OK;
}

static size_t group_norm_scratch(const vq_call *c, bool backward)
{
  vq_norm a = sizes(c);
  (void)backward;
  return vq_norm_scratch(&a);
}

static vq_status group_norm_forward_cpu(const vq_call *c)
{
  vq_norm a = sizes(c);
  a.x = vq_values(c->in[X]);
  a.g = vq_values(c->in[G]);
  a.b = vq_values(c->in[B]);
  a.statistics = vq_values(c->saved);
  vq_norm_measure(c->device->threads, &a, c->scratch);
  vq_norm_apply(c->device->threads, &a, c->scratch, vq_values(c->out));
  return VQ_OK;
}

static vq_status group_norm_backward_cpu(const vq_call *c)
{
  vq_norm a = sizes(c);
  if (!vq_wants(c, X) && !vq_wants(c, G)) { /* then x has not been kept */
    vq_sum_columns(c->device->threads, vq_grad(c->in[B]), vq_adds(c, B), vq_grad(c->out), vq_rows(c->out),
                   a.channels);
    return VQ_OK;
  }
  a.x = vq_values(c->in[X]);
  a.g = vq_values(c->in[G]);
  a.statistics = vq_values(c->saved);
  vq_norm_gradients d = {.dv = vq_grad(c->out),
                         .dx = vq_wants(c, X) ? vq_grad(c->in[X]) : NULL,
                         .dg = vq_wants(c, G) ? vq_grad(c->in[G]) : NULL,
                         .db = vq_wants(c, B) ? vq_grad(c->in[B]) : NULL,
                         .adds_dx = vq_adds(c, X),
                         .adds_dg = vq_adds(c, G),
                         .adds_db = vq_adds(c, B)};
  vq_norm_back(c->device->threads, &a, &d, c->scratch);
  return VQ_OK;
}

const vq_op vq_op_group_norm = {
    .name = "group_norm",
    .reads = {[X] = VQ_READS_IN(X) | VQ_READS_IN(G) | VQ_READS_SAVED, [G] = VQ_READS_IN(X) | VQ_READS_SAVED},
    .gives = 1u << X | 1u << G | 1u << B,
    .bf16 = MAY_BE_BF16,
    .shape = group_norm_shape,
    .scratch = group_norm_scratch,
    .forward = group_norm_forward_cpu,
    .backward = group_norm_backward_cpu,
};

vq_tensor *vq_group_norm(vq_tape *tape, vq_tensor *x, vq_tensor *g, vq_tensor *b, int groups, double eps)
{
  vq_attr attr = {.i = {groups}, .f = {eps}};
  return vq_record(tape, &vq_op_group_norm, VQ_INPUTS(x, g, b), &attr);
}
