/* winograd.c -- 3x3 convolutions by Winograd's minimal filtering. Contract: winograd.h.
 *
 * A task takes TILES tiles, one after the other in reading order, and a block of output channels:
 *   1. B' d B of every tile and input channel: seen [side^2, tiles, ci], SPARE reals after each point's
 *   2. side^2 products with the form's panels: made [side^2, tiles, columns], likewise
 *   3. A' (.) A of every tile and output channel, with bias and skip, into y
 * Through repeated pixels that is done in four parts, for a parity of y's rows and columns each; or, back through them, for a parity of dy's each,
 * the later ones added to y.
 * Tasks run in LANES queues, lane l taking tasks l, l + LANES ...: each lane has buffers of its own, so the scratch is
 * bounded and depends on the sizes alone. Where x is made as it is read, a lane takes a run of tiles, for all output channels, and makes lines
 * of x on its way (lines.h).
 */
#include "kernels/cpu/winograd.h"

#include "kernels/cpu/lines.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/simd.h"

#define TILES   24  /* of a task, or half as many: a multiple of the rows that a matrix product has in hand */
#define COLUMNS 128 /* output channels of a task */
#define SPARE \
  80 /* reals after a point's tiles: else points lie 4 KiB apart or a multiple of it, and a cache has few places for such */
#define LANES 16
#define MOST  6                    /* the longest side of what a tile reads */
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

size_t vq_winograd_repeated_bytes(int64_t co, int64_t ci)
{
  int side = outputs(co, ci) + 1;
  return (size_t)(4 * side * side * co * ci) * sizeof(vq_real);
}

/* ---- the transforms of one row or column; `step` elements lie between its neighbours ---- */

/* Which one is told by `side`, the inputs of a line, which are its points too: 4 and 6 for 2 and 4 outputs of 3 weights, 3 and 5 for those of 2. */

#define A1 (3. / 4) /* points of 4 outputs of 3 weights, beside 0 and infinity, and their squares */
#define B1 (3. / 2)
#define A2 (A1 * A1)
#define B2 (B1 * B1)
#define C1 (1. / 2) /* of 4 outputs of 2 weights, beside infinity */
#define D1 (5. / 4)
#define C2 (C1 * C1)
#define D2 (D1 * D1)

/* G g: rows are the polynomial g at the points, over the product of that point's distances from the others. */
static void filter_line(int side, const double *g, int from_step, double *to, int to_step)
{
  double g0 = g[0], g1 = g[from_step], g2 = side % 2 ? 0 : g[2 * from_step];
  double at_a = 2 * A2 * (A2 - B2), at_b = 2 * B2 * (B2 - A2), at_c = 2 * C1 * (C2 - D2), at_d = 2 * D1 * (D2 - C2);
  switch (side) {
  case 3:
    to[0] = (g0 + g1) / 2;
    to[to_step] = (g1 - g0) / 2;
    to[2 * to_step] = g1;
    break;
  case 4:
    to[0] = g0;
    to[to_step] = (g0 + g1 + g2) / 2;
    to[2 * to_step] = (g0 - g1 + g2) / 2;
    to[3 * to_step] = g2;
    break;
  case 5:
    to[0] = (g0 + C1 * g1) / at_c;
    to[to_step] = (C1 * g1 - g0) / at_c;
    to[2 * to_step] = (g0 + D1 * g1) / at_d;
    to[3 * to_step] = (D1 * g1 - g0) / at_d;
    to[4 * to_step] = g1;
    break;
  default:
    to[0] = g0 / (A2 * B2);
    to[to_step] = (g0 + A1 * g1 + A2 * g2) / at_a;
    to[2 * to_step] = (g0 - A1 * g1 + A2 * g2) / at_a;
    to[3 * to_step] = (g0 + B1 * g1 + B2 * g2) / at_b;
    to[4 * to_step] = (g0 - B1 * g1 + B2 * g2) / at_b;
    to[5 * to_step] = g2;
    break;
  }
}

/* ---- the weights ---- */

typedef struct prepare_job {
  const vq_real *w;
  bool turned;
  int64_t co, ci;
  int taps, side;
  vq_real *form; /* [parts, side^2, co / VQ_PANEL, ci, VQ_PANEL] */
} prepare_job;

/* g [taps,taps] of a pair of channels. For 2x2, part 2 r + q is what y's rows of parity r and columns of parity q are made of x with: two rows of w
 * read the same row of x and are added up, the last two for even rows, the first two for odd ones. */
