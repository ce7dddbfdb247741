/* patchify.c -- pictures to tokens on the CPU. Contract: patchify.h. */
#include "kernels/patchify/patchify.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"

#include <math.h>
#include <string.h>

/* ---- patchify ---- */

static vq_status patchify_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[0];
  int64_t patch = c->attr->i[0];
  (void)saved;
  VQ_TRY(vq_check_types(c, "patchify", 0));
  VQ_TRY(vq_check_dims("patchify", "x", x, 4, -1, -1, -1, 3));
  if (patch < 1 || x->dim[1] != x->dim[2] || x->dim[1] % patch)
    return vq_fail(VQ_ERR_SHAPE,
                   "patchify: x is %lld by %lld and must be square, its side a multiple of the patch, %lld",
                   (long long)x->dim[2], (long long)x->dim[1], (long long)patch);
  for (int i = 0; i < 3; i++)
    if (!isfinite(c->attr->f[i]) || !(c->attr->f[3 + i] > 0))
      return vq_fail(VQ_ERR_ARGUMENT,
                     "patchify: channel %d has mean %g and standard deviation %g: the mean must be "
                     "finite and the deviation above 0",
                     i, c->attr->f[i], c->attr->f[3 + i]);
  int64_t side = x->dim[1] / patch;
  *out = vq_shape_make(vq_device_activations(c->device), 3, (int64_t[]){x->dim[0], side * side, patch * patch * 3});
  return VQ_OK;
}

/* Where the line of a patch lies: pixels [column * P, (column + 1) * P) of row m of all pictures' rows. */
typedef struct place {
  int64_t x, y; /* elements before it */
} place;

static place place_of(const vq_call *c, int64_t m, int64_t column)
{
  int64_t S = c->in[0]->dim[1], P = c->attr->i[0], side = S / P;
  int64_t image = m / S, row = m % S;
  int64_t patch = (image * side + row / P) * side + column;
  return (place){(m * S + column * P) * 3, (patch * P + row % P) * P * 3};
}

static void patchify_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t P = c->attr->i[0], side = c->in[0]->dim[1] / P;
  vq_real mean[3], std[3];
  for (int i = 0; i < 3; i++) {
    mean[i] = (vq_real)c->attr->f[i];
    std[i] = (vq_real)c->attr->f[3 + i];
  }
  for (int64_t m = from; m < to; m++)
    for (int64_t column = 0; column < side; column++) {
      place at = place_of(c, m, column);
      const vq_real *x = vq_values(c->in[0]) + at.x;
      vq_real *y = vq_values(c->out) + at.y;
      for (int64_t p = 0; p < 3 * P; p += 3)
        for (int i = 0; i < 3; i++)
          y[p + i] = (x[p + i] - mean[i]) / std[i];
    }
}

static void unpatchify_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t P = c->attr->i[0], side = c->in[0]->dim[1] / P;
  bool add = vq_adds(c, 0);
  for (int64_t m = from; m < to; m++)
    for (int64_t column = 0; column < side; column++) {
      place at = place_of(c, m, column);
      const vq_real *dy = vq_grad(c->out) + at.y;
      vq_real *dx = vq_grad(c->in[0]) + at.x;
      for (int64_t p = 0; p < 3 * P; p += 3)
        for (int i = 0; i < 3; i++)
          vq_put(dx + p + i, add, dy[p + i] / (vq_real)c->attr->f[3 + i]);
    }
}

static vq_status patchify_forward_cpu(const vq_call *c)
{
  const vq_tensor *x = c->in[0];
  vq_parallel_rows(c, x->dim[0] * x->dim[1], 6 * x->dim[2], patchify_rows);
  return VQ_OK;
}

static vq_status patchify_backward_cpu(const vq_call *c)
{
  const vq_tensor *x = c->in[0];
  vq_parallel_rows(c, x->dim[0] * x->dim[1], 6 * x->dim[2], unpatchify_rows);
  return VQ_OK;
}

const vq_op vq_op_patchify = {
    .name = "patchify",
    .gives = 1,
    .shape = patchify_shape,
    .forward = patchify_forward_cpu,
    .backward = patchify_backward_cpu,
};

