/* total_variation.c -- total variation on the CPU. Contract: total_variation.h. */
#include "kernels/total_variation/total_variation.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce.h"

enum { X };
enum { WEIGHT }; /* attr.f */

static vq_status total_variation_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  VQ_TRY(vq_check_types(c, "total_variation", 0));
  VQ_TRY(vq_check_rank("total_variation", "x", c->in[X], 4));
  *out = vq_shape_make(VQ_REAL, 0, NULL);
  return VQ_OK;
}

/* The factor of each squared difference, down and across. */
typedef struct factors {
  vq_real down, across;
} factors;

static factors factors_of(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  double down = (double)(d[0] * (d[1] - 1) * d[2] * d[3]), across = (double)(d[0] * d[1] * (d[2] - 1) * d[3]);
  double weight = c->attr->f[WEIGHT];
  return (factors){(vq_real)(down > 0 ? weight / down : 0), (vq_real)(across > 0 ? weight / across : 0)};
}

/* One sum a picture row, in scratch: the order of the whole sum is then that of the rows. */
static size_t total_variation_scratch(const vq_call *c, bool backward)
{
  return backward ? 0 : (size_t)(c->in[X]->dim[0] * c->in[X]->dim[1]) * sizeof(vq_real);
}

static void forward_rows(const vq_call *c, int64_t from, int64_t to)
{
  const vq_tensor *x = c->in[X];
  int64_t H = x->dim[1], C = x->dim[3], line = x->dim[2] * C;
  vq_real *sum = c->scratch;
  factors f = factors_of(c);
  for (int64_t row = from; row < to; row++) {
    const vq_real *p = vq_values(x) + row * line;
    sum[row] = f.across * vq_distance(p + C, p, line - C);
    if (row % H < H - 1)
      sum[row] += f.down * vq_distance(p + line, p, line);
  }
}

static vq_status total_variation_forward_cpu(const vq_call *c)
{
  int64_t rows = c->in[X]->dim[0] * c->in[X]->dim[1];
  vq_parallel_rows(c, rows, 6 * c->in[X]->dim[2] * c->in[X]->dim[3], forward_rows);
  *vq_values(c->out) = vq_sum_row(c->scratch, rows);
  return VQ_OK;
}

static void backward_rows(const vq_call *c, int64_t from, int64_t to)
{
  const vq_tensor *x = c->in[X];
  int64_t H = x->dim[1], C = x->dim[3], line = x->dim[2] * C;
  factors f = factors_of(c);
  vq_real dy = *vq_grad(c->out), across = 2 * dy * f.across, down = 2 * dy * f.down;
  for (int64_t row = from; row < to; row++) {
    const vq_real *p = vq_values(x) + row * line;
    vq_real *dx = vq_grad(x) + row * line;
    bool above = row % H > 0, below = row % H < H - 1;
    for (int64_t i = 0; i < line; i++) {
      vq_real g = 0;
      if (i >= C)
        g += across * (p[i] - p[i - C]);
      if (i < line - C)
        g += across * (p[i] - p[i + C]);
      if (above)
        g += down * (p[i] - p[i - line]);
      if (below)
        g += down * (p[i] - p[i + line]);
      vq_put(&dx[i], vq_adds(c, X), g);
    }
  }
}

static vq_status total_variation_backward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, c->in[X]->dim[0] * c->in[X]->dim[1], 12 * c->in[X]->dim[2] * c->in[X]->dim[3], backward_rows);
  return VQ_OK;
}

const vq_op vq_op_total_variation = {
    .name = "total_variation",
    .reads = {[X] = VQ_READS_IN(X)},
    .gives = 1u << X,
    .shape = total_variation_shape,
    .scratch = total_variation_scratch,
    .forward = total_variation_forward_cpu,
    .backward = total_variation_backward_cpu,
};

vq_tensor *vq_total_variation(vq_tape *tape, vq_tensor *x, double weight)
{
  vq_attr attr = {.f = {[WEIGHT] = weight}};
  return vq_record(tape, &vq_op_total_variation, VQ_INPUTS(x), &attr);
}
