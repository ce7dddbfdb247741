/* winograd_bf16.c -- 3x3 convolutions in BF16 by Winograd's minimal filtering. Contract: winograd.h.
 *
 * As winograd.c, for tiles of 2x2 outputs alone, with
 *   1. B' d B of every tile and input channel in float, rounded to BF16: seen [16, tiles, ci]
 *   2. 16 products with the form's panels, sums in float: made [16, tiles, columns]
 *   3. A' (.) A of every tile and output channel, with bias and skip, into y
 * Tiles that lie side by side share two of their four columns, which are transformed once.
 */
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/lines.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/winograd.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(VQ_DOUBLE)

#include <immintrin.h>
#include <stdlib.h>

#define DOTS __attribute__((target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,avx512bf16")))

#define POINTS  16  /* of a tile's transform, 4 x 4 */
#define TILES   48  /* of a task: a multiple of the rows that a matrix product has in hand */
#define COLUMNS 128 /* output channels of a task */
#define LANES   16
/* Reals after a point's tiles: else points lie 4 KiB apart or a multiple of it, and a cache has few places for such. */
#define SPARE 80
#define LARGE ((int64_t)256 * 256) /* weights of more channels than this stay panels, which are 1.8 times smaller */

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* Matrix tiles multiply faster than tiles of a picture can be transformed. */
bool vq_winograd_bf16_fits(int64_t co, int64_t ci)
{
  return vq_processor_has_bf16() && !vq_processor_has_tiles() && co % VQ_BF16_PANEL == 0 &&
         ci % VQ_BF16_PANEL == 0 && co * ci <= LARGE;
}

size_t vq_winograd_bf16_bytes(int64_t co, int64_t ci)
{
  return POINTS * vq_bf16_panels_bytes(co, 1, ci);
}

/* ---- the weights ---- */

/* G g, as winograd.c's for m = 2. */
static void filter_line(const double *g, int from_step, double *to, int to_step)
{
  double g0 = g[0], g1 = g[from_step], g2 = g[2 * from_step];
  to[0] = g0;
  to[to_step] = (g0 + g1 + g2) / 2;
  to[2 * to_step] = (g0 - g1 + g2) / 2;
  to[3 * to_step] = g2;
}

typedef struct prepare_job {
  const float *w;
  bool turned;
  int64_t co, ci;
  float *made; /* [POINTS, co, ci] */
} prepare_job;

static void prepare_task(void *context, int64_t o)
{
  const prepare_job *j = context;
  for (int64_t i = 0; i < j->ci; i++) {
    double g[9], rows[3 * 4], made[POINTS];
    for (int tap = 0; tap < 9; tap++)
      g[tap] = (double)(j->turned ? j->w[(i * 9 + 8 - tap) * j->co + o] : j->w[(o * 9 + tap) * j->ci + i]);
    for (int v = 0; v < 3; v++)
      filter_line(g + v, 3, rows + v, 3);
    for (int u = 0; u < 4; u++)
      filter_line(rows + 3 * u, 1, made + u * 4, 1);
    for (int p = 0; p < POINTS; p++)
      j->made[(p * j->co + o) * j->ci + i] = (float)made[p];
  }
}

vq_status vq_winograd_bf16_prepare(vq_threads *threads, const float *w, bool turned, int64_t co, int64_t ci,
                                   uint16_t *form)
{
  prepare_job j = {w, turned, co, ci, malloc((size_t)(POINTS * co * ci) * sizeof *j.made)};
  if (!j.made)
    return vq_fail(VQ_ERR_MEMORY, "no memory to lay a weight out");
  vq_parallel(threads, co, prepare_task, &j);
  vq_bf16_lay_out(threads, j.made, POINTS * co, 1, ci, form); /* co is a multiple of a panel */
  free(j.made);
  return VQ_OK;
}

/* ---- the work ---- */

typedef struct job {
  const vq_conv_args *a;
  int64_t down, right, tiles;             /* tiles of a picture, and of all */
  int64_t columns, across, groups, lanes; /* output channels of a task, blocks of them; runs of TILES tiles */
  char *scratch;
} job;

static job cut_of(const vq_conv_args *a)
{
  job j = {.a = a, .down = (a->oh + 1) / 2, .right = (a->ow + 1) / 2, .columns = least(COLUMNS, a->co)};
  j.tiles = a->n * j.down * j.right;
  j.across = (a->co + j.columns - 1) / j.columns;
  j.groups = (j.tiles + TILES - 1) / TILES;
  j.lanes = least(LANES, a->read ? j.groups : j.groups * j.across);
  return j;
}

bool vq_winograd_bf16_wants_read(const vq_conv_args *a)
{
  return cut_of(a).groups >= 2 * LANES; /* as winograd.c's */
}

/* From one point to the next, in seen and in made. */
static int64_t seen_apart(const job *j)
{
  return TILES * j->a->ci + 2 * SPARE;
}

static int64_t made_apart(const job *j)
{
  return TILES * j->columns + SPARE;
}

