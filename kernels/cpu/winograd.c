/* winograd.c -- 3x3 convolutions by Winograd's minimal filtering. Contract: winograd.h.
 *
 * A task takes TILES tiles, one after the other in reading order, and a block of output channels:
 *   1. B' d B of every tile and input channel: seen [(m+2)^2, tiles, ci], SPARE reals after each point's
 *   2. (m+2)^2 products with the form's panels: made [(m+2)^2, tiles, columns], likewise
 *   3. A' (.) A of every tile and output channel, with bias and skip, into y
 * Tasks run in LANES queues, lane l taking tasks l, l + LANES ...: each lane has buffers of its own, so the scratch is
 * bounded and depends on the sizes alone. Where x is made as it is read, a lane takes a run of tiles, for all output channels, and makes lines
 * of x on its way (lines.h).
 */
#include "kernels/cpu/winograd.h"

#include "kernels/cpu/lines.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/simd.h"

#define TILES   24  /* of a task: a multiple of the rows that a matrix product has in hand */
#define COLUMNS 128 /* output channels of a task */
#define SPARE \
  80 /* reals after a point's tiles: else points lie 4 KiB apart or a multiple of it, and a cache has few places for such */
#define LANES 16
#define MOST  6                    /* a tile's side for m = 4 */
#define LARGE ((int64_t)256 * 512) /* weights of more channels than this get m = 2 */

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

bool vq_winograd_fits(int64_t co, int64_t ci)
{
#ifdef VQ_DOUBLE
  (void)co, (void)ci;
  return false; /* the oracle has plain loops only */
#else
  return co % VQ_PANEL == 0 && ci % VQ_PANEL == 0;
#endif
}

static int outputs(int64_t co, int64_t ci)
{
  return co * ci > LARGE ? 2 : 4;
}

size_t vq_winograd_bytes(int64_t co, int64_t ci)
{
  int side = outputs(co, ci) + 2;
  return (size_t)(side * side * co * ci) * sizeof(vq_real);
}

/* ---- the transforms of one row or column; `step` elements lie between its neighbours ---- */

#define A2 (9. / 16) /* the points' squares */
#define B2 (9. / 4)
#define A1 (3. / 4)
#define B1 (3. / 2)

/* G g: rows are the polynomial g at the points, over the product of that point's distances from the others. */
static void filter_line(int m, const double *g, int from_step, double *to, int to_step)
{
  double g0 = g[0], g1 = g[from_step], g2 = g[2 * from_step];
  if (m == 2) {
    to[0] = g0;
    to[to_step] = (g0 + g1 + g2) / 2;
    to[2 * to_step] = (g0 - g1 + g2) / 2;
    to[3 * to_step] = g2;
    return;
  }
  double at_a = 2 * A2 * (A2 - B2), at_b = 2 * B2 * (B2 - A2);
  to[0] = g0 / (A2 * B2);
  to[to_step] = (g0 + A1 * g1 + A2 * g2) / at_a;
  to[2 * to_step] = (g0 - A1 * g1 + A2 * g2) / at_a;
  to[3 * to_step] = (g0 + B1 * g1 + B2 * g2) / at_b;
  to[4 * to_step] = (g0 - B1 * g1 + B2 * g2) / at_b;
  to[5 * to_step] = g2;
}

/* ---- the weights ---- */

typedef struct prepare_job {
  const vq_real *w;
  bool turned;
  int64_t co, ci;
  int m;
  vq_real *form; /* [(m+2)^2, co / VQ_PANEL, ci, VQ_PANEL] */
} prepare_job;

static void prepare_task(void *context, int64_t i)
{
  const prepare_job *j = context;
  int m = j->m, side = m + 2;
  for (int64_t o = 0; o < j->co; o++) {
    double g[9], rows[3 * MOST], made[MOST * MOST];
    for (int tap = 0; tap < 9; tap++)
      g[tap] = (double)(j->turned ? j->w[(i * 9 + 8 - tap) * j->co + o] : j->w[(o * 9 + tap) * j->ci + i]);
    for (int v = 0; v < 3; v++)
      filter_line(m, g + v, 3, rows + v, 3);
    for (int u = 0; u < side; u++)
      filter_line(m, rows + 3 * u, 1, made + u * side, 1);
    for (int p = 0; p < side * side; p++)
      j->form[((p * (j->co / VQ_PANEL) + o / VQ_PANEL) * j->ci + i) * VQ_PANEL + o % VQ_PANEL] = (vq_real)made[p];
  }
}

