/* test_conv_read.c -- convolutions whose x is made as it is read (vq_conv_args.read), by every way to convolve that there is: the bytes are those
 * of an x that was there beforehand, whatever the number of threads, and a lane makes no pixel twice. */
#include "kernels/ops.h"

#include "kernels/cpu/bf16.h"
#include "kernels/cpu/lines.h"
#include "kernels/cpu/winograd.h"
#include "tests/bench.h"
#include "tests/normals.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- convolutions ---- */

typedef enum way { STRIPS, FILTERED, BF16, BF16_FILTERED } way;

typedef struct shape {
  way by;
  int64_t n, h, w, ci, kh, kw, co, stride, top, left, oh, ow;
  bool bias, skip, add;
} shape;

#define SAME(by, n, h, w, ci, k, co) by, n, h, w, ci, k, k, co, 1, k / 2, k / 2, h, w

/* One strip or group and many, lanes that begin within a line and that begin a picture, sides that leave parts of tiles, channels that are no
 * whole vector, pictures of one pixel and of one line, borders of every width, several blocks of output channels. */
static const shape shapes[] = {
    {SAME(STRIPS, 1, 66, 63, 5, 3, 3), .bias = true, .skip = true},
    {SAME(STRIPS, 3, 7, 5, 6, 3, 5), .bias = true},
    {SAME(STRIPS, 1, 1, 1, 3, 3, 2)},
    {SAME(STRIPS, 2, 1, 300, 3, 3, 2), .add = true},
    {SAME(STRIPS, 2, 41, 37, 7, 1, 3), .bias = true},
    {STRIPS, 2, 90, 33, 4, 3, 2, 3, 2, 1, 0, 45, 17, .bias = true},
    {STRIPS, 1, 70, 64, 4, 4, 5, 3, 1, 3, 0, 73, 60},
    {SAME(FILTERED, 1, 97, 101, 16, 3, 16), .bias = true, .skip = true},
    {SAME(FILTERED, 3, 13, 9, 32, 3, 144), .bias = true},
    {SAME(FILTERED, 1, 1, 1, 16, 3, 16)},
    {SAME(FILTERED, 1, 3, 700, 16, 3, 32), .add = true},
    {SAME(FILTERED, 2, 110, 5, 16, 3, 16), .skip = true},
    {FILTERED, 1, 43, 39, 48, 3, 3, 16, 1, 0, 2, 42, 40, .bias = true},
    {SAME(FILTERED, 2, 15, 17, 272, 3, 496), .bias = true},
    {SAME(BF16, 2, 19, 23, 5, 3, 7), .bias = true, .skip = true},
    {SAME(BF16, 1, 9, 11, 1025, 3, 16), .add = true},
    {SAME(BF16, 3, 8, 8, 32, 1, 48), .bias = true},
    {BF16, 1, 21, 30, 6, 3, 3, 8, 2, 0, 1, 10, 15},
    {SAME(BF16_FILTERED, 1, 83, 101, 16, 3, 16), .bias = true, .skip = true},
    {SAME(BF16_FILTERED, 3, 13, 9, 32, 3, 144), .bias = true},
    {SAME(BF16_FILTERED, 1, 1, 1, 16, 3, 16)},
    {SAME(BF16_FILTERED, 1, 3, 700, 16, 3, 32), .add = true},
    {SAME(BF16_FILTERED, 2, 110, 5, 16, 3, 16), .skip = true},
};

/* What `read` reads, and how often each pixel was. */
typedef struct source {
  const shape *s;
  const vq_real *x;
  int *times;
} source;

static void read_pixels(const void *context, int64_t n, int64_t row, int64_t from, int64_t to, vq_real *pixels)
{
  const source *j = context;
  const shape *s = j->s;
  cr_assert(n >= 0 && n < s->n && row >= 0 && row < s->h && from >= 0 && from < to && to <= s->w);
  int64_t first = (n * s->h + row) * s->w;
  memcpy(pixels, j->x + (first + from) * s->ci, (size_t)((to - from) * s->ci) * sizeof *pixels);
  for (int64_t column = from; column < to && j->times; column++)
    j->times[first + column]++;
}

static void *form_of(const shape *s, const vq_real *w, vq_conv_args *a)
{
  void *form = NULL;
  switch (s->by) {
  case STRIPS: a->weight = w; break;
  case FILTERED:
    cr_assert(vq_winograd_fits(s->co, s->ci));
    a->form = form = malloc(vq_winograd_bytes(s->co, s->ci));
    vq_winograd_prepare(NULL, w, false, s->co, s->ci, form);
    break;
  case BF16:
    a->panels = form = malloc(vq_bf16_panels_bytes(s->co, s->kh * s->kw, s->ci));
    vq_bf16_lay_out(NULL, w, s->co, s->kh * s->kw, s->ci, form);
    break;
  case BF16_FILTERED:
    a->filtered = form = malloc(vq_winograd_bf16_bytes(s->co, s->ci));
    cr_assert(!vq_winograd_bf16_prepare(NULL, w, false, s->co, s->ci, form));
    break;
  }
  return form;
}

