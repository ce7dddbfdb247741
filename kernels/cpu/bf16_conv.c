/* bf16_conv.c -- products and convolutions by weights of BF16. Contract: bf16.h.
 *
 * x is rounded and copied once, with zeros around it. The pixels that a line of the kernel reads then lie side by side, kw * ci
 * numbers in one piece, and those of the next output pixel begin `stride` pixels on: a line of output pixels is a matrix product for each line
 * of the kernel, of the copy itself, read as a matrix whose rows overlap. Nothing is laid out pixel by pixel.
 *
 * A task is some lines of output pixels and a block of output channels. What it reads of the panels for DEPTH channels of two
 * panels, and 12 rows of A, stays in the first-level cache; with matrix tiles, in the second.
 */
#include "kernels/cpu/bf16.h"

#include "base/bf16.h"
#include "kernels/cpu/simd.h"

#define DEPTH       512
#define DEPTH_TILES 768  /* so that y is gone through once for 768 */
#define COLUMNS     64   /* output channels of a task */
#define MOST_PIXELS 416  /* of a line in one task: 8 cutouts with 50 tokens are one */
#define PIXELS      256  /* of a task where lines are short */
#define COPIED      8192 /* numbers of x that a task rounds */
#define MADE        2048 /* of those that are made as they are read, at a time */

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* ---- lines of pixels times panels ---- */

typedef struct lines {
  int64_t pictures, high, wide;       /* of pixels that are written */
  const uint16_t *a;                  /* the copy */
  int64_t a_picture, a_line, a_pixel; /* elements from what one pixel reads to what its neighbour does */
  int64_t taps, a_tap, k;             /* a pixel reads `taps` pieces of k elements, a_tap apart */
  const uint16_t *panels;
  int64_t n;
  const vq_real *bias, *skip;
  bool add;
  vq_real *y;
  int64_t y_picture, y_line, y_pixel;
  int64_t group, groups, part, parts, across; /* lines of a task, pixels of a line in one, blocks of channels */
} lines;

static void lines_task(void *context, int64_t task)
{
  const lines *l = context;
  int64_t column = task % l->across * COLUMNS, q = task / l->across % l->parts * l->part;
  int64_t first = task / l->across / l->parts * l->group, last = least(first + l->group, l->pictures * l->high);
  int64_t depth = vq_processor_has_tiles() ? DEPTH_TILES : DEPTH;
  int64_t apart = l->taps * l->k * VQ_BF16_PANEL, columns = least(COLUMNS, l->n - column);
  const uint16_t *panels = l->panels + column / VQ_BF16_PANEL * apart;
  for (int64_t tap = 0; tap < l->taps; tap++)
    for (int64_t p = 0; p < l->k; p += depth) {
      bool begins = !tap && !p;
      for (int64_t j = 0; j < columns; j += 2 * VQ_BF16_PANEL)
        for (int64_t line = first; line < last; line++) {
          int64_t picture = line / l->high, row = line % l->high;
          int64_t y = picture * l->y_picture + row * l->y_line + q * l->y_pixel + column + j;
          vq_bf16_multiply(&(vq_bf16_block){
              .m = least(l->part, l->wide - q),
              .n = least(2 * VQ_BF16_PANEL, columns - j),
              .k = least(depth, l->k - p),
              .a = l->a + picture * l->a_picture + row * l->a_line + q * l->a_pixel + tap * l->a_tap + p,
              .lda = l->a_pixel,
              .b = panels + j / VQ_BF16_PANEL * apart + (tap * l->k + p) * VQ_BF16_PANEL,
              .apart = apart,
              .bias = begins && l->bias ? l->bias + column + j : NULL,
              .skip = begins && l->skip ? l->skip + y : NULL,
              .add = l->add || !begins,
              .c = l->y + y,
              .ldc = l->y_pixel});
        }
    }
}

static void run_lines(vq_device *device, lines l)
{
  l.part = least(l.wide, MOST_PIXELS);
  l.parts = (l.wide + l.part - 1) / l.part;
  l.group = l.part >= PIXELS ? 1 : PIXELS / l.part;
  l.groups = (l.pictures * l.high + l.group - 1) / l.group;
  l.across = (l.n + COLUMNS - 1) / COLUMNS;
  vq_parallel(device->threads, l.groups * l.parts * l.across, lines_task, &l);
}

/* ---- x, rounded ---- */

/* What is copied: pictures [n,h,w,c] to [n,high,wide,c rounded up], theirs beginning at (top, left). */
typedef struct copy {
  const vq_real *x;
  vq_conv_read read; /* not NULL: makes x, which is NULL */
  const void *source;
  int64_t n, h, w, c, top, left, high, wide;
  uint16_t *to;
} copy;

static int64_t even(int64_t c)
{
  return c + c % 2;
}

static size_t copy_bytes(const copy *j)
{
  return (size_t)(j->n * j->high * j->wide * even(j->c)) * sizeof(uint16_t);
}

static inline VQ_BODY void round_reals_body(uint16_t *to, const vq_real *from, int64_t count)
{
  for (int64_t i = 0; i < count; i++)
    to[i] = vq_bf16_from_float((float)from[i]);
}
VQ_LOOP(round_reals, (uint16_t * to, const vq_real *from, int64_t count), (to, from, count))

static void zero(uint16_t *to, int64_t count)
{
  for (int64_t i = 0; i < count; i++)
    to[i] = 0;
}

