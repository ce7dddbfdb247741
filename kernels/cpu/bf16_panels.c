/* bf16_panels.c -- weights of BF16 as panels, and rows times panels. Contract: bf16.h. */
#include "kernels/cpu/bf16.h"

#include "autograd/op.h"
#include "base/bf16.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>
#include <string.h>

/* ---- panels ---- */

static int64_t even(int64_t c)
{
  return c + c % 2;
}

static int64_t panels_of(int64_t n)
{
  return (n + VQ_BF16_PANEL - 1) / VQ_BF16_PANEL;
}

size_t vq_bf16_panels_bytes(int64_t n, int64_t taps, int64_t c)
{
  return (size_t)(panels_of(n) * VQ_BF16_PANEL * taps * even(c)) * sizeof(uint16_t);
}

/* Where element (row, tap, channel) stands in panels of [., taps, c]. */
static int64_t place_of(int64_t row, int64_t tap, int64_t channel, int64_t taps, int64_t c)
{
  int64_t pair = (row / VQ_BF16_PANEL * taps + tap) * (even(c) / 2) + channel / 2;
  return (pair * VQ_BF16_PANEL + row % VQ_BF16_PANEL) * 2 + channel % 2;
}

/* How a weight's panels are filled: from reals, from BF16 in the order of the weight, or from its other panels. */
typedef struct filling {
  const vq_real *reals;
  const uint16_t *stored, *other;
  int64_t n, taps, c;
  uint16_t *panels;
} filling;

static uint16_t value(const filling *f, int64_t row, int64_t tap, int64_t channel)
{
  if (f->other) /* [c, taps, n], turned */
    return f->other[place_of(channel, f->taps - 1 - tap, row, f->taps, f->n)];
  int64_t at = (row * f->taps + tap) * f->c + channel;
  return f->stored ? f->stored[at] : vq_bf16_from_float((float)f->reals[at]);
}

static void panel_task(void *context, int64_t panel)
{
  const filling *f = context;
  int64_t first = panel * VQ_BF16_PANEL, pairs = even(f->c) / 2;
  uint16_t *to = f->panels + panel * VQ_BF16_PANEL * f->taps * 2 * pairs;
  for (int64_t tap = 0; tap < f->taps; tap++)
    for (int64_t pair = 0; pair < pairs; pair++)
      for (int64_t row = first; row < first + VQ_BF16_PANEL; row++)
        for (int64_t channel = 2 * pair; channel < 2 * pair + 2; channel++)
          *to++ = row < f->n && channel < f->c ? value(f, row, tap, channel) : 0;
}

static void fill(vq_threads *threads, filling f)
{
  vq_parallel(threads, panels_of(f.n), panel_task, &f);
}

void vq_bf16_lay_out(vq_threads *threads, const vq_real *from, int64_t n, int64_t taps, int64_t c, uint16_t *panels)
{
  fill(threads, (filling){.reals = from, .n = n, .taps = taps, .c = c, .panels = panels});
}

/* ---- a weight's forms ---- */

static vq_status prepare_forward(vq_device *device, vq_tensor *w, int64_t n, int64_t taps, int64_t c)
{
  vq_shape s = vq_shape_of(w);
  size_t bytes = vq_bf16_panels_bytes(n, taps, c), stored = vq_shape_bytes(&s);
  if (bytes == stored)
    w->prepared[VQ_FORWARD] = w->data;
  else
    VQ_TRY(vq_weights_take(device, bytes, &w->prepared[VQ_FORWARD]));
  uint16_t *copy = device->plan ? NULL : malloc(stored + 1);
  if (!copy && !device->plan) {
    w->prepared[VQ_FORWARD] = NULL;
    return vq_fail(VQ_ERR_MEMORY, "no memory to lay a weight out");
  }
  if (copy) {
    memcpy(copy, w->data, stored);
    fill(device->threads,
         (filling){.stored = copy, .n = n, .taps = taps, .c = c, .panels = w->prepared[VQ_FORWARD]});
    free(copy);
  }
  if (bytes != stored)
    vq_weight_drop(device, w);
  return VQ_OK;
}

vq_status vq_bf16_prepare(vq_device *device, vq_tensor *w, bool back)
{
  int64_t n = w->dim[0], c = vq_last(w), taps = vq_count(w) / (n * c);
  if (!w->prepared[VQ_FORWARD])
    VQ_TRY(prepare_forward(device, w, n, taps, c));
  if (!back || w->prepared[VQ_BACKWARD])
    return VQ_OK;
  VQ_TRY(vq_weights_take(device, vq_bf16_panels_bytes(c, taps, n), &w->prepared[VQ_BACKWARD]));
  if (!device->plan)
    fill(device->threads,
         (filling){
             .other = w->prepared[VQ_FORWARD], .n = c, .taps = taps, .c = n, .panels = w->prepared[VQ_BACKWARD]});
  return VQ_OK;
}

