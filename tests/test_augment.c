/* test_augment.c -- augmentations of cutouts against kornia: published arrays of single operators, and its random warps,
 * crops and erasing from the parameters that it drew (tests/compare/make_augment_goldens.py); and what the table of cases cannot
 * say of the rooms: limits of the fixed point, the law of the noise, what is refused. Built as float and as double. */
#include "kernels/noise/normals.h"
#include "kernels/ops.h"
#include "loaders/npy.h"
#include "loaders/safetensors.h"
#include "tests/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a float: some hundred roundings. Of a double: kornia's sums of products of matrices, against ours in closed form. */
#ifdef VQ_DOUBLE
#define TOLERANCE 1e-10
#else
#define TOLERANCE 1e-5
#endif

static void expect_close(const char *what, const vq_real *is, const vq_real *must, int64_t count, double tolerance)
{
  double off = 0, size = 0;
  for (int64_t i = 0; i < count; i++) {
    off += ((double)is[i] - (double)must[i]) * ((double)is[i] - (double)must[i]);
    size += (double)must[i] * (double)must[i];
  }
  cr_expect(sqrt(off) <= tolerance * sqrt(size), "%s: relative error %.3g, at most %.0e is allowed", what,
            sqrt(off / size), tolerance); /* a NaN is no pass */
}

static vq_real *reals(const vq_file_tensor *t)
{
  size_t count = vq_file_tensor_count(t);
  double *stored = malloc(count * sizeof *stored);
  vq_real *values = malloc(count * sizeof *values);
  vq_file_tensor_read_f64(t, stored);
  for (size_t i = 0; i < count; i++)
    values[i] = (vq_real)stored[i];
  free(stored);
  return values;
}

static vq_tensor *leaf(bench *b, vq_dtype dtype, const void *host, bool wants, int rank, const int64_t *dim)
{
  vq_shape s = vq_shape_make(dtype, rank, dim);
  vq_tensor *x = vq_leaf(b->tape, &s, host, wants);
  cr_assert(x, "%s", vq_error_message());
  return x;
}

