/* warp.c -- warp on the CPU. Contract: warp.h. */
#include "kernels/warp/warp.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce.h"
#include "kernels/cpu/simd.h"

#include <math.h>
#include <string.h>

enum { X, MATRIX };
enum { PADDING }; /* attr.i */

static vq_status warp_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X];
  vq_shape matrices = vq_shape_make(VQ_F64, 3, (int64_t[]){x->dim[0], 3, 3});
  (void)saved;
  if (x->dtype != VQ_REAL)
    return vq_fail(VQ_ERR_SHAPE, "warp: x is %s and must be %s", vq_dtype_name(x->dtype), vq_dtype_name(VQ_REAL));
  VQ_TRY(vq_check_rank("warp", "x", x, 4));
  VQ_TRY(vq_check_same("warp", "M", c->in[MATRIX], &matrices));
  if (x->dim[1] * x->dim[2] * x->dim[3] > INT32_MAX)
    return vq_fail(VQ_ERR_SHAPE, "warp: a cutout of %lldx%lld is too large", (long long)x->dim[2],
                   (long long)x->dim[1]);
  *out = vq_shape_of(x);
  return VQ_OK;
}

static const double *matrix_of(const vq_call *c, int64_t j)
{
  return (const double *)vq_root(c->in[MATRIX])->data + 9 * j;
}

static bool is_identity(const double M[9])
{
  bool same = true;
  for (int i = 0; i < 9; i++)
    same = same && M[i] == (i % 4 == 0);
  return same;
}

/* ---- where a run of output pixels comes from ---- */

#define RUN 64

/* For each pixel of a run, the columns left and right of its point, as elements of a line, and the lines above and below, as elements
 * of a cutout; and the weights of each, 0 for one that is outside. */
typedef struct points {
  int32_t left[RUN], right[RUN], above[RUN], below[RUN];
  double w_left[RUN], w_right[RUN], w_above[RUN], w_below[RUN];
} points;

/* The two whole numbers around `at`, of 0 ... n - 1, times `step`, and their weights. */
static inline VQ_BODY void around(double at, int n, int step, bool border, int32_t *low, int32_t *high,
                                  double *w_low, double *w_high)
{
  double least = border ? 0 : -1, most = border ? n - 1 : n;
  at = at > least ? at : least; /* a NaN, too, is there */
  at = at < most ? at : most;
  int i = (int)(at + 1) - 1;
  double t = at - i;
  *w_low = i >= 0 && i < n ? 1 - t : 0;
  *w_high = i + 1 < n ? t : 0;
  *low = (i < 0 ? 0 : i < n ? i : n - 1) * step;
  *high = (i + 1 < n ? i + 1 : n - 1) * step;
}

/* Pixels q ... q + n - 1 of line r. */
static inline VQ_BODY void find(points *p, const vq_call *c, const double M[9], int64_t r, int64_t q, int64_t n)
{
  int H = (int)c->in[X]->dim[1], W = (int)c->in[X]->dim[2], C = (int)c->in[X]->dim[3];
  bool border = c->attr->i[PADDING] == VQ_WARP_BORDER;
  double u0 = M[1] * (double)r + M[2], v0 = M[4] * (double)r + M[5], w0 = M[7] * (double)r + M[8];
  double u[RUN], v[RUN];
  for (int i = 0; i < (int)n; i++) {
    double at = (double)((int)q + i), w = M[6] * at + w0;
    u[i] = (M[0] * at + u0) / w;
    v[i] = (M[3] * at + v0) / w;
  }
  for (int i = 0; i < (int)n; i++)
    around(u[i], W, C, border, &p->left[i], &p->right[i], &p->w_left[i], &p->w_right[i]);
  for (int i = 0; i < (int)n; i++)
    around(v[i], H, W * C, border, &p->above[i], &p->below[i], &p->w_above[i], &p->w_below[i]);
}

/* ---- forward ---- */

/* n pixels of C channels. */
static inline VQ_BODY void sample(const points *p, const vq_real *x, vq_real *y, int n, int C)
{
  for (int i = 0; i < n; i++) {
    const vq_real *a = x + p->above[i], *b = x + p->below[i];
    vq_real wa = (vq_real)p->w_above[i], wb = (vq_real)p->w_below[i];
    vq_real al = wa * (vq_real)p->w_left[i], ar = wa * (vq_real)p->w_right[i];
    vq_real bl = wb * (vq_real)p->w_left[i], br = wb * (vq_real)p->w_right[i];
    int l = p->left[i], r = p->right[i];
    for (int k = 0; k < C; k++)
      y[i * C + k] = (al * a[l + k] + ar * a[r + k]) + (bl * b[l + k] + br * b[r + k]);
  }
}