/* A lane's: a pixel of zeros, made, the lines of x that it makes, seen. */
static size_t lane_bytes(const job *j)
{
  int64_t lines = j->a->read ? vq_lines_reals(j->a, 4) : 0;
  return (size_t)(j->a->ci + POINTS * made_apart(j) + lines) * sizeof(float) +
         (size_t)(POINTS * seen_apart(j)) * sizeof(uint16_t);
}

size_t vq_winograd_bf16_scratch(const vq_conv_args *a)
{
  job j = cut_of(a);
  return (size_t)j.lanes * lane_bytes(&j);
}

/* What a lane has. */
typedef struct lane {
  float *zeros, *made;
  uint16_t *seen;
  vq_lines lines;
} lane;

/* Where a tile begins in y, the channels that its inputs read, or zeros, and whether the tile before it lies on its left. */
typedef struct tile {
  int64_t n, row, column;
  const float *pixel[POINTS];
  bool goes_on;
} tile;

static void find_tile(const job *j, const lane *l, int64_t number, tile *t)
{
  const vq_conv_args *a = j->a;
  *t = (tile){.n = number / j->right / j->down,
              .row = number / j->right % j->down * 2,
              .column = number % j->right * 2,
              .goes_on = number % j->right != 0};
  for (int u = 0; u < 4; u++) {
    int64_t row = t->row - a->top + u;
    bool inside = row >= 0 && row < a->h;
    const float *line = !inside   ? NULL
                        : a->read ? vq_lines_at(&l->lines, t->n, row)
                                  : a->x + (t->n * a->h + row) * a->w * a->ci;
    for (int v = 0; v < 4; v++) {
      int64_t column = t->column - a->left + v;
      t->pixel[u * 4 + v] = inside && column >= 0 && column < a->w ? line + column * a->ci : l->zeros;
    }
  }
}

/* B' d of a column. */
DOTS static inline VQ_BODY void column(const tile *t, int v, int64_t c, __m512 d[POINTS])
{
  __m512 d0 = _mm512_loadu_ps(t->pixel[v] + c), d1 = _mm512_loadu_ps(t->pixel[4 + v] + c);
  __m512 d2 = _mm512_loadu_ps(t->pixel[8 + v] + c), d3 = _mm512_loadu_ps(t->pixel[12 + v] + c);
  d[v] = d0 - d2;
  d[4 + v] = d1 + d2;
  d[8 + v] = d2 - d1;
  d[12 + v] = d3 - d1;
}

DOTS static inline VQ_BODY void put_rounded(uint16_t *to, __m512 x)
{
  _mm256_storeu_si256((__m256i *)(void *)to, (__m256i)_mm512_cvtneps_pbh(x));
}

DOTS static void see(const tile *t, int64_t tiles, int64_t ci, uint16_t *seen, int64_t apart)
{
  for (int64_t c = 0; c < ci; c += 16) {
    __m512 d[POINTS];
    for (int64_t i = 0; i < tiles; i++) {
      if (i && t[i].goes_on) {
        for (int u = 0; u < POINTS; u += 4) {
          d[u] = d[u + 2];
          d[u + 1] = d[u + 3];
        }
      } else {
        column(t + i, 0, c, d);
        column(t + i, 1, c, d);
      }
      column(t + i, 2, c, d);
      column(t + i, 3, c, d);
      uint16_t *to = seen + i * ci + c;
      for (int u = 0; u < POINTS; u += 4) {
        put_rounded(to + u * apart, d[u] - d[u + 2]);
        put_rounded(to + (u + 1) * apart, d[u + 1] + d[u + 2]);
        put_rounded(to + (u + 2) * apart, d[u + 2] - d[u + 1]);
        put_rounded(to + (u + 3) * apart, d[u + 3] - d[u + 1]);
      }
    }
  }
}

/* A' q A of one tile, with what the picture's edge leaves of it. */
DOTS static void put(const vq_conv_args *a, const tile *t, int64_t from, int64_t columns, const float *made,
                     int64_t apart)
{
  for (int64_t c = 0; c < columns; c += 16) {
    __m512 rows[2][4];
    for (int v = 0; v < 4; v++) {
      __m512 q0 = _mm512_loadu_ps(made + v * apart + c), q1 = _mm512_loadu_ps(made + (4 + v) * apart + c);
      __m512 q2 = _mm512_loadu_ps(made + (8 + v) * apart + c), q3 = _mm512_loadu_ps(made + (12 + v) * apart + c);
      rows[0][v] = q0 + q1 + q2;
      rows[1][v] = q1 - q2 + q3;
    }
    for (int64_t r = 0; r < 2 && t->row + r < a->oh; r++)
      for (int64_t q = 0; q < 2 && t->column + q < a->ow; q++) {
        int64_t to = ((t->n * a->oh + t->row + r) * a->ow + t->column + q) * a->co + from + c;
        const __m512 *k = rows[r];
        __m512 y = q ? k[1] - k[2] + k[3] : k[0] + k[1] + k[2];
        if (a->bias)
          y += _mm512_loadu_ps(a->bias + from + c);
        if (a->skip)
          y += _mm512_loadu_ps(a->skip + to);
        if (a->add)
          y += _mm512_loadu_ps(a->y + to);
        _mm512_storeu_ps(a->y + to, y);
      }
  }
}

