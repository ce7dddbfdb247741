/* test_bf16.c -- what the CPU computes by frozen weights of BF16.
 *
 * The innermost loop is compared with the same sum in double. Rooms are compared with the exact result, which their own kernels in float stand
 * for: the error, as a root of the mean square, is at most twice that of a naive implementation, which rounds both factors of a product to
 * BF16 and adds up in float. It is also not much less: what computes in float after all would be found.
 */
#include "cases.h"

#include "base/processor.h"
#include "base/rng.h"
#include "kernels/cpu/bf16.h"

#include "base/bf16.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEED 20210407

/* ---- rows times panels ---- */

#define MOST_N 40

static float drawn(uint32_t which, int64_t i)
{
  return (float)vq_rng_normal(SEED, VQ_RNG_WEIGHTS, which, (uint64_t)i);
}

static void check_block(int64_t m, int64_t n, int64_t k, unsigned has)
{
  const int64_t lda = k + 6, ldc = n + 3;
  bool bias = has & 1, skip = has & 2, add = has & 4;
  size_t panels_bytes = vq_bf16_panels_bytes(n, 1, k);
  float *b = malloc((size_t)(n * k) * sizeof *b), *c = malloc((size_t)(m * ldc) * sizeof *c), of_bias[MOST_N];
  float *of_skip = malloc((size_t)(m * ldc) * sizeof *of_skip);
  uint16_t *a = calloc((size_t)(m * lda), sizeof *a), *panels = malloc(panels_bytes);
  for (int64_t i = 0; i < n * k; i++)
    b[i] = drawn(0, i);
  for (int64_t i = 0; i < m; i++)
    for (int64_t p = 0; p < k; p++)
      a[i * lda + p] = vq_bf16_from_float(drawn(1, i * k + p));
  for (int64_t i = 0; i < m * ldc; i++) {
    c[i] = drawn(2, i);
    of_skip[i] = drawn(3, i);
  }
  for (int64_t j = 0; j < n; j++)
    of_bias[j] = drawn(4, j);
  vq_bf16_lay_out(NULL, b, n, 1, k, panels);
  int64_t even = k + k % 2;
  vq_bf16_multiply(&(vq_bf16_block){m, n, even, a, lda, panels, even * VQ_BF16_PANEL, bias ? of_bias : NULL,
                                    skip ? of_skip : NULL, add, c, ldc});
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < ldc; j++) {
      double was = drawn(2, i * ldc + j), sum = add ? was : 0, size = 0;
      for (int64_t p = 0; p < k && j < n; p++) {
        double product =
            (double)vq_bf16_to_float(a[i * lda + p]) * (double)vq_bf16_to_float(vq_bf16_from_float(b[j * k + p]));
        sum += product;
        size += fabs(product);
      }
      if (bias && j < n)
        sum += (double)of_bias[j];
      if (skip && j < n)
        sum += (double)of_skip[i * ldc + j];
      /* Each of k + 3 additions rounds by at most half a unit of what has been added up so far. */
      double most = j < n ? ldexp((double)(k + 3) * (size + 12), -24) : 0;
      double error = fabs((double)c[i * ldc + j] - (j < n ? sum : was));
      cr_assert(error <= most, "%lld x %lld x %lld, %u: element %lld,%lld is %g and must be %g", (long long)m,
                (long long)n, (long long)k, has, (long long)i, (long long)j, (double)c[i * ldc + j], sum);
    }
  free(a);
  free(b);
  free(c);
  free(of_skip);
  free(panels);
}

/* Every number of rows and of columns that a block can have; what stands beside the columns stays. */
Test(bf16, rows_times_panels)
{
  for (int64_t m = 1; m <= 70; m++)
    check_block(m, 1 + m * 7 % MOST_N, 1 + m % 9, (unsigned)m % 8);
  for (int64_t n = 1; n <= MOST_N; n++)
    check_block(13, n, 34, (unsigned)n % 8);
  for (unsigned has = 0; has < 8; has++)
    check_block(61, 40, 70, has);
  check_block(5, 33, 1037, 0);
  check_block(45, 33, 1037, 0);
}

/* ---- rooms ---- */

static vq_tensor *linear(vq_tape *t, vq_tensor *const *in)
{
  return vq_linear(t, in[0], in[1], in[2], in[3]);
}

static vq_tensor *linear_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, vq_linear(t, in[0], in[1], in[2], NULL), in[0]);
}

static vq_tensor *conv(vq_tape *t, vq_tensor *const *in)
{
  const int k = (int)in[1]->dim[1], pad[4] = {k / 2, k / 2, k / 2, k / 2};
  return vq_conv(t, in[0], in[1], in[2], 1, pad);
}

static vq_tensor *conv_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, conv(t, in), in[0]);
}

static vq_tensor *conv_down(vq_tape *t, vq_tensor *const *in)
{
  const int pad[4] = {0, 0, 1, 1};
  return vq_conv(t, in[0], in[1], in[2], 2, pad);
}

