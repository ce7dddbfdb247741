/* resample.c -- resample on the CPU. Contract: resample.h. */
#include "kernels/resample/resample.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"

#include <string.h>

enum { PICTURE, Y_INDEX, Y_WEIGHT, X_INDEX, X_WEIGHT };
enum { SIDE, RUN, BACK }; /* attr.i */

static vq_status check_tables(const vq_call *c, int index, int64_t length)
{
  int64_t n = c->in[Y_INDEX]->dim[0], S = c->attr->i[SIDE];
  VQ_TRY(vq_check_dims("resample", "an index", c->in[index], 3, n, S + length, 2, -1));
  return vq_check_dims("resample", "a weight", c->in[index + 1], 2, n,
                       S * c->attr->i[RUN] + length * c->attr->i[BACK], -1, -1);
}

static vq_status resample_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[PICTURE];
  int64_t S = c->attr->i[SIDE], n = c->in[Y_INDEX]->dim[0];
  (void)saved;
  VQ_TRY(vq_check_types(c, "resample", 1u << Y_INDEX | 1u << X_INDEX));
  VQ_TRY(vq_check_rank("resample", "x", x, 4));
  VQ_TRY(check_tables(c, Y_INDEX, x->dim[1]));
  VQ_TRY(check_tables(c, X_INDEX, x->dim[2]));
  if (n % x->dim[0])
    return vq_fail(VQ_ERR_SHAPE, "resample: %lld cutouts do not divide among %lld pictures", (long long)n,
                   (long long)x->dim[0]);
  *out = vq_shape_make(VQ_REAL, 4, (int64_t[]){n, S, S, x->dim[3]});
  return VQ_OK;
}

/* One axis of one cutout's tables. */
typedef struct axis {
  const int32_t *run, *back; /* pairs: first, count */
  const vq_real *run_weight, *back_weight;
  int64_t most, most_back; /* weights that a run has room for */
} axis;

static axis axis_of(const vq_call *c, int index, int64_t cutout, int64_t length)
{
  int64_t S = c->attr->i[SIDE], most = c->attr->i[RUN], back = c->attr->i[BACK];
  const int32_t *runs = (const int32_t *)vq_root(c->in[index])->data + cutout * 2 * (S + length);
  const vq_real *weights = vq_values(c->in[index + 1]) + cutout * (S * most + length * back);
  return (axis){runs, runs + 2 * S, weights, weights + S * most, most, back};
}

/* A line for each cutout, forward, or for each picture row, backward. */
static size_t resample_scratch(const vq_call *c, bool backward)
{
  const vq_tensor *x = c->in[PICTURE];
  int64_t lines = backward ? x->dim[0] * x->dim[1] : c->in[Y_INDEX]->dim[0];
  return (size_t)(lines * (backward ? c->attr->i[SIDE] : x->dim[2]) * x->dim[3]) * sizeof(vq_real);
}

/* to[i] += weight from[i] */
static void add_scaled(vq_real *to, const vq_real *from, vq_real weight, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    to[i] += weight * from[i];
}

static void forward_cutouts(const vq_call *c, int64_t from, int64_t to)
{
  const vq_tensor *x = c->in[PICTURE];
  int64_t N = x->dim[0], H = x->dim[1], W = x->dim[2], C = x->dim[3], S = c->attr->i[SIDE];
  int64_t each = c->in[Y_INDEX]->dim[0] / N;
  for (int64_t j = from; j < to; j++) {
    axis down = axis_of(c, Y_INDEX, j, H), across = axis_of(c, X_INDEX, j, W);
    const vq_real *picture = vq_values(x) + j / each * H * W * C;
    vq_real *line = (vq_real *)c->scratch + j * W * C, *y = vq_values(c->out) + j * S * S * C;
    for (int64_t r = 0; r < S; r++) {
      memset(line, 0, (size_t)(W * C) * sizeof *line);
      for (int32_t a = 0; a < down.run[2 * r + 1]; a++)
        add_scaled(line, picture + (down.run[2 * r] + a) * W * C, down.run_weight[r * down.most + a], W * C);
      memset(y + r * S * C, 0, (size_t)(S * C) * sizeof *y);
      for (int64_t q = 0; q < S; q++)
        for (int32_t b = 0; b < across.run[2 * q + 1]; b++)
          add_scaled(y + (r * S + q) * C, line + (across.run[2 * q] + b) * C,
                     across.run_weight[q * across.most + b], C);
    }
  }
}