/* Step 1 of the tiles [first, first + tiles), a line of them after the other, so that no more of x's lines are kept than a tile reads. */
static void see_tiles(const job *j, lane *l, int64_t first, int64_t tiles, tile *t)
{
  const vq_conv_args *a = j->a;
  for (int64_t i = 0, next; i < tiles; i = next) {
    next = a->read ? least(tiles, i + j->right - (first + i) % j->right) : tiles;
    for (int64_t k = i; k < next; k++)
      find_tile(j, l, first + k, &t[k]);
    int64_t row = t[i].row - a->top, column = t[i].column - a->left;
    if (a->read)
      vq_lines_reach(&l->lines, t[i].n, row, row + 4, column, column + 2 * (next - i) + 2);
    see(t + i, next - i, a->ci, l->seen + i * a->ci, seen_apart(j));
  }
}

/* Steps 2 and 3, of the output channels of block `which`. */
static void finish_tiles(const job *j, const lane *l, int64_t tiles, const tile *t, int64_t which)
{
  const vq_conv_args *a = j->a;
  int64_t from = which * j->columns, columns = least(j->columns, a->co - from);
  for (int p = 0; p < POINTS; p++)
    vq_bf16_multiply(&(vq_bf16_block){.m = tiles,
                                      .n = columns,
                                      .k = a->ci,
                                      .a = l->seen + p * seen_apart(j),
                                      .lda = a->ci,
                                      .b = a->filtered + (p * a->co + from) * a->ci,
                                      .apart = a->ci * VQ_BF16_PANEL,
                                      .c = l->made + p * made_apart(j),
                                      .ldc = columns});
  for (int64_t i = 0; i < tiles; i++)
    put(a, &t[i], from, columns, l->made + i * columns, made_apart(j));
}

/* A run of groups, each for all output channels, so that lines are made from left to right and downwards. */
static void make_and_run(const job *j, lane *l, int64_t number)
{
  tile t[TILES];
  for (int64_t g = number * j->groups / j->lanes; g < (number + 1) * j->groups / j->lanes; g++) {
    int64_t first = g * TILES, tiles = least(TILES, j->tiles - first);
    see_tiles(j, l, first, tiles, t);
    for (int64_t which = 0; which < j->across; which++)
      finish_tiles(j, l, tiles, t, which);
  }
}

static void lane_task(void *context, int64_t number)
{
  const job *j = context;
  int64_t ci = j->a->ci, lines = j->a->read ? vq_lines_reals(j->a, 4) : 0;
  lane l = {.zeros = (float *)(void *)(j->scratch + (size_t)number * lane_bytes(j))};
  l.made = l.zeros + ci;
  l.lines = vq_lines_begin(j->a, 4, l.made + POINTS * made_apart(j));
  l.seen = (uint16_t *)(void *)(l.made + POINTS * made_apart(j) + lines);
  for (int64_t c = 0; c < ci; c++)
    l.zeros[c] = 0;
  if (j->a->read) {
    make_and_run(j, &l, number);
    return;
  }
  tile t[TILES];
  for (int64_t task = number; task < j->groups * j->across; task += j->lanes) {
    int64_t first = task / j->across * TILES, tiles = least(TILES, j->tiles - first);
    see_tiles(j, &l, first, tiles, t);
    finish_tiles(j, &l, tiles, t, task % j->across);
  }
}

void vq_winograd_bf16_conv(vq_device *device, const vq_conv_args *a, void *scratch)
{
  job j = cut_of(a);
  j.scratch = scratch;
  vq_parallel(device->threads, j.lanes, lane_task, &j);
}

#else

bool vq_winograd_bf16_fits(int64_t co, int64_t ci)
{
  (void)co, (void)ci;
  return false; /* and so what follows is never called */
}

size_t vq_winograd_bf16_bytes(int64_t co, int64_t ci)
{
  (void)co, (void)ci;
  return 0;
}

vq_status vq_winograd_bf16_prepare(vq_threads *threads, const vq_real *w, bool turned, int64_t co, int64_t ci,
                                   uint16_t *form)
{
  (void)threads, (void)w, (void)turned, (void)co, (void)ci, (void)form;
  return VQ_ERR_UNSUPPORTED;
}

bool vq_winograd_bf16_wants_read(const vq_conv_args *a)
{
  (void)a;
  return false;
}

size_t vq_winograd_bf16_scratch(const vq_conv_args *a)
{
  (void)a;
  return 0;
}

void vq_winograd_bf16_conv(vq_device *device, const vq_conv_args *a, void *scratch)
{
  (void)device, (void)a, (void)scratch;
}

#endif
