/* perlin.c -- gradient noise, octave by octave. */
#include "runtime/perlin.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

#define COARSEST 4 /* cells across the shorter side */
#define OCTAVES  3
#define PI       3.14159265358979323846

/* The deviation of an octave over all places: with w = 1 - fade the root of
 * 4 (integral of w^2 x^2) (integral of w^2), both from 0 to 1. */
#define DEVIATION 0.2157108

/* How much the next corner counts, f of the way there: its first and second derivatives are 0 at both ends. */
static double fade(double f)
{
  return f * f * f * (f * (f * 6 - 15) + 10);
}

static double mix(double a, double b, double t)
{
  return a + (b - a) * t;
}

/* The corners of one octave's cells: unit vectors, [rows,columns,3]. */
typedef struct lattice {
  int rows, columns;
  double (*direction)[2];
} lattice;

static vq_status draw(lattice *l, uint64_t seed, uint32_t octave, double across, double down)
{
  l->rows = (int)down + 2;
  l->columns = (int)across + 2;
  l->direction = malloc((size_t)l->rows * (size_t)l->columns * 3 * sizeof *l->direction);
  if (!l->direction)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a starting picture");
  for (int y = 0; y < l->rows; y++)
    for (int x = 0; x < l->columns; x++)
      for (int c = 0; c < 3; c++) { /* the same of a corner, whatever the picture's shape */
        uint64_t index = (((uint64_t)y << 24) + (uint64_t)x) * 3 + (uint64_t)c;
        double angle = 2 * PI * (double)vq_rng_uniform(seed, VQ_RNG_START, 1 + octave, index);
        double *direction = l->direction[((size_t)y * (size_t)l->columns + (size_t)x) * 3 + (size_t)c];
        direction[0] = cos(angle);
        direction[1] = sin(angle);
      }
  return VQ_OK;
}

/* At x and y, in cells: each corner has a ramp that is 0 there and rises in its direction. */
static double noise(const lattice *l, int channel, double x, double y)
{
  int column = (int)x, row = (int)y;
  double right = x - column, down = y - row, at[2];
  for (int i = 0; i < 2; i++) {
    const double(*d)[2] = (const double(*)[2])l->direction + ((row + i) * l->columns + column) * 3 + channel;
    at[i] = mix(d[0][0] * right + d[0][1] * (down - i), d[3][0] * (right - 1) + d[3][1] * (down - i), fade(right));
  }
  return mix(at[0], at[1], fade(down));
}

vq_status vq_perlin_add(vq_real *pixels, int width, int height, double deviation, uint64_t seed)
{
  double side = width < height ? width : height, strength = deviation / (DEVIATION * sqrt(OCTAVES));
  for (uint32_t octave = 0; octave < OCTAVES; octave++) {
    double cells = (double)(COARSEST << octave) / side;
    lattice l;
    VQ_TRY(draw(&l, seed, octave, width * cells, height * cells));
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++)
        for (int c = 0; c < 3; c++)
          pixels[((int64_t)y * width + x) * 3 + c] +=
              (vq_real)(strength * noise(&l, c, (x + 0.5) * cells, (y + 0.5) * cells));
    free(l.direction);
  }
  return VQ_OK;
}
