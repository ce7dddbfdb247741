/* cases_vqgan.c -- rows for the ops of the VQGAN, the cutouts and the objective. */
#include "cases.h"

#include <math.h>
#include <string.h>

#define EPS 1e-6

/* ---- conv ---- */

static vq_tensor *conv3(vq_tape *t, vq_tensor *const *in)
{
  return vq_conv(t, in[0], in[1], in[2], 1, (int[]){1, 1, 1, 1});
}

static vq_tensor *conv1(vq_tape *t, vq_tensor *const *in)
{
  return vq_conv(t, in[0], in[1], in[2], 1, (int[]){0, 0, 0, 0});
}

static vq_tensor *conv_uneven(vq_tape *t, vq_tensor *const *in)
{
  return vq_conv(t, in[0], in[1], in[2], 1, (int[]){1, 0, 0, 2});
}

static vq_tensor *conv_stride3(vq_tape *t, vq_tensor *const *in)
{
  return vq_conv(t, in[0], in[1], in[2], 3, (int[]){1, 2, 0, 1});
}

static vq_tensor *conv_down(vq_tape *t, vq_tensor *const *in)
{
  return vq_conv(t, in[0], in[1], in[2], 2, (int[]){0, 0, 1, 1});
}

/* ---- norms ---- */

static vq_tensor *group_norm3(vq_tape *t, vq_tensor *const *in)
{
  return vq_group_norm(t, in[0], in[1], in[2], 3, EPS);
}

static vq_tensor *norm_silu_conv(vq_tape *t, vq_tensor *const *in)
{
  return vq_norm_act_conv(t, in[0], in[1], in[2], 3, EPS, VQ_ACT_SILU, in[3], in[4], in[5]);
}

static vq_tensor *norm_conv(vq_tape *t, vq_tensor *const *in)
{
  return vq_norm_act_conv(t, in[0], in[1], in[2], 2, EPS, VQ_ACT_NONE, in[3], in[4], in[5]);
}

/* A skip is of the weight's type, which need not be x's. */
static vq_tensor *norm_conv_of_itself(vq_tape *t, vq_tensor *const *in)
{
  vq_dtype made = vq_tape_device(t)->backend->bf16 ? in[3]->dtype : VQ_REAL;
  vq_tensor *skip = in[0]->dtype == made ? in[0] : vq_cast(t, in[0], made);
  return vq_norm_act_conv(t, in[0], in[1], in[2], 3, EPS, VQ_ACT_SILU, in[3], in[4], skip);
}

bool vq_case_of_itself(const vq_case *c)
{
  return c->call == norm_conv_of_itself;
}

static vq_tensor *upsample_conv(vq_tape *t, vq_tensor *const *in)
{
  return vq_upsample_conv(t, in[0], in[1], in[2]);
}

/* x is read by two ops: the second gradient is added to the first. */
static vq_tensor *upsample_conv_added(vq_tape *t, vq_tensor *const *in)
{
  vq_tensor *once = vq_upsample_conv(t, in[0], in[1], NULL), *again = vq_upsample_conv(t, in[0], in[1], in[2]);
  return vq_norm_act_conv(t, once, in[3], in[4], 1, EPS, VQ_ACT_SILU, in[5], NULL, again);
}

static vq_tensor *conv_added(vq_tape *t, vq_tensor *const *in)
{
  int pad[4] = {1, 1, 1, 1};
  vq_tensor *once = vq_conv(t, in[0], in[1], in[2], 1, pad), *again = vq_conv(t, in[0], in[1], in[2], 1, pad);
  return vq_norm_act_conv(t, once, in[3], in[4], 1, EPS, VQ_ACT_SILU, in[5], NULL, again);
}

static vq_tensor *conv_down_added(vq_tape *t, vq_tensor *const *in)
{
  vq_tensor *once = conv_down(t, in), *again = conv_down(t, in);
  return vq_norm_act_conv(t, once, in[3], in[4], 1, EPS, VQ_ACT_SILU, in[5], NULL, again);
}