static vq_tensor *norm_act_conv(vq_tape *t, vq_tensor *const *in)
{
  return vq_norm_act_conv(t, in[0], in[1], in[2], 8, 1e-6, VQ_ACT_SILU, in[3], in[4], in[5]);
}

static vq_tensor *upsample_conv(vq_tape *t, vq_tensor *const *in)
{
  return vq_upsample_conv(t, in[0], in[1], in[2]);
}

/* Beside the table's rows, which are small for central differences: several tasks, panels and depths, and what is left of each. */
static const vq_case large[] = {
    {"linear, several tasks",
     &vq_op_linear,
     linear,
     {LEAF(29, 1100), FROZEN(150, 1100), FROZEN(150), LEAF(29, 150)}},
    {"linear, long columns", &vq_op_linear, linear, {LEAF(3, 149, 48), FROZEN(1040, 48), NONE, NONE}},
    {"linear, one row", &vq_op_linear, linear, {LEAF(1, 64), FROZEN(33, 64), FROZEN(33), NONE}},
    {"linear, its gradient added", &vq_op_linear, linear_added, {LEAF(17, 64), FROZEN(64, 64), FROZEN(64), NONE}},
    {"conv, several tasks", &vq_op_conv, conv, {LEAF(2, 19, 16, 48), FROZEN(144, 3, 3, 48), FROZEN(144)}},
    {"conv, odd channels", &vq_op_conv, conv, {LEAF(1, 5, 29, 3), FROZEN(17, 3, 3, 3), FROZEN(17)}},
    {"conv, long lines", &vq_op_conv, conv, {LEAF(1, 3, 431, 16), FROZEN(16, 3, 3, 16), NONE}},
    {"conv, many channels", &vq_op_conv, conv, {LEAF(1, 8, 8, 272), FROZEN(288, 3, 3, 272), FROZEN(288)}},
    {"conv, 1x1", &vq_op_conv, conv, {LEAF(2, 9, 7, 64), FROZEN(192, 1, 1, 64), FROZEN(192)}},
    {"conv, its gradient added", &vq_op_conv, conv_added, {LEAF(1, 6, 5, 32), FROZEN(32, 3, 3, 32), FROZEN(32)}},
    {"conv, 1x1, its gradient added",
     &vq_op_conv,
     conv_added,
     {LEAF(1, 6, 5, 32), FROZEN(32, 1, 1, 32), FROZEN(32)}},
    {"conv, stride 2", &vq_op_conv, conv_down, {LEAF(1, 16, 12, 32), FROZEN(32, 3, 3, 32), FROZEN(32)}},
    {"norm_act_conv, several tasks",
     &vq_op_norm_act_conv,
     norm_act_conv,
     {LEAF(1, 21, 18, 64), FROZEN(64), FROZEN(64), FROZEN(80, 3, 3, 64), FROZEN(80), LEAF(1, 21, 18, 80)}},
    {"upsample_conv, several tasks",
     &vq_op_upsample_conv,
     upsample_conv,
     {LEAF(2, 9, 14, 48), FROZEN(80, 3, 3, 48), FROZEN(80)}},
    {NULL},
};

static const vq_case *row(int number)
{
  int count = 0;
  for (; large[count].name; count++)
    if (number == count)
      return &large[number];
  return vq_case_at(number - count);
}

/* The input that the op multiplies by; -1: none, or it is not frozen, and so of the real type always. */
static int weight_of(const vq_case *c)
{
  for (int i = 0; i < VQ_IN; i++)
    if (c->op->multiplies >> i & 1 && c->in[i].kind == VQ_INPUT_FROZEN)
      return i;
  return -1;
}

static vq_result run(const vq_case *c, int threads, bool bf16, unsigned halves)
{
  vq_device *device;
  vq_result result;
  vq_status status = threads ? vq_cpu_create(&device, threads) : vq_plan_create(&device, &vq_cpu_backend);
  cr_assert(!status, "%s", vq_error_message());
  if (bf16)
    device->products = VQ_BF16;
  cr_assert(!vq_case_run_on(c, device, halves, SEED, NULL, NULL, &result), "%s: %s", c->name, vq_error_message());
  vq_device_free(device);
  return result;
}

/* norm_act_conv whose convolution reads h rounded; w is rounded already. `like`: the record of the room's own call. */
static struct {
  vq_attr attr;
  bool of_itself; /* the skip is x */
} like;

static vq_tensor *norm_act_conv_in_parts(vq_tape *t, vq_tensor *const *in)
{
  const int k = (int)in[3]->dim[1], pad[4] = {k / 2, k / 2, k / 2, k / 2};
  vq_tensor *h = vq_group_norm(t, in[0], in[1], in[2], (int)like.attr.i[0], like.attr.f[0]);
  if (like.attr.i[1] == VQ_ACT_SILU)
    h = vq_silu(t, h);
  h = vq_cast(t, vq_cast(t, h, VQ_BF16), VQ_F32);
  vq_tensor *y = vq_conv(t, h, in[3], in[4], 1, pad);
  vq_tensor *skip = like.of_itself ? in[0] : in[5];
  return skip ? vq_add(t, y, skip) : y;
}

