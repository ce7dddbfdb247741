/* bf16_tiles.c -- rows times panels by a processor's matrix tiles (AMX). Contract: bf16.h.
 *
 * A tile is a register of 16 rows of 64 bytes. One instruction adds to a tile of 16x16 sums the product of 16 rows of A, of 32
 * numbers, with 16 pairs of rows of a panel, which is laid out as it wants it: 16384 operations in 16 cycles. Two tiles of A and
 * two panels are in hand at a time, so that each that is loaded is used twice.
 */
#include "kernels/cpu/bf16.h"

#include "kernels/cpu/simd.h"

#if VQ_TILES_COMPILE && !defined(VQ_DOUBLE)

#include <immintrin.h>
#include <string.h>

#define TILES __attribute__((target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,amx-tile,amx-bf16")))

#define SIDE 16 /* rows of a tile, and sums in one */
#define STEP 32 /* numbers of A in a row of one */

/* As the instruction ldtilecfg reads it. */
typedef struct tile_shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t bytes[16]; /* of a row */
  uint8_t rows[16];
} tile_shapes;

/* 0 to 3: sums, two across; 4 and 5: rows of A; 6 and 7: pairs of rows of two panels. `rows`: of A and the sums. */
TILES static void shape_tiles(int rows)
{
  tile_shapes s = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    s.bytes[i] = 64;
    s.rows[i] = (uint8_t)(i < 6 ? rows : SIDE);
  }
  __asm__ volatile("" : : "r"(&s) : "memory"); /* GCC takes the instruction to read 8 bytes of it */
  _tile_loadconfig(&s);
}

/* The last of k's numbers where they do not fill a tile, and zeros: of 32 rows of A, of two panels. */
typedef struct rest {
  uint16_t a[2 * SIDE][STEP], b[2][STEP * SIDE];
} rest;

static void fill_rest(const vq_bf16_block *g, int64_t from, int rows, int across, const uint16_t *b, rest *to)
{
  int64_t whole = g->k / STEP * STEP, left = g->k - whole;
  memset(to, 0, sizeof *to);
  for (int i = 0; i < rows; i++)
    memcpy(to->a[i], g->a + (from + i) * g->lda + whole, (size_t)left * sizeof *g->a);
  for (int v = 0; v < across; v++)
    memcpy(to->b[v], b + v * g->apart + whole * SIDE, (size_t)(left * SIDE) * sizeof *b);
}

/* Adds to the sums a tile's width of A times as much of the panels. */
TILES static inline VQ_BODY void step(bool down, bool right, const uint16_t *a, int64_t lda, const uint16_t *b,
                                      int64_t apart)
{
  const int64_t bytes = lda * (int64_t)sizeof *a;
  _tile_loadd(4, a, bytes);
  _tile_loadd(6, b, 64);
  _tile_dpbf16ps(0, 4, 6);
  if (right) {
    _tile_loadd(7, b + apart, 64);
    _tile_dpbf16ps(1, 4, 7);
  }
  if (down) {
    _tile_loadd(5, a + SIDE * lda, bytes);
    _tile_dpbf16ps(2, 5, 6);
    if (right)
      _tile_dpbf16ps(3, 5, 7);
  }
}

/* What goes into 16 columns of c beside the products. Where it is one matrix, whole tiles begin as it and are stored as they are. */
typedef struct columns {
  int64_t at; /* of the first of them */
  __mmask16 mask;
  bool whole; /* the mask is all ones, and one matrix at most goes in */
  const float *begin;
  int64_t begin_row; /* numbers from row to row of `begin`; 0: its rows are all alike, and it is one tile */
} columns;

static const float zeros[SIDE];

static columns columns_of(const vq_bf16_block *g, int64_t at, int64_t some)
{
  columns s = {.at = at, .mask = some >= SIDE ? (__mmask16)-1 : (__mmask16)((1 << some) - 1)};
  s.whole = some >= SIDE && !!g->add + !!g->bias + !!g->skip <= 1;
  s.begin = g->add ? g->c + at : g->skip ? g->skip + at : g->bias ? g->bias + at : zeros;
  s.begin_row = g->add || g->skip ? g->ldc : 0;
  return s;
}

