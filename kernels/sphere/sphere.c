/* sphere.c -- sphere on the CPU. Contract: sphere.h. */
#include "kernels/sphere/sphere.h"

#include "kernels/check.h"

#include <math.h>

enum { F, E };
enum { ROWS, TOTAL };  /* attr->i */
enum { WEIGHT, STOP }; /* attr->f */

#define SHORT 1e-12

static vq_status sphere_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *f = c->in[F], *e = c->in[E];
  int64_t rows = c->attr->i[ROWS], total = c->attr->i[TOTAL];
  (void)saved;
  VQ_TRY(vq_check_types(c, "sphere", 0));
  VQ_TRY(vq_check_rank("sphere", "f", f, 2));
  VQ_TRY(vq_check_dims("sphere", "e", e, 2, -1, f->dim[1], -1, -1));
  if (rows < 0 || rows > f->dim[0] || total < 1 || rows > total)
    return vq_fail(VQ_ERR_ARGUMENT, "sphere: %lld of %lld rows count, of %lld in all", (long long)rows,
                   (long long)f->dim[0], (long long)total);
  if (!isfinite(c->attr->f[WEIGHT]) || isnan(c->attr->f[STOP]))
    return vq_fail(VQ_ERR_ARGUMENT, "sphere: a weight of %g and a stop of %g: they must be numbers",
                   c->attr->f[WEIGHT], c->attr->f[STOP]);
  *out = vq_shape_make(VQ_REAL, 1, &f->dim[0]);
  return VQ_OK;
}

/* Scratch: the unit rows u [n,D] and v [m,D], then the lengths of f's and e's rows, and in the backward a gradient with regard to a
 * unit row for each of both. */
typedef struct sphere_job {
  const vq_call *c;
  int64_t n, m, D, rows;
  double sign, scale; /* of weight; |weight| / (total m) */
  double *unit, *length, *slope;
} sphere_job;

static sphere_job job_of(const vq_call *c)
{
  double weight = c->attr->f[WEIGHT];
  sphere_job j = {.c = c, .n = c->in[F]->dim[0], .m = c->in[E]->dim[0], .D = c->in[F]->dim[1]};
  j.rows = c->attr->i[ROWS];
  j.sign = (weight > 0) - (weight < 0);
  j.scale = fabs(weight) / (double)(c->attr->i[TOTAL] * j.m);
  j.unit = c->scratch;
  j.length = j.unit + (j.n + j.m) * j.D;
  j.slope = j.length + j.n + j.m;
  return j;
}

static size_t sphere_scratch(const vq_call *c, bool backward)
{
  int64_t n = c->in[F]->dim[0], m = c->in[E]->dim[0], D = c->in[F]->dim[1];
  return (size_t)((n + m) * (D * (backward ? 2 : 1) + 1)) * sizeof(double);
}

static void unit_task(void *context, int64_t row)
{
  const sphere_job *j = context;
  const vq_real *x =
      row < j->n ? vq_values(j->c->in[F]) + row * j->D : vq_values(j->c->in[E]) + (row - j->n) * j->D;
  double *unit = j->unit + row * j->D, sum = 0;
  for (int64_t d = 0; d < j->D; d++)
    sum += (double)x[d] * (double)x[d];
  j->length[row] = sqrt(sum);
  for (int64_t d = 0; d < j->D; d++)
    unit[d] = (double)x[d] / fmax(j->length[row], SHORT);
}

/* |u_i - v_j| / 2; two unit rows are at most 2 apart, but for rounding. */
static double half_chord(const sphere_job *j, int64_t row, int64_t other)
{
  const double *a = j->unit + row * j->D, *b = j->unit + other * j->D;
  double sum = 0;
  for (int64_t d = 0; d < j->D; d++)
    sum += (a[d] - b[d]) * (a[d] - b[d]);
  double h = sqrt(sum) / 2;
  return h > 1 ? 1 : h; /* a NaN stays one */
}

/* ---- forward ---- */