static double root_of_squares(const vq_result *x, const vq_result *exact, int i)
{
  double sum = 0;
  for (int64_t e = 0; e < x->count[i]; e++) {
    double error = (double)x->value[i][e] - (exact ? (double)exact->value[i][e] : 0);
    sum += error * error;
  }
  return sqrt(sum / (double)x->count[i]);
}

/* Of a naive implementation: from the rounded inputs, and dy, in float. What a norm reads is not rounded. */
static vq_result naively(const vq_case *c, int w, bool backward, const vq_result *ours)
{
  bool norm = c->op == &vq_op_norm_act_conv;
  vq_case parts = *c;
  like.attr = ours->attr;
  like.of_itself = vq_case_of_itself(c);
  if (norm && !backward) {
    parts.call = norm_act_conv_in_parts;
    for (int i = 0; i < VQ_IN; i++)
      if (parts.in[i].kind == VQ_INPUT_LEAF)
        parts.in[i].kind = VQ_INPUT_CONST; /* a cast back has no gradient of rounded values to give */
  }
  return run(norm && !backward ? &parts : c, 1, false, norm ? 1u << w : 1u | 1u << w);
}

static void compare(const vq_case *c, int w)
{
  vq_result ours = run(c, 1, true, 1u << w), exact = run(c, 1, false, 0);
  vq_result naive = naively(c, w, false, &ours), naive_back = naively(c, w, true, &ours);
  cr_expect(ours.dtype == VQ_F32, "%s: the output is not float", c->name);
  for (int i = 0; i <= VQ_IN; i++) {
    if (!ours.value[i])
      continue;
    const vq_result *other = i == VQ_IN ? &naive : &naive_back;
    double error = root_of_squares(&ours, &exact, i), of_naive = root_of_squares(other, &exact, i);
    double size = root_of_squares(&exact, NULL, i), float_error = 1e-6 * size;
    cr_expect(error <= 2 * of_naive + float_error,
              "%s: tensor %d is wrong by %g, a naive implementation by %g of %g", c->name, i, error, of_naive,
              size);
    /* What is dy itself is not rounded. */
    bool passed = i < VQ_IN && c->op->passes >> i & 1;
    cr_expect(passed || error >= of_naive / 4, "%s: tensor %d is wrong by %g only, a naive implementation by %g",
              c->name, i, error, of_naive);
  }
  vq_result_free(&ours);
  vq_result_free(&exact);
  vq_result_free(&naive);
  vq_result_free(&naive_back);
}

/* Any number of threads gives the same bytes, and the dry run has asked for the memory that was used. */
static void repeat(const vq_case *c, int w)
{
  static const int threads[] = {2, 3, 5, 8};
  vq_result first = run(c, 1, true, 1u << w), dry = run(c, 0, true, 1u << w);
  cr_expect(dry.peak == first.peak, "%s: planned %zu bytes, used %zu", c->name, dry.peak, first.peak);
  for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
    vq_result again = run(c, threads[t], true, 1u << w);
    for (int i = 0; i <= VQ_IN; i++)
      cr_expect(!first.value[i] || !memcmp(first.value[i], again.value[i], (size_t)first.count[i] * sizeof(float)),
                "%s: %d threads give other bytes in tensor %d", c->name, threads[t], i);
    vq_result_free(&again);
  }
  vq_result_free(&first);
  vq_result_free(&dry);
}

Test(bf16, rooms)
{
  int rows = 0;
  for (int i = 0; row(i); i++) {
    int w = weight_of(row(i));
    if (w < 0)
      continue;
    rows++;
    compare(row(i), w);
    repeat(row(i), w);
  }
  cr_expect(rows >= 25, "only %d rows have a frozen weight that is multiplied by", rows);
}

/* A weight of BF16 that is trained, or another input of BF16, is refused by name. */
Test(bf16, only_frozen_weights)
{
  static const vq_case trained = {"trained", &vq_op_linear, linear, {LEAF(2, 4), LEAF(3, 4), NONE, NONE},
                                  NULL,      NULL};
  vq_device *device;
  vq_tape *t;
  cr_assert(!vq_cpu_create(&device, 1) && !vq_device_reserve(device, 1 << 20) && !vq_tape_create(&t, device));
  vq_shape half = vq_shape_make(VQ_BF16, 2, trained.in[1].dim), x = vq_shape_make(VQ_F32, 2, trained.in[0].dim);
  uint16_t values[12] = {0};
  float of_x[8] = {0};
  vq_tensor *w = vq_leaf(t, &half, values, true);
  cr_expect(!vq_linear(t, vq_leaf(t, &x, of_x, true), w, NULL, NULL));
  cr_expect(vq_tape_status(t) == VQ_ERR_SHAPE && strstr(vq_error_message(), "input 1 is bf16"), "%s",
            vq_error_message());
  vq_tape_free(t);
  vq_device_free(device);
}
