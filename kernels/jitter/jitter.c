/* jitter.c -- jitter on the CPU. Contract: jitter.h.
 *
 * Pixels go through their cutout's stages side by side, LANES of them: each stage is a loop without branches, and the
 * backward keeps what each stage was given.
 */
#include "kernels/jitter/jitter.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

#include <math.h>

enum { X, STAGE, AMOUNT };

enum { MEANING }; /* attr.i */

#define LANES 64

static vq_status jitter_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X];
  VQ_TRY(vq_check_types(c, "jitter", 1u << STAGE));
  VQ_TRY(vq_check_dims("jitter", "x", x, 4, -1, -1, -1, 3));
  VQ_TRY(vq_check_dims("jitter", "stage", c->in[STAGE], 2, x->dim[0], -1, -1, -1));
  VQ_TRY(vq_check_dims("jitter", "amount", c->in[AMOUNT], 2, x->dim[0], c->in[STAGE]->dim[1], -1, -1));
  if (c->in[STAGE]->dim[1] > VQ_JITTER_MOST)
    return vq_fail(VQ_ERR_SHAPE, "jitter: %lld stages are more than %d", (long long)c->in[STAGE]->dim[1],
                   VQ_JITTER_MOST);
  *out = vq_shape_of(x);
  *saved = vq_shape_make(VQ_REAL, 1, x->dim);
  return VQ_OK;
}

/* ---- one cutout's stages ---- */

typedef struct stages {
  int count, contrast; /* contrast: which one, or -1 */
  vq_jitter_stage stage[VQ_JITTER_MOST];
  vq_real amount[VQ_JITTER_MOST], eps, mean; /* mean: m, where it is known */
} stages;

static stages stages_of(const vq_call *c, int64_t j)
{
  int64_t K = c->in[STAGE]->dim[1];
  const int32_t *stage = (const int32_t *)vq_root(c->in[STAGE])->data + j * K;
  const vq_real *amount = vq_values(c->in[AMOUNT]) + j * K;
  stages s = {.contrast = -1, .eps = (vq_real)(c->attr->i[MEANING] == VQ_JITTER_KORNIA ? 1e-8 : 1e-6)};
  for (int64_t k = 0; k < K; k++)
    if (stage[k] != VQ_JITTER_NONE) {
      if (stage[k] == VQ_JITTER_CONTRAST)
        s.contrast = s.count;
      s.stage[s.count] = (vq_jitter_stage)stage[k];
      s.amount[s.count++] = amount[k];
    }
  return s;
}

static vq_status check_stages(const vq_call *c)
{
  int64_t n = c->in[X]->dim[0], K = c->in[STAGE]->dim[1];
  const int32_t *stage = (const int32_t *)vq_root(c->in[STAGE])->data;
  for (int64_t j = 0; j < n; j++) {
    int contrasts = 0;
    for (int64_t k = 0; k < K; k++) {
      contrasts += stage[j * K + k] == VQ_JITTER_CONTRAST;
      if (stage[j * K + k] < VQ_JITTER_NONE || stage[j * K + k] > VQ_JITTER_HUE || contrasts > 1)
        return vq_fail(VQ_ERR_ARGUMENT,
                       "jitter: stage %lld of cutout %lld is %d: there is none, or it is a second contrast",
                       (long long)k, (long long)j, (int)stage[j * K + k]);
    }
  }
  return VQ_OK;
}

/* ---- pixels side by side ---- */

typedef struct colours {
  vq_real c[3][LANES]; /* red, green, blue */
} colours;

/* n pixels, and black beyond them. */
static inline VQ_BODY void take(colours *p, const vq_real *x, int n)
{
  for (int k = 0; k < 3; k++) {
    for (int i = 0; i < n; i++)
      p->c[k][i] = x[3 * i + k];
    for (int i = n; i < LANES; i++)
      p->c[k][i] = 0;
  }
}

static inline VQ_BODY void give(vq_real *x, const colours *p, int n, bool add)
{
  for (int k = 0; k < 3; k++)
    for (int i = 0; i < n; i++)
      vq_put(&x[3 * i + k], add, p->c[k][i]);
}