static void sum_task(void *context, int64_t row)
{
  const sphere_job *j = context;
  double sum = 0;
  for (int64_t other = j->n; row < j->rows && other < j->n + j->m; other++) {
    double angle = asin(half_chord(j, row, other));
    sum += j->sign * 2 * angle * angle;
  }
  vq_values(j->c->out)[row] = (vq_real)(j->scale * sum);
}

static vq_status sphere_forward_cpu(const vq_call *c)
{
  sphere_job j = job_of(c);
  vq_parallel(c->device->threads, j.n + j.m, unit_task, &j);
  vq_parallel(c->device->threads, j.n, sum_task, &j);
  return VQ_OK;
}

/* ---- backward ---- */

/* d y_i / d d_ij times what d d_ij / d u_i has besides (u_i - v_j) */
static double pull(const sphere_job *j, double h)
{
  double angle = asin(h), cosine = sqrt((1 - h) * (1 + h));
  double distance = j->sign * 2 * angle * angle, stop = j->c->attr->f[STOP];
  double passes = distance > stop ? 1 : distance == stop ? 0.5 : distance < stop ? 0 : NAN;
  if (cosine == 0)
    return 0;
  return passes * j->sign * j->scale * (h > 0 ? angle / (h * cosine) : 1);
}

/* One row's gradient: over the unit rows [from,to) of the other side, then through the division by the length. */
static void row_gradient(const sphere_job *j, int64_t row, int64_t from, int64_t to, bool add, vq_real *dx)
{
  const double *unit = j->unit + row * j->D;
  double *slope = j->slope + row * j->D, along = 0;
  const vq_real *dy = vq_grad(j->c->out);
  for (int64_t d = 0; d < j->D; d++)
    slope[d] = 0;
  for (int64_t other = from; other < to; other++) {
    double a = (double)dy[row < j->n ? row : other] * pull(j, half_chord(j, row, other));
    for (int64_t d = 0; d < j->D; d++)
      slope[d] += a * (unit[d] - j->unit[other * j->D + d]);
  }
  for (int64_t d = 0; d < j->D; d++)
    along += unit[d] * slope[d];
  if (j->length[row] < SHORT)
    along = 0;
  for (int64_t d = 0; d < j->D; d++)
    vq_put(&dx[d], add, (vq_real)((slope[d] - unit[d] * along) / fmax(j->length[row], SHORT)));
}

static void df_task(void *context, int64_t i)
{
  const sphere_job *j = context;
  int64_t to = i < j->rows ? j->n + j->m : j->n; /* padding: no others */
  row_gradient(j, i, j->n, to, vq_adds(j->c, F), vq_grad(j->c->in[F]) + i * j->D);
}

static void de_task(void *context, int64_t i)
{
  const sphere_job *j = context;
  row_gradient(j, j->n + i, 0, j->rows, vq_adds(j->c, E), vq_grad(j->c->in[E]) + i * j->D);
}

static vq_status sphere_backward_cpu(const vq_call *c)
{
  sphere_job j = job_of(c);
  vq_parallel(c->device->threads, j.n + j.m, unit_task, &j);
  if (vq_wants(c, F))
    vq_parallel(c->device->threads, j.n, df_task, &j);
  if (vq_wants(c, E))
    vq_parallel(c->device->threads, j.m, de_task, &j);
  return VQ_OK;
}

const vq_op vq_op_sphere = {
    .name = "sphere",
    .reads = {[F] = VQ_READS_IN(F) | VQ_READS_IN(E), [E] = VQ_READS_IN(F) | VQ_READS_IN(E)},
    .gives = 1u << F | 1u << E,
    .shape = sphere_shape,
    .scratch = sphere_scratch,
    .forward = sphere_forward_cpu,
    .backward = sphere_backward_cpu,
};

vq_tensor *vq_sphere(vq_tape *tape, vq_tensor *f, vq_tensor *e, double weight, double stop, int64_t rows,
                     int64_t total)
{
  vq_attr attr = {.i = {rows, total}, .f = {weight, stop}};
  return vq_record(tape, &vq_op_sphere, VQ_INPUTS(f, e), &attr);
}
