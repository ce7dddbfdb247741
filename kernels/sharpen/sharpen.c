/* sharpen.c -- sharpen on the CPU. Contract: sharpen.h. */
#include "kernels/sharpen/sharpen.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

#include <string.h>

enum { X, FACTOR };

static vq_status sharpen_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  VQ_TRY(vq_check_types(c, "sharpen", 0));
  VQ_TRY(vq_check_rank("sharpen", "x", c->in[X], 4));
  VQ_TRY(vq_check_dims("sharpen", "factor", c->in[FACTOR], 1, c->in[X]->dim[0], -1, -1, -1));
  *out = vq_shape_of(c->in[X]);
  return VQ_OK;
}

static vq_real held(vq_real v)
{
  return v < 0 ? 0 : v > 1 ? 1 : v;
}

static bool within(vq_real v)
{
  return v >= 0 && v <= 1;
}

/* One line of one cutout. */
typedef struct line {
  int64_t at, width, C; /* of its first element, in x; elements in it */
  bool inside;          /* neither the first line nor the last */
  vq_real factor;
  bool holds; /* its y are held to [0,1] */
} line;

static line line_of(const vq_call *c, int64_t i)
{
  const int64_t *d = c->in[X]->dim;
  vq_real f = vq_values(c->in[FACTOR])[i / d[1]];
  return (line){i * d[2] * d[3], d[2] * d[3], d[3], i % d[1] > 0 && i % d[1] < d[1] - 1, f, !within(f)};
}

/* The element's 3x3 neighbours, itself five times. */
static inline vq_real around(const vq_real *above, const vq_real *p, const vq_real *below, int64_t C)
{
  return ((above[-C] + above[0] + above[C]) + (below[-C] + below[0] + below[C]) + (p[-C] + p[C])) + 5 * p[0];
}

static inline vq_real around_pixel(const line *l, const vq_real *x)
{
  return around(x - l->width, x, x + l->width, l->C);
}

static inline vq_real blend(vq_real x, vq_real sum, vq_real f)
{
  vq_real blur = held(sum / 13);
  return blur + f * (x - blur);
}

static inline VQ_BODY void forward_lines_body(const vq_call *c, int64_t from, int64_t to)
{
  for (int64_t i = from; i < to; i++) {
    line l = line_of(c, i);
    const vq_real *x = vq_values(c->in[X]) + l.at;
    vq_real *y = vq_values(c->out) + l.at;
    memcpy(y, x, (size_t)l.width * sizeof *y);
    if (l.inside && l.factor != 1)
      for (int64_t e = l.C; e < l.width - l.C; e++)
        y[e] = blend(x[e], around_pixel(&l, x + e), l.factor);
    if (l.holds)
      for (int64_t e = 0; e < l.width; e++)
        y[e] = held(y[e]);
  }
}
VQ_LOOP(forward_lines, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

static vq_status sharpen_forward_cpu(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  vq_parallel_rows(c, d[0] * d[1], 15 * d[2] * d[3], forward_lines);
  return VQ_OK;
}

/* For each element, what its blur is told: d blur / 13 where the blur counts and was not held, else 0. */
static size_t sharpen_scratch(const vq_call *c, bool backward)
{
  return backward ? (size_t)vq_count(c->in[X]) * sizeof(vq_real) : 0;
}

static inline VQ_BODY void tell_lines_body(const vq_call *c, int64_t from, int64_t to)
{
  for (int64_t i = from; i < to; i++) {
    line l = line_of(c, i);
    const vq_real *x = vq_values(c->in[X]) + l.at, *dy = vq_grad(c->out) + l.at;
    vq_real *told = (vq_real *)c->scratch + l.at, part = (1 - l.factor) / 13;
    memset(told, 0, (size_t)l.width * sizeof *told);
    if (!l.inside || l.factor == 1)
      continue;
    for (int64_t e = l.C; e < l.width - l.C; e++) {
      vq_real sum = around_pixel(&l, x + e);
      bool counts = within(sum / 13) && (!l.holds || within(blend(x[e], sum, l.factor)));
      told[e] = counts ? part * dy[e] : 0;
    }
  }
}
VQ_LOOP(tell_lines, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

/* dx of elements [from, to): what y has of x itself. `inside`: they are blurred too. */
static inline VQ_BODY void give_part(const line *l, const vq_real *x, const vq_real *dy, vq_real *dx, bool add,
                                     int64_t from, int64_t to, bool inside)
{
  vq_real part = inside ? l->factor : 1;
  for (int64_t e = from; !l->holds && e < to; e++)
    vq_put(&dx[e], add, part * dy[e]);
  for (int64_t e = from; l->holds && e < to; e++) {
    vq_real y = inside ? blend(x[e], around_pixel(l, x + e), l->factor) : x[e];
    vq_put(&dx[e], add, within(y) ? part * dy[e] : 0);
  }
}

/* Adds what the blurs that an element is in were told. The first line and the last were told nothing, and stand for those beyond. */
static inline VQ_BODY void gather_line(const line *l, const vq_real *told, bool first, bool last, vq_real *dx)
{
  const vq_real *above = first ? told : told - l->width, *below = last ? told : told + l->width;
  int64_t C = l->C, width = l->width;
  if (width < 3 * C)
    return;
  for (int64_t e = 0; e < C; e++)
    dx[e] += above[e + C] + told[e + C] + below[e + C];
  for (int64_t e = C; e < width - C; e++)
    dx[e] += around(above + e, told + e, below + e, C);
  for (int64_t e = width - C; e < width; e++)
    dx[e] += above[e - C] + told[e - C] + below[e - C];
}

static inline VQ_BODY void backward_lines_body(const vq_call *c, int64_t from, int64_t to)
{
  int64_t H = c->in[X]->dim[1];
  bool add = vq_adds(c, X);
  for (int64_t i = from; i < to; i++) {
    line l = line_of(c, i);
    const vq_real *x = vq_values(c->in[X]) + l.at, *dy = vq_grad(c->out) + l.at;
    vq_real *dx = vq_grad(c->in[X]) + l.at;
    int64_t edge = l.inside && l.width > 2 * l.C ? l.C : l.width;
    give_part(&l, x, dy, dx, add, 0, edge, false);
    give_part(&l, x, dy, dx, add, edge, l.width - edge, true);
    give_part(&l, x, dy, dx, add, edge < l.width ? l.width - edge : l.width, l.width, false);
    if (l.factor != 1)
      gather_line(&l, (const vq_real *)c->scratch + l.at, i % H == 0, i % H == H - 1, dx);
  }
}
VQ_LOOP(backward_lines, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

static vq_status sharpen_backward_cpu(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  vq_parallel_rows(c, d[0] * d[1], 20 * d[2] * d[3], tell_lines);
  vq_parallel_rows(c, d[0] * d[1], 20 * d[2] * d[3], backward_lines);
  return VQ_OK;
}

const vq_op vq_op_sharpen = {
    .name = "sharpen",
    .reads = {[X] = VQ_READS_IN(X) | VQ_READS_IN(FACTOR)},
    .gives = 1u << X,
    .shape = sharpen_shape,
    .scratch = sharpen_scratch,
    .forward = sharpen_forward_cpu,
    .backward = sharpen_backward_cpu,
};

vq_tensor *vq_sharpen(vq_tape *tape, vq_tensor *x, vq_tensor *factor)
{
  return vq_record(tape, &vq_op_sharpen, VQ_INPUTS(x, factor), NULL);
}