#define LEAF(dtype, host, wants, ...) \
  leaf(&b, dtype, host, wants, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

/* ---- published arrays: op_x through one operator, and its gradient for dy[i] = sin(0.37 i), i counting PyTorch's layout ---- */

#define H 24
#define W 34

/* A published array [1,3,h,w] as [h,w,3]; a matrix as it is. */
static vq_real *load(const char *name, int64_t *count)
{
  char path[512];
  vq_npy array;
  snprintf(path, sizeof path, "%s/reference/op_%s.npy", VQ_TEST_DATA, name);
  cr_assert(!vq_npy_read(&array, path), "%s", vq_error_message());
  const vq_file_tensor *x = &array.tensor;
  vq_real *stored = reals(x), *pixels = malloc(vq_file_tensor_count(x) * sizeof *pixels);
  *count = (int64_t)vq_file_tensor_count(x);
  int64_t area = x->rank == 4 ? *count / 3 : 1;
  for (int64_t i = 0; i < *count; i++)
    pixels[x->rank == 4 ? i % area * 3 + i / area : i] = stored[i];
  free(stored);
  vq_npy_free(&array);
  return pixels;
}

typedef struct published {
  const char *name;
  vq_jitter_stage stage;
  double amount;
} published;

static vq_tensor *warped(bench *at, vq_tensor *x, const char *name)
{
  bench b = *at;
  bool affine = !strncmp(name, "affine", 6);
  double M[9];
  int64_t count;
  vq_real *stored = load(affine ? "affine_M" : "perspective_M", &count);
  for (int i = 0; i < count; i++)
    M[i] = (double)stored[i];
  free(stored);
  cr_assert(!(affine ? vq_warp_by_affine(M, W, H, M) : vq_warp_by_perspective(M, W, H, M)), "%s",
            vq_error_message());
  return vq_warp(b.tape, x, LEAF(VQ_F64, M, false, 1, 3, 3),
                 !strcmp(name, "affine_border") ? VQ_WARP_BORDER : VQ_WARP_ZEROS);
}

static vq_tensor *jittered(bench *at, vq_tensor *x, const published *p)
{
  bench b = *at;
  int32_t stage = (int32_t)p->stage;
  vq_real amount = (vq_real)p->amount;
  return vq_jitter(b.tape, x, LEAF(VQ_I32, &stage, false, 1, 1), LEAF(VQ_REAL, &amount, false, 1, 1),
                   strncmp(p->name, "jitter2", 7) ? VQ_JITTER_KORNIA_054 : VQ_JITTER_KORNIA);
}

/* The arrays are float32, made in float32 by kornia 0.6.9 at points up to 34 pixels away: 4e-6 of a level is what float64
 * differs from them by. */
static void check(const published *p)
{
  bench b = open_bench();
  char name[64];
  int64_t size, count, also;
  vq_real *pixels = load("x", &size);
  vq_tensor *x = LEAF(VQ_REAL, pixels, true, 1, H, W, 3);
  vq_mark mark = vq_tape_mark(b.tape);
  vq_tensor *y = p->stage                       ? jittered(&b, x, p)
                 : !strcmp(p->name, "avgmax11") ? vq_max_pool(b.tape, x, 11, 0.5)
                                                : warped(&b, x, p->name);
  snprintf(name, sizeof name, "%s_out", p->name);
  vq_real *must = load(name, &count);
  cr_assert(y && vq_count(y) == count, "%s: %s", name, vq_error_message());
  vq_real *is = malloc((size_t)size * sizeof *is), *dy = malloc((size_t)count * sizeof *dy);
  cr_assert(!vq_tensor_read(b.device, y, is));
  expect_close(name, is, must, count, 1e-5);
  for (int64_t i = 0; i < count; i++)
    dy[i % (count / 3) * 3 + i / (count / 3)] = (vq_real)sin(0.37 * (double)i);
  vq_seed_with(b.tape, y, dy);
  cr_assert(!vq_backward(b.tape, NULL, mark), "%s", vq_error_message());
  cr_assert(!vq_grad_read(b.device, x, is));
  free(must);
  snprintf(name, sizeof name, "%s_grad", p->name);
  must = load(name, &also);
  cr_assert(also == size);
  expect_close(name, is, must, size, 1e-5);
  free(pixels);
  free(must);
  free(is);
  free(dy);
  close_bench(&b);
}

Test(augment, published_arrays)
{
  static const published row[] = {
      {"avgmax11", VQ_JITTER_NONE, 0},
      {"affine_zeros", VQ_JITTER_NONE, 0},
      {"affine_border", VQ_JITTER_NONE, 0},
      {"perspective", VQ_JITTER_NONE, 0},
      {"brightness", VQ_JITTER_SHIFT, 0.07},
      {"contrast", VQ_JITTER_SCALE, 0.93},
      {"saturation", VQ_JITTER_SATURATION, 1.08},
      {"hue", VQ_JITTER_HUE, 0.05},
      {"jitter2_brightness", VQ_JITTER_SCALE, 1.07},
      {"jitter2_contrast", VQ_JITTER_CONTRAST, 0.93},
      {"jitter2_saturation", VQ_JITTER_GRAY, 1.08},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    check(&row[i]);
}

#undef H
#undef W

/* ---- kornia's augmentations from what they drew ---- */

typedef struct recorded {
  bench b;
  vq_safetensors *file;
  int64_t n, h, w;
  vq_tensor *x;
} recorded;

static const vq_file_tensor *find(const recorded *r, const char *name)
{
  const vq_file_tensor *t = vq_safetensors_find(r->file, name);
  cr_assert(t, "the file has no '%s'", name);
  return t;
}

/* The file's tensor `input` is x. */
static recorded open_file(const char *path, const char *input, bool wants)
{
  recorded r = {.b = open_bench()};
  cr_assert(!vq_safetensors_open(&r.file, path), "%s", vq_error_message());
  const vq_file_tensor *x = find(&r, input);
  r.n = x->dim[0];
  r.h = x->dim[1];
  r.w = x->dim[2];
  vq_real *pixels = reals(x);
  r.x = leaf(&r.b, VQ_REAL, pixels, wants, 4, x->dim);
  free(pixels);
  return r;
}

static recorded open_recorded(void)
{
  return open_file(VQ_TEST_DATA "/augment.safetensors", "x", false);
}

static void close_recorded(recorded *r)
{
  vq_safetensors_close(r->file);
  close_bench(&r->b);
}

static double *doubles(const recorded *r, const char *name)
{
  const vq_file_tensor *t = find(r, name);
  double *values = malloc(vq_file_tensor_count(t) * sizeof *values);
  vq_file_tensor_read_f64(t, values);
  return values;
}

static void expect_output(recorded *r, const char *name, const vq_tensor *y)
{
  cr_assert(y, "%s: %s", name, vq_error_message());
  vq_real *must = reals(find(r, name)), *is = malloc((size_t)vq_count(y) * sizeof *is);
  cr_assert(!vq_tensor_read(r->b.device, y, is));
  expect_close(name, is, must, vq_count(y), TOLERANCE);
  free(must);
  free(is);
}

static void check_affine(const char *name, const char *motions, vq_warp_padding padding)
{
  recorded r = open_recorded();
  bench b = r.b;
  double *p = doubles(&r, motions), M[9 * 8];
  for (int j = 0; j < r.n; j++) {
    const double *a = p + 7 * j;
    vq_warp_motion motion = {a[0], a[1], a[2], a[3], a[4], a[5], a[6]};
    cr_assert(!vq_warp_affine(M + 9 * j, (int)r.w, (int)r.h, &motion), "%s", vq_error_message());
  }
  expect_output(&r, name, vq_warp(b.tape, r.x, LEAF(VQ_F64, M, false, r.n, 3, 3), padding));
  free(p);
  close_recorded(&r);
}

Test(augment, random_affine)
{
  check_affine("affine border", "affine border motion", VQ_WARP_BORDER);
  check_affine("affine zeros", "affine zeros motion", VQ_WARP_ZEROS);
}

Test(augment, random_rotation)
{
  recorded r = open_recorded();
  bench b = r.b;
  double *degrees = doubles(&r, "rotation degrees"), M[9 * 8];
  for (int j = 0; j < r.n; j++)
    cr_assert(!vq_warp_rotation(M + 9 * j, (int)r.w, (int)r.h, degrees[j]), "%s", vq_error_message());
  expect_output(&r, "rotation", vq_warp(b.tape, r.x, LEAF(VQ_F64, M, false, r.n, 3, 3), VQ_WARP_ZEROS));
  free(degrees);
  close_recorded(&r);
}

Test(augment, random_resized_crop)
{
  recorded r = open_recorded();
  bench b = r.b;
  double *box = doubles(&r, "crop boxes"), M[9 * 8];
  for (int j = 0; j < r.n; j++)
    cr_assert(
        !vq_warp_crop(M + 9 * j, (int)r.w, (int)r.h, box[4 * j], box[4 * j + 1], box[4 * j + 2], box[4 * j + 3]),
        "%s", vq_error_message());
  expect_output(&r, "crop", vq_warp(b.tape, r.x, LEAF(VQ_F64, M, false, r.n, 3, 3), VQ_WARP_ZEROS));
  free(box);
  close_recorded(&r);
}

Test(augment, random_perspective)
{
  recorded r = open_recorded();
  bench b = r.b;
  double *from = doubles(&r, "perspective from"), *to = doubles(&r, "perspective to"), M[9 * 8];
  double *draws = doubles(&r, "perspective draws");
  for (int j = 0; j < r.n; j++) {
    double start[8], end[8];
    vq_warp_corners(start, end, (int)r.w, (int)r.h, 0.7, draws + 8 * j);
    for (int i = 0; i < 8; i++)
      cr_expect(
          fabs(start[i] - from[8 * j + i]) < 1e-6 && fabs(end[i] - to[8 * j + i]) < 1e-6, /* 0.7 was a float */
          "corner %d goes from %g to %g, must from %g to %g", i, start[i], end[i], from[8 * j + i], to[8 * j + i]);
    cr_assert(!vq_warp_perspective(M + 9 * j, (int)r.w, (int)r.h, from + 8 * j, to + 8 * j), "%s",
              vq_error_message());
  }
  expect_output(&r, "perspective", vq_warp(b.tape, r.x, LEAF(VQ_F64, M, false, r.n, 3, 3), VQ_WARP_ZEROS));
  free(from);
  free(to);
  free(draws);
  close_recorded(&r);
}

Test(augment, random_erasing)
{
  recorded r = open_recorded();
  bench b = r.b;
  double *draws = doubles(&r, "erase draws"), *boxes = doubles(&r, "erase boxes");
  int32_t box[8][4];
  for (int j = 0; j < r.n; j++) {
    const double *d = draws + 4 * j;
    vq_erase_box(box[j], (int)r.w, (int)r.h, d[0], d[1], d[2], d[3]);
    for (int i = 0; i < 4; i++)
      cr_expect(box[j][i] == (int)boxes[4 * j + i], "box %d: [%d] is %d, must be %g", j, i, (int)box[j][i],
                boxes[4 * j + i]);
  }
  expect_output(&r, "erase", vq_erase(b.tape, r.x, LEAF(VQ_I32, box, false, r.n, 4), 0));
  free(draws);
  free(boxes);
  close_recorded(&r);
}

/* The stages of the golden rows, which kornia's own names for the adjustments made, are those that our names make. */
static void check_stages(const char *file, vq_jitter_meaning meaning)
{
  static const double factor[4][4] = {
      {1.08, 0.9, 1.3, 0.05}, {0.93, 1.2, 0.7, -0.03}, {0.95, 1.15, 1.3, 0.4}, {1.05, 0.85, 0.9, -0.3}};
  static const int order[4][4] = {{0, 1, 2, 3}, {3, 2, 0, 1}, {2, 3, 1, 0}, {1, 0, 3, 2}};
  recorded r = {.n = 4};
  int32_t stage[VQ_JITTER_STAGES];
  vq_real amount[VQ_JITTER_STAGES];
  cr_assert(!vq_safetensors_open(&r.file, file), "%s", vq_error_message());
  double *stages = doubles(&r, "in1"), *amounts = doubles(&r, "in2");
  for (int j = 0; j < r.n; j++) {
    vq_jitter_stages(stage, amount, meaning, factor[j], order[j]);
    for (int k = 0; k < VQ_JITTER_STAGES; k++)
      cr_expect(stage[k] == (int)stages[VQ_JITTER_STAGES * j + k] &&
                    fabs((double)amount[k] - amounts[VQ_JITTER_STAGES * j + k]) < 1e-7,
                "%s: stage %d of cutout %d is %d by %g", file, k, j, (int)stage[k], (double)amount[k]);
  }
  free(stages);
  free(amounts);
  vq_safetensors_close(r.file);
}

Test(augment, color_jitter)
{
  check_stages(VQ_TEST_DATA "/ops/jitter__kornia_0.5.4.safetensors", VQ_JITTER_KORNIA_054);
  check_stages(VQ_TEST_DATA "/ops/jitter__kornia.safetensors", VQ_JITTER_KORNIA);
}

/* ---- the notebook's cutouts, whole: crops, flip, sharpness, affine, perspective, jitter, noise ---- */

#define COUNT 5
#define SIDE  12

static int32_t *integers(const recorded *r, const char *name)
{
  const vq_file_tensor *t = find(r, name);
  int32_t *values = malloc(vq_file_tensor_count(t) * sizeof *values);
  cr_assert(!vq_file_tensor_read_i32(t, values), "%s", vq_error_message());
  return values;
}

static vq_tensor *crop(recorded *r)
{
  vq_bands bands = {VQ_RESAMPLE_LANCZOS, (int)r->w, (int)r->h, SIDE, COUNT, 12, 20, 0, 0};
  int32_t *boxes = integers(r, "boxes"), *flips = integers(r, "mirror");
  vq_tensor *index[2], *weight[2];
  bool mirror[COUNT];
  for (int j = 0; j < COUNT; j++)
    mirror[j] = flips[j];
  cr_assert(!vq_bands_measure(&bands), "%s", vq_error_message());
  for (int axis = 0; axis < 2; axis++) {
    int length = axis ? bands.height : bands.width;
    vq_shape i = vq_bands_index(&bands, length), w = vq_bands_weight(&bands, length);
    int32_t *runs = malloc(vq_shape_bytes(&i));
    vq_real *values = malloc(vq_shape_bytes(&w));
    double room[20];
    cr_assert(!vq_bands_fill(&bands, boxes, axis ? NULL : mirror, axis, runs, values, room), "%s",
              vq_error_message());
    index[axis] = vq_leaf(r->b.tape, &i, runs, false);
    weight[axis] = vq_leaf(r->b.tape, &w, values, false);
    free(runs);
    free(values);
  }
  free(boxes);
  free(flips);
  return vq_resample(r->b.tape, r->x, index[1], weight[1], index[0], weight[0], &bands);
}

static vq_tensor *rows_of(recorded *r, const char *name)
{
  const vq_file_tensor *t = find(r, name);
  vq_real *values = reals(t);
  vq_tensor *x = leaf(&r->b, VQ_REAL, values, false, t->rank, t->dim);
  free(values);
  return x;
}

static vq_tensor *moved_and_tilted(recorded *r, vq_tensor *y)
{
  bench b = r->b;
  double *motion = doubles(r, "motion"), *from = doubles(r, "from"), *to = doubles(r, "to"), M[9 * COUNT];
  int32_t *moved = integers(r, "moved"), *tilted = integers(r, "tilted");
  for (int j = 0; j < COUNT; j++) {
    const double *a = motion + 7 * j;
    vq_warp_motion m = {a[0], a[1], a[2], a[3], a[4], a[5], a[6]};
    vq_warp_identity(M + 9 * j);
    cr_assert(!moved[j] || !vq_warp_affine(M + 9 * j, SIDE, SIDE, &m), "%s", vq_error_message());
  }
  y = vq_warp(b.tape, y, LEAF(VQ_F64, M, false, COUNT, 3, 3), VQ_WARP_BORDER);
  for (int j = 0; j < COUNT; j++) {
    vq_warp_identity(M + 9 * j);
    cr_assert(!tilted[j] || !vq_warp_perspective(M + 9 * j, SIDE, SIDE, from + 8 * j, to + 8 * j), "%s",
              vq_error_message());
  }
  free(motion);
  free(from);
  free(to);
  free(moved);
  free(tilted);
  return vq_warp(b.tape, y, LEAF(VQ_F64, M, false, COUNT, 3, 3), VQ_WARP_ZEROS);
}

static vq_tensor *coloured(recorded *r, vq_tensor *y)
{
  bench b = r->b;
  double *factors = doubles(r, "colours");
  int32_t *chosen = integers(r, "jittered"), *order = integers(r, "order");
  int32_t stage[COUNT][VQ_JITTER_STAGES] = {{VQ_JITTER_NONE}};
  vq_real amount[COUNT][VQ_JITTER_STAGES] = {{0}};
  for (int j = 0; j < COUNT; j++)
    if (chosen[j])
      vq_jitter_stages(stage[j], amount[j], VQ_JITTER_KORNIA_054, factors + 4 * j, order);
  free(factors);
  free(chosen);
  free(order);
  return vq_jitter(b.tape, y, LEAF(VQ_I32, stage, false, COUNT, VQ_JITTER_STAGES),
                   LEAF(VQ_REAL, amount, false, COUNT, VQ_JITTER_STAGES), VQ_JITTER_KORNIA_054);
}

/* Values and the picture's gradient, for dy[i] = sin(0.37 i). The noise is the engine's, by tests/compare/philox.py. */
Test(augment, notebook_cutouts)
{
  recorded r = open_file(VQ_TEST_DATA "/notebook_cutouts.safetensors", "picture", true);
  bench b = r.b;
  int32_t key[COUNT][4];
  for (int j = 0; j < COUNT; j++)
    vq_noise_key(key[j], 0x123456789ABC, 17, (uint32_t)j);
  vq_mark mark = vq_tape_mark(b.tape);
  vq_tensor *y = vq_sharpen(b.tape, crop(&r), rows_of(&r, "sharpness"));
  y = coloured(&r, moved_and_tilted(&r, y));
  y = vq_noise(b.tape, y, rows_of(&r, "noise"), LEAF(VQ_I32, key, false, COUNT, 4));
  expect_output(&r, "out", y);
  int64_t count = vq_count(y), pixels = r.h * r.w * 3;
  vq_real *dy = malloc((size_t)count * sizeof *dy), *dx = malloc((size_t)pixels * sizeof *dx);
  for (int64_t i = 0; i < count; i++)
    dy[i] = (vq_real)sin(0.37 * (double)i);
  vq_seed_with(b.tape, y, dy);
  cr_assert(!vq_backward(b.tape, NULL, mark) && !vq_grad_read(b.device, r.x, dx), "%s", vq_error_message());
  vq_real *must = reals(find(&r, "gradient"));
  expect_close("the picture's gradient", dx, must, pixels, TOLERANCE);
  free(dy);
  free(dx);
  free(must);
  close_recorded(&r);
}

Test(augment, geometry_is_refused)
{
  const double line[8] = {0, 0, 1, 1, 2, 2, 3, 0}, corners[8] = {0, 0, 4, 0, 4, 4, 0, 4};
  const vq_warp_motion flat = {.scale_x = 0, .scale_y = 1}, still = {.scale_x = 1, .scale_y = 1};
  double M[9];
  cr_expect(vq_warp_perspective(M, 5, 5, line, corners) == VQ_ERR_ARGUMENT && strstr(vq_error_message(), "line"));
  cr_expect(vq_warp_affine(M, 5, 5, &flat) == VQ_ERR_ARGUMENT && strstr(vq_error_message(), "area"));
  cr_expect(vq_warp_affine(M, 1, 5, &still) == VQ_ERR_ARGUMENT && strstr(vq_error_message(), "1x5"));
}

/* ---- warp ---- */

/* A mirror image to the bit, forward; and a cutout that is left as it is. */
Test(augment, mirror)
{
  bench b = open_bench();
  double M[18];
  vq_real x[2][3][5][2], y[2][3][5][2];
  for (int i = 0; i < 60; i++)
    (&x[0][0][0][0])[i] = (vq_real)vq_rng_normal(1, VQ_RNG_WEIGHTS, 0, (uint64_t)i);
  vq_warp_mirror(M, 5);
  vq_warp_identity(M + 9);
  vq_tensor *out =
      vq_warp(b.tape, LEAF(VQ_REAL, x, false, 2, 3, 5, 2), LEAF(VQ_F64, M, false, 2, 3, 3), VQ_WARP_ZEROS);
  cr_assert(out && !vq_tensor_read(b.device, out, y), "%s", vq_error_message());
  for (int r = 0; r < 3; r++)
    for (int q = 0; q < 5; q++)
      cr_expect(!memcmp(y[0][r][q], x[0][r][4 - q], sizeof y[0][r][q]), "line %d, column %d", r, q);
  cr_expect(!memcmp(y[1], x[1], sizeof y[1]));
  close_bench(&b);
}

/* What a border gathers of a cutout that is wholly outside: all of dy, on one pixel; and so much of it that the sum could overflow is
 * an error. */
static vq_status corner(double each, double *gathered)
{
  bench b = open_bench();
  const double M[9] = {0, 0, -9, 0, 0, -9, 0, 0, 1};
  vq_real dy[30 * 40], dx[30 * 40];
  for (int i = 0; i < 30 * 40; i++)
    dy[i] = (vq_real)each;
  vq_tensor *x = LEAF(VQ_REAL, NULL, true, 1, 30, 40, 1);
  vq_mark mark = vq_tape_mark(b.tape);
  vq_tensor *y = vq_warp(b.tape, x, LEAF(VQ_F64, M, false, 1, 3, 3), VQ_WARP_BORDER);
  vq_seed_with(b.tape, y, dy);
  vq_status status = vq_backward(b.tape, NULL, mark);
  cr_assert(!vq_grad_read(b.device, x, dx) || status);
  *gathered = (double)dx[0];
  close_bench(&b);
  return status;
}

Test(augment, fixed_point)
{
  double sum, most = VQ_WARP_MOST / 1200;
  cr_assert(!corner(1e-7, &sum), "%s", vq_error_message());
  cr_expect(fabs(sum - 1200e-7) <= 1e-7 * 1200e-7, "gathered %.12g", sum);
  cr_assert(!corner(0.999 * most, &sum), "%s", vq_error_message());
  cr_expect(fabs(sum / VQ_WARP_MOST - 0.999) <= 1e-6, "gathered %.12g", sum);
  cr_expect(corner(1.001 * most, &sum) == VQ_ERR_ARGUMENT && strstr(vq_error_message(), "weights"));
  cr_expect(corner(NAN, &sum) == VQ_ERR_NAN);
  cr_expect(corner(-INFINITY, &sum) == VQ_ERR_NAN);
}

/* ---- noise ---- */

Test(augment, normals_are_the_generators)
{
  double normal[VQ_NORMALS], most = 0;
  for (int round = 0; round < 64; round++) {
    uint64_t first = (uint64_t)round * VQ_NORMALS + (round % 2 ? 0x7fffffff00u : 0);
    vq_normals(normal, 0x123456789abcdefu, VQ_RNG_NOISE, 5, first);
    for (int i = 0; i < VQ_NORMALS; i++)
      most = fmax(most, fabs(normal[i] - vq_rng_normal(0x123456789abcdefu, VQ_RNG_NOISE, 5, first + (uint64_t)i)));
  }
  cr_expect(most > 0 && most < 1e-12, "apart by up to %g", most);
}

static void add_noise(vq_real *y, int first, int n, uint32_t step)
{
  bench b = open_bench();
  enum { EACH = 11 * 11 * 3 };
  vq_real factor[8], zeros[8 * EACH] = {0};
  int32_t key[8][4];
  for (int j = 0; j < n; j++) {
    factor[j] = 1;
    vq_noise_key(key[j], 99, step, (uint32_t)(first + j));
  }
  vq_tensor *x = LEAF(VQ_REAL, zeros, false, n, EACH);
  vq_tensor *out = vq_noise(b.tape, x, LEAF(VQ_REAL, factor, false, n), LEAF(VQ_I32, key, false, n, 4));
  cr_assert(out && !vq_tensor_read(b.device, out, y), "%s", vq_error_message());
  close_bench(&b);
}

/* Cutouts one by one get what they get together; other steps and cutouts get other noise, of mean 0 and deviation 1. */
Test(augment, noise_of_a_cutout)
{
  enum { EACH = 11 * 11 * 3, ALL = 8 * EACH };
  static vq_real together[ALL], alone[EACH], later[ALL];
  add_noise(together, 3, 8, 5);
  add_noise(later, 3, 8, 6);
  for (int j = 0; j < 8; j++) {
    add_noise(alone, 3 + j, 1, 5);
    cr_expect(!memcmp(alone, together + j * EACH, sizeof alone), "cutout %d", j);
  }
  double sum = 0, squares = 0, steps = 0, cutouts = 0;
  for (int i = 0; i < ALL; i++) {
    double v = (double)together[i];
    sum += v;
    squares += v * v;
    steps += v * (double)later[i];
    cutouts += v * (double)together[(i + EACH) % ALL];
  }
  /* Sums of 2904 numbers: four deviations are 0.074 of a mean, 0.105 of a mean square. */
  cr_expect(fabs(sum / ALL) < 0.075 && fabs(squares / ALL - 1) < 0.105, "mean %g, square %g", sum / ALL,
            squares / ALL);
  cr_expect(fabs(steps / ALL) < 0.075 && fabs(cutouts / ALL) < 0.075, "correlations %g, %g", steps / ALL,
            cutouts / ALL);
}

/* ---- what is refused ---- */

Test(augment, stages_are_refused)
{
  const int32_t wrong[][3] = {{0, 8, 0}, {-1, 0, 0}, {VQ_JITTER_CONTRAST, VQ_JITTER_HUE, VQ_JITTER_CONTRAST}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    bench b = open_bench();
    vq_real amount[3] = {1, 1, 1}, pixel[3] = {0};
    cr_expect(!vq_jitter(b.tape, LEAF(VQ_REAL, pixel, false, 1, 1, 1, 3), LEAF(VQ_I32, wrong[i], false, 1, 3),
                         LEAF(VQ_REAL, amount, false, 1, 3), VQ_JITTER_KORNIA));
    cr_expect(vq_tape_status(b.tape) == VQ_ERR_ARGUMENT && strstr(vq_error_message(), "jitter: stage"), "row %zu",
              i);
    close_bench(&b);
  }
}

Test(augment, shapes_are_refused)
{
  for (int i = 0; i < 9; i++) {
    bench b = open_bench();
    vq_tensor *x = LEAF(VQ_REAL, NULL, false, 2, 5, 6, 3), *gray = LEAF(VQ_REAL, NULL, false, 2, 5, 6, 1);
    vq_tensor *one = LEAF(VQ_REAL, NULL, false, 1), *two = LEAF(VQ_REAL, NULL, false, 2);
    vq_tensor *stage = LEAF(VQ_I32, NULL, false, 2, 4), *many = LEAF(VQ_I32, NULL, false, 2, 9);
    vq_tensor *y = i == 0   ? vq_mse(b.tape, x, gray, one)
                   : i == 1 ? vq_mse(b.tape, x, NULL, two)
                   : i == 2 ? vq_max_pool(b.tape, x, 0, 0.5)
                   : i == 3 ? vq_max_pool(b.tape, x, 3, NAN)
                   : i == 4 ? vq_warp(b.tape, x, LEAF(VQ_F64, NULL, false, 1, 3, 3), VQ_WARP_ZEROS)
                   : i == 5 ? vq_sharpen(b.tape, x, one)
                   : i == 6 ? vq_noise(b.tape, x, two, LEAF(VQ_I32, NULL, false, 2, 3))
                   : i == 7 ? vq_jitter(b.tape, gray, stage, LEAF(VQ_REAL, NULL, false, 2, 4), VQ_JITTER_KORNIA)
                            : vq_jitter(b.tape, x, many, LEAF(VQ_REAL, NULL, false, 2, 9), VQ_JITTER_KORNIA);
    cr_expect(!y && vq_tape_status(b.tape), "call %d passes", i);
    close_bench(&b);
  }
}

/* ---- mirrored cutouts ---- */

/* The tables of a mirrored box give the same bits from right to left. */
Test(augment, mirrored_boxes)
{
  for (int kind = VQ_RESAMPLE_AVERAGE; kind <= VQ_RESAMPLE_LANCZOS; kind++) {
    bench b = open_bench();
    vq_bands bands = {(vq_resample_kind)kind, 15, 13, 6, 2, 4, 11, 0, 0};
    const int32_t boxes[] = {3, 1, 11, 3, 1, 11};
    const bool mirror[] = {false, true};
    vq_tensor *index[2], *weight[2];
    cr_assert(!vq_bands_measure(&bands), "%s", vq_error_message());
    for (int axis = 0; axis < 2; axis++) {
      int length = axis ? bands.height : bands.width;
      vq_shape i = vq_bands_index(&bands, length), w = vq_bands_weight(&bands, length);
      int32_t *runs = malloc(vq_shape_bytes(&i));
      vq_real *values = malloc(vq_shape_bytes(&w));
      double room[11];
      cr_assert(!vq_bands_fill(&bands, boxes, axis ? NULL : mirror, axis, runs, values, room), "%s",
                vq_error_message());
      index[axis] = vq_leaf(b.tape, &i, runs, false);
      weight[axis] = vq_leaf(b.tape, &w, values, false);
      free(runs);
      free(values);
    }
    vq_real picture[13 * 15 * 3], y[2][6][6][3], dy[2][6][6][3], dx[13 * 15 * 3], once[13 * 15 * 3];
    for (int i = 0; i < 13 * 15 * 3; i++)
      picture[i] = (vq_real)vq_rng_normal(2, VQ_RNG_WEIGHTS, 0, (uint64_t)i);
    vq_tensor *x = LEAF(VQ_REAL, picture, true, 1, 13, 15, 3);
    for (int side = 0; side < 2; side++) { /* the gradient of one, and of the other turned about */
      vq_mark mark = vq_tape_mark(b.tape);
      vq_tensor *out = vq_resample(b.tape, x, index[1], weight[1], index[0], weight[0], &bands);
      cr_assert(out && !vq_tensor_read(b.device, out, y), "%s", vq_error_message());
      for (int r = 0; r < 6; r++)
        for (int q = 0; q < 6; q++) {
          cr_expect(!memcmp(y[0][r][q], y[1][r][5 - q], sizeof y[0][r][q]), "kind %d, line %d, column %d", kind, r,
                    q);
          for (int i = 0; i < 3; i++) {
            dy[side][r][side ? 5 - q : q][i] = (vq_real)sin(r + 7 * q + 50 * i);
            dy[1 - side][r][q][i] = 0;
          }
        }
      vq_seed_with(b.tape, out, dy);
      cr_assert(!vq_backward(b.tape, NULL, mark), "%s", vq_error_message());
      cr_assert(!vq_grad_read(b.device, x, side ? dx : once));
      vq_grad_drop(b.tape, x);
    }
    expect_close("the gradient of a mirrored box", dx, once, 13 * 15 * 3, 1e-6);
    close_bench(&b);
  }
}