/* y by `threads`; a's scratch is as long as it says and full of what is not a number. */
static vq_real *convolved(vq_conv_args a, int threads, const vq_real *was, int64_t count)
{
  vq_device *device;
  size_t bytes = vq_conv_cpu_scratch(&a);
  char *scratch = malloc(bytes + 1);
  a.y = malloc((size_t)count * sizeof *a.y);
  cr_assert(scratch && a.y && !vq_cpu_create(&device, threads));
  memcpy(a.y, was, (size_t)count * sizeof *was);
  memset(scratch, 0xff, bytes + 1);
  cr_assert(!vq_conv_cpu(device, &a, scratch));
  vq_device_free(device);
  free(scratch);
  return a.y;
}

static void check(size_t number)
{
  const shape *s = &shapes[number];
  int64_t count = s->n * s->oh * s->ow * s->co, pixels = s->n * s->h * s->w;
  vq_real *x = draw(pixels * s->ci, 1), *w = draw(s->kh * s->kw * s->ci * s->co, 2);
  vq_real *bias = draw(s->co, 3), *skip = draw(count, 4), *was = draw(count, 5);
  vq_conv_args a = {.n = s->n,
                    .h = s->h,
                    .w = s->w,
                    .ci = s->ci,
                    .kh = s->kh,
                    .kw = s->kw,
                    .co = s->co,
                    .stride = s->stride,
                    .top = s->top,
                    .left = s->left,
                    .oh = s->oh,
                    .ow = s->ow,
                    .bias = s->bias ? bias : NULL,
                    .skip = s->skip ? skip : NULL,
                    .add = s->add};
  void *form = form_of(s, w, &a);
  a.x = x;
  vq_real *must = convolved(a, 1, was, count);
  source j = {s, x, calloc((size_t)pixels, sizeof(int))};
  a.x = NULL;
  a.read = read_pixels;
  a.source = &j;
  vq_real *alone = convolved(a, 1, was, count);
  int most = 0;
  for (int64_t i = 0; i < pixels; i++)
    most = j.times[i] > most ? j.times[i] : most;
  free(j.times);
  j.times = NULL;
  vq_real *three = convolved(a, 3, was, count);
  cr_expect(!memcmp(must, alone, (size_t)count * sizeof *must), "shape %zu: other bytes where x is made", number);
  cr_expect(!memcmp(must, three, (size_t)count * sizeof *must), "shape %zu: other bytes of three threads", number);
  cr_expect(s->by != BF16 || most == 1, "shape %zu: a pixel was made %d times", number, most);
  cr_expect(most >= 1 && most <= 4, "shape %zu: a pixel was made %d times", number, most);
  free(x), free(w), free(bias), free(skip), free(was), free(form), free(must), free(alone), free(three);
}

Test(conv_read, is_the_convolution_of_what_is_read)
{
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    if (shapes[i].by != BF16_FILTERED || vq_winograd_bf16_fits(shapes[i].co, shapes[i].ci))
      check(i);
}

/* ---- the lines ---- */

/* A walk in tiles of 2x2 that read 4x4, over two pictures: each pixel once, and what lies in the lines is x. */
Test(conv_read, a_lane_makes_each_pixel_once)
{
  const shape s = {.n = 2, .h = 9, .w = 11, .ci = 3};
  vq_real *x = draw(s.n * s.h * s.w * s.ci, 1), room[4 * 11 * 3];
  int times[2 * 9 * 11] = {0};
  source j = {&s, x, times};
  vq_conv_args a = {.n = s.n, .h = s.h, .w = s.w, .ci = s.ci, .read = read_pixels, .source = &j};
  cr_assert(vq_lines_reals(&a, 4) == sizeof room / sizeof *room);
  vq_lines lines = vq_lines_begin(&a, 4, room);
  for (int64_t n = 0; n < s.n; n++)
    for (int64_t row = -1; row < s.h; row += 2)
      for (int64_t column = -1; column < s.w; column += 2) {
        vq_lines_reach(&lines, n, row, row + 4, column, column + 4);
        for (int64_t r = row < 0 ? 0 : row; r < row + 4 && r < s.h; r++)
          for (int64_t c = column < 0 ? 0 : column; c < column + 4 && c < s.w; c++)
            cr_assert(!memcmp(vq_lines_at(&lines, n, r) + c * s.ci, x + ((n * s.h + r) * s.w + c) * s.ci,
                              (size_t)s.ci * sizeof *x));
      }
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    cr_expect(times[i] == 1, "pixel %zu was made %d times", i, times[i]);
  free(x);
}

/* ---- the room ---- */

