/* test_augment_draws.c -- what augmentations draw: the laws of runtime/augment.h by Kolmogorov and Smirnov's distance, with fixed seeds; that
 * a cutout's draws are its own; what is refused. */
#include "runtime/augment.h"

#include "base/rng.h"
#include "tests/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DRAWN 20000
#define SEED  20210610

static vq_augment_key key(int place, int cutout)
{
  return (vq_augment_key){SEED, 3, place, cutout};
}

static int ascending(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The values are uniform in [low, high): their distribution is nowhere further from the line than by chance, once in a thousand. */
static void expect_uniform(const char *what, double *value, int count, double low, double high)
{
  double most = 0;
  qsort(value, (size_t)count, sizeof *value, ascending);
  for (int i = 0; i < count; i++) {
    double line = (value[i] - low) / (high - low);
    most = fmax(most, fmax(fabs(line - (double)i / count), fabs(line - (double)(i + 1) / count)));
  }
  cr_expect(most <= 1.95 / sqrt(count), "%s: %d values are up to %.4f away from uniform in [%g, %g)", what, count,
            most, low, high);
  cr_expect(value[0] >= low && value[count - 1] < high, "%s: from %g to %g", what, value[0], value[count - 1]);
}

static void expect_share(const char *what, int of, int count, double p)
{
  double deviation = sqrt(p * (1 - p) / count);
  cr_expect(fabs((double)of / count - p) <= 4 * deviation, "%s: %d of %d, for a probability of %g", what, of, count,
            p);
}

Test(augment_draws, choice)
{
  const vq_augment often = {.kind = VQ_AUGMENT_FLIP, .p = 0.8}, seldom = {.kind = VQ_AUGMENT_FLIP, .p = 0.3};
  int first = 0, second = 0, both = 0, running = 0, steps = 0;
  for (int j = 0; j < DRAWN; j++) {
    vq_augment_key here = key(0, j), there = key(1, j), next = key(0, j + 1), later = key(0, j);
    later.step++;
    bool a = vq_augment_chosen(&often, &here), b = vq_augment_chosen(&seldom, &there);
    first += a;
    second += b;
    both += a && b;
    running += a && vq_augment_chosen(&often, &next);
    steps += a && vq_augment_chosen(&often, &later);
  }
  expect_share("one augmentation", first, DRAWN, 0.8);
  expect_share("another", second, DRAWN, 0.3);
  expect_share("both", both, DRAWN, 0.24);
  expect_share("two cutouts", running, DRAWN, 0.64);
  expect_share("two steps", steps, DRAWN, 0.64);
}

Test(augment_draws, affine)
{
  const vq_augment a = {.kind = VQ_AUGMENT_AFFINE, .p = 1, .degrees = 30, .down = 0.1, .shear = 5};
  static double degrees[DRAWN], down[DRAWN], shear[DRAWN];
  for (int j = 0; j < DRAWN; j++) {
    vq_augment_key k = key(2, j);
    vq_warp_motion m;
    vq_augment_motion(&m, &a, &k, 224);
    degrees[j] = m.degrees;
    down[j] = m.down;
    shear[j] = m.shear_x;
    cr_assert(m.right == 0 && m.scale_x == 1 && m.scale_y == 1 && m.shear_y == 0);
  }
  double product = 0;
  for (int j = 0; j < DRAWN; j++)
    product += degrees[j] / 30 * down[j] / 22.4;
  cr_expect(fabs(product / DRAWN) < 4 / 3.0 / sqrt(DRAWN), "angle and shift go together: %g", product / DRAWN);
  expect_uniform("degrees", degrees, DRAWN, -30, 30);
  expect_uniform("down", down, DRAWN, -22.4, 22.4);
  expect_uniform("shear", shear, DRAWN, -5, 5);
}

/* The corner that the left upper one goes to, from the matrix: M takes it to (-1/2, -1/2), where the sampling has that corner. */
Test(augment_draws, perspective)
{
  const vq_augment a = {.kind = VQ_AUGMENT_PERSPECTIVE, .p = 1, .strength = 0.2};
  static double right[DRAWN], down[DRAWN];
  for (int j = 0; j < DRAWN; j++) {
    vq_augment_key k = key(3, j);
    double M[9];
    cr_assert(!vq_augment_matrix(M, &a, &k, 224), "%s", vq_error_message());
    double a0 = M[0] + M[6] / 2, b0 = M[1] + M[7] / 2, c0 = M[2] + M[8] / 2;
    double a1 = M[3] + M[6] / 2, b1 = M[4] + M[7] / 2, c1 = M[5] + M[8] / 2, d = a0 * b1 - a1 * b0;
    right[j] = (b0 * c1 - b1 * c0) / d;
    down[j] = (a1 * c0 - a0 * c1) / d;
  }
  expect_uniform("right", right, DRAWN, -1e-9, 22.4);
  expect_uniform("down", down, DRAWN, -1e-9, 22.4);
}

Test(augment_draws, rotation)
{
  const vq_augment a = {.kind = VQ_AUGMENT_ROTATION, .p = 1, .degrees = 15};
  static double degrees[DRAWN];
  for (int j = 0; j < DRAWN; j++) {
    vq_augment_key k = key(3, j);
    double M[9];
    cr_assert(!vq_augment_matrix(M, &a, &k, 224), "%s", vq_error_message());
    degrees[j] = asin(M[3]) * 180 / acos(-1);
  }
  expect_uniform("degrees", degrees, DRAWN, -15, 15);
}

Test(augment_draws, factors)
{
  const vq_augment sharpness = {.kind = VQ_AUGMENT_SHARPNESS, .p = 0.4, .strength = 0.3};
  const vq_augment noise = {.kind = VQ_AUGMENT_NOISE, .p = 0.9, .noise = {0.02, 0.1}};
  static double sharp[DRAWN], loud[DRAWN];
  int sharpened = 0, noisy = 0;
  for (int j = 0; j < DRAWN; j++) {
    vq_augment_key k = key(1, j);
    double a = vq_augment_factor(&sharpness, &k), b = vq_augment_factor(&noise, &k);
    if (a != 1)
      sharp[sharpened++] = a;
    if (b != 0)
      loud[noisy++] = b;
  }
  expect_share("sharpened", sharpened, DRAWN, 0.4);
  expect_share("noisy", noisy, DRAWN, 0.9);
  expect_uniform("sharpness", sharp, sharpened, 0, 0.3);
  expect_uniform("noise", loud, noisy, 0.02, 0.1);
}

Test(augment_draws, colours)
{
  const vq_augment a = {
      .kind = VQ_AUGMENT_JITTER, .p = 1, .brightness = 0.1, .contrast = 1.5, .saturation = 0.3, .hue = 0.02};
  static double value[4][DRAWN];
  int order[4], first[4], seen[256] = {0}, orders = 0;
  double factor[4];
  for (int j = 0; j < DRAWN; j++) {
    vq_augment_key k = key(4, j);
    vq_augment_colours(factor, order, &a, &k);
    for (int i = 0; i < 4; i++)
      value[i][j] = factor[i];
    if (!j)
      memcpy(first, order, sizeof first);
    cr_assert(!memcmp(first, order, sizeof first), "cutout %d has an order of its own", j);
  }
  expect_uniform("brightness", value[0], DRAWN, 0.9, 1.1);
  expect_uniform("contrast", value[1], DRAWN, 0, 2.5);
  expect_uniform("saturation", value[2], DRAWN, 0.7, 1.3);
  expect_uniform("hue", value[3], DRAWN, -0.02, 0.02);
  for (int step = 0; step < 4800; step++) {
    vq_augment_key k = {SEED, (uint32_t)step, 4, 0};
    vq_augment_colours(factor, order, &a, &k);
    seen[order[0] << 6 | order[1] << 4 | order[2] << 2 | order[3]]++;
  }
  for (int i = 0; i < 256; i++)
    if (seen[i]) {
      orders++;
      expect_share("an order", seen[i], 4800, 1.0 / 24);
    }
  cr_expect(orders == 24, "%d orders", orders);
}

/* On a large picture, where rounding is small. */
Test(augment_draws, erasing)
{
  const vq_augment a = {.kind = VQ_AUGMENT_ERASE, .p = 0.7, .area = {0.1, 0.4}, .ratio = {0.5, 2}};
  enum { SIDE = 1000000 };
  static double area[DRAWN], flat[DRAWN], high[DRAWN], left[DRAWN], top[DRAWN];
  int erased = 0, flats = 0, highs = 0;
  for (int j = 0; j < DRAWN; j++) {
    vq_augment_key k = key(5, j);
    int32_t box[4];
    vq_augment_box(box, &a, &k, SIDE);
    if (!box[2])
      continue;
    area[erased] = (double)box[2] * box[3] / SIDE / SIDE;
    left[erased] = (double)box[0] / (SIDE - box[2] + 1);
    top[erased++] = (double)box[1] / (SIDE - box[3] + 1);
    double ratio = (double)box[3] / box[2];
    if (ratio < 1)
      flat[flats++] = ratio;
    else
      high[highs++] = ratio;
  }
  expect_share("erased", erased, DRAWN, 0.7);
  expect_share("flat", flats, erased, 0.5);
  expect_uniform("area", area, erased, 0.1 - 1e-5, 0.4 + 1e-5);
  expect_uniform("flat", flat, flats, 0.5 - 1e-5, 1);
  expect_uniform("high", high, highs, 1, 2 + 1e-5);
  expect_uniform("left", left, erased, 0, 1);
  expect_uniform("top", top, erased, 0, 1);
}

/* kornia's same_on_batch: the choice too. */
Test(augment_draws, together)
{
  const vq_augment a = {
      .kind = VQ_AUGMENT_ERASE, .p = 0.5, .together = true, .area = {0.1, 0.4}, .ratio = {0.5, 2}};
  int erased = 0;
  for (uint32_t step = 0; step < 2000; step++) {
    int32_t one[4], other[4];
    vq_augment_key k = {SEED, step, 0, 0}, l = {SEED, step, 0, 17};
    vq_augment_box(one, &a, &k, 224);
    vq_augment_box(other, &a, &l, 224);
    cr_assert(!memcmp(one, other, sizeof one), "step %u", step);
    erased += one[2] > 0;
  }
  expect_share("erased", erased, 2000, 0.5);
}

Test(augment_draws, refused)
{
  const vq_augment wrong[] = {
      {.kind = VQ_AUGMENT_FLIP, .p = 1.5},
      {.kind = VQ_AUGMENT_FLIP, .p = NAN},
      {.kind = VQ_AUGMENT_SHARPNESS, .p = 1, .strength = -1},
      {.kind = VQ_AUGMENT_AFFINE, .p = 1, .degrees = -30},
      {.kind = VQ_AUGMENT_AFFINE, .p = 1, .shear = 90},
      {.kind = VQ_AUGMENT_ROTATION, .p = 1, .degrees = NAN},
      {.kind = VQ_AUGMENT_PERSPECTIVE, .p = 1, .strength = 1},
      {.kind = VQ_AUGMENT_JITTER, .p = 1, .hue = 0.6},
      {.kind = VQ_AUGMENT_ERASE, .p = 1, .area = {0.4, 0.1}, .ratio = {1, 1}},
      {.kind = VQ_AUGMENT_ERASE, .p = 1, .area = {0.1, 0.4}, .ratio = {0, 1}},
      {.kind = VQ_AUGMENT_NOISE, .p = 1, .noise = {0.1, 0}},
      {.kind = (vq_augment_kind)99, .p = 1},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    cr_expect(vq_augment_check(&wrong[i], 1) == VQ_ERR_ARGUMENT && strstr(vq_error_message(), "augmentation 1:"),
              "row %zu", i);
  const vq_augment late[] = {{.kind = VQ_AUGMENT_NOISE}, {.kind = VQ_AUGMENT_FLIP}};
  cr_expect(vq_augment_check(late, 2) == VQ_ERR_ARGUMENT && strstr(vq_error_message(), "augmentation 2: a flip"));
}

/* ---- on the tape ---- */

#define SIDE 14
#define EACH (SIDE * SIDE * 3)

static const vq_augment all[] = {
    {.kind = VQ_AUGMENT_FLIP, .p = 0.5},
    {.kind = VQ_AUGMENT_SHARPNESS, .p = 0.5, .strength = 0.3},
    {.kind = VQ_AUGMENT_AFFINE, .p = 0.8, .degrees = 30, .down = 0.1, .padding = VQ_WARP_BORDER},
    {.kind = VQ_AUGMENT_ROTATION, .p = 0.5, .degrees = 15},
    {.kind = VQ_AUGMENT_PERSPECTIVE, .p = 0.4, .strength = 0.2},
    {.kind = VQ_AUGMENT_JITTER, .p = 0.7, .saturation = 0.01, .hue = 0.01, .meaning = VQ_JITTER_KORNIA_054},
    {.kind = VQ_AUGMENT_ERASE, .p = 0.7, .area = {0.1, 0.4}, .ratio = {0.3, 3.3}, .together = true},
    {.kind = VQ_AUGMENT_NOISE, .p = 1, .noise = {0, 0.1}},
};
#define COUNT ((int)(sizeof all / sizeof *all))

/* Cutouts first ... first + n - 1 of six, and their gradients for a gradient of 1. */
static void run(const vq_augment *list, int count, int first, int n, vq_real *y, vq_real *dx)
{
  bench b = open_bench();
  vq_real pixels[6 * EACH];
  for (int i = 0; i < 6 * EACH; i++)
    pixels[i] = (vq_real)(0.5 + 0.2 * vq_rng_normal(8, VQ_RNG_WEIGHTS, 0, (uint64_t)i));
  vq_shape s = vq_shape_make(VQ_REAL, 4, (int64_t[]){n, SIDE, SIDE, 3});
  vq_tensor *x = vq_leaf(b.tape, &s, pixels + first * EACH, true);
  vq_mark mark = vq_tape_mark(b.tape);
  vq_tensor *out = vq_augment_cutouts(b.tape, x, list, count, SEED, 9, first);
  cr_assert(out && !vq_tensor_read(b.device, out, y), "%s", vq_error_message());
  if (out != x) {
    vq_seed(b.tape, out, 1);
    cr_assert(!vq_backward(b.tape, NULL, mark) && !vq_grad_read(b.device, x, dx), "%s", vq_error_message());
  }
  close_bench(&b);
}

/* How many go through at once changes no bit; everything does something; what nothing is chosen for passes to the bit. */
Test(augment_draws, cutouts)
{
  static vq_real y[6 * EACH], dx[6 * EACH], part[6 * EACH], dpart[6 * EACH], plain[6 * EACH], dplain[6 * EACH];
  vq_augment never[COUNT];
  cr_assert(!vq_augment_check(all, COUNT), "%s", vq_error_message());
  run(all, COUNT, 0, 6, y, dx);
  run(all, COUNT, 0, 2, part, dpart);
  run(all, COUNT, 2, 4, part + 2 * EACH, dpart + 2 * EACH);
  cr_expect(!memcmp(y, part, sizeof y) && !memcmp(dx, dpart, sizeof dx));
  memcpy(never, all, sizeof never);
  for (int i = 0; i < COUNT; i++)
    never[i].p = 0;
  run(never, 0, 0, 6, plain, dplain);
  run(never, COUNT, 0, 6, part, dpart);
  cr_expect(!memcmp(plain, part, sizeof part));
  for (int i = 0; i < 6 * EACH; i++)
    cr_assert(dpart[i] == 1, "element %d: a gradient of %g", i, (double)dpart[i]);
  for (int k = 1; k < COUNT; k++) {
    vq_augment one = all[k];
    one.p = 1;
    run(&one, 1, 0, 6, part, dpart);
    for (int j = 0; j < 6; j++)
      cr_expect(memcmp(plain + j * EACH, part + j * EACH, EACH * sizeof *part), "augmentation %d leaves cutout %d",
                k, j);
  }
}

Test(augment_draws, mirrors)
{
  bool mirror[4000], again[10];
  int flipped = 0;
  vq_augment_mirrors(mirror, all, COUNT, SEED, 9, 0, 4000);
  vq_augment_mirrors(again, all, COUNT, SEED, 9, 100, 10);
  for (int j = 0; j < 4000; j++)
    flipped += mirror[j];
  cr_expect(!memcmp(mirror + 100, again, sizeof again));
  expect_share("flipped", flipped, 4000, 0.5);
  vq_augment_mirrors(again, all + 1, COUNT - 1, SEED, 9, 0, 10);
  for (int j = 0; j < 10; j++)
    cr_expect(!again[j]);
}
