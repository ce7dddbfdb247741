/* cases_augment.c -- rows for the ops that augment cutouts, and for mse. */
#include "cases.h"

#include <string.h>

/* ---- mse ---- */

static vq_tensor *mse(vq_tape *t, vq_tensor *const *in)
{
  return vq_mse(t, in[0], in[1], in[2]);
}

static vq_tensor *mse_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, vq_mse(t, in[0], in[1], in[2]), vq_mse(t, in[1], in[0], in[3]));
}

/* A large x of few numbers that want gradients. */
static vq_tensor *mse_of_outer(vq_tape *t, vq_tensor *const *in)
{
  return vq_mse(t, vq_linear(t, in[0], in[1], NULL, NULL), NULL, in[2]);
}

/* ---- max_pool ---- */

static vq_tensor *max_pool(vq_tape *t, vq_tensor *const *in)
{
  return vq_max_pool(t, in[0], 4, 1);
}

static vq_tensor *max_pool_half(vq_tape *t, vq_tensor *const *in)
{
  return vq_max_pool(t, in[0], 5, 0.5);
}

static vq_tensor *max_pool_larger(vq_tape *t, vq_tensor *const *in)
{
  return vq_max_pool(t, in[0], 11, 0.3);
}

static vq_tensor *max_pool_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, vq_max_pool(t, in[0], 3, 0.5), vq_max_pool(t, in[0], 3, 1));
}

static void fill_few_levels(int input, void *host)
{
  vq_real *x = host;
  for (int i = 0; !input && i < 6 * 7 * 2; i++)
    x[i] = (vq_real)(i * 5 % 7 % 3);
}

/* ---- warp ---- */

/* 9 columns and 7 lines: turned and sheared, in perspective, as it is, and far out. */
static void fill_matrices(int input, void *host)
{
  static const vq_warp_motion turned = {25, 0.7, -1.3, 1, 1, 4, 0}, far = {0, 6.5, 4.25, 1, 1, 0, 0};
  double *M = host, from[8], to[8], u[8] = {0.3, 0.9, 0.6, 0.1, 0.8, 0.45, 0.2, 0.7};
  if (input != 1)
    return;
  vq_warp_corners(from, to, 9, 7, 0.6, u);
  if (vq_warp_affine(M, 9, 7, &turned) || vq_warp_perspective(M + 9, 9, 7, from, to) ||
      vq_warp_affine(M + 27, 9, 7, &far))
    return;
  vq_warp_identity(M + 18);
}

/* 39 columns and 41 lines, turned, and seen from so far that its middle is in a few pixels. */
static void fill_turned(int input, void *host)
{
  static const vq_warp_motion turned = {-40, 3.25, -5.5, 0.9, 1.2, 4, 0};
  if (input == 1 && vq_warp_affine(host, 39, 41, &turned))
    memset(host, 0, 9 * sizeof(double));
}

static void fill_magnified(int input, void *host)
{
  static const double M[9] = {0.06, 0.01, 17, -0.01, 0.05, 20, 0, 0, 1};
  if (input == 1)
    memcpy(host, M, sizeof M);
}

static vq_tensor *warp_zeros(vq_tape *t, vq_tensor *const *in)
{
  return vq_warp(t, in[0], in[1], VQ_WARP_ZEROS);
}

static vq_tensor *warp_border(vq_tape *t, vq_tensor *const *in)
{
  return vq_warp(t, in[0], in[1], VQ_WARP_BORDER);
}

static vq_tensor *warp_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, warp_zeros(t, in), warp_border(t, in));
}

/* The line through the lens, the one behind it, and points that are no numbers: M6 q + M7 r + M8 is 0 along q = 4. */
static void fill_horizon(int input, void *host)
{
  static const double M[9] = {0.4, 0.1, -1, 0, 0.7, -2, 1, 0, -4};
  if (input == 1)
    memcpy(host, M, sizeof M);
}

/* ---- jitter ---- */

static vq_tensor *jitter_054(vq_tape *t, vq_tensor *const *in)
{
  return vq_jitter(t, in[0], in[1], in[2], VQ_JITTER_KORNIA_054);
}

static vq_tensor *jitter_now(vq_tape *t, vq_tensor *const *in)
{
  return vq_jitter(t, in[0], in[1], in[2], VQ_JITTER_KORNIA);
}

static vq_tensor *jitter_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, jitter_now(t, in), jitter_now(t, in));
}

#define JITTERED 5 /* cutouts of these rows */

/* One draw, and an order for each of the cutouts, with each adjustment once at every place; the last is left as it is. */
static void fill_jitter(int input, void *host, vq_jitter_meaning meaning)
{
  static const double factor[4][4] = {
      {1.08, 0.9, 1.3, 0.05}, {0.93, 1.2, 0.7, -0.03}, {0.95, 1.15, 1.3, 0.4}, {1.05, 0.85, 0.9, -0.3}};
  static const int order[4][4] = {{0, 1, 2, 3}, {3, 2, 0, 1}, {2, 3, 1, 0}, {1, 0, 3, 2}};
  int32_t stage[JITTERED][VQ_JITTER_STAGES] = {{VQ_JITTER_NONE}};
  vq_real amount[JITTERED][VQ_JITTER_STAGES] = {{0}};
  for (int j = 0; j < 4; j++)
    vq_jitter_stages(stage[j], amount[j], meaning, factor[j], order[j]);
  if (input == 1)
    memcpy(host, stage, sizeof stage);
  if (input == 2)
    memcpy(host, amount, sizeof amount);
}