static vq_tensor *group_norm_added(vq_tape *t, vq_tensor *const *in)
{
  vq_tensor *u = vq_group_norm(t, in[0], in[1], in[2], 3, EPS), *v = vq_group_norm(t, in[0], in[1], in[2], 1, EPS);
  return vq_norm_act_conv(t, u, in[3], in[4], 1, EPS, VQ_ACT_SILU, in[5], NULL, v);
}

/* ---- the codebook and the picture ---- */

static vq_tensor *nearest(vq_tape *t, vq_tensor *const *in)
{
  return vq_nearest(t, in[0], in[1]);
}

static vq_tensor *quantise(vq_tape *t, vq_tensor *const *in)
{
  return vq_quantise(t, in[0], in[1], in[2]);
}

static vq_tensor *quantise_nearest(vq_tape *t, vq_tensor *const *in)
{
  return vq_quantise(t, in[0], in[1], vq_nearest(t, in[0], in[1]));
}

static vq_tensor *choose(vq_tape *t, vq_tensor *const *in)
{
  return vq_choose(t, in[0], in[1]);
}

static vq_tensor *soft_quantise(vq_tape *t, vq_tensor *const *in)
{
  return vq_soft_quantise(t, in[0], in[1], in[2]);
}

static vq_tensor *soft_quantise_chosen(vq_tape *t, vq_tensor *const *in)
{
  return vq_soft_quantise(t, in[0], in[1], vq_choose(t, in[0], in[2]));
}

static vq_tensor *soft_quantise_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, vq_soft_quantise(t, in[0], in[1], in[2]), in[0]);
}

/* Draws at the ends of what they may be, and between. */
static void fill_uniform(int input, void *host)
{
  static const vq_real draws[] = {0, (vq_real)0.99999994, (vq_real)0.5, (vq_real)0.25, (vq_real)0.1, (vq_real)0.75};
  if (input == 1)
    memcpy(host, draws, sizeof draws);
}

static void fill_uniform_last(int input, void *host)
{
  if (input == 2)
    fill_uniform(1, host);
}

/* Each row has its largest value twice. */
static void fill_equals(int input, void *host)
{
  for (int m = 0; m < 3 && input == 0; m++)
    ((vq_real *)host)[m * 7 + 2] = ((vq_real *)host)[m * 7 + 5 - m] = 9;
}

/* Rows 1 and 3 of the book are one, and z's first row is nearest to both. */
static void fill_ties(int input, void *host)
{
  vq_real *values = host;
  for (int c = 0; c < 5; c++)
    if (input == 0)
      values[c] = 1;
    else
      values[5 + c] = values[15 + c] = (vq_real)0.75;
}

/* Rows of a book that differ in their last digits: which is nearest depends on how a distance is added up. And rows 25, 57, 140 of
 * it are one, far from the others, as near to z's row 33 as each other. */
static void fill_near_ties(int input, void *host)
{
  vq_real *values = host;
  for (int i = 0; input == 1 && i < 150 * 37; i++)
    values[i] = (vq_real)(0.5 + 1e-6 * (double)values[i]);
  for (int c = 0; c < 37; c++)
    if (input == 0)
      values[33 * 37 + c] = 9;
    else
      values[25 * 37 + c] = values[57 * 37 + c] = values[140 * 37 + c] = 8;
}

static void fill_nan(int input, void *host)
{
  if (input == 0)
    ((vq_real *)host)[0] = ((vq_real *)host)[7] = NAN;
}

static vq_tensor *clamp01(vq_tape *t, vq_tensor *const *in)
{
  return vq_clamp01(t, in[0]);
}

static vq_tensor *clamp_colours(vq_tape *t, vq_tensor *const *in)
{
  return vq_clamp(t, in[0]);
}

static vq_tensor *clamp01_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, vq_clamp01(t, in[0]), vq_clamp01(t, in[0]));
}

static vq_tensor *total_variation(vq_tape *t, vq_tensor *const *in)
{
  return vq_total_variation(t, in[0], 0.7);
}

static vq_tensor *total_variation_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, vq_total_variation(t, in[0], 0.7), vq_total_variation(t, in[0], 3));
}

/* ---- cutouts ---- */

