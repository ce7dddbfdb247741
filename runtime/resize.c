/* resize.c -- PIL's resize. resize.h says what it computes. */
#include "runtime/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double sinc(double x)
{
  x *= 3.14159265358979323846;
  return x != 0 ? sin(x) / x : 1;
}

static double kernel(vq_filter filter, double x)
{
  const double a = -0.5; /* Keys' parameter; PIL's */
  x = fabs(x);
  if (filter == VQ_FILTER_LANCZOS)
    return x < 3 ? sinc(x) * sinc(x / 3) : 0;
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* The weights with which `in` positions make `out` ones: whole numbers of 2^-22, as PIL has them for pictures of bytes. With weights in
 * double, a level in a few hundred would be another. */
#define UNIT (1 << 22)

typedef struct table {
  int most; /* weights that a position has room for */
  int *first, *count;
  double *exact;   /* [most] */
  int32_t *weight; /* [out, most] */
} table;

static void table_free(table *t)
{
  free(t->first);
  free(t->count);
  free(t->exact);
  free(t->weight);
}

static vq_status table_make(table *t, int in, int out, vq_filter filter)
{
  double ratio = (double)in / out, scale = ratio > 1 ? ratio : 1;
  double support = (filter == VQ_FILTER_LANCZOS ? 3 : 2) * scale;
  t->most = (int)ceil(support) * 2 + 1;
  t->first = calloc((size_t)out, sizeof *t->first);
  t->count = calloc((size_t)out, sizeof *t->count);
  t->weight = calloc((size_t)out * (size_t)t->most, sizeof *t->weight);
  t->exact = calloc((size_t)t->most, sizeof *t->exact);
  if (!t->first || !t->count || !t->weight || !t->exact) {
    table_free(t);
    return vq_fail(VQ_ERR_MEMORY, "no memory to resize a picture");
  }
  for (int i = 0; i < out; i++) {
    double centre = (i + 0.5) * ratio, sum = 0, *w = t->exact;
    int from = (int)(centre - support + 0.5), to = (int)(centre + support + 0.5);
    from = from > 0 ? from : 0;
    to = to < in ? to : in;
    for (int j = from; j < to; j++)
      sum += w[j - from] = kernel(filter, (j - centre + 0.5) / scale);
    for (int j = from; j < to; j++)
      t->weight[(size_t)i * (size_t)t->most + (size_t)(j - from)] = (int32_t)floor(w[j - from] / sum * UNIT + 0.5);
    t->first[i] = from;
    t->count[i] = to - from;
  }
  return VQ_OK;
}

static uint8_t level(int64_t sum)
{
  int64_t x = sum < 0 ? 0 : sum / UNIT;
  return (uint8_t)(x > 255 ? 255 : x);
}

/* Lines of pixels along one axis: `lines` of them, `from_next` and `to_next` bytes apart, pixels `from_step` and `to_step`. */
static void pass(const table *t, int lines, int out, const uint8_t *from, size_t from_next, size_t from_step,
                 uint8_t *to, size_t to_next, size_t to_step)
{
  for (int line = 0; line < lines; line++)
    for (int i = 0; i < out; i++)
      for (size_t c = 0; c < 3; c++) {
        const uint8_t *p = from + (size_t)line * from_next + (size_t)t->first[i] * from_step + c;
        const int32_t *w = t->weight + (size_t)i * (size_t)t->most;
        int64_t sum = UNIT / 2;
        for (int j = 0; j < t->count[i]; j++)
          sum += (int64_t)w[j] * p[(size_t)j * from_step];
        to[(size_t)line * to_next + (size_t)i * to_step + c] = level(sum);
      }
}

static vq_status resize_with(vq_image *out, const vq_image *in, const table *across, const table *down)
{
  vq_image wide;
  VQ_TRY(vq_image_create(&wide, out->width, in->height));
  size_t in_row = (size_t)in->width * 3, row = (size_t)out->width * 3;
  pass(across, in->height, out->width, in->rgb, in_row, 3, wide.rgb, row, 3);
  pass(down, out->width, out->height, wide.rgb, 3, row, out->rgb, 3, row);
  vq_image_free(&wide);
  return VQ_OK;
}

vq_status vq_image_resize(vq_image *out, const vq_image *in, int width, int height, vq_filter filter)
{
  table across, down;
  VQ_TRY(vq_image_create(out, width, height));
  vq_status status = table_make(&across, in->width, width, filter);
  if (!status) {
    status = table_make(&down, in->height, height, filter);
    if (!status) {
      status = resize_with(out, in, &across, &down);
      table_free(&down);
    }
    table_free(&across);
  }
  if (status)
    vq_image_free(out);
  return status;
}

vq_status vq_image_crop(vq_image *out, const vq_image *in, int x, int y, int width, int height)
{
  if (x < 0 || y < 0 || width < 1 || height < 1 || width > in->width - x || height > in->height - y)
    return vq_fail(VQ_ERR_ARGUMENT, "%dx%d at %d,%d is not inside a picture of %dx%d", width, height, x, y,
                   in->width, in->height);
  VQ_TRY(vq_image_create(out, width, height));
  for (int row = 0; row < height; row++)
    memcpy(out->rgb + (size_t)row * (size_t)width * 3,
           in->rgb + ((size_t)(y + row) * (size_t)in->width + (size_t)x) * 3, (size_t)width * 3);
  return VQ_OK;
}

/* The largest size of in's shape that fits into width x height, or the smallest that covers it. */
static void similar_size(const vq_image *in, int width, int height, bool cover, int *w, int *h)
{
  double across = (double)width / in->width, down = (double)height / in->height;
  double scale = (across > down) == cover ? across : down;
  *w = (int)floor(in->width * scale + 0.5);
  *h = (int)floor(in->height * scale + 0.5);
  *w = cover ? (*w > width ? *w : width) : *w < 1 ? 1 : *w > width ? width : *w;
  *h = cover ? (*h > height ? *h : height) : *h < 1 ? 1 : *h > height ? height : *h;
}

static vq_status pad(vq_image *out, const vq_image *in, int width, int height)
{
  VQ_TRY(vq_image_create(out, width, height));
  memset(out->rgb, 128, (size_t)width * (size_t)height * 3);
  int x = (width - in->width) / 2, y = (height - in->height) / 2;
  for (int row = 0; row < in->height; row++)
    memcpy(out->rgb + ((size_t)(y + row) * (size_t)width + (size_t)x) * 3,
           in->rgb + (size_t)row * (size_t)in->width * 3, (size_t)in->width * 3);
  return VQ_OK;
}

vq_status vq_image_fit(vq_image *out, const vq_image *in, int width, int height, vq_fit fit)
{
  vq_image sized;
  int w, h;
  if (fit == VQ_FIT_STRETCH)
    return vq_image_resize(out, in, width, height, VQ_FILTER_LANCZOS);
  similar_size(in, width, height, fit == VQ_FIT_CROP, &w, &h);
  VQ_TRY(vq_image_resize(&sized, in, w, h, VQ_FILTER_LANCZOS));
  vq_status status = fit == VQ_FIT_CROP
                         ? vq_image_crop(out, &sized, (w - width) / 2, (h - height) / 2, width, height)
                         : pad(out, &sized, width, height);
  vq_image_free(&sized);
  return status;
}
