/* test_bands.c -- the tables of resample: against the published arrays, and that they fit for every size of a run. */
#include "kernels/ops.h"
#include "loaders/npy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define H 20
#define W 30

/* The published arrays are float32, and their interpolation's positions, up to 20, are too: half an ulp there is 1e-6,
 * which moves weights by as much; two such errors meet in a product of both axes, and the mean of 2400 of them is less. */
#define TOLERANCE 2e-6

/* A published array [1,3,h,w] as [h,w,3]. */
static vq_real *load(const char *name, int *h, int *w)
{
  char path[512];
  vq_npy array;
  snprintf(path, sizeof path, "%s/tests/data/reference/%s.npy", VQ_SOURCE_ROOT, name);
  cr_assert(!vq_npy_read(&array, path), "%s", vq_error_message());
  const vq_file_tensor *x = &array.tensor;
  cr_assert(x->rank == 4 && x->dim[0] == 1 && x->dim[1] == 3, "%s is not [1,3,h,w]", name);
  *h = (int)x->dim[2];
  *w = (int)x->dim[3];
  size_t area = (size_t)*h * (size_t)*w;
  double *stored = malloc(3 * area * sizeof *stored);
  vq_real *pixels = malloc(3 * area * sizeof *pixels);
  vq_file_tensor_read_f64(x, stored);
  for (size_t p = 0; p < area; p++)
    for (size_t c = 0; c < 3; c++)
      pixels[3 * p + c] = (vq_real)stored[c * area + p];
  free(stored);
  vq_npy_free(&array);
  return pixels;
}

static void expect_close(const char *name, const vq_real *is, const vq_real *must, int count, double tolerance)
{
  double off = 0, size = 0;
  for (int i = 0; i < count; i++) {
    off += ((double)is[i] - (double)must[i]) * ((double)is[i] - (double)must[i]);
    size += (double)must[i] * (double)must[i];
  }
  cr_expect(sqrt(off / size) <= tolerance, "%s: relative error %g", name, sqrt(off / size));
}

typedef struct published {
  const char *name;
  vq_resample_kind kind;
  int x, y, width, height, side; /* of the box, and of what is made of it */
} published;

/* The tables along one axis as if the picture were square: the published boxes are not always. */
static vq_tensor *table(vq_tape *t, const vq_bands *sizes, int length, int start, int size, bool weights)
{
  vq_bands square = *sizes, *b = &square;
  const int32_t box[3] = {start, 0, size};
  square.width = square.height = length;
  vq_shape index = vq_bands_index(b, length), weight = vq_bands_weight(b, length);
  int32_t *runs = malloc(vq_shape_bytes(&index));
  vq_real *values = malloc(vq_shape_bytes(&weight));
  double *room = malloc((size_t)length * sizeof *room);
  cr_assert(!vq_bands_fill(b, box, NULL, 0, runs, values, room), "%s", vq_error_message());
  vq_tensor *x = weights ? vq_leaf(t, &weight, values, false) : vq_leaf(t, &index, runs, false);
  free(runs);
  free(values);
  free(room);
  return x;
}

/* One cutout of op_x, and its gradient for dy[i] = sin(0.37 i), i counting PyTorch's layout. */
static void check(const published *p)
{
  int h, w, side, also;
  char name[64];
  snprintf(name, sizeof name, "%s_out", p->name);
  vq_real *x = load("op_x", &h, &w), *out = load(name, &side, &also);
  int least = p->width < p->height ? p->width : p->height, most = p->width + p->height - least;
  vq_bands b = {p->kind, most, most, p->side, 1, least, most, 0, 0};
  cr_assert(side == p->side && also == p->side, "%s is %dx%d", name, side, also);
  cr_assert(!vq_bands_measure(&b), "%s", vq_error_message());
  vq_device *device;
  vq_tape *t;
  cr_assert(!vq_cpu_create(&device, 2) && !vq_device_reserve(device, 4 << 20) && !vq_tape_create(&t, device));
  vq_shape shape = vq_shape_make(VQ_REAL, 4, (int64_t[]){1, h, w, 3});
  vq_tensor *leaf = vq_leaf(t, &shape, x, true);
  vq_mark mark = vq_tape_mark(t);
  vq_tensor *y =
      vq_resample(t, leaf, table(t, &b, h, p->y, p->height, false), table(t, &b, h, p->y, p->height, true),
                  table(t, &b, w, p->x, p->width, false), table(t, &b, w, p->x, p->width, true), &b);
  cr_assert(!vq_tape_status(t), "%s", vq_error_message());
  int area = side * side, count = 3 * area;
  vq_real *found = malloc((size_t)count * sizeof *found), *dy = malloc((size_t)count * sizeof *dy);
  cr_assert(!vq_tensor_read(device, y, found));
  expect_close(name, found, out, count, TOLERANCE);
  for (int c = 0; c < 3; c++)
    for (int i = 0; i < area; i++)
      dy[3 * i + c] = (vq_real)sin(0.37 * (c * area + i));
  vq_seed_with(t, y, dy);
  cr_assert(!vq_backward(t, NULL, mark), "%s", vq_error_message());
  vq_real *dx = malloc((size_t)(3 * h * w) * sizeof *dx);
  cr_assert(!vq_grad_read(device, leaf, dx));
  snprintf(name, sizeof name, "%s_grad", p->name);
  vq_real *must = load(name, &h, &w);
  expect_close(name, dx, must, 3 * h * w, TOLERANCE);
  vq_tape_free(t);
  vq_device_free(device);
  free(x);
  free(out);
  free(found);
  free(dy);
  free(dx);
  free(must);
}