/* Two pictures of 11x13 with two cutouts each; one of 11x13 with three. */
static const vq_bands average = {VQ_RESAMPLE_AVERAGE, 13, 11, 5, 4, 3, 11, 4, 3};
static const int32_t average_boxes[] = {0, 0, 11, 4, 2, 8, 10, 8, 3, 6, 1, 5};
static const vq_bands lanczos = {VQ_RESAMPLE_LANCZOS, 13, 11, 6, 3, 5, 11, 10, 6};
static const int32_t lanczos_boxes[] = {2, 0, 11, 8, 6, 5, 3, 1, 8};

/* A picture whose lines are wider than a block of CUDA's threads, with more cutouts than go through it at once; one whose lines are
 * longer than what it shares. */
static const vq_bands wide = {VQ_RESAMPLE_AVERAGE, 120, 7, 90, 6, 5, 7, 2, 19};
static const int32_t wide_boxes[] = {113, 0, 7, 2, 1, 5, 50, 0, 6, 52, 2, 5, 0, 0, 7, 112, 1, 6};
static const vq_bands long_lines = {VQ_RESAMPLE_AVERAGE, 4100, 6, 4, 2, 3, 6, 3, 3};
static const int32_t long_boxes[] = {4094, 0, 6, 17, 2, 4};

static void fill_tables(const vq_bands *bands, const int32_t *boxes, int input, void *host)
{
  int32_t index[20000];
  vq_real weight[30000];
  double room[16];
  bool down = input == 1 || input == 2; /* y_index, y_weight; then x_index, x_weight */
  vq_shape i = vq_bands_index(bands, down ? bands->height : bands->width);
  vq_shape w = vq_bands_weight(bands, down ? bands->height : bands->width);
  if (input == 0 || vq_shape_bytes(&i) > sizeof index || vq_shape_bytes(&w) > sizeof weight || bands->most > 16 ||
      vq_bands_fill(bands, boxes, NULL, down, index, weight, room))
    return;
  if (input % 2)
    memcpy(host, index, vq_shape_bytes(&i));
  else
    memcpy(host, weight, vq_shape_bytes(&w));
}

static void fill_average(int input, void *host)
{
  fill_tables(&average, average_boxes, input, host);
}

static void fill_wide(int input, void *host)
{
  fill_tables(&wide, wide_boxes, input, host);
}

static void fill_long(int input, void *host)
{
  fill_tables(&long_lines, long_boxes, input, host);
}

static void fill_lanczos(int input, void *host)
{
  fill_tables(&lanczos, lanczos_boxes, input, host);
}

static vq_tensor *resample_average(vq_tape *t, vq_tensor *const *in)
{
  return vq_resample(t, in[0], in[1], in[2], in[3], in[4], &average);
}

static vq_tensor *resample_lanczos(vq_tape *t, vq_tensor *const *in)
{
  return vq_resample(t, in[0], in[1], in[2], in[3], in[4], &lanczos);
}

static vq_tensor *resample_wide(vq_tape *t, vq_tensor *const *in)
{
  return vq_resample(t, in[0], in[1], in[2], in[3], in[4], &wide);
}

static vq_tensor *resample_long(vq_tape *t, vq_tensor *const *in)
{
  return vq_resample(t, in[0], in[1], in[2], in[3], in[4], &long_lines);
}

static vq_tensor *resample_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, resample_lanczos(t, in), resample_lanczos(t, in));
}

/* ---- the objective ---- */

static vq_tensor *sphere(vq_tape *t, vq_tensor *const *in)
{
  return vq_sphere(t, in[0], in[1], 1.5, -INFINITY, 3, 7);
}

static vq_tensor *sphere_negative(vq_tape *t, vq_tensor *const *in)
{
  return vq_sphere(t, in[0], in[1], -0.5, -INFINITY, 3, 3);
}

static vq_tensor *sphere_padded(vq_tape *t, vq_tensor *const *in)
{
  return vq_sphere(t, in[0], in[1], 1, -INFINITY, 3, 8);
}

static vq_tensor *sphere_nothing(vq_tape *t, vq_tensor *const *in)
{
  return vq_sphere(t, in[0], in[1], 0, -INFINITY, 3, 3);
}

