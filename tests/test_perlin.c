/* test_perlin.c -- Perlin's noise, on which a run may begin: how strong and how fine it is, and that a picture's size does not change it. */
#include "runtime/perlin.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define SIDE      64
#define DEVIATION 0.4

static vq_real *noise(int width, int height, uint64_t seed)
{
  vq_real *pixels = calloc((size_t)width * (size_t)height * 3, sizeof *pixels);
  cr_assert(!vq_perlin_add(pixels, width, height, DEVIATION, seed), "%s", vq_error_message());
  return pixels;
}

/* It is 0 at every corner of a cell, and the pixels' centres of a picture of 2x2 are corners of all octaves. */
Test(perlin, is_nothing_at_corners)
{
  vq_real pixels[12];
  for (int i = 0; i < 12; i++)
    pixels[i] = (vq_real)0.25;
  cr_assert(!vq_perlin_add(pixels, 2, 2, DEVIATION, 7));
  for (int i = 0; i < 12; i++)
    cr_expect(pixels[i] == (vq_real)0.25, "%d: %g", i, (double)pixels[i]);
}

/* Mean squares over 60 pictures: of values, and of differences 1, 4 and 16 pixels apart, which PyTorch finds in 3000 pictures of
 * weights/train/pool.py's. The coarsest octave has 16 x 3 x 60 cells, so a root is within 3 % of what it is on average. */
Test(perlin, is_as_strong_and_as_fine_as_it_should_be)
{
  static const struct {
    int apart;
    double want;
  } rows[] = {{0, DEVIATION}, {1, 0.1841}, {4, 0.4713}, {16, 0.5782}};
  double sum[4][2] = {{0}}, together = 0;
  for (uint64_t seed = 0; seed < 60; seed++) {
    vq_real *p = noise(SIDE, SIDE, seed);
    for (int y = 0; y < SIDE; y++)
      for (int x = 0; x < SIDE; x++)
        for (int c = 0; c < 3; c++) {
          double here = p[(y * SIDE + x) * 3 + c];
          together += c == 2 ? here * p[(y * SIDE + x) * 3] : 0;
          for (int r = 0; r < 4; r++) {
            int a = rows[r].apart;
            double right = a && x + a < SIDE ? p[(y * SIDE + x + a) * 3 + c] : 0;
            double below = a && y + a < SIDE ? p[((y + a) * SIDE + x) * 3 + c] : 0;
            sum[r][0] += x + a < SIDE ? (here - right) * (here - right) : 0;
            sum[r][1] += y + a < SIDE ? (here - below) * (here - below) : 0;
          }
        }
    free(p);
  }
  for (int r = 0; r < 4; r++)
    for (int d = 0; d < 2; d++) {
      double root = sqrt(sum[r][d] / (60.0 * 3 * SIDE * (SIDE - rows[r].apart)));
      cr_expect(fabs(root / rows[r].want - 1) < 0.03, "%s %d apart: %g, not %g", d ? "down" : "across",
                rows[r].apart, root, rows[r].want);
    }
  double alike = together / (60.0 * SIDE * SIDE) / (DEVIATION * DEVIATION);
  cr_expect(fabs(alike) < 0.06, "red and blue go together: %g", alike);
}

/* The octaves' directions are drawn apart: else their ramps would add up at the corner that all share, the picture's. */
Test(perlin, octaves_are_apart)
{
  double want = 0, sum = 0;
  for (int cells = 4; cells <= 16; cells *= 2) {
    double t = 0.5 * cells / 32, w = t * t * t * (t * (t * 6 - 15) + 10), v = 1 - w, u = 1 - t;
    want += (v * v * v * v * 2 * t * t + 2 * v * v * w * w * (t * t + u * u) + w * w * w * w * 2 * u * u) / 2;
  }
  want = DEVIATION / 0.2157108 * sqrt(want / 3);
  for (uint64_t seed = 0; seed < 1000; seed++) {
    vq_real *p = noise(32, 32, seed);
    sum += p[0] * p[0] + p[1] * p[1] + p[2] * p[2];
    free(p);
  }
  cr_expect(fabs(sqrt(sum / 3000) / want - 1) < 0.06, "%g, not %g", sqrt(sum / 3000), want); /* four deviations */
}

/* A longer picture goes on where a shorter one ends; one twice as large shows the same, up to what lies between pixels. */
Test(perlin, is_the_same_at_every_size)
{
  vq_real *square = noise(SIDE, SIDE, 3), *wide = noise(2 * SIDE, SIDE, 3), *large = noise(2 * SIDE, 2 * SIDE, 3),
          *other = noise(SIDE, SIDE, 4);
  double off = 0, apart = 0;
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++)
      for (int c = 0; c < 3; c++) {
        const vq_real *four = large + (4 * y * SIDE + 2 * x) * 3 + c;
        double here = square[(y * SIDE + x) * 3 + c];
        double mean = (four[0] + four[3] + four[6 * SIDE] + four[6 * SIDE + 3]) / 4;
        cr_assert(here == wide[(2 * y * SIDE + x) * 3 + c], "%d,%d", x, y);
        off += (here - mean) * (here - mean);
        apart += pow(here - other[(y * SIDE + x) * 3 + c], 2);
      }
  cr_expect(sqrt(off / (SIDE * SIDE * 3)) < 0.01, "twice as large: off by %g", sqrt(off / (SIDE * SIDE * 3)));
  cr_expect(sqrt(apart / (SIDE * SIDE * 3)) > DEVIATION, "another seed is only %g apart",
            sqrt(apart / (SIDE * SIDE * 3)));
  free(square);
  free(wide);
  free(large);
  free(other);
}