static inline vq_real clamp(vq_real v)
{
  return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* 1 where the clamp passes a gradient. */
static inline vq_real passes(vq_real v)
{
  return v >= 0 && v <= 1 ? 1 : 0;
}

static inline vq_real gray(const colours *p, int i)
{
  return (vq_real)0.299 * p->c[0][i] + (vq_real)0.587 * p->c[1][i] + (vq_real)0.114 * p->c[2][i];
}

/* One pixel as hue, s and v, and what their gradients need. A comparison is a number, 1 or 0: a sum of products then stands for
 * a choice, and loops have no branches. */
typedef struct hsv {
  vq_real hue, s, v, d, low;
  vq_real red, green, blue; /* which of them v is: the first that is so large */
  vq_real numerator, slope; /* of hue, and 1 / d */
} hsv;

static inline hsv hsv_of(vq_real r, vq_real g, vq_real b, vq_real eps)
{
  hsv p;
  p.v = r > g ? r : g;
  p.v = p.v > b ? p.v : b;
  p.low = r < g ? r : g;
  p.low = p.low < b ? p.low : b;
  p.d = p.v - p.low;
  p.s = p.d / (p.v + eps);
  p.slope = 1 / (p.d == 0 ? 1 : p.d);
  p.red = r == p.v ? 1 : 0;
  p.green = (g == p.v ? 1 : 0) * (1 - p.red);
  p.blue = 1 - p.red - p.green;
  p.numerator = p.red * (g - b) + p.green * (b - r) + p.blue * (r - g);
  p.hue = 2 * p.green + 4 * p.blue + p.numerator * p.slope;
  p.hue = p.hue < 0 ? p.hue + 6 : p.hue;
  return p;
}

/* (n + hue) mod 6, for a hue in [0,12) */
static inline vq_real sector(vq_real n, vq_real hue)
{
  vq_real k = n + hue;
  k = k >= 12 ? k - 12 : k;
  return k >= 6 ? k - 6 : k;
}

static inline vq_real share(vq_real k)
{
  return clamp(k < 4 - k ? k : 4 - k);
}

static inline vq_real share_slope(vq_real k)
{
  return (k < 1 ? 1 : 0) - (k >= 3 ? 1 : 0) * (k < 4 ? 1 : 0);
}

/* Whole turns to sixths, in [0,6). */
static vq_real sixths(vq_real turns)
{
  double t = (double)turns - floor((double)turns);
  return (vq_real)(6 * (t < 1 ? t : 0));
}

/* a: what s is multiplied by; h: what is added to hue. */
static inline VQ_BODY void forward_hsv(colours *to, const colours *from, vq_real a, vq_real h, vq_real eps,
                                       bool holds)
{
  for (int i = 0; i < LANES; i++) {
    hsv p = hsv_of(from->c[0][i], from->c[1][i], from->c[2][i], eps);
    vq_real s = holds ? clamp(a * p.s) : a * p.s, hue = p.hue + h;
    to->c[0][i] = p.v - p.v * s * share(sector(5, hue));
    to->c[1][i] = p.v - p.v * s * share(sector(3, hue));
    to->c[2][i] = p.v - p.v * s * share(sector(1, hue));
  }
}

/* grad, of the output, becomes that of `from`. */
static inline VQ_BODY void backward_hsv(colours *grad, const colours *from, vq_real a, vq_real h, vq_real eps,
                                        bool holds)
{
  for (int i = 0; i < LANES; i++) {
    vq_real r = from->c[0][i], g = from->c[1][i], b = from->c[2][i];
    hsv p = hsv_of(r, g, b, eps);
    vq_real s = holds ? clamp(a * p.s) : a * p.s, hue = p.hue + h;
    vq_real dr = grad->c[0][i], dg = grad->c[1][i], db = grad->c[2][i];
    vq_real kr = sector(5, hue), kg = sector(3, hue), kb = sector(1, hue);
    vq_real along = dr * share(kr) + dg * share(kg) + db * share(kb);
    vq_real turning = dr * share_slope(kr) + dg * share_slope(kg) + db * share_slope(kb);
    vq_real ds = -p.v * along * a * (holds ? passes(a * p.s) : 1) / (p.v + eps);
    vq_real dnumerator =
        -p.v * s * turning * p.slope; /* where d is 0, so is the numerator, and what follows of it */
    vq_real dd = ds - dnumerator * p.numerator * p.slope;
    vq_real dv = (dr + dg + db) - s * along - ds * p.s + dd;
    vq_real low_red = r == p.low ? 1 : 0, low_green = (g == p.low ? 1 : 0) * (1 - low_red);
    grad->c[0][i] = p.red * dv + (p.blue - p.green) * dnumerator - low_red * dd;
    grad->c[1][i] = p.green * dv + (p.red - p.blue) * dnumerator - low_green * dd;
    grad->c[2][i] = p.blue * dv + (p.green - p.red) * dnumerator - (1 - low_red - low_green) * dd;
  }
}

/* y = clamp(a x + b), of each channel. */
static inline VQ_BODY void forward_line(colours *to, const colours *from, vq_real a, vq_real b)
{
  for (int k = 0; k < 3; k++)
    for (int i = 0; i < LANES; i++)
      to->c[k][i] = clamp(a * from->c[k][i] + b);
}

static inline VQ_BODY void backward_line(colours *grad, const colours *from, vq_real a, vq_real b)
{
  for (int k = 0; k < 3; k++)
    for (int i = 0; i < LANES; i++)
      grad->c[k][i] *= a * passes(a * from->c[k][i] + b);
}

static inline VQ_BODY void forward_gray(colours *to, const colours *from, vq_real a)
{
  for (int i = 0; i < LANES; i++) {
    vq_real other = (1 - a) * gray(from, i);
    for (int k = 0; k < 3; k++)
      to->c[k][i] = clamp(a * from->c[k][i] + other);
  }
}

static inline VQ_BODY void backward_gray(colours *grad, const colours *from, vq_real a)
{
  const vq_real weight[3] = {(vq_real)0.299, (vq_real)0.587, (vq_real)0.114};
  for (int i = 0; i < LANES; i++) {
    vq_real other = (1 - a) * gray(from, i), sum = 0;
    for (int k = 0; k < 3; k++) {
      grad->c[k][i] *= passes(a * from->c[k][i] + other);
      sum += grad->c[k][i];
    }
    for (int k = 0; k < 3; k++)
      grad->c[k][i] = a * grad->c[k][i] + (1 - a) * sum * weight[k];
  }
}

static inline VQ_BODY void forward_stage(colours *to, const colours *from, const stages *s, int k)
{
  vq_real a = s->amount[k];
  switch (s->stage[k]) {
  case VQ_JITTER_NONE: break;
  case VQ_JITTER_CLAMP: forward_line(to, from, 1, 0); break;
  case VQ_JITTER_SHIFT: forward_line(to, from, 1, a); break;
  case VQ_JITTER_SCALE: forward_line(to, from, a, 0); break;
  case VQ_JITTER_CONTRAST: forward_line(to, from, a, (1 - a) * s->mean); break;
  case VQ_JITTER_GRAY: forward_gray(to, from, a); break;
  case VQ_JITTER_SATURATION: forward_hsv(to, from, a, 0, s->eps, true); break;
  case VQ_JITTER_HUE: forward_hsv(to, from, 1, sixths(a), s->eps, false); break;
  }
}

/* All but what goes through m. */
static inline VQ_BODY void backward_stage(colours *grad, const colours *from, const stages *s, int k)
{
  vq_real a = s->amount[k];
  switch (s->stage[k]) {
  case VQ_JITTER_NONE: break;
  case VQ_JITTER_CLAMP: backward_line(grad, from, 1, 0); break;
  case VQ_JITTER_SHIFT: backward_line(grad, from, 1, a); break;
  case VQ_JITTER_SCALE: backward_line(grad, from, a, 0); break;
  case VQ_JITTER_CONTRAST: backward_line(grad, from, a, (1 - a) * s->mean); break;
  case VQ_JITTER_GRAY: backward_gray(grad, from, a); break;
  case VQ_JITTER_SATURATION: backward_hsv(grad, from, a, 0, s->eps, true); break;
  case VQ_JITTER_HUE: backward_hsv(grad, from, 1, sixths(a), s->eps, false); break;
  }
}

/* ---- forward ---- */

/* One sum for each line, of gray where contrast comes, or, backward, of what contrast's clamp passes. */
static size_t jitter_scratch(const vq_call *c, bool backward)
{
  (void)backward;
  return (size_t)(c->in[X]->dim[0] * c->in[X]->dim[1]) * sizeof(double);
}

static double line_sum(const vq_call *c, int64_t j)
{
  int64_t H = c->in[X]->dim[1];
  const double *line = (const double *)c->scratch + j * H;
  double sum = 0;
  for (int64_t r = 0; r < H; r++)
    sum += line[r];
  return sum;
}

/* Sums of gray, for those cutouts whose contrast needs their mean. */
static inline VQ_BODY void gray_lines_body(const vq_call *c, int64_t from, int64_t to)
{
  int64_t H = c->in[X]->dim[1], W = c->in[X]->dim[2];
  colours p;
  for (int64_t line = from; line < to; line++) {
    stages s = stages_of(c, line / H);
    double sum = 0;
    for (int64_t q = 0; s.contrast >= 0 && q < W; q += LANES) {
      int n = (int)(W - q < LANES ? W - q : LANES);
      take(&p, vq_values(c->in[X]) + (line * W + q) * 3, n);
      for (int k = 0; k < s.contrast; k++)
        forward_stage(&p, &p, &s, k);
      for (int i = 0; i < n; i++)
        sum += (double)gray(&p, i);
    }
    ((double *)c->scratch)[line] = sum;
  }
}
VQ_LOOP(gray_lines, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

static inline VQ_BODY void forward_lines_body(const vq_call *c, int64_t from, int64_t to)
{
  int64_t H = c->in[X]->dim[1], W = c->in[X]->dim[2];
  colours p;
  for (int64_t line = from; line < to; line++) {
    stages s = stages_of(c, line / H);
    s.mean = ((const vq_real *)c->saved->data)[line / H];
    for (int64_t q = 0; q < W; q += LANES) {
      int n = (int)(W - q < LANES ? W - q : LANES);
      int64_t at = (line * W + q) * 3;
      take(&p, vq_values(c->in[X]) + at, n);
      for (int k = 0; k < s.count; k++)
        forward_stage(&p, &p, &s, k);
      give(vq_values(c->out) + at, &p, n, false);
    }
  }
}
VQ_LOOP(forward_lines, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

static int64_t cost_of(const vq_call *c)
{
  return c->in[X]->dim[2] * c->in[STAGE]->dim[1] * 20;
}

static vq_status jitter_forward_cpu(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  VQ_TRY(check_stages(c));
  vq_parallel_rows(c, d[0] * d[1], cost_of(c), gray_lines);
  for (int64_t j = 0; j < d[0]; j++)
    ((vq_real *)c->saved->data)[j] = (vq_real)(line_sum(c, j) / (double)(d[1] * d[2]));
  vq_parallel_rows(c, d[0] * d[1], cost_of(c), forward_lines);
  return VQ_OK;
}

/* ---- backward ---- */

/* What each stage was given, and the gradient of the last one's output. */
static inline VQ_BODY void open_pixels(const vq_call *c, const stages *s, int64_t at, int n,
                                       colours given[VQ_JITTER_MOST], colours *grad)
{
  take(&given[0], vq_values(c->in[X]) + at, n);
  for (int k = 0; k + 1 < s->count; k++)
    forward_stage(&given[k + 1], &given[k], s, k);
  take(grad, vq_grad(c->out) + at, n);
}

/* For each line, the sum of what reaches contrast's output and is not stopped by its clamp. */
static inline VQ_BODY void contrast_lines_body(const vq_call *c, int64_t from, int64_t to)
{
  int64_t H = c->in[X]->dim[1], W = c->in[X]->dim[2];
  colours given[VQ_JITTER_MOST], grad;
  for (int64_t line = from; line < to; line++) {
    stages s = stages_of(c, line / H);
    double sum = 0;
    s.mean = ((const vq_real *)c->saved->data)[line / H];
    for (int64_t q = 0; s.contrast >= 0 && q < W; q += LANES) {
      int n = (int)(W - q < LANES ? W - q : LANES);
      open_pixels(c, &s, (line * W + q) * 3, n, given, &grad);
      for (int k = s.count - 1; k > s.contrast; k--)
        backward_stage(&grad, &given[k], &s, k);
      vq_real a = s.amount[s.contrast], b = (1 - a) * s.mean;
      for (int k = 0; k < 3; k++)
        for (int i = 0; i < n; i++)
          sum += (double)(grad.c[k][i] * passes(a * given[s.contrast].c[k][i] + b));
    }
    ((double *)c->scratch)[line] = sum;
  }
}
VQ_LOOP(contrast_lines, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

static inline VQ_BODY void backward_lines_body(const vq_call *c, int64_t from, int64_t to)
{
  const double weight[3] = {0.299, 0.587, 0.114};
  int64_t H = c->in[X]->dim[1], W = c->in[X]->dim[2];
  colours given[VQ_JITTER_MOST], grad;
  for (int64_t line = from; line < to; line++) {
    stages s = stages_of(c, line / H);
    s.mean = ((const vq_real *)c->saved->data)[line / H];
    double dm = s.contrast < 0 ? 0 : (1 - (double)s.amount[s.contrast]) * line_sum(c, line / H) / (double)(H * W);
    for (int64_t q = 0; q < W; q += LANES) {
      int n = (int)(W - q < LANES ? W - q : LANES);
      int64_t at = (line * W + q) * 3;
      open_pixels(c, &s, at, n, given, &grad);
      for (int k = s.count - 1; k >= 0; k--) {
        backward_stage(&grad, &given[k], &s, k);
        for (int i = 0; k == s.contrast && i < 3 * LANES; i++)
          grad.c[i / LANES][i % LANES] += (vq_real)(dm * weight[i / LANES]);
      }
      give(vq_grad(c->in[X]) + at, &grad, n, vq_adds(c, X));
    }
  }
}
VQ_LOOP(backward_lines, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

static vq_status jitter_backward_cpu(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  vq_parallel_rows(c, d[0] * d[1], 2 * cost_of(c), contrast_lines);
  vq_parallel_rows(c, d[0] * d[1], 3 * cost_of(c), backward_lines);
  return VQ_OK;
}

const vq_op vq_op_jitter = {
    .name = "jitter",
    .reads = {[X] = VQ_READS_IN(X) | VQ_READS_IN(STAGE) | VQ_READS_IN(AMOUNT) | VQ_READS_SAVED},
    .gives = 1u << X,
    .shape = jitter_shape,
    .scratch = jitter_scratch,
    .forward = jitter_forward_cpu,
    .backward = jitter_backward_cpu,
};

vq_tensor *vq_jitter(vq_tape *tape, vq_tensor *x, vq_tensor *stage, vq_tensor *amount, vq_jitter_meaning meaning)
{
  vq_attr attr = {.i = {[MEANING] = meaning}};
  return vq_record(tape, &vq_op_jitter, VQ_INPUTS(x, stage, amount), &attr);
}

/* ---- kornia's draws as stages ---- */

void vq_jitter_stages(int32_t stage[VQ_JITTER_STAGES], vq_real amount[VQ_JITTER_STAGES], vq_jitter_meaning meaning,
                      const double factor[4], const int order[4])
{
  static const double neutral[4] = {1, 1, 1, 0};
  static const vq_jitter_stage old[4] = {VQ_JITTER_SHIFT, VQ_JITTER_SCALE, VQ_JITTER_SATURATION, VQ_JITTER_HUE};
  static const vq_jitter_stage now[4] = {VQ_JITTER_SCALE, VQ_JITTER_CONTRAST, VQ_JITTER_GRAY, VQ_JITTER_HUE};
  stage[0] = meaning == VQ_JITTER_KORNIA ? VQ_JITTER_CLAMP : VQ_JITTER_NONE;
  amount[0] = 0;
  for (int k = 0; k < 4; k++) {
    int what = order[k];
    bool idle = meaning == VQ_JITTER_KORNIA && factor[what] == neutral[what];
    stage[k + 1] = idle ? VQ_JITTER_NONE : meaning == VQ_JITTER_KORNIA ? now[what] : old[what];
    amount[k + 1] = (vq_real)(stage[k + 1] == VQ_JITTER_SHIFT ? factor[what] - 1 : factor[what]);
  }
}