static vq_tensor *sphere_stop(vq_tape *t, vq_tensor *const *in)
{
  return vq_sphere(t, in[0], in[1], 0.8, 1.3, 3, 3);
}

static vq_tensor *sphere_negative_stop(vq_tape *t, vq_tensor *const *in)
{
  return vq_sphere(t, in[0], in[1], -0.8, -1.3, 3, 3);
}

static vq_tensor *sphere_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, sphere(t, in), sphere_negative(t, in));
}

/* Rows in almost the same direction, and in almost the opposite one. */
static void fill_near_and_far(int input, void *host)
{
  static const double direction[5] = {0.3, -1.1, 0.4, 0.9, -0.2};
  vq_real *values = host;
  for (int c = 0; c < 5; c++)
    if (input == 1)
      values[c] = (vq_real)(2 * direction[c]);
    else {
      values[c] = (vq_real)(direction[c] + 0.001 * (double)values[c]);
      values[5 + c] = (vq_real)(-direction[c] + 0.1 * (double)values[5 + c]);
    }
}

/* The first row in the prompt's very direction, the second in the opposite one, the third nothing. */
static void fill_extremes(int input, void *host)
{
  static const double direction[5] = {0.5, -0.5, 0.5, 0.5, 0}; /* its length is 1, without rounding */
  vq_real *values = host;
  for (int c = 0; c < 5; c++)
    if (input == 1)
      values[c] = (vq_real)direction[c];
    else {
      values[c] = (vq_real)(2 * direction[c]);
      values[5 + c] = (vq_real)(-4 * direction[c]);
      values[10 + c] = 0;
    }
}

#define LARGE    "too many elements for central differences; the rows above have its gradient"
#define STRAIGHT "straight-through: compared with PyTorch's gradient"
#define CLAMPED  "the clamp's gradient is not its derivative: compared with PyTorch's custom function"
#define STOPPED  "the stop is for the gradient only: compared with PyTorch's gradient"
#define EXTREME  "no derivative at opposite directions: that the gradient is finite is what counts"