/* The published code's outputs on op_x; the boxes are those that it was given. */
Test(bands, published_arrays)
{
  int h, w;
  free(load("op_x", &h, &w));
  published rows[] = {
      {"op_avgpool11", VQ_RESAMPLE_AVERAGE, 0, 0, w, h, 11},
      {"op_avgpool_up30", VQ_RESAMPLE_AVERAGE, 4, 3, 16, 16, 30},
      {"op_resample13", VQ_RESAMPLE_LANCZOS, 5, 2, 20, 20, 13},
      {"op_resample_up27", VQ_RESAMPLE_LANCZOS, 5, 2, 20, 20, 27},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    check(&rows[i]);
}

/* For every size between the smallest and the largest box, the tables have room, rows of weights sum to 1, and the
 * transposed tables hold the same numbers. */
static void check_sizes(vq_resample_kind kind, int side, int least, int most)
{
  vq_bands b = {kind, most, most, side, 1, least, most, 0, 0};
  cr_assert(!vq_bands_measure(&b), "%s", vq_error_message());
  vq_shape index = vq_bands_index(&b, most), weight = vq_bands_weight(&b, most);
  int32_t *runs = malloc(vq_shape_bytes(&index));
  vq_real *values = malloc(vq_shape_bytes(&weight));
  double *room = malloc((size_t)most * sizeof *room);
  for (int size = least; size <= most; size++) {
    const int32_t box[3] = {most - size, 0, size};
    cr_assert(!vq_bands_fill(&b, box, NULL, 0, runs, values, room), "%s", vq_error_message());
    double forward = 0, back = 0;
    for (int i = 0; i < side; i++) {
      double sum = 0;
      for (int j = 0; j < runs[2 * i + 1]; j++)
        sum += (double)values[i * b.run + j];
      cr_expect(fabs(sum - 1) < 1e-5, "size %d to %d: output %d sums to %g", size, side, i, sum);
      forward += sum;
    }
    for (int p = 0; p < most; p++)
      for (int j = 0; j < runs[2 * (side + p) + 1]; j++)
        back += (double)values[side * b.run + p * b.back + j];
    cr_expect(fabs(forward - back) < 1e-4 * side, "size %d to %d: %g forward, %g transposed", size, side, forward,
              back);
  }
  free(runs);
  free(values);
  free(room);
}

Test(bands, fit_every_size)
{
  for (int kind = VQ_RESAMPLE_AVERAGE; kind <= VQ_RESAMPLE_LANCZOS; kind++) {
    check_sizes((vq_resample_kind)kind, 48, 20, 130);
    check_sizes((vq_resample_kind)kind, 48, 48, 130); /* the notebooks' boxes are never smaller than the cutout */
    check_sizes((vq_resample_kind)kind, 224, 224, 300);
    check_sizes((vq_resample_kind)kind, 7, 1, 60);
    check_sizes((vq_resample_kind)kind, 1, 1, 9);
    check_sizes((vq_resample_kind)kind, 224, 100, 400);
  }
}

/* A box outside the picture, or of a size that the tables were not made for, is refused. */
Test(bands, refuse_boxes)
{
  vq_bands b = {VQ_RESAMPLE_AVERAGE, W, H, 8, 1, 6, 12, 0, 0};
  cr_assert(!vq_bands_measure(&b), "%s", vq_error_message());
  vq_shape index = vq_bands_index(&b, W), weight = vq_bands_weight(&b, W);
  int32_t *runs = malloc(vq_shape_bytes(&index));
  vq_real *values = malloc(vq_shape_bytes(&weight));
  double *room = malloc((size_t)b.most * sizeof *room);
  const int32_t wrong[][3] = {{-1, 0, 8}, {0, H - 7, 8}, {W - 7, 0, 8}, {0, 0, 5}, {0, 0, 13}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    cr_expect(vq_bands_fill(&b, wrong[i], NULL, 0, runs, values, room) == VQ_ERR_ARGUMENT, "box %zu passes", i);
  vq_bands large = {VQ_RESAMPLE_AVERAGE, W, H, 8, 1, 6, H + 1, 0, 0};
  cr_expect(vq_bands_measure(&large) == VQ_ERR_ARGUMENT);
  free(runs);
  free(values);
  free(room);
}