/* Colours whose hue is in the middle between two where the formula changes, and that no stage brings to black or white: central
 * differences need the room. */
static void fill_colours(vq_real *x, int count)
{
  for (int i = 0; i < count; i++) {
    double high = 0.7 + 0.01 * (i % 5), low = 0.25 + 0.01 * (i % 3), level[3] = {high, (high + low) / 2, low};
    int first = i % 3, second = (first + 1 + i / 3 % 2) % 3;
    x[3 * i + first] = (vq_real)level[0];
    x[3 * i + second] = (vq_real)level[1];
    x[3 * i + 3 - first - second] = (vq_real)level[2];
  }
}

static void fill_jitter_054(int input, void *host)
{
  fill_jitter(input, host, VQ_JITTER_KORNIA_054);
  if (input == 0)
    fill_colours(host, JITTERED * 4 * 7);
}

static void fill_jitter_now(int input, void *host)
{
  fill_jitter(input, host, VQ_JITTER_KORNIA);
  if (input == 0)
    fill_colours(host, JITTERED * 4 * 7);
}

static void fill_jitter_long(int input, void *host)
{
  fill_jitter(input, host, VQ_JITTER_KORNIA);
  if (input == 0)
    fill_colours(host, JITTERED * 2 * 67);
}

static void fill_jitter_wild(int input, void *host)
{
  fill_jitter(input, host, VQ_JITTER_KORNIA_054);
}

/* ---- sharpen ---- */

static void fill_blurring(int input, void *host)
{
  static const double factor[] = {0.3, 1, 0};
  for (int i = 0; input == 1 && i < 3; i++)
    ((vq_real *)host)[i] = (vq_real)factor[i];
}

static void fill_sharpening(int input, void *host)
{
  static const double factor[] = {1.8, 0.25, -0.5};
  for (int i = 0; input == 1 && i < 3; i++)
    ((vq_real *)host)[i] = (vq_real)factor[i];
}

static vq_tensor *sharpen(vq_tape *t, vq_tensor *const *in)
{
  return vq_sharpen(t, in[0], in[1]);
}

static vq_tensor *sharpen_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, vq_sharpen(t, in[0], in[1]), vq_sharpen(t, in[0], in[1]));
}

/* ---- erase ---- */

/* Inside, over an edge, nothing, and all of it. */
static void fill_boxes(int input, void *host)
{
  static const int32_t box[4][4] = {{1, 2, 3, 4}, {-1, 5, 4, 9}, {2, 2, 0, 3}, {0, 0, 5, 7}};
  if (input == 1)
    memcpy(host, box, sizeof box);
}

static vq_tensor *erase(vq_tape *t, vq_tensor *const *in)
{
  return vq_erase(t, in[0], in[1], 0);
}

static vq_tensor *erase_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, vq_erase(t, in[0], in[1], 0.5), vq_erase(t, in[0], in[1], -2));
}

/* ---- noise ---- */

/* Three cutouts of a run whose seed fills two words, from one that does not start at a whole block of draws. */
static void fill_keys(int input, void *host)
{
  for (int j = 0; input == 2 && j < 3; j++)
    vq_noise_key((int32_t *)host + 4 * j, 0xfedcba9876543210u, 77, (uint32_t)(1000003 + j));
}

static void fill_factors(int input, void *host)
{
  static const double factor[] = {0.1, 0, 1};
  for (int j = 0; input == 1 && j < 3; j++)
    ((vq_real *)host)[j] = (vq_real)factor[j];
  fill_keys(input, host);
}

static vq_tensor *noise(vq_tape *t, vq_tensor *const *in)
{
  return vq_noise(t, in[0], in[1], in[2]);
}

static vq_tensor *noise_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_noise(t, in[0], in[1], in[2]), vq_noise(t, in[0], in[1], in[2]));
}

#define PICTURE(...)                                                     \
  {                                                                      \
    .kind = VQ_INPUT_LEAF, DIMS(__VA_ARGS__), .mean = 0.5, .spread = 0.2 \
  }
#define WILD(...)                                                        \
  {                                                                      \
    .kind = VQ_INPUT_LEAF, DIMS(__VA_ARGS__), .mean = 0.5, .spread = 1.5 \
  }
#define BENT "colours are nearer to bends and clamps than a difference is wide: compared with kornia's gradient"
#define TIES "no derivative where two are the largest: compared with PyTorch's gradient"