/* clang-format off */
const vq_case vq_cases_vqgan[] = {
    {"conv", &vq_op_conv, conv3, {LEAF(2, 5, 4, 3), LEAF(7, 3, 3, 3), LEAF(7)}},
    {"conv, frozen weights", &vq_op_conv, conv3, {LEAF(1, 6, 5, 3), FROZEN(4, 3, 3, 3), FROZEN(4)}},
    {"conv, weight only", &vq_op_conv, conv3, {CONST(1, 4, 5, 2), LEAF(3, 3, 3, 2), NONE}},
    {"conv, bias only", &vq_op_conv, conv1, {CONST(1, 4, 5, 2), CONST(3, 1, 1, 2), LEAF(3)}},
    {"conv, 1x1", &vq_op_conv, conv1, {LEAF(2, 3, 4, 5), LEAF(6, 1, 1, 5), LEAF(6)}},
    {"conv, uneven kernel and padding", &vq_op_conv, conv_uneven, {LEAF(2, 5, 4, 2), LEAF(3, 2, 3, 2), NONE}},
    {"conv, stride 2", &vq_op_conv, conv_down, {LEAF(2, 6, 7, 2), LEAF(3, 3, 3, 2), LEAF(3)}},
    {"conv, stride 2, frozen", &vq_op_conv, conv_down, {LEAF(1, 5, 8, 3), FROZEN(2, 3, 3, 3), NONE}},
    {"conv, added to", &vq_op_conv, conv_added, {LEAF(2, 3, 4, 2), LEAF(3, 3, 3, 2), LEAF(3), FROZEN(3), FROZEN(3), FROZEN(3, 1, 1, 3)}},
    {"conv, stride 3, padded", &vq_op_conv, conv_stride3, {LEAF(1, 8, 7, 2), LEAF(2, 4, 3, 2), NONE}},
    {"conv, stride 2, added to", &vq_op_conv, conv_down_added, {LEAF(1, 4, 6, 2), LEAF(3, 3, 3, 2), LEAF(3), FROZEN(3), FROZEN(3), FROZEN(3, 1, 1, 3)}},
    {"conv, several strips", &vq_op_conv, conv3, {LEAF(1, 23, 10, 1), LEAF(2, 3, 3, 1), LEAF(2)}},
    {"conv, more strips than lanes", &vq_op_conv, conv3, {CONST(2, 47, 50, 2), LEAF(2, 3, 3, 2), LEAF(2)}},
    {"conv, weights of many channels", &vq_op_conv, conv3, {CONST(1, 3, 2, 1), LEAF(70, 3, 3, 1), NONE}},
    {"conv, many channels", &vq_op_conv, conv3, {LEAF(1, 3, 2, 3), CONST(150, 3, 3, 3), LEAF(150)}},
    {"conv, channels in eights", &vq_op_conv, conv3, {LEAF(1, 5, 4, 8), FROZEN(16, 3, 3, 8), FROZEN(16)}},
    {"conv, to a picture", &vq_op_conv, conv3, {LEAF(1, 4, 3, 32), FROZEN(3, 3, 3, 32), FROZEN(3)}},

    {"group_norm", &vq_op_group_norm, group_norm3, {LEAF(2, 3, 5, 12), LEAF(12), LEAF(12)}},
    {"group_norm, tokens", &vq_op_group_norm, group_norm3, {LEAF(2, 7, 6), FROZEN(6), FROZEN(6)}},
    {"group_norm, scale only", &vq_op_group_norm, group_norm3, {CONST(1, 3, 5, 6), LEAF(6), CONST(6)}},
    {"group_norm, shift only", &vq_op_group_norm, group_norm3, {CONST(1, 3, 5, 6), CONST(6), LEAF(6)}},
    {"group_norm, added to", &vq_op_group_norm, group_norm_added, {LEAF(2, 3, 2, 6), LEAF(6), LEAF(6), FROZEN(6), FROZEN(6), FROZEN(6, 1, 1, 6)}},
    {"group_norm, mean far from 0", &vq_op_group_norm, group_norm3, {{.kind = VQ_INPUT_LEAF, DIMS(1, 4, 3, 6), .mean = 50, .spread = 0.5}, LEAF(6), LEAF(6)}},
    {"group_norm, channels of several blocks", &vq_op_group_norm, group_norm3, {LEAF(2, 2, 2, 150), LEAF(150), LEAF(150)}},
    {"group_norm, several slabs", &vq_op_group_norm, group_norm3, {CONST(2, 45, 65, 6), LEAF(6), LEAF(6)}},
    {"group_norm, several slabs of tokens", &vq_op_group_norm, group_norm3, {LEAF(1, 1100, 6), FROZEN(6), FROZEN(6)}},

    {"norm_act_conv", &vq_op_norm_act_conv, norm_silu_conv, {LEAF(2, 5, 4, 6), FROZEN(6), FROZEN(6), FROZEN(5, 3, 3, 6), FROZEN(5), LEAF(2, 5, 4, 5)}},
    {"norm_act_conv, no skip", &vq_op_norm_act_conv, norm_silu_conv, {LEAF(1, 3, 4, 6), CONST(6), CONST(6), CONST(5, 3, 3, 6), CONST(5), NONE}},
    {"norm_act_conv, skip only", &vq_op_norm_act_conv, norm_silu_conv, {CONST(1, 3, 4, 6), FROZEN(6), FROZEN(6), FROZEN(2, 3, 3, 6), NONE, LEAF(1, 3, 4, 2)}},
    {"norm_act_conv, 1x1 without activation", &vq_op_norm_act_conv, norm_conv, {LEAF(2, 3, 4, 6), FROZEN(6), FROZEN(6), FROZEN(7, 1, 1, 6), FROZEN(7), NONE}},
    {"norm_act_conv, skip is x", &vq_op_norm_act_conv, norm_conv_of_itself, {LEAF(2, 4, 3, 6), FROZEN(6), FROZEN(6), FROZEN(6, 3, 3, 6), FROZEN(6), NONE}},
    {"norm_act_conv, channels in eights", &vq_op_norm_act_conv, norm_silu_conv, {LEAF(1, 3, 4, 24), FROZEN(24), FROZEN(24), FROZEN(16, 3, 3, 24), FROZEN(16), LEAF(1, 3, 4, 16)}},
    {"norm_act_conv, to a picture", &vq_op_norm_act_conv, norm_conv, {LEAF(1, 3, 2, 32), FROZEN(32), FROZEN(32), FROZEN(3, 3, 3, 32), FROZEN(3), NONE}},

    {"upsample_conv", &vq_op_upsample_conv, upsample_conv, {LEAF(2, 4, 3, 5), FROZEN(6, 3, 3, 5), FROZEN(6)}},
    {"upsample_conv, weights on the tape", &vq_op_upsample_conv, upsample_conv, {LEAF(1, 3, 5, 2), CONST(3, 3, 3, 2), NONE}},
    {"upsample_conv, added to", &vq_op_upsample_conv, upsample_conv_added, {LEAF(1, 2, 3, 2), FROZEN(3, 3, 3, 2), FROZEN(3), FROZEN(3), FROZEN(3), FROZEN(3, 3, 3, 3)}},
    {"upsample_conv, channels in eights", &vq_op_upsample_conv, upsample_conv, {LEAF(1, 3, 4, 8), FROZEN(16, 3, 3, 8), FROZEN(16)}},

    {"nearest", &vq_op_nearest, nearest, {LEAF(2, 3, 7, 5), FROZEN(11, 5)}},
    {"nearest, its rows", &vq_op_nearest, quantise_nearest, {CONST(2, 6, 5), CONST(13, 5)}},
    {"nearest, ties", &vq_op_nearest, nearest, {CONST(3, 5), CONST(7, 5)}, fill_ties},
    {"nearest, several parts of the book", &vq_op_nearest, nearest, {CONST(70, 37), CONST(150, 37)}, fill_near_ties},
    {"nearest, not a number", &vq_op_nearest, nearest, {CONST(3, 5), CONST(7, 5)}, fill_nan},
    {"quantise", &vq_op_quantise, quantise, {LEAF(2, 3, 4, 5), FROZEN(11, 5), IDS(11, 2, 3, 4)}, NULL, STRAIGHT},
    {"quantise, nearest", &vq_op_quantise, quantise_nearest, {LEAF(1, 5, 5, 4), FROZEN(9, 4)}, NULL, STRAIGHT},

    {"choose, the largest", &vq_op_choose, choose, {CONST(3, 7), NONE}, fill_equals},
    {"choose, the largest of many", &vq_op_choose, choose, {CONST(5, 300), NONE}},
    {"choose, drawn", &vq_op_choose, choose, {LEAF(2, 3, 11), CONST(2, 3)}, fill_uniform},
    {"choose, many codes", &vq_op_choose, choose, {{.kind = VQ_INPUT_CONST, DIMS(6, 1031), .spread = 3}, CONST(6)}, fill_uniform},
    {"choose, codes in parts", &vq_op_choose, choose, {{.kind = VQ_INPUT_CONST, DIMS(6, 4099), .spread = 1}, CONST(6)}, fill_uniform},
    {"choose, its rows", &vq_op_choose, soft_quantise_chosen, {CONST(2, 3, 37), CONST(37, 4), CONST(2, 3)}, fill_uniform_last},
    {"soft_quantise", &vq_op_soft_quantise, soft_quantise, {LEAF(2, 3, 11), FROZEN(11, 5), IDS(11, 2, 3)}, NULL, STRAIGHT},
    {"soft_quantise, chosen", &vq_op_soft_quantise, soft_quantise_chosen, {LEAF(6, 37), FROZEN(37, 4)}, NULL, STRAIGHT},
    {"soft_quantise, drawn", &vq_op_soft_quantise, soft_quantise_chosen, {LEAF(2, 3, 37), FROZEN(37, 4), CONST(2, 3)}, fill_uniform_last, STRAIGHT},
    {"soft_quantise, added to", &vq_op_soft_quantise, soft_quantise_added, {LEAF(2, 3, 5), FROZEN(5, 5), IDS(5, 2, 3)}, NULL, STRAIGHT},

    {"clamp01, inside", &vq_op_clamp01, clamp01, {{.kind = VQ_INPUT_LEAF, DIMS(2, 3, 5, 3), .spread = 0.2}}},
    {"clamp01", &vq_op_clamp01, clamp01, {LEAF(1, 9, 7, 3)}, NULL, CLAMPED},
    {"clamp01, added to", &vq_op_clamp01, clamp01_added, {LEAF(1, 5, 7, 3)}, NULL, CLAMPED},
    {"clamp01, of colours", &vq_op_clamp01, clamp_colours, {LEAF(2, 4, 5, 3)}, NULL, CLAMPED},
    {"clamp01, many elements", &vq_op_clamp01, clamp01, {LEAF(1, 160, 133, 3)}, NULL, CLAMPED},

    {"total_variation", &vq_op_total_variation, total_variation, {LEAF(2, 5, 4, 3)}},
    {"total_variation, one row", &vq_op_total_variation, total_variation, {LEAF(1, 1, 6, 2)}},
    {"total_variation, one pixel", &vq_op_total_variation, total_variation, {LEAF(1, 1, 1, 3)}},
    {"total_variation, added to", &vq_op_total_variation, total_variation_added, {LEAF(1, 4, 5, 3)}},
    {"total_variation, long rows", &vq_op_total_variation, total_variation, {LEAF(1, 3, 101, 3)}},
    {"total_variation, many rows", &vq_op_total_variation, total_variation, {LEAF(1, 29, 28, 3)}},

    {"resample, average", &vq_op_resample, resample_average, {LEAF(2, 11, 13, 3), IDS(1, 4, 16, 2), CONST(4, 53), IDS(1, 4, 18, 2), CONST(4, 59)}, fill_average},
    {"resample, lanczos", &vq_op_resample, resample_lanczos, {LEAF(1, 11, 13, 3), IDS(1, 3, 17, 2), CONST(3, 126), IDS(1, 3, 19, 2), CONST(3, 138)}, fill_lanczos},
    {"resample, wide", &vq_op_resample, resample_wide, {LEAF(1, 7, 120, 3), IDS(1, 6, 97, 2), CONST(6, 313), IDS(1, 6, 210, 2), CONST(6, 2460)}, fill_wide, LARGE},
    {"resample, long lines", &vq_op_resample, resample_long, {LEAF(1, 6, 4100, 3), IDS(1, 2, 10, 2), CONST(2, 30), IDS(1, 2, 4104, 2), CONST(2, 12312)}, fill_long, LARGE},
    {"resample, added to", &vq_op_resample, resample_added, {LEAF(1, 11, 13, 3), IDS(1, 3, 17, 2), CONST(3, 126), IDS(1, 3, 19, 2), CONST(3, 138)}, fill_lanczos},

    {"sphere", &vq_op_sphere, sphere, {LEAF(3, 5), LEAF(2, 5)}},
    {"sphere, negative weight", &vq_op_sphere, sphere_negative, {LEAF(3, 5), CONST(4, 5)}},
    {"sphere, padded rows", &vq_op_sphere, sphere_padded, {LEAF(5, 6), LEAF(1, 6)}},
    {"sphere, prompt only", &vq_op_sphere, sphere, {CONST(4, 5), LEAF(2, 5)}},
    {"sphere, weight 0", &vq_op_sphere, sphere_nothing, {LEAF(3, 5), LEAF(2, 5)}},
    {"sphere, added to", &vq_op_sphere, sphere_added, {LEAF(3, 7), LEAF(2, 7)}},
    {"sphere, many features", &vq_op_sphere, sphere, {LEAF(3, 150), LEAF(2, 150)}},
    {"sphere, near and far", &vq_op_sphere, sphere, {LEAF(3, 5), LEAF(1, 5)}, fill_near_and_far},
    {"sphere, same and opposite", &vq_op_sphere, sphere, {LEAF(3, 5), LEAF(1, 5)}, fill_extremes, EXTREME},
    {"sphere, stop", &vq_op_sphere, sphere_stop, {LEAF(3, 5), LEAF(4, 5)}, NULL, STOPPED},
    {"sphere, negative weight and stop", &vq_op_sphere, sphere_negative_stop, {LEAF(3, 5), LEAF(4, 5)}, NULL, STOPPED},
    {NULL},
};
/* clang-format on */