static inline VQ_BODY void forward_lines_body(const vq_call *c, int64_t from, int64_t to)
{
  const int64_t *d = c->in[X]->dim;
  int64_t H = d[1], W = d[2], C = d[3];
  points p;
  for (int64_t line = from; line < to; line++) {
    int64_t j = line / H;
    const double *M = matrix_of(c, j);
    const vq_real *x = vq_values(c->in[X]) + j * H * W * C;
    vq_real *y = vq_values(c->out) + line * W * C;
    if (is_identity(M)) {
      memcpy(y, x + line % H * W * C, (size_t)(W * C) * sizeof *y);
      continue;
    }
    for (int64_t q = 0; q < W; q += RUN) {
      int n = (int)(W - q < RUN ? W - q : RUN);
      find(&p, c, M, line % H, q, n);
      if (C == 3)
        sample(&p, x, y + q * C, n, 3);
      else
        sample(&p, x, y + q * C, n, (int)C);
    }
  }
}
VQ_LOOP(forward_lines, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

static vq_status warp_forward_cpu(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  vq_parallel_rows(c, d[0] * d[1], d[2] * (30 + 8 * d[3]), forward_lines);
  return VQ_OK;
}

/* ---- backward: one task a cutout, its sums in scratch ---- */

typedef struct sums {
  int64_t *sum;   /* [n,H,W,C] */
  double *excess; /* [n]: a sum of |dy| that is VQ_WARP_MOST or more, or no number; else 0 */
} sums;

static sums sums_of(const vq_call *c)
{
  int64_t *sum = c->scratch;
  return (sums){sum, (double *)(sum + vq_count(c->in[X]))};
}

static size_t warp_scratch(const vq_call *c, bool backward)
{
  return backward ? (size_t)vq_count(c->in[X]) * sizeof(int64_t) + (size_t)c->in[X]->dim[0] * sizeof(double) : 0;
}

static inline VQ_BODY double total(const vq_real *dy, int64_t n)
{
  double lane[VQ_LANES] = {0}, sum = 0;
  int64_t i = 0;
  for (; i + VQ_LANES <= n; i += VQ_LANES)
    for (int k = 0; k < VQ_LANES; k++)
      lane[k] += fabs((double)dy[i + k]);
  for (; i < n; i++)
    sum += fabs((double)dy[i]);
  for (int k = 0; k < VQ_LANES; k++)
    sum += lane[k];
  return sum;
}

static inline VQ_BODY void spread(const points *p, int64_t *sum, const vq_real *dy, int n, int C)
{
  for (int i = 0; i < n; i++) {
    int64_t *a = sum + p->above[i], *b = sum + p->below[i];
    double wa = p->w_above[i] * VQ_WARP_SCALE, wb = p->w_below[i] * VQ_WARP_SCALE;
    double al = wa * p->w_left[i], ar = wa * p->w_right[i], bl = wb * p->w_left[i], br = wb * p->w_right[i];
    int l = p->left[i], r = p->right[i];
    for (int k = 0; k < C; k++) {
      double g = (double)dy[i * C + k];
      a[l + k] += llrint(al * g);
      a[r + k] += llrint(ar * g);
      b[l + k] += llrint(bl * g);
      b[r + k] += llrint(br * g);
    }
  }
}

static inline VQ_BODY void spread_cutout(const vq_call *c, const double M[9], const vq_real *dy, int64_t *sum)
{
  const int64_t *d = c->in[X]->dim;
  int64_t H = d[1], W = d[2], C = d[3];
  points p;
  memset(sum, 0, (size_t)(H * W * C) * sizeof *sum);
  for (int64_t r = 0; r < H; r++)
    for (int64_t q = 0; q < W; q += RUN) {
      int n = (int)(W - q < RUN ? W - q : RUN);
      find(&p, c, M, r, q, n);
      if (C == 3)
        spread(&p, sum, dy + (r * W + q) * C, n, 3);
      else
        spread(&p, sum, dy + (r * W + q) * C, n, (int)C);
    }
}

static inline VQ_BODY void backward_cutouts_body(const vq_call *c, int64_t from, int64_t to)
{
  const int64_t *d = c->in[X]->dim;
  int64_t each = d[1] * d[2] * d[3];
  sums s = sums_of(c);
  bool add = vq_adds(c, X);
  for (int64_t j = from; j < to; j++) {
    const vq_real *dy = vq_grad(c->out) + j * each;
    vq_real *dx = vq_grad(c->in[X]) + j * each;
    int64_t *sum = s.sum + j * each;
    s.excess[j] = 0;
    if (is_identity(matrix_of(c, j))) {
      for (int64_t e = 0; e < each; e++)
        vq_put(&dx[e], add, dy[e]);
      continue;
    }
    double sum_of_dy = total(dy, each);
    if (!(sum_of_dy < VQ_WARP_MOST)) {
      s.excess[j] = sum_of_dy;
      continue;
    }
    spread_cutout(c, matrix_of(c, j), dy, sum);
    for (int64_t e = 0; e < each; e++)
      vq_put(&dx[e], add, (vq_real)((double)sum[e] / VQ_WARP_SCALE));
  }
}
VQ_LOOP(backward_cutouts, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

static vq_status warp_backward_cpu(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  vq_parallel_rows(c, d[0], d[1] * d[2] * (30 + 20 * d[3]), backward_cutouts);
  for (int64_t j = 0; j < d[0]; j++) {
    double excess = sums_of(c).excess[j];
    if (!isfinite(excess))
      return vq_fail(VQ_ERR_NAN, "warp: the gradient of cutout %lld has a value that is not finite", (long long)j);
    if (excess > 0)
      return vq_fail(
          VQ_ERR_ARGUMENT,
          "warp: the gradient of cutout %lld adds up to %.3g, and its fixed point holds less than %g: give the "
          "prompts smaller weights",
          (long long)j, excess, VQ_WARP_MOST);
  }
  return VQ_OK;
}

const vq_op vq_op_warp = {
    .name = "warp",
    .reads = {[X] = VQ_READS_IN(MATRIX)},
    .gives = 1u << X,
    .shape = warp_shape,
    .scratch = warp_scratch,
    .forward = warp_forward_cpu,
    .backward = warp_backward_cpu,
};

vq_tensor *vq_warp(vq_tape *tape, vq_tensor *x, vq_tensor *M, vq_warp_padding padding)
{
  vq_attr attr = {.i = {[PADDING] = padding}};
  return vq_record(tape, &vq_op_warp, VQ_INPUTS(x, M), &attr);
}