/* `rows` sums of 16, with what else goes into c. */
TILES static void finish(const vq_bf16_block *g, int64_t from, int rows, const columns *s, const float *sums)
{
  const __m512 bias = g->bias ? _mm512_maskz_loadu_ps(s->mask, g->bias + s->at) : _mm512_setzero_ps();
  for (int i = 0; i < rows; i++) {
    int64_t at = (from + i) * g->ldc + s->at;
    __m512 y = _mm512_add_ps(_mm512_loadu_ps(sums + i * SIDE), bias);
    if (g->skip)
      y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(s->mask, g->skip + at));
    if (g->add)
      y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(s->mask, g->c + at));
    _mm512_mask_storeu_ps(g->c + at, s->mask, y);
  }
}

/* A tile of sums as it begins, and as it ends; the tile's number is part of the instruction. */
#define BEGIN(tile, row, s)                                                        \
  do {                                                                             \
    if ((s).whole)                                                                 \
      _tile_loadd(tile, (s).begin + (row) * (s).begin_row, (s).begin_row * FLOAT); \
    else                                                                           \
      _tile_zero(tile);                                                            \
  } while (0)
#define END(tile, row, rows, s)                                         \
  do {                                                                  \
    if ((s).whole)                                                      \
      _tile_stored(tile, g->c + (row)*g->ldc + (s).at, g->ldc * FLOAT); \
    else {                                                              \
      float sums[SIDE * SIDE];                                          \
      _tile_stored(tile, sums, SIDE *FLOAT);                            \
      __asm__ volatile("" : : "r"(sums) : "memory");                    \
      finish(g, row, rows, &(s), sums);                                 \
    }                                                                   \
  } while (0)
#define FLOAT (int64_t)sizeof(float)

/* Rows [from, from + rows), 16 of them and, with `down`, as many more; 16 columns and, with `right`, as many more. */
TILES static inline VQ_BODY void block(bool down, bool right, const vq_bf16_block *g, int64_t from, int rows,
                                       const uint16_t *b, columns first, columns second)
{
  BEGIN(0, from, first);
  if (right)
    BEGIN(1, from, second);
  if (down)
    BEGIN(2, from + SIDE, first);
  if (down && right)
    BEGIN(3, from + SIDE, second);
  int64_t p = 0;
  for (; p + STEP <= g->k; p += STEP)
    step(down, right, g->a + from * g->lda + p, g->lda, b + p * SIDE, g->apart);
  if (p < g->k) {
    rest r;
    fill_rest(g, from, down ? 2 * SIDE : rows, right ? 2 : 1, b, &r);
    __asm__ volatile("" : : "r"(&r) : "memory"); /* the loads of tiles are not seen to read it */
    step(down, right, r.a[0], STEP, r.b[0], STEP * SIDE);
  }
  END(0, from, rows, first);
  if (right)
    END(1, from, rows, second);
  if (down)
    END(2, from + SIDE, SIDE, first);
  if (down && right)
    END(3, from + SIDE, SIDE, second);
}

/* All rows of one or two panels. */
TILES static inline VQ_BODY void all_rows(bool right, const vq_bf16_block *g, const uint16_t *b, columns first,
                                          columns second)
{
  int64_t i = 0;
  for (; g->m - i >= 2 * SIDE; i += 2 * SIDE)
    block(true, right, g, i, SIDE, b, first, second);
  if (g->m - i >= SIDE) {
    block(false, right, g, i, SIDE, b, first, second);
    i += SIDE;
  }
  if (i < g->m) {
    shape_tiles((int)(g->m - i));
    block(false, right, g, i, (int)(g->m - i), b, first, second);
    shape_tiles(SIDE);
  }
}

TILES void vq_bf16_multiply_tiles(const vq_bf16_block *g)
{
  const uint16_t *b = g->b;
  __asm__ volatile("" : : : "memory"); /* what is loaded has been written */
  shape_tiles(SIDE);
  for (int64_t column = 0; column < g->n; column += 2 * SIDE, b += 2 * g->apart) {
    columns first = columns_of(g, column, g->n - column);
    if (g->n - column > SIDE)
      all_rows(true, g, b, first, columns_of(g, column + SIDE, g->n - column - SIDE));
    else
      all_rows(false, g, b, first, first);
  }
  _tile_release();
}

#else

void vq_bf16_multiply_tiles(const vq_bf16_block *g)
{
  (void)g; /* never called: base/processor.h tells of no tiles */
}

#endif