/* Sizes for which norm_act_conv makes what it convolves as it is read, beside the same by group_norm, silu and conv. 1e-6 leaves room
 * for what a compiler contracts; what another pixel's or another sample's statistics do is a tenth. */
static vq_tensor *weight_of(vq_device *device, int rank, const int64_t *dim, uint32_t which)
{
  vq_shape sizes = vq_shape_make(VQ_REAL, rank, dim);
  vq_real *values = draw(vq_shape_count(&sizes), which);
  vq_tensor *w;
  cr_assert(!vq_weight_create(&w, device, &sizes, values, false), "%s", vq_error_message());
  free(values);
  return w;
}

static void check_room(int64_t n, int64_t h, int64_t w, int64_t ci, int64_t co, vq_act act)
{
  bench b;
  cr_assert(!vq_cpu_create(&b.device, 2) && !vq_device_reserve(b.device, 64 << 20) &&
            !vq_tape_create(&b.tape, b.device));
  vq_shape of_x = vq_shape_make(VQ_REAL, 4, (int64_t[]){n, h, w, ci});
  vq_real *values = draw(n * h * w * ci, 1);
  for (int64_t i = 0; i < n * h * w * ci; i++)
    values[i] += (vq_real)(i / (h * w * ci)); /* samples of other means */
  vq_tensor *x = vq_leaf(b.tape, &of_x, values, false), *kernel[2];
  for (int i = 0; i < 2; i++) /* each op lays out its own */
    kernel[i] = weight_of(b.device, 4, (int64_t[]){co, 3, 3, ci}, 2);
  vq_tensor *g = weight_of(b.device, 1, &ci, 3), *shift = weight_of(b.device, 1, &ci, 4),
            *bias = weight_of(b.device, 1, &co, 5);
  vq_tensor *is = vq_norm_act_conv(b.tape, x, g, shift, 2, 1e-6, act, kernel[0], bias, NULL);
  vq_tensor *v = vq_group_norm(b.tape, x, g, shift, 2, 1e-6), *h1 = act == VQ_ACT_SILU ? vq_silu(b.tape, v) : v;
  vq_tensor *must = vq_conv(b.tape, h1, kernel[1], bias, 1, (int[]){1, 1, 1, 1});
  cr_assert(is && must, "%s", vq_error_message());
  const vq_real *y = vq_values(is), *of = vq_values(must);
  double off = 0, square = 0;
  for (int64_t i = 0; i < vq_count(is); i++) {
    off += ((double)y[i] - (double)of[i]) * ((double)y[i] - (double)of[i]);
    square += (double)of[i] * (double)of[i];
  }
  cr_expect(off <= 1e-12 * square, "%lld -> %lld: a relative error of %.2e", (long long)ci, (long long)co,
            sqrt(off / square));
  close_bench(&b);
  free(values);
}

Test(conv_read, norm_act_conv)
{
  check_room(2, 90, 83, 16, 16, VQ_ACT_SILU);
  check_room(2, 66, 63, 6, 3, VQ_ACT_SILU);
  check_room(3, 66, 63, 6, 3, VQ_ACT_NONE);
}

/* A filtered weight's own values go back to the system when both of its forms are there, and not before. */
Test(conv_read, a_weight_in_both_forms_is_dropped)
{
  enum { C = 32, COUNT = C * 3 * 3 * C };
  bench b;
  cr_assert(!vq_cpu_create(&b.device, 2) && !vq_device_reserve(b.device, 64 << 20) &&
            !vq_tape_create(&b.tape, b.device));
  vq_shape of_x = vq_shape_make(VQ_REAL, 4, (int64_t[]){1, 12, 12, C});
  vq_real *values = draw(12 * 12 * C, 1);
  vq_tensor *kernel = weight_of(b.device, 4, (int64_t[]){C, 3, 3, C}, 2);
  const vq_real *was = vq_values(kernel);
  size_t whole = COUNT * sizeof *was, before = vq_weights_kept(b.device);
  for (int wants = 0; wants < 2; wants++) {
    vq_tensor *x = vq_leaf(b.tape, &of_x, values, wants);
    cr_assert(vq_conv(b.tape, x, kernel, NULL, 1, (int[]){1, 1, 1, 1}), "%s", vq_error_message());
    cr_expect(!!kernel->prepared[VQ_BACKWARD] == wants);
    cr_expect((vq_values(kernel) == was) == !wants);
    cr_expect(wants || vq_weights_kept(b.device) >= before + whole);
  }
  cr_expect(vq_values(kernel) == kernel->prepared[VQ_FORWARD]);
  cr_expect(b.device->weight_dropped > whole - 3 * 4096 && b.device->weight_dropped <= whole);
  cr_expect(vq_weights_kept(b.device) == b.device->weight_bytes - b.device->weight_dropped);
#ifndef __SANITIZE_ADDRESS__ /* which guards the place */
  cr_expect(was[COUNT / 2] == 0, "its pages are still there");
#endif
  close_bench(&b);
  free(values);
}