void vq_bf16_read(const vq_tensor *w, vq_real *to)
{
  const uint16_t *panels = w->prepared[VQ_FORWARD];
  int64_t n = w->dim[0], c = vq_last(w), taps = vq_count(w) / (n * c);
  for (int64_t row = 0; row < n; row++)
    for (int64_t tap = 0; tap < taps; tap++)
      for (int64_t channel = 0; channel < c; channel++)
        *to++ = (vq_real)vq_bf16_to_float(panels[place_of(row, tap, channel, taps, c)]);
}

/* ---- rows times panels ---- */

static void multiply_plain(const vq_bf16_block *g)
{
  for (int64_t i = 0; i < g->m; i++)
    for (int64_t j = 0; j < g->n; j++) {
      const uint16_t *a = g->a + i * g->lda;
      const uint16_t *b = g->b + j / VQ_BF16_PANEL * g->apart + j % VQ_BF16_PANEL * 2;
      float sum = 0;
      for (int64_t p = 0; p < g->k; p++)
        sum += vq_bf16_to_float(a[p]) * vq_bf16_to_float(b[p / 2 * 2 * VQ_BF16_PANEL + p % 2]);
      vq_real *c = g->c + i * g->ldc + j, was = g->add ? *c : 0;
      *c = was + sum + (g->bias ? g->bias[j] : 0) + (g->skip ? g->skip[i * g->ldc + j] : 0);
    }
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(VQ_DOUBLE)

#include <immintrin.h>

#define DOTS __attribute__((target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,avx512bf16")))

#define ROWS 12 /* of A in hand at most: 24 sums of 16 in registers */

typedef int32_t two __attribute__((aligned(2), may_alias)); /* neighbours in a row of A */

/* `rows` rows times 16 or, `across` 2, 32 columns, of which the last vector writes those in `mask`. As in panels.c, rows are reached
 * from every third. */
DOTS static inline VQ_BODY void block(int rows, int across, const vq_bf16_block *g, int64_t from, const uint16_t *b,
                                      int64_t column, __mmask16 mask)
{
  const uint16_t *a[(ROWS + 2) / 3];
  const int64_t k = g->k, lda = g->lda, apart = g->apart;
  __m512 sum[ROWS][2];
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < across; v++)
      sum[i][v] = _mm512_setzero_ps();
  for (int i = 0; i < rows; i += 3)
    a[i / 3] = g->a + (from + i) * lda;
  for (int64_t p = 0; p < k; p += 2, b += 2 * VQ_BF16_PANEL) {
    for (int i = 0; i < rows; i++) {
      __m512bh x = (__m512bh)_mm512_set1_epi32(*(const two *)(a[i / 3] + i % 3 * lda));
      for (int v = 0; v < across; v++)
        sum[i][v] = _mm512_dpbf16_ps(sum[i][v], x, (__m512bh)_mm512_loadu_si512(b + v * apart));
    }
    for (int i = 0; i < rows; i += 3)
      a[i / 3] += 2;
  }
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < across; v++) {
      int64_t at = (from + i) * g->ldc + column + v * VQ_BF16_PANEL;
      __mmask16 some = v == across - 1 ? mask : (__mmask16)-1;
      __m512 y = sum[i][v];
      if (g->bias)
        y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(some, g->bias + column + v * VQ_BF16_PANEL));
      if (g->skip)
        y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(some, g->skip + at));
      if (g->add)
        y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(some, g->c + at));
      _mm512_mask_storeu_ps(g->c + at, some, y);
    }
}

/* All rows; the compiler makes a block of each number of them. Four rows alone would leave the dot products waiting for each other, so that
 * 16 are twice 8. */
DOTS static inline VQ_BODY void all_rows(int across, const vq_bf16_block *g, const uint16_t *b, int64_t column,
                                         __mmask16 mask)
{
  int64_t i = 0;
  for (; g->m - i >= 12 && g->m - i != 16; i += 12)
    block(12, across, g, i, b, column, mask);
  for (; g->m - i >= 8; i += 8)
    block(8, across, g, i, b, column, mask);
  if (g->m - i >= 4) {
    block(4, across, g, i, b, column, mask);
    i += 4;
  }
  for (; i < g->m; i++)
    block(1, across, g, i, b, column, mask);
}

DOTS static void multiply_dots(const vq_bf16_block *g)
{
  const uint16_t *b = g->b;
  for (int64_t column = 0; column < g->n; column += 2 * VQ_BF16_PANEL, b += 2 * g->apart) {
    int64_t left = g->n - column, last = left > VQ_BF16_PANEL ? left - VQ_BF16_PANEL : left;
    __mmask16 mask = last >= VQ_BF16_PANEL ? (__mmask16)-1 : (__mmask16)((1 << last) - 1);
    if (left > VQ_BF16_PANEL)
      all_rows(2, g, b, column, mask);
    else
      all_rows(1, g, b, column, mask);
  }
}

void vq_bf16_multiply(const vq_bf16_block *g)
{
  if (vq_processor_has_tiles())
    vq_bf16_multiply_tiles(g);
  else if (vq_processor_has_bf16())
    multiply_dots(g);
  else
    multiply_plain(g);
}

#else

void vq_bf16_multiply(const vq_bf16_block *g)
{
  multiply_plain(g);
}

#endif