/* Pixels [0, pixels) of a line of x, [j->c], to [even(j->c)]. */
static void copy_pixels(const copy *j, int64_t line, int64_t pixels, uint16_t *to)
{
  int64_t c = even(j->c), some = j->read ? MADE / j->c : pixels;
  vq_real made[MADE];
  for (int64_t first = 0; first < pixels; first += some) {
    int64_t count = least(some, pixels - first);
    const vq_real *x = j->read ? made : j->x + line * j->w * j->c;
    if (j->read)
      j->read(j->source, line / j->h, line % j->h, first, first + count, made);
    uint16_t *at = to + first * c;
    if (c == j->c)
      round_reals(at, x, count * c);
    else
      for (int64_t q = 0; q < count; q++) {
        round_reals(at + q * c, x + q * j->c, j->c);
        at[q * c + j->c] = 0;
      }
  }
}

static void copy_line(const copy *j, int64_t line)
{
  int64_t c = even(j->c), row = line % j->high - j->top;
  uint16_t *to = j->to + line * j->wide * c;
  if (row < 0 || row >= j->h) {
    zero(to, j->wide * c);
    return;
  }
  int64_t pixels = least(j->w, j->wide - j->left);
  zero(to, j->left * c);
  to += j->left * c;
  copy_pixels(j, line / j->high * j->h + row, pixels, to);
  zero(to + pixels * c, (j->wide - j->left - pixels) * c);
}

static int64_t lines_of_task(const copy *j)
{
  int64_t numbers = j->wide * even(j->c);
  return numbers > COPIED ? 1 : COPIED / numbers;
}

static void copy_task(void *context, int64_t task)
{
  const copy *j = context;
  int64_t some = lines_of_task(j);
  for (int64_t line = task * some; line < least((task + 1) * some, j->n * j->high); line++)
    copy_line(j, line);
}

static void run_copy(vq_device *device, copy *j)
{
  int64_t some = lines_of_task(j);
  vq_parallel(device->threads, (j->n * j->high + some - 1) / some, copy_task, j);
}

/* ---- products ---- */

/* Rows of a matrix as pictures of one pixel. */
static copy copy_of_rows(int64_t m, int64_t k)
{
  return (copy){.n = m, .h = 1, .w = 1, .c = k, .high = 1, .wide = 1};
}

size_t vq_bf16_linear_scratch(int64_t m, int64_t k)
{
  copy j = copy_of_rows(m, k);
  return copy_bytes(&j);
}

void vq_bf16_linear_cpu(vq_device *device, const vq_bf16_linear *g, void *scratch)
{
  copy j = copy_of_rows(g->m, g->k);
  j.x = g->x;
  j.to = scratch;
  run_copy(device, &j);
  run_lines(device, (lines){.pictures = 1,
                            .high = 1,
                            .wide = g->m,
                            .a = scratch,
                            .a_pixel = even(g->k),
                            .taps = 1,
                            .k = even(g->k),
                            .panels = g->panels,
                            .n = g->n,
                            .bias = g->bias,
                            .skip = g->skip,
                            .add = g->add,
                            .y = g->y,
                            .y_pixel = g->n});
}

/* ---- convolutions ---- */

/* With `upsample`, y's pixels of one parity read 2x2 pixels of x, from one further up or left for the even ones. */
static copy copy_for(const vq_conv_args *a)
{
  copy j = {.x = a->x,
            .read = a->read,
            .source = a->source,
            .n = a->n,
            .h = a->h,
            .w = a->w,
            .c = a->ci,
            .top = a->top,
            .left = a->left};
  j.high = a->upsample ? a->h + 2 : (a->oh - 1) * a->stride + a->kh;
  j.wide = a->upsample ? a->w + 2 : (a->ow - 1) * a->stride + a->kw;
  return j;
}

/* Nothing is made twice, so always, if a pixel has room. */
bool vq_bf16_conv_wants_read(const vq_conv_args *a)
{
  return a->ci <= MADE;
}

size_t vq_bf16_conv_scratch(const vq_conv_args *a)
{
  copy j = copy_for(a);
  return copy_bytes(&j);
}

void vq_bf16_conv(vq_device *device, const vq_conv_args *a, void *scratch)
{
  copy j = copy_for(a);
  int64_t c = even(a->ci), step = a->upsample ? 2 : 1, stride = a->upsample ? 1 : a->stride;
  int64_t kh = a->upsample ? 2 : a->kh, kw = a->upsample ? 2 : a->kw;
  j.to = scratch;
  run_copy(device, &j);
  lines l = {.pictures = a->n,
             .high = a->oh / step,
             .wide = a->ow / step,
             .a_picture = j.high * j.wide * c,
             .a_line = stride * j.wide * c,
             .a_pixel = stride * c,
             .taps = kh,
             .a_tap = j.wide * c,
             .k = kw * c,
             .n = a->co,
             .bias = a->bias,
             .skip = a->skip,
             .add = a->add,
             .y_picture = a->oh * a->ow * a->co,
             .y_line = step * a->ow * a->co,
             .y_pixel = step * a->co};
  for (int64_t r = 0; r < step; r++)
    for (int64_t q = 0; q < step; q++) {
      int64_t skips = (r * a->ow + q) * a->co;
      l.a = j.to + (r * j.wide + q) * c;
      l.panels =
          a->panels + (size_t)(r * step + q) * vq_bf16_panels_bytes(a->co, kh * kw, a->ci) / sizeof *l.panels;
      l.y = a->y + skips;
      l.skip = a->skip ? a->skip + skips : NULL;
      run_lines(device, l);
    }
}