static vq_status resample_forward_cpu(const vq_call *c)
{
  const vq_tensor *x = c->in[PICTURE];
  int64_t S = c->attr->i[SIDE], most = c->attr->i[RUN];
  vq_parallel_rows(c, c->in[Y_INDEX]->dim[0], 2 * S * most * (x->dim[2] + S) * x->dim[3], forward_cutouts);
  return VQ_OK;
}

/* Picture rows: what all cutouts say of one row, cutout after cutout. */
static void backward_rows(const vq_call *c, int64_t from, int64_t to)
{
  const vq_tensor *x = c->in[PICTURE];
  int64_t N = x->dim[0], H = x->dim[1], W = x->dim[2], C = x->dim[3], S = c->attr->i[SIDE];
  int64_t each = c->in[Y_INDEX]->dim[0] / N;
  for (int64_t row = from; row < to; row++) {
    vq_real *dx = vq_grad(x) + row * W * C, *line = (vq_real *)c->scratch + row * S * C;
    int64_t picture = row / H, a = row % H;
    if (!vq_adds(c, PICTURE))
      memset(dx, 0, (size_t)(W * C) * sizeof *dx);
    for (int64_t j = picture * each; j < (picture + 1) * each; j++) {
      axis down = axis_of(c, Y_INDEX, j, H), across = axis_of(c, X_INDEX, j, W);
      const vq_real *dy = vq_grad(c->out) + j * S * S * C;
      if (!down.back[2 * a + 1])
        continue;
      memset(line, 0, (size_t)(S * C) * sizeof *line);
      for (int32_t r = 0; r < down.back[2 * a + 1]; r++)
        add_scaled(line, dy + (down.back[2 * a] + r) * S * C, down.back_weight[a * down.most_back + r], S * C);
      for (int64_t b = 0; b < W; b++)
        for (int32_t q = 0; q < across.back[2 * b + 1]; q++)
          add_scaled(dx + b * C, line + (across.back[2 * b] + q) * C, across.back_weight[b * across.most_back + q],
                     C);
    }
  }
}

static vq_status resample_backward_cpu(const vq_call *c)
{
  const vq_tensor *x = c->in[PICTURE];
  int64_t cost = 2 * c->in[Y_INDEX]->dim[0] * c->attr->i[BACK] * (x->dim[2] + c->attr->i[SIDE]) * x->dim[3];
  vq_parallel_rows(c, x->dim[0] * x->dim[1], cost, backward_rows);
  return VQ_OK;
}

const vq_op vq_op_resample = {
    .name = "resample",
    .reads = {[PICTURE] =
                  VQ_READS_IN(Y_INDEX) | VQ_READS_IN(Y_WEIGHT) | VQ_READS_IN(X_INDEX) | VQ_READS_IN(X_WEIGHT)},
    .gives = 1u << PICTURE,
    .shape = resample_shape,
    .scratch = resample_scratch,
    .forward = resample_forward_cpu,
    .backward = resample_backward_cpu,
};

vq_tensor *vq_resample(vq_tape *tape, vq_tensor *x, vq_tensor *y_index, vq_tensor *y_weight, vq_tensor *x_index,
                       vq_tensor *x_weight, const vq_bands *bands)
{
  vq_attr attr = {.i = {[SIDE] = bands->side, [RUN] = bands->run, [BACK] = bands->back}};
  return vq_record(tape, &vq_op_resample, VQ_INPUTS(x, y_index, y_weight, x_index, x_weight), &attr);
}
