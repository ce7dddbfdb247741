/* max_pool.c -- max_pool on the CPU. Contract: max_pool.h. */
#include "kernels/max_pool/max_pool.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"

enum { X };
enum { SIDE };  /* attr.i */
enum { SHARE }; /* attr.f */

static vq_status max_pool_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X];
  int64_t S = c->attr->i[SIDE];
  VQ_TRY(vq_check_types(c, "max_pool", 0));
  VQ_TRY(vq_check_rank("max_pool", "x", x, 4));
  if (S < 1 || !(c->attr->f[SHARE] >= 0 && c->attr->f[SHARE] <= 1))
    return vq_fail(VQ_ERR_ARGUMENT,
                   "max_pool: to a side of %lld by a share of %g: it must be 1 or more, from 0 to 1", (long long)S,
                   c->attr->f[SHARE]);
  if (x->dim[1] * x->dim[2] > INT32_MAX)
    return vq_fail(VQ_ERR_SHAPE, "max_pool: a picture of %lldx%lld is too large", (long long)x->dim[2],
                   (long long)x->dim[1]);
  *out = vq_shape_make(VQ_REAL, 4, (int64_t[]){x->dim[0], S, S, x->dim[3]});
  *saved = vq_shape_make(VQ_I32, 4, out->dim);
  return VQ_OK;
}

/* [from, to) */
typedef struct range {
  int64_t from, to;
} range;

/* The inputs of window i, of n inputs to S windows. */
static range window(int64_t i, int64_t n, int64_t S)
{
  return (range){i * n / S, ((i + 1) * n + S - 1) / S};
}

/* The windows that input p is in: the same question with n and S changed over. */
static range windows_with(int64_t p, int64_t n, int64_t S)
{
  return window(p, S, n);
}

static int64_t size_of(range r)
{
  return r.to - r.from;
}

/* One window of one channel; x is the picture's at that channel. */
static vq_real pool(const vq_real *x, range rows, range columns, int64_t W, int64_t C, vq_real share,
                    int32_t *where)
{
  vq_real most = x[(rows.from * W + columns.from) * C], sum = 0;
  *where = (int32_t)(rows.from * W + columns.from);
  for (int64_t r = rows.from; r < rows.to; r++)
    for (int64_t q = columns.from; q < columns.to; q++) {
      vq_real v = x[(r * W + q) * C];
      sum += v;
      if (v > most || (v != v && most == most)) { /* the first NaN stays */
        most = v;
        *where = (int32_t)(r * W + q);
      }
    }
  return share * most + (1 - share) * sum / (vq_real)(size_of(rows) * size_of(columns));
}

static void forward_lines(const vq_call *c, int64_t from, int64_t to)
{
  const int64_t *d = c->in[X]->dim;
  int64_t H = d[1], W = d[2], C = d[3], S = c->attr->i[SIDE];
  for (int64_t line = from; line < to; line++) {
    const vq_real *x = vq_values(c->in[X]) + line / S * H * W * C;
    vq_real *y = vq_values(c->out) + line * S * C;
    int32_t *where = (int32_t *)c->saved->data + line * S * C;
    for (int64_t q = 0; q < S; q++)
      for (int64_t i = 0; i < C; i++)
        y[q * C + i] = pool(x + i, window(line % S, H, S), window(q, W, S), W, C, (vq_real)c->attr->f[SHARE],
                            &where[q * C + i]);
  }
}

static vq_status max_pool_forward_cpu(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  int64_t S = c->attr->i[SIDE];
  vq_parallel_rows(c, d[0] * S, 4 * (d[1] / S + 2) * (d[2] + 2 * S) * d[3], forward_lines);
  return VQ_OK;
}

/* What the windows say of input p = (r, q), channel i; dy and where are the picture's at that channel. */
static vq_real slope(const vq_call *c, const vq_real *dy, const int32_t *where, int64_t r, int64_t q)
{
  const int64_t *d = c->in[X]->dim;
  int64_t H = d[1], W = d[2], C = d[3], S = c->attr->i[SIDE];
  range rows = windows_with(r, H, S), columns = windows_with(q, W, S);
  vq_real share = (vq_real)c->attr->f[SHARE], sum = 0;
  for (int64_t a = rows.from; a < rows.to; a++)
    for (int64_t b = columns.from; b < columns.to; b++) {
      int64_t at = (a * S + b) * C, size = size_of(window(a, H, S)) * size_of(window(b, W, S));
      sum += (1 - share) * dy[at] / (vq_real)size;
      if (where[at] == r * W + q)
        sum += share * dy[at];
    }
  return sum;
}

static void backward_lines(const vq_call *c, int64_t from, int64_t to)
{
  const int64_t *d = c->in[X]->dim;
  int64_t H = d[1], W = d[2], C = d[3], S = c->attr->i[SIDE];
  for (int64_t line = from; line < to; line++) {
    const vq_real *dy = vq_grad(c->out) + line / H * S * S * C;
    const int32_t *where = (const int32_t *)c->saved->data + line / H * S * S * C;
    vq_real *dx = vq_grad(c->in[X]) + line * W * C;
    for (int64_t q = 0; q < W; q++)
      for (int64_t i = 0; i < C; i++)
        vq_put(&dx[q * C + i], vq_adds(c, X), slope(c, dy + i, where + i, line % H, q));
  }
}

static vq_status max_pool_backward_cpu(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  int64_t S = c->attr->i[SIDE];
  vq_parallel_rows(c, d[0] * d[1], 10 * (S / d[1] + 2) * (S + 2 * d[2]) * d[3], backward_lines);
  return VQ_OK;
}

const vq_op vq_op_max_pool = {
    .name = "max_pool",
    .reads = {[X] = VQ_READS_SAVED},
    .gives = 1u << X,
    .shape = max_pool_shape,
    .forward = max_pool_forward_cpu,
    .backward = max_pool_backward_cpu,
};

vq_tensor *vq_max_pool(vq_tape *tape, vq_tensor *x, int64_t side, double share)
{
  vq_attr attr = {.i = {[SIDE] = side}, .f = {[SHARE] = share}};
  return vq_record(tape, &vq_op_max_pool, VQ_INPUTS(x), &attr);
}