void vq_winograd_prepare(vq_threads *threads, const vq_real *w, bool turned, int64_t co, int64_t ci, vq_real *form)
{
  prepare_job j = {w, turned, co, ci, outputs(co, ci), form};
  vq_parallel(threads, ci, prepare_task, &j);
}

/* ---- the work ---- */

typedef struct job {
  const vq_conv_args *a;
  int m, side;
  int64_t down, right, tiles;             /* tiles of a picture, and of all */
  int64_t columns, across, groups, lanes; /* output channels of a task, blocks of them; runs of TILES tiles */
  vq_real *scratch;
} job;

static job cut_of(const vq_conv_args *a)
{
  job j = {.a = a, .m = outputs(a->co, a->ci)};
  j.side = j.m + 2;
  j.down = (a->oh + j.m - 1) / j.m;
  j.right = (a->ow + j.m - 1) / j.m;
  j.tiles = a->n * j.down * j.right;
  j.columns = least(COLUMNS, a->co);
  j.across = (a->co + j.columns - 1) / j.columns;
  j.groups = (j.tiles + TILES - 1) / TILES;
  j.lanes = least(LANES, a->read ? j.groups : j.groups * j.across);
  return j;
}

/* Where there are as many groups as keep all lanes busy. Fewer would leave threads without work, and their pictures are small enough to
 * stay in a cache between two passes. */
bool vq_winograd_wants_read(const vq_conv_args *a)
{
  return cut_of(a).groups >= 2 * LANES;
}

/* A lane's: a pixel of zeros, seen, made, and the lines of x that it makes. */
static int64_t lane_reals(const job *j)
{
  return j->side * j->side * (TILES * (j->a->ci + j->columns) + 2 * SPARE) + j->a->ci +
         (j->a->read ? vq_lines_reals(j->a, j->side) : 0);
}

size_t vq_winograd_scratch(const vq_conv_args *a)
{
  job j = cut_of(a);
  return (size_t)(j.lanes * lane_reals(&j)) * sizeof(vq_real);
}

/* Where tile `tile` begins in y. */
typedef struct place {
  int64_t n, row, column;
} place;

static place place_of(const job *j, int64_t tile)
{
  return (place){tile / j->right / j->down, tile / j->right % j->down * j->m, tile % j->right * j->m};
}

/* What a lane has. */
typedef struct lane {
  vq_real *zeros, *seen, *made;
  vq_lines lines;
} lane;

static const vq_real *line_of(const vq_conv_args *a, const lane *l, int64_t n, int64_t row)
{
  return a->read ? vq_lines_at(&l->lines, n, row) : a->x + (n * a->h + row) * a->w * a->ci;
}

/* pixel[i]: the channels of x that input i of the tile reads, or zeros. */
static void find_pixels(const job *j, const lane *l, place at, const vq_real **pixel)
{
  const vq_conv_args *a = j->a;
  int64_t twice = a->upsample ? 2 : 1;
  for (int u = 0; u < j->side; u++) {
    int64_t row = at.row - a->top + u;
    bool inside = row >= 0 && row < twice * a->h;
    const vq_real *line = inside ? line_of(a, l, at.n, row / twice) : NULL;
    for (int v = 0; v < j->side; v++) {
      int64_t column = at.column - a->left + v;
      pixel[u * j->side + v] =
          inside && column >= 0 && column < twice * a->w ? line + column / twice * a->ci : l->zeros;
    }
  }
}

/* Makes what the tiles from `tile` on read, up to the end of their line of tiles or to tile `end`. */
static void make_lines(const job *j, lane *l, int64_t tile, int64_t end)
{
  const vq_conv_args *a = j->a;
  place at = place_of(j, tile);
  int64_t tiles = least(end - tile, j->right - tile % j->right);
  int64_t row = at.row - a->top, column = at.column - a->left;
  vq_lines_reach(&l->lines, at.n, row, row + j->side, column, column + tiles * j->m + 2);
}