static void weights_of(const prepare_job *j, int part, int64_t o, int64_t i, double *g)
{
  for (int k = 0; k < j->taps * j->taps; k++)
    g[k] = 0;
  for (int u = 0; u < 3; u++)
    for (int v = 0; v < 3; v++) {
      int row = j->taps == 3 ? u : u > part / 2, column = j->taps == 3 ? v : v > part % 2;
      int to = row * j->taps + column, tap = u * 3 + v;
      g[j->turned ? j->taps * j->taps - 1 - to : to] +=
          (double)(j->turned ? j->w[(i * 9 + tap) * j->co + o] : j->w[(o * 9 + tap) * j->ci + i]);
    }
}

static void prepare_task(void *context, int64_t task)
{
  const prepare_job *j = context;
  int side = j->side, part = (int)(task / j->ci);
  int64_t i = task % j->ci, points = (int64_t)side * side;
  for (int64_t o = 0; o < j->co; o++) {
    double g[9], rows[3 * MOST], made[MOST * MOST];
    weights_of(j, part, o, i, g);
    for (int v = 0; v < j->taps; v++)
      filter_line(side, g + v, j->taps, rows + v, j->taps);
    for (int u = 0; u < side; u++)
      filter_line(side, rows + j->taps * u, 1, made + u * side, 1);
    for (int64_t p = 0; p < points; p++)
      j->form[(((part * points + p) * (j->co / VQ_PANEL) + o / VQ_PANEL) * j->ci + i) * VQ_PANEL + o % VQ_PANEL] =
          (vq_real)made[p];
  }
}

void vq_winograd_prepare(vq_threads *threads, const vq_real *w, bool turned, int64_t co, int64_t ci, vq_real *form)
{
  prepare_job j = {w, turned, co, ci, 3, outputs(co, ci) + 2, form};
  vq_parallel(threads, ci, prepare_task, &j);
}

void vq_winograd_prepare_repeated(vq_threads *threads, const vq_real *w, bool turned, int64_t co, int64_t ci,
                                  vq_real *form)
{
  prepare_job j = {w, turned, co, ci, 2, outputs(co, ci) + 1, form};
  vq_parallel(threads, 4 * ci, prepare_task, &j);
}

/* ---- the work ---- */

typedef struct job {
  const vq_conv_args *a;
  int m, side;
  int64_t high, wide, down, right, tiles; /* pixels of a picture that tiles cover, its tiles, and all of them */
  int64_t some, groups;                   /* tiles of a task, and in how many groups that leaves them */
  int64_t columns, across, lanes;         /* output channels of a task, blocks of them */
  int part, parts; /* 4 through repeated pixels, whose tiles are of the picture that has each once */
  vq_real *scratch;
} job;