vq_tensor *vq_patchify(vq_tape *tape, vq_tensor *x, int patch, const double mean[3], const double std[3])
{
  vq_attr attr = {.i = {patch}, .f = {mean[0], mean[1], mean[2], std[0], std[1], std[2]}};
  return vq_record(tape, &vq_op_patchify, VQ_INPUTS(x), &attr);
}

/* ---- prepend ---- */

enum { X, FIRST, POS };

/* What may be BF16. */
#define MAY_BE_BF16 (1u << X)

static vq_status prepend_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X];
  (void)saved;
  VQ_TRY(vq_check_types_bf16(c, "prepend", 0, MAY_BE_BF16));
  VQ_TRY(vq_check_rank("prepend", "x", x, 3));
  VQ_TRY(vq_check_dims("prepend", "first", c->in[FIRST], 1, x->dim[2], -1, -1, -1));
  VQ_TRY(vq_check_dims("prepend", "pos", c->in[POS], 2, x->dim[1] + 1, x->dim[2], -1, -1));
  *out = vq_shape_make(x->dtype, 3, (int64_t[]){x->dim[0], x->dim[1] + 1, x->dim[2]});
  return VQ_OK;
}

static void prepend_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t T = c->out->dim[1], C = c->out->dim[2];
  for (int64_t m = from; m < to; m++) {
    int64_t image = m / T, t = m % T;
    const vq_real *x = t ? vq_values(c->in[X]) + (image * (T - 1) + t - 1) * C : vq_values(c->in[FIRST]);
    const vq_real *pos = vq_values(c->in[POS]) + t * C;
    vq_real *y = vq_values(c->out) + m * C;
    for (int64_t j = 0; j < C; j++)
      y[j] = x[j] + pos[j];
  }
}

static vq_status prepend_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, vq_rows(c->out), 2 * vq_last(c->out), prepend_rows);
  return VQ_OK;
}

static void dx_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t T = c->in[X]->dim[1], C = c->in[X]->dim[2];
  bool add = vq_adds(c, X);
  for (int64_t m = from; m < to; m++) {
    const vq_real *dy = vq_grad(c->out) + (m / T * (T + 1) + m % T + 1) * C;
    vq_real *dx = vq_grad(c->in[X]) + m * C;
    for (int64_t j = 0; j < C; j++)
      vq_put(dx + j, add, dy[j]);
  }
}

/* to[C] (+)= the sum over pictures of row t of dy */
static void sum_pictures(const vq_call *c, int64_t t, vq_real *to, bool add)
{
  int64_t T = c->out->dim[1], C = c->out->dim[2];
  if (!add)
    memset(to, 0, (size_t)C * sizeof *to);
  for (int64_t image = 0; image < c->out->dim[0]; image++) {
    const vq_real *dy = vq_grad(c->out) + (image * T + t) * C;
    for (int64_t j = 0; j < C; j++)
      to[j] += dy[j];
  }
}

static void dpos_rows(const vq_call *c, int64_t from, int64_t to)
{
  for (int64_t t = from; t < to; t++)
    sum_pictures(c, t, vq_grad(c->in[POS]) + t * vq_last(c->out), vq_adds(c, POS));
}

static vq_status prepend_backward_cpu(const vq_call *c)
{
  int64_t n = c->out->dim[0], T = c->out->dim[1], C = c->out->dim[2];
  if (vq_wants(c, X))
    vq_parallel_rows(c, n * (T - 1), C, dx_rows);
  if (vq_wants(c, FIRST))
    sum_pictures(c, 0, vq_grad(c->in[FIRST]), vq_adds(c, FIRST));
  if (vq_wants(c, POS))
    vq_parallel_rows(c, T, n * C, dpos_rows);
  return VQ_OK;
}

const vq_op vq_op_prepend = {
    .name = "prepend",
    .gives = 1u << X | 1u << FIRST | 1u << POS,
    .bf16 = MAY_BE_BF16,
    .shape = prepend_shape,
    .forward = prepend_forward_cpu,
    .backward = prepend_backward_cpu,
};

vq_tensor *vq_prepend(vq_tape *tape, vq_tensor *x, vq_tensor *first, vq_tensor *pos)
{
  return vq_record(tape, &vq_op_prepend, VQ_INPUTS(x, first, pos), NULL);
}