/* ---- the transforms of one tile ---- */

#define WIDE    8
#define NAME(x) x##_8
#include "kernels/cpu/winograd_tile.h"
#undef WIDE
#undef NAME

#define WIDE    16
#define NAME(x) x##_16
#include "kernels/cpu/winograd_tile.h"

VQ_LOOP3(see,
         (int m, const vq_real *const *pixel, const vq_real *const *next, int64_t channels, vq_real *seen,
          int64_t apart),
         (m, pixel, next, channels, seen, apart))

VQ_LOOP3(put,
         (const vq_conv_args *a, int m, place at, int64_t from, int64_t columns, const vq_real *made,
          int64_t apart),
         (a, m, at, from, columns, made, apart))

/* Step 1 of the tiles [first, first + tiles). */
static void see_tiles(const job *j, lane *l, int64_t first, int64_t tiles)
{
  const vq_real *pixel[2][MOST * MOST];
  find_pixels(j, l, place_of(j, first), pixel[0]);
  for (int64_t t = 0; t < tiles; t++) {
    const vq_real **now = pixel[t % 2], **next = pixel[(t + 1) % 2];
    find_pixels(j, l, place_of(j, least(first + t + 1, j->tiles - 1)), next);
    if (j->a->read && (!t || (first + t) % j->right == 0))
      make_lines(j, l, first + t, first + tiles);
    see(j->m, now, next, j->a->ci, l->seen + t * j->a->ci, TILES * j->a->ci + SPARE);
  }
}

/* Steps 2 and 3, of the output channels of block `which`. */
static void finish_tiles(const job *j, const lane *l, int64_t first, int64_t tiles, int64_t which)
{
  const vq_conv_args *a = j->a;
  int64_t from = which * j->columns, columns = least(j->columns, a->co - from);
  int64_t seen_apart = TILES * a->ci + SPARE, made_apart = TILES * columns + SPARE;
  for (int p = 0; p < j->side * j->side; p++)
    vq_panel_products(tiles, columns / VQ_PANEL, a->ci, l->seen + p * seen_apart, a->ci,
                      a->form + (p * a->co + from) * a->ci, 1, 0, l->made + p * made_apart, columns);
  for (int64_t t = 0; t < tiles; t++)
    put(a, j->m, place_of(j, first + t), from, columns, l->made + t * columns, made_apart);
}

/* A run of groups, each for all output channels, so that lines are made from left to right and downwards. */
static void make_and_run(const job *j, lane *l, int64_t number)
{
  l->lines = vq_lines_begin(j->a, j->side, l->made + j->side * j->side * (TILES * j->columns + SPARE));
  for (int64_t g = number * j->groups / j->lanes; g < (number + 1) * j->groups / j->lanes; g++) {
    int64_t first = g * TILES, tiles = least(TILES, j->tiles - first);
    see_tiles(j, l, first, tiles);
    for (int64_t which = 0; which < j->across; which++)
      finish_tiles(j, l, first, tiles, which);
  }
}

static void lane_task(void *context, int64_t number)
{
  const job *j = context;
  int64_t ci = j->a->ci;
  lane l = {.zeros = j->scratch + number * lane_reals(j)};
  l.seen = l.zeros + ci;
  l.made = l.seen + j->side * j->side * (TILES * ci + SPARE);
  for (int64_t c = 0; c < ci; c++)
    l.zeros[c] = 0;
  if (j->a->read) {
    make_and_run(j, &l, number);
    return;
  }
  for (int64_t task = number; task < j->groups * j->across; task += j->lanes) {
    int64_t first = task / j->across * TILES, tiles = least(TILES, j->tiles - first);
    see_tiles(j, &l, first, tiles);
    finish_tiles(j, &l, first, tiles, task % j->across);
  }
}

void vq_winograd_conv(vq_device *device, const vq_conv_args *a, void *scratch)
{
  job j = cut_of(a);
  j.scratch = scratch;
  vq_parallel(device->threads, j.lanes, lane_task, &j);
}
