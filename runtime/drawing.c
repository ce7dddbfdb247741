/* drawing.c -- shapes by the sign of a distance, sampled 4 x 4 times a pixel; letters by a table of 5 x 7 points. */
#include "runtime/drawing.h"

#include <math.h>
#include <string.h>

static const uint8_t colours[VQ_DRAWN_COLOURS][3] = {
    [VQ_DRAWN_RED] = {220, 30, 30},     [VQ_DRAWN_GREEN] = {30, 160, 50}, [VQ_DRAWN_BLUE] = {40, 60, 220},
    [VQ_DRAWN_YELLOW] = {240, 220, 40}, [VQ_DRAWN_BLACK] = {10, 10, 10},  [VQ_DRAWN_WHITE] = {250, 250, 250},
};

const char *vq_drawn_colour_name(vq_drawn_colour colour)
{
  static const char *const names[VQ_DRAWN_COLOURS] = {"red", "green", "blue", "yellow", "black", "white"};
  return names[colour];
}

const char *vq_drawn_shape_name(vq_drawn_shape shape)
{
  static const char *const names[VQ_DRAWN_SHAPES] = {"circle", "square", "triangle", "star"};
  return names[shape];
}

/* u and v from -1/2 to 1/2, to the right and down. */
static bool inside(vq_drawn_shape shape, double u, double v)
{
  const double r = 0.33, tip = acos(-1) / 5;
  double t;
  switch (shape) {
  case VQ_DRAWN_CIRCLE: return u * u + v * v < r * r;
  case VQ_DRAWN_SQUARE: return fmax(fabs(u), fabs(v)) < 0.9 * r;
  case VQ_DRAWN_TRIANGLE: return v < 0.9 * r && fabs(u) < (v + 1.1 * r) / 1.9;
  case VQ_DRAWN_STAR:
    /* Folded to half of one of its five tips, the star is what lies below a straight edge, from the tip to the notch. */
    t = fabs(fmod(atan2(u, -v) + 11 * tip, 2 * tip) - tip);
    return hypot(u, v) * (cos(t) + 2.1 * sin(t)) < 1.1 * r;
  case VQ_DRAWN_SHAPES: break;
  }
  return false;
}

vq_status vq_draw_shape(vq_image *out, int side, vq_drawn_shape shape, vq_drawn_colour colour,
                        vq_drawn_colour ground)
{
  VQ_TRY(vq_image_create(out, side, side));
  for (int p = 0; p < side * side; p++) {
    int covered = 0;
    for (int s = 0; s < 16; s++)
      covered +=
          inside(shape, (p % side + (s % 4 + 0.5) / 4) / side - 0.5, (p / side + (s / 4 + 0.5) / 4) / side - 0.5);
    for (int c = 0; c < 3; c++)
      out->rgb[3 * p + c] =
          (uint8_t)((colours[colour][c] * covered + colours[ground][c] * (16 - covered) + 8) / 16);
  }
  return VQ_OK;
}

/* Rows from the top, the leftmost point in bit 4. */
static const uint8_t letters[26][7] = {
    {14, 17, 17, 31, 17, 17, 17}, {30, 17, 17, 30, 17, 17, 30}, {14, 17, 16, 16, 16, 17, 14},
    {30, 17, 17, 17, 17, 17, 30}, {31, 16, 16, 30, 16, 16, 31}, {31, 16, 16, 30, 16, 16, 16},
    {14, 17, 16, 23, 17, 17, 14}, {17, 17, 17, 31, 17, 17, 17}, {14, 4, 4, 4, 4, 4, 14},
    {1, 1, 1, 1, 1, 17, 14},      {17, 18, 20, 24, 20, 18, 17}, {16, 16, 16, 16, 16, 16, 31},
    {17, 27, 21, 21, 17, 17, 17}, {17, 25, 21, 19, 17, 17, 17}, {14, 17, 17, 17, 17, 17, 14},
    {30, 17, 17, 30, 16, 16, 16}, {14, 17, 17, 17, 21, 18, 13}, {30, 17, 17, 30, 20, 18, 17},
    {14, 17, 16, 14, 1, 17, 14},  {31, 4, 4, 4, 4, 4, 4},       {17, 17, 17, 17, 17, 17, 14},
    {17, 17, 17, 17, 17, 10, 4},  {17, 17, 17, 21, 21, 27, 17}, {17, 17, 10, 4, 10, 17, 17},
    {17, 17, 10, 4, 4, 4, 4},     {31, 1, 2, 4, 8, 16, 31},
};

vq_status vq_draw_word(vq_image *out, int side, const char *word)
{
  int n = (int)strlen(word), columns = 6 * n - 1;
  for (int i = 0; i < n; i++)
    if (word[i] < 'A' || word[i] > 'Z')
      return vq_fail(VQ_ERR_ARGUMENT, "only words of capital letters are drawn, and \"%s\" is none", word);
  VQ_TRY(vq_image_create(out, side, side));
  memset(out->rgb, 255, (size_t)(side * side) * 3);
  double point = 0.9 * side / columns, left = 0.05 * side, top = (side - 7 * point) / 2;
  for (int p = 0; p < side * side; p++) {
    int column = (int)floor((p % side + 0.5 - left) / point), row = (int)floor((p / side + 0.5 - top) / point);
    if (column >= 0 && column < columns && row >= 0 && row < 7 && column % 6 < 5 &&
        letters[word[column / 6] - 'A'][row] >> (4 - column % 6) & 1)
      memset(out->rgb + 3 * p, 0, 3);
  }
  return VQ_OK;
}
