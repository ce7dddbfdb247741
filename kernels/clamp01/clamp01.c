/* clamp01.c -- clamp01 on the CPU. Contract: clamp01.h. */
#include "kernels/clamp01/clamp01.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"

enum { SCALE, SHIFT }; /* attr->f */

static vq_status clamp01_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  VQ_TRY(vq_check_types(c, "clamp01", 0));
  *out = vq_shape_of(c->in[0]);
  return VQ_OK;
}

static inline vq_real clamp(vq_real u)
{
  return u < 0 ? 0 : u > 1 ? 1 : u;
}

static void forward_elements(const vq_call *c, int64_t from, int64_t to)
{
  const vq_real scale = (vq_real)c->attr->f[SCALE], shift = (vq_real)c->attr->f[SHIFT];
  const vq_real *x = vq_values(c->in[0]);
  vq_real *y = vq_values(c->out);
  for (int64_t e = from; e < to; e++)
    y[e] = clamp(scale * x[e] + shift);
}

static vq_status clamp01_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, vq_count(c->out), 4, forward_elements);
  return VQ_OK;
}

static void backward_elements(const vq_call *c, int64_t from, int64_t to)
{
  const vq_real scale = (vq_real)c->attr->f[SCALE], shift = (vq_real)c->attr->f[SHIFT];
  const vq_real *x = vq_values(c->in[0]), *dy = vq_grad(c->out);
  vq_real *dx = vq_grad(c->in[0]);
  bool add = vq_adds(c, 0);
  for (int64_t e = from; e < to; e++) {
    vq_real u = scale * x[e] + shift;
    vq_put(&dx[e], add, dy[e] * (u - clamp(u)) >= 0 ? scale * dy[e] : 0);
  }
}

static vq_status clamp01_backward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, vq_count(c->out), 6, backward_elements);
  return VQ_OK;
}

const vq_op vq_op_clamp01 = {
    .name = "clamp01",
    .reads = {VQ_READS_IN(0)},
    .gives = 1u << 0,
    .shape = clamp01_shape,
    .forward = clamp01_forward_cpu,
    .backward = clamp01_backward_cpu,
};

vq_tensor *vq_clamp01(vq_tape *tape, vq_tensor *x)
{
  return vq_record(tape, &vq_op_clamp01, VQ_INPUTS(x), &(vq_attr){.f = {0.5, 0.5}});
}

vq_tensor *vq_clamp(vq_tape *tape, vq_tensor *x)
{
  return vq_record(tape, &vq_op_clamp01, VQ_INPUTS(x), &(vq_attr){.f = {1, 0}});
}