/* clang-format off */
const vq_case vq_cases_augment[] = {
    {"mse", &vq_op_mse, mse, {LEAF(3, 5, 7), LEAF(3, 5, 7), CONST(1)}},
    {"mse, to zero", &vq_op_mse, mse, {LEAF(2, 3, 5), NONE, CONST(1)}},
    {"mse, target only", &vq_op_mse, mse, {CONST(2, 3, 5), LEAF(2, 3, 5), CONST(1)}},
    {"mse, added to", &vq_op_mse, mse_added, {LEAF(5, 7), LEAF(5, 7), CONST(1), CONST(1)}},
    {"mse, several blocks", &vq_op_mse, mse_of_outer, {CONST(1501, 1), LEAF(9, 1), CONST(1)}},

    {"max_pool", &vq_op_max_pool, max_pool, {LEAF(2, 7, 9, 3)}},
    {"max_pool, and mean", &vq_op_max_pool, max_pool_half, {LEAF(1, 13, 11, 3)}},
    {"max_pool, to a larger side", &vq_op_max_pool, max_pool_larger, {LEAF(2, 5, 7, 2)}},
    {"max_pool, ties", &vq_op_max_pool, max_pool, {LEAF(1, 6, 7, 2)}, fill_few_levels, TIES},
    {"max_pool, added to", &vq_op_max_pool, max_pool_added, {LEAF(1, 5, 8, 2)}},

    {"warp, zeros", &vq_op_warp, warp_zeros, {LEAF(4, 7, 9, 3), DOUBLES(4, 3, 3)}, fill_matrices},
    {"warp, border", &vq_op_warp, warp_border, {LEAF(4, 7, 9, 3), DOUBLES(4, 3, 3)}, fill_matrices},
    {"warp, two channels, added to", &vq_op_warp, warp_added, {LEAF(4, 7, 9, 2), DOUBLES(4, 3, 3)}, fill_matrices},
    {"warp, long lines", &vq_op_warp, warp_border, {LEAF(1, 3, 150, 1), DOUBLES(1, 3, 3)}},
    {"warp, several blocks", &vq_op_warp, warp_zeros, {LEAF(1, 41, 39, 3), DOUBLES(1, 3, 3)}, fill_turned},
    {"warp, many from one", &vq_op_warp, warp_border, {LEAF(1, 41, 39, 3), DOUBLES(1, 3, 3)}, fill_magnified},
    {"warp, through the horizon", &vq_op_warp, warp_zeros, {LEAF(1, 7, 9, 3), DOUBLES(1, 3, 3)}, fill_horizon},

    {"jitter, kornia 0.5.4", &vq_op_jitter, jitter_054, {LEAF(5, 4, 7, 3), IDS(8, 5, 5), CONST(5, 5)}, fill_jitter_054},
    {"jitter, kornia", &vq_op_jitter, jitter_now, {LEAF(5, 4, 7, 3), IDS(8, 5, 5), CONST(5, 5)}, fill_jitter_now},
    {"jitter, wild colours", &vq_op_jitter, jitter_054, {WILD(5, 4, 6, 3), IDS(8, 5, 5), CONST(5, 5)}, fill_jitter_wild, BENT},
    {"jitter, long lines, added to", &vq_op_jitter, jitter_added, {PICTURE(5, 2, 67, 3), IDS(8, 5, 5), CONST(5, 5)}, fill_jitter_long},

    {"sharpen", &vq_op_sharpen, sharpen, {PICTURE(3, 6, 5, 3), CONST(3)}, fill_blurring},
    {"sharpen, held", &vq_op_sharpen, sharpen, {WILD(3, 6, 8, 3), CONST(3)}, fill_sharpening},
    {"sharpen, nothing inside", &vq_op_sharpen, sharpen, {LEAF(3, 2, 5, 3), CONST(3)}, fill_blurring},
    {"sharpen, long lines", &vq_op_sharpen, sharpen, {PICTURE(3, 4, 90, 3), CONST(3)}, fill_blurring},
    {"sharpen, added to", &vq_op_sharpen, sharpen_added, {PICTURE(3, 4, 5, 2), CONST(3)}, fill_blurring},

    {"erase", &vq_op_erase, erase, {LEAF(4, 7, 5, 3), IDS(9, 4, 4)}, fill_boxes},
    {"erase, long lines", &vq_op_erase, erase, {LEAF(4, 3, 90, 3), IDS(9, 4, 4)}, fill_boxes},
    {"erase, added to", &vq_op_erase, erase_added, {LEAF(4, 7, 5, 3), IDS(9, 4, 4)}, fill_boxes},

    {"noise", &vq_op_noise, noise, {LEAF(3, 5, 3, 3), CONST(3), IDS(9, 3, 4)}, fill_factors},
    {"noise, several draws", &vq_op_noise, noise, {LEAF(3, 11, 9, 3), CONST(3), IDS(9, 3, 4)}, fill_keys},
    {"noise, past a block of draws", &vq_op_noise, noise, {LEAF(3, 255), CONST(3), IDS(9, 3, 4)}, fill_keys},
    {"noise, several blocks", &vq_op_noise, noise, {LEAF(3, 5, 76, 3), CONST(3), IDS(9, 3, 4)}, fill_keys},
    {"noise, added to", &vq_op_noise, noise_added, {LEAF(3, 7), CONST(3), IDS(9, 3, 4)}, fill_keys},
    {NULL},
};
/* clang-format on */
