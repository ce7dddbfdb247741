/* test_winograd.c -- Winograd's filtering against the sum of products that it stands for, added up in double. */
#include "kernels/cpu/winograd.h"

#include "tests/normals.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
  int64_t n, h, w, ci, co, top, left, oh, ow;
  bool upsample, halve, turned, bias, skip, add;
  int m; /* what the number of channels leads to */
} shape;

/* Whole tiles and parts of tiles, one tile and more than a task's, borders of every width, both tile sizes. */
static const shape shapes[] = {
    {1, 8, 8, 16, 32, 1, 1, 8, 8, .bias = true, .m = 4},
    {2, 7, 5, 32, 16, 1, 1, 7, 5, .bias = true, .skip = true, .m = 4},
    {1, 1, 1, 16, 16, 1, 1, 1, 1, .m = 4},
    {1, 23, 19, 16, 48, 0, 2, 22, 20, .add = true, .m = 4},
    {1, 9, 6, 48, 16, 2, 0, 10, 5, .turned = true, .m = 4},
    {2, 5, 4, 16, 160, 1, 1, 10, 8, .upsample = true, .bias = true, .m = 4},
    {2, 6, 10, 160, 16, 1, 1, 6, 10, .halve = true, .turned = true, .add = true, .m = 4},
    {1, 5, 7, 272, 496, 1, 1, 5, 7, .bias = true, .skip = true, .m = 2},
    {1, 3, 2, 496, 272, 1, 1, 6, 4, .upsample = true, .m = 2},
    {1, 6, 4, 272, 496, 1, 1, 6, 4, .halve = true, .turned = true, .m = 2},
    {1, 1, 1, 16, 16, 1, 1, 2, 2, .upsample = true, .skip = true, .m = 4},
    {1, 2, 2, 16, 16, 1, 1, 2, 2, .halve = true, .turned = true, .m = 4},
    {3, 23, 33, 16, 48, 1, 1, 46, 66, .upsample = true, .bias = true, .skip = true, .m = 4},
    {3, 46, 66, 48, 16, 1, 1, 46, 66, .halve = true, .turned = true, .m = 4},
    {1, 46, 34, 16, 16, 1, 1, 92, 68, .upsample = true, .add = true, .m = 4},
    {2, 5, 3, 272, 496, 1, 1, 10, 6, .upsample = true, .bias = true, .skip = true, .m = 2},
    {2, 10, 6, 496, 272, 1, 1, 10, 6, .halve = true, .turned = true, .add = true, .m = 2},
};

static double pixel(const shape *s, const vq_real *x, int64_t n, int64_t row, int64_t column, int64_t i)
{
  int64_t twice = s->upsample ? 2 : 1;
  if (row < 0 || column < 0 || row >= twice * s->h || column >= twice * s->w)
    return 0;
  return x[((n * s->h + row / twice) * s->w + column / twice) * s->ci + i];
}

static double product(const shape *s, const vq_real *x, const vq_real *w, int64_t n, int64_t r, int64_t q,
                      int64_t o)
{
  double sum = 0;
  for (int u = 0; u < 3; u++)
    for (int v = 0; v < 3; v++)
      for (int64_t i = 0; i < s->ci; i++)
        sum += pixel(s, x, n, r - s->top + u, q - s->left + v, i) *
               (double)(s->turned ? w[((i * 3 + 2 - u) * 3 + 2 - v) * s->co + o]
                                  : w[((o * 3 + u) * 3 + v) * s->ci + i]);
  return sum;
}

/* The relative L2 error. */
static double error_of(const shape *s, vq_device *device)
{
  int half = s->halve ? 2 : 1;
  int64_t high = s->oh / half, wide = s->ow / half, count = s->n * high * wide * s->co;
  vq_real *x = draw(s->n * s->h * s->w * s->ci, 1), *w = draw(9 * s->ci * s->co, 2), *bias = draw(s->co, 3);
  vq_real *skip = draw(count, 4), *y = draw(count, 5), *was = malloc((size_t)count * sizeof *was);
  bool repeated = s->upsample || s->halve;
  vq_real *form = malloc(repeated ? vq_winograd_repeated_bytes(s->co, s->ci) : vq_winograd_bytes(s->co, s->ci));
  vq_conv_args a = {.n = s->n,
                    .h = s->h,
                    .w = s->w,
                    .ci = s->ci,
                    .kh = 3,
                    .kw = 3,
                    .co = s->co,
                    .stride = 1,
                    .top = s->top,
                    .left = s->left,
                    .oh = s->oh,
                    .ow = s->ow,
                    .upsample = s->upsample,
                    .x = x,
                    .form = form,
                    .bias = s->bias ? bias : NULL,
                    .skip = s->skip ? skip : NULL,
                    .add = s->add,
                    .halve = s->halve,
                    .y = y};
  void *scratch = malloc(vq_winograd_scratch(&a));
  double off = 0, square = 0;
  cr_assert(was && form && scratch);
  memcpy(was, y, (size_t)count * sizeof *was);
  if (repeated)
    vq_winograd_prepare_repeated(device->threads, w, s->turned, s->co, s->ci, form);
  else
    vq_winograd_prepare(device->threads, w, s->turned, s->co, s->ci, form);
  vq_winograd_conv(device, &a, scratch);
  for (int64_t i = 0; i < count; i++) {
    int64_t o = i % s->co, q = i / s->co % wide, r = i / s->co / wide % high, n = i / s->co / wide / high;
    double want = (s->bias ? bias[o] : 0) + (s->skip ? skip[i] : 0) + (s->add ? was[i] : 0);
    for (int u = 0; u < half; u++)
      for (int v = 0; v < half; v++)
        want += product(s, x, w, n, half * r + u, half * q + v, o);
    off += (y[i] - want) * (y[i] - want);
    square += want * want;
  }
  free(x), free(w), free(bias), free(skip), free(y), free(was), free(form), free(scratch);
  return sqrt(off / square);
}

/* Rounding: winograd.h has 1.5e-6 for m = 4 and 0.5e-6 for m = 2; the rest is what other sizes do to it. A wrong border, tap or
 * sign is an error of a tenth at least. */
Test(winograd, is_the_convolution)
{
  vq_device *device;
  cr_assert(!vq_cpu_create(&device, 2));
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const shape *s = &shapes[i];
    double error = error_of(s, device), most = s->m == 4 ? 3e-6 : 1e-6;
    cr_expect(vq_winograd_fits(s->co, s->ci) &&
              vq_winograd_bytes(s->co, s->ci) == (size_t)((s->m + 2) * (s->m + 2) * s->co * s->ci) * 4);
    cr_expect(vq_winograd_repeated_bytes(s->co, s->ci) ==
              (size_t)(4 * (s->m + 1) * (s->m + 1) * s->co * s->ci) * 4);
    cr_expect(error <= most, "shape %zu: a relative error of %.2e", i, error);
  }
  vq_device_free(device);
}

Test(winograd, channels_that_it_does_not_fit)
{
  cr_expect(vq_winograd_fits(16, 32) && !vq_winograd_fits(3, 128) && !vq_winograd_fits(128, 24));
}