static job cut_of(const vq_conv_args *a)
{
  bool repeated = a->upsample || a->halve;
  job j = {.a = a, .m = outputs(a->co, a->ci), .parts = repeated ? 4 : 1};
  j.side = j.m + (repeated ? 1 : 2);
  j.high = repeated ? a->oh / 2 : a->oh;
  j.wide = repeated ? a->ow / 2 : a->ow;
  j.down = (j.high + j.m - 1) / j.m;
  j.right = (j.wide + j.m - 1) / j.m;
  j.tiles = a->n * j.down * j.right;
  j.columns = least(COLUMNS, a->co);
  j.across = (a->co + j.columns - 1) / j.columns;
  j.some = repeated ? TILES / 2 : TILES;
  j.groups = (j.tiles + j.some - 1) / j.some;
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

/* Where a tile begins. */
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

/* The pixels that a part reads, [high, wide] of them: all of x, or with `halve` those of a parity. A tile's first lies `top` and
 * `left` before where the tile begins. */
typedef struct view {
  int64_t top, left, high, wide, step, row, column;
} view;

static view view_of(const vq_conv_args *a, int part)
{
  int64_t r = part / 2, q = part % 2;
  if (a->halve)
    return (view){r, q, a->h / 2, a->w / 2, 2, r, q};
  if (a->upsample)
    return (view){1 - r, 1 - q, a->h, a->w, 1, 0, 0};
  return (view){a->top, a->left, a->h, a->w, 1, 0, 0};
}

static const vq_real *line_of(const vq_conv_args *a, const lane *l, int64_t n, int64_t row)
{
  return a->read ? vq_lines_at(&l->lines, n, row) : a->x + (n * a->h + row) * a->w * a->ci;
}

/* pixel[i]: the channels of x that input i of the tile reads, or zeros. */
static void find_pixels(const job *j, const view *x, const lane *l, place at, const vq_real **pixel)
{
  for (int u = 0; u < j->side; u++) {
    int64_t row = at.row - x->top + u;
    bool inside = row >= 0 && row < x->high;
    const vq_real *line = inside ? line_of(j->a, l, at.n, row * x->step + x->row) : NULL;
    for (int v = 0; v < j->side; v++) {
      int64_t column = at.column - x->left + v;
      pixel[u * j->side + v] =
          inside && column >= 0 && column < x->wide ? line + (column * x->step + x->column) * j->a->ci : l->zeros;
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

/* Where a part's pixels lie in y, [high, wide] of them: all, or with `upsample` those of a parity. */
typedef struct target {
  int64_t high, wide, step, row, column;
  bool add;
} target;

static target target_of(const job *j)
{
  if (j->a->upsample)
    return (target){j->high, j->wide, 2, j->part / 2, j->part % 2, j->a->add};
  return (target){j->high, j->wide, 1, 0, 0, j->a->add || j->part};
}

#define WIDE    8
#define NAME(x) x##_8
#include "kernels/cpu/winograd_tile.h"
#undef WIDE
#undef NAME

#define WIDE    16
#define NAME(x) x##_16
#include "kernels/cpu/winograd_tile.h"

VQ_LOOP3(see,
         (int side, const vq_real *const *pixel, const vq_real *const *next, int64_t channels, vq_real *seen,
          int64_t apart),
         (side, pixel, next, channels, seen, apart))

VQ_LOOP3(put,
         (const vq_conv_args *a, int side, const target *y, place at, int64_t from, int64_t columns,
          const vq_real *made, int64_t apart),
         (a, side, y, at, from, columns, made, apart))

/* Step 1 of the tiles [first, first + tiles). */
static void see_tiles(const job *j, lane *l, int64_t first, int64_t tiles)
{
  const vq_real *pixel[2][MOST * MOST];
  view x = view_of(j->a, j->part);
  find_pixels(j, &x, l, place_of(j, first), pixel[0]);
  for (int64_t t = 0; t < tiles; t++) {
    const vq_real **now = pixel[t % 2], **next = pixel[(t + 1) % 2];
    find_pixels(j, &x, l, place_of(j, least(first + t + 1, j->tiles - 1)), next);
    if (j->a->read && (!t || (first + t) % j->right == 0))
      make_lines(j, l, first + t, first + tiles);
    see(j->side, now, next, j->a->ci, l->seen + t * j->a->ci, TILES * j->a->ci + SPARE);
  }
}

/* Steps 2 and 3, of the output channels of block `which`. */
static void finish_tiles(const job *j, const lane *l, int64_t first, int64_t tiles, int64_t which)
{
  const vq_conv_args *a = j->a;
  int64_t from = which * j->columns, columns = least(j->columns, a->co - from), points = j->side * j->side;
  int64_t seen_apart = TILES * a->ci + SPARE, made_apart = TILES * columns + SPARE;
  target y = target_of(j);
  for (int64_t p = 0; p < points; p++)
    vq_panel_products(tiles, columns / VQ_PANEL, a->ci, l->seen + p * seen_apart, a->ci,
                      a->form + ((j->part * points + p) * a->co + from) * a->ci, a->ci * VQ_PANEL, 1, 0,
                      l->made + p * made_apart, columns);
  for (int64_t t = 0; t < tiles; t++)
    put(a, j->side, &y, place_of(j, first + t), from, columns, l->made + t * columns, made_apart);
}

/* A run of groups, each for all output channels, so that lines are made from left to right and downwards. */
static void make_and_run(const job *j, lane *l, int64_t number)
{
  l->lines = vq_lines_begin(j->a, j->side, l->made + j->side * j->side * (TILES * j->columns + SPARE));
  for (int64_t g = number * j->groups / j->lanes; g < (number + 1) * j->groups / j->lanes; g++) {
    int64_t first = g * j->some, tiles = least(j->some, j->tiles - first);
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
    int64_t first = task / j->across * j->some, tiles = least(j->some, j->tiles - first);
    see_tiles(j, &l, first, tiles);
    finish_tiles(j, &l, first, tiles, task % j->across);
  }
}

/* Parts one after the other, so that no more than a part's weights have to stay in a cache. */
void vq_winograd_conv(vq_device *device, const vq_conv_args *a, void *scratch)
{
  job j = cut_of(a);
  j.scratch = scratch;
  for (; j.part < j.parts; j.part++)
    vq_parallel(device->threads, j.lanes, lane_task, &j);
}
