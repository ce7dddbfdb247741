/* test_cuda_ops.c -- every row of tests/cases.h through the CUDA module: on a card or, where $VQGEN_CUDA_MODULE names the module of
 * tests/cuda_on_cpu, on the emulated one, in four schedules.
 *
 *   usage: test-cuda-ops [--by WHO] [ROW]...     only the rows whose names begin with one of the words
 *
 * WHO computes products and convolutions (kernels/cuda/backend.h: own, cublaslt, cudnn, libraries); a library that is named must compute some.
 *
 * In float, values and gradients are compared with the CPU's kernels: within 2e-5 of a tensor's largest value, what sums of a thousand terms
 * in another order may differ by. In bf16 (each mixture of types that the op takes) they are compared with the CPU's float kernels on the
 * same rounded inputs: the error, as a root of the mean square, is at most twice that of rounding the exact result (of
 * norm_act_conv and attention: of their parts, each rounded). A row that composes
 * several ops rounds between them, so it is run in float only. The four schedules must give the same bits, and the dry run's memory is
 * the real one's.
 *
 * What `vqbench --list` has for a card, every op in every direction and type, must be among what was shown so; but for the optimisers' updates,
 * which no row can call: test_cuda_rooms.cpp has them.
 */
#include "cases.h"

#include "base/bf16.h"
#include "base/rng.h"
#include "kernels/cuda/module.h"
#include "tools/vqbench/networks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the emulation; a card is run as often. ThreadSanitizer sees a race in whatever order threads ran, and takes its time. */
#if defined __SANITIZE_THREAD__
#define SCHEDULES 1
#else
#define SCHEDULES 4
#endif

#define SEED 20210407

static const vq_cuda_module *module;
static int failures, products_by;
static int64_t computed[VQ_MAKERS]; /* by each library */

static void complain(const vq_case *c, const char *what, const char *detail)
{
  printf("FAIL %s: %s%s%s\n", c->name, what, *detail ? ": " : "", detail);
  failures++;
}

static bool run(const vq_case *c, unsigned halves, bool plan, vq_result *result)
{
  vq_device *device;
  vq_status status =
      plan ? vq_plan_create(&device, module->backend) : module->create(&device, 0, halves ? VQ_BF16 : VQ_F32);
  if (!status) {
    if (halves)
      device->products = VQ_BF16;
    device->products_by = products_by;
    status = vq_case_run_on(c, device, halves, SEED, NULL, NULL, result);
    for (int maker = 0; maker < VQ_MAKERS && !plan; maker++)
      computed[maker] += module->computed(device, maker);
    vq_device_free(device);
  }
  if (status)
    complain(c, plan ? "dry run" : "run", vq_error_message());
  return !status;
}

static void compare_bits(const vq_case *c, const vq_result *a, const vq_result *b)
{
  for (int i = 0; i <= VQ_IN; i++)
    if (a->value[i] && (!b->value[i] || memcmp(a->value[i], b->value[i], (size_t)a->count[i] * sizeof(vq_real))))
      complain(c, "schedules differ", i == VQ_IN ? "output" : "a gradient");
}

/* ---- what a naive implementation in bf16 is wrong by ---- */

static vq_tensor *rounded(vq_tape *t, vq_tensor *x)
{
  return vq_cast(t, vq_cast(t, x, VQ_BF16), VQ_F32);
}

/* norm_act_conv as its parts, rounded after each, as a library of parts does it. The last rounding is the caller's. */
static vq_tensor *in_parts(vq_tape *t, vq_tensor *const *in, const vq_attr *a, bool of_itself)
{
  int64_t k = in[3]->dim[1];
  const int pad[4] = {(int)k / 2, (int)k / 2, (int)k / 2, (int)k / 2};
  vq_tensor *h = rounded(t, vq_group_norm(t, in[0], in[1], in[2], (int)a->i[0], a->f[0]));
  if (a->i[1] == VQ_ACT_SILU)
    h = rounded(t, vq_silu(t, h));
  vq_tensor *y = vq_conv(t, h, in[3], in[4], 1, pad);
  vq_tensor *skip = of_itself ? in[0] : in[5];
  return skip ? vq_add(t, rounded(t, y), skip) : y;
}

static float round_to_bf16(double x)
{
  return vq_bf16_to_float(vq_bf16_from_float((float)x));
}

/* One head of attention, its scores, softmax and their gradients rounded to bf16, as they are where they go through memory between
 * products of bf16. q, k, v and their gradients lie `stride` apart, dy `C`; row: 3 T doubles. */
static void naive_head(const vq_real *q, const vq_real *k, const vq_real *v, const vq_real *dy, double *y,
                       double *dq, int64_t T, int64_t D, int64_t C, bool causal, double *row)
{
  double *S = row, *P = row + T, *dP = row + 2 * T, scale = 1 / sqrt((double)D);
  int64_t stride = 3 * C;
  for (int64_t i = 0; i < T; i++) {
    int64_t sees = causal ? i + 1 : T;
    double largest = -INFINITY, total = 0, delta = 0;
    for (int64_t j = 0; j < sees; j++) {
      double s = 0, d = 0;
      for (int64_t c = 0; c < D; c++) {
        s += (double)q[i * stride + c] * (double)k[j * stride + c];
        d += (double)dy[i * C + c] * (double)v[j * stride + c];
      }
      S[j] = round_to_bf16(s * scale);
      dP[j] = round_to_bf16(d);
      largest = fmax(largest, S[j]);
    }
    for (int64_t j = 0; j < sees; j++)
      total += exp(S[j] - largest);
    for (int64_t j = 0; j < sees; j++) {
      P[j] = round_to_bf16(exp(S[j] - largest) / total);
      delta += P[j] * dP[j];
    }
    for (int64_t j = 0; j < sees; j++) {
      double dS = round_to_bf16(P[j] * (dP[j] - delta));
      for (int64_t c = 0; c < D; c++) {
        y[i * C + c] += P[j] * (double)v[j * stride + c];
        dq[i * stride + c] += dS * (double)k[j * stride + c] * scale;
        dq[j * stride + C + c] += dS * (double)q[i * stride + c] * scale;
        dq[j * stride + 2 * C + c] += P[j] * (double)dy[i * C + c];
      }
    }
  }
}

/* attention so: y, and the gradient of qkv from the dy that a case draws. */
static void naive_attention(const vq_real *x, const vq_tensor *qkv, const vq_attr *a, vq_real *y, vq_real *dx)
{
  int64_t B = qkv->dim[0], T = qkv->dim[1], C = qkv->dim[2] / 3, D = C / a->i[0], count = B * T * C;
  double *sums = calloc((size_t)(4 * count + 3 * T), sizeof *sums), *of_y = sums + 3 * count;
  vq_real *dy = malloc((size_t)count * sizeof *dy);
  for (int64_t e = 0; e < count; e++)
    dy[e] = round_to_bf16((vq_real)vq_rng_normal(SEED, VQ_RNG_WEIGHTS, VQ_IN, (uint64_t)e));
  for (int64_t b = 0; b < B; b++)
    for (int64_t c = 0; c < C; c += D) {
      int64_t at = b * T * 3 * C + c, out = b * T * C + c;
      naive_head(x + at, x + at + C, x + at + 2 * C, dy + out, of_y + out, sums + at, T, D, C, a->i[1],
                 sums + 4 * count);
    }
  for (int64_t e = 0; e < count; e++)
    y[e] = (vq_real)of_y[e];
  for (int64_t e = 0; dx && e < 3 * count; e++)
    dx[e] = (vq_real)sums[e];
  free(sums);
  free(dy);
}

static vq_status run_attention(vq_device *device, vq_tensor *qkv, const vq_attr *attr, vq_real *value[VQ_IN + 1])
{
  vq_real *x = malloc((size_t)vq_count(qkv) * sizeof *x);
  vq_status status = vq_tensor_read(device, qkv, x);
  if (!status)
    naive_attention(x, qkv, attr, value[VQ_IN], value[0]);
  free(x);
  return status;
}

static vq_status run_parts(vq_device *device, const vq_case *c, unsigned halves, const vq_attr *attr,
                           vq_real *value[VQ_IN + 1])
{
  vq_tape *t;
  vq_tensor *in[VQ_IN], *out;
  VQ_TRY(vq_device_reserve(device, (size_t)64 << 20));
  VQ_TRY(vq_tape_create(&t, device));
  vq_status status = vq_case_inputs(c, t, halves, SEED, NULL, in);
  if (!status && c->op == &vq_op_attention)
    status = run_attention(device, in[0], attr, value);
  else if (!status) {
    out = in_parts(t, in, attr, vq_case_of_itself(c));
    status = out ? vq_tensor_read(device, out, value[VQ_IN]) : vq_tape_status(t);
  }
  vq_tape_free(t);
  return status;
}

/* The gradient of an x that is its own skip: what the op has stored of it is rounded before dy is added. */
static void naive_sum(const vq_result *cpu, vq_real *dx)
{
  for (int64_t e = 0; e < cpu->count[0]; e++) {
    float dy = round_to_bf16(vq_rng_normal(SEED, VQ_RNG_WEIGHTS, VQ_IN, (uint64_t)e));
    dx[e] = round_to_bf16((double)cpu->value[0][e] - (double)dy) + dy;
  }
}

/* What a naive implementation would give, before it is rounded: value[VQ_IN] and, where its gradient is of several roundings, value[0];
 * NULL: the exact result. */
static void naive_results(const vq_case *c, unsigned halves, const vq_result *cpu, vq_real *value[VQ_IN + 1])
{
  vq_device *device;
  bool attention = c->op == &vq_op_attention;
  if (!halves || (!attention && c->op != &vq_op_norm_act_conv) || cpu->composed || cpu->calls != 1 ||
      vq_cpu_create(&device, 1))
    return;
  value[VQ_IN] = malloc((size_t)cpu->count[VQ_IN] * sizeof(vq_real));
  if ((attention || vq_case_of_itself(c)) && cpu->value[0])
    value[0] = malloc((size_t)cpu->count[0] * sizeof(vq_real));
  if (run_parts(device, c, halves, &cpu->attr, value))
    complain(c, "in parts", vq_error_message());
  if (value[0] && !attention)
    naive_sum(cpu, value[0]);
  vq_device_free(device);
}

/* The CPU's values are exact enough to be the measure. */
static void compare(const vq_case *c, unsigned halves, const vq_result *cuda, const vq_result *cpu)
{
  vq_real *parts[VQ_IN + 1] = {NULL};
  naive_results(c, halves, cpu, parts);
  for (int i = 0; i <= VQ_IN; i++) {
    if (!cpu->value[i])
      continue;
    if (i == VQ_IN && cpu->dtype == VQ_I32) {
      if (memcmp(cuda->value[i], cpu->value[i], (size_t)cpu->count[i] * sizeof(int32_t)))
        complain(c, "other integers", "");
      continue;
    }
    double largest = 0, worst = 0, square = 0, naive = 0;
    bool finite = true;
    for (int64_t e = 0; e < cpu->count[i]; e++) {
      double y = cpu->value[i][e], error = fabs((double)cuda->value[i][e] - y);
      float unrounded = parts[i] ? parts[i][e] : (float)y;
      double rounding = fabs((double)vq_bf16_to_float(vq_bf16_from_float(unrounded)) - y);
      finite = finite && isfinite(error);
      largest = fmax(largest, fabs(y));
      worst = fmax(worst, error);
      square += error * error;
      naive += rounding * rounding;
    }
    square = sqrt(square / (double)cpu->count[i]);
    naive = sqrt(naive / (double)cpu->count[i]);
    bool good = halves ? square <= 2 * naive + 2e-5 * largest : worst <= 2e-5 * largest;
    if (finite && good)
      continue;
    char text[200];
    snprintf(text, sizeof text,
             "%s %d: largest %g, error %g at most and %g on average, of bf16's rounding %g (inputs in bf16: %#x)",
             i == VQ_IN ? "output" : "gradient", i, largest, worst, square, naive, halves);
    complain(c, "differs from the CPU", text);
  }
  free(parts[VQ_IN]);
  free(parts[0]);
}

/* Of each op, in the order of vq_ops, what has run without a failure: bits VQ_RAN. */
#define MOST_OPS 64
static unsigned shown[MOST_OPS];

static unsigned *shown_of(const vq_op *op)
{
  int i = 0;
  while (i < MOST_OPS - 1 && vq_ops[i] && vq_ops[i] != op)
    i++;
  return &shown[i];
}

/* Whether the row composes several ops. */
static bool test_row(const vq_case *c, unsigned halves)
{
  vq_result cpu, first, dry;
  vq_device *device;
  int before = failures;
  if (vq_cpu_create(&device, 1) || vq_case_run_on(c, device, halves, SEED, NULL, NULL, &cpu)) {
    complain(c, "CPU", vq_error_message());
    return false;
  }
  vq_device_free(device);
  if (!run(c, halves, true, &dry))
    return cpu.composed;
  for (int s = 0; s < SCHEDULES; s++) {
    vq_result result;
    char number[2] = {(char)('0' + s), 0};
    setenv("CUDA_ON_CPU_SCHEDULE", number, 1); /* read when a device is made */
    if (!run(c, halves, false, &result))
      return cpu.composed;
    if (s) {
      compare_bits(c, &first, &result);
      vq_result_free(&result);
      continue;
    }
    first = result;
    compare(c, halves, &first, &cpu);
    if (dry.peak != first.peak)
      complain(c, "the dry run asked for another amount of memory", "");
  }
  if (failures == before)
    *shown_of(c->op) |= first.ran;
  vq_result_free(&cpu);
  vq_result_free(&first);
  vq_result_free(&dry);
  return cpu.composed;
}

static bool asked_for(const vq_case *c, int words, char **word)
{
  bool found = words == 0;
  for (int i = 0; i < words; i++)
    found = found || !strncmp(c->name, word[i], strlen(word[i]));
  return found;
}

/* Which inputs are bf16 together: all that may be; where there is a weight, also what is read alone, and the weight (with the skip that is
 * added to its product) alone. */
static int mixtures(const vq_case *c, unsigned mixture[3])
{
  unsigned all = 0;
  int count = 0;
  for (int i = 0; i < VQ_IN; i++)
    if (c->in[i].kind != VQ_INPUT_NONE)
      all |= c->op->bf16 & 1u << i;
  if (c->op == &vq_op_patchify) /* of floats it makes what products take */
    all = 1u << VQ_IN;
  if (!all)
    return 0;
  mixture[count++] = all;
  bool product = !strcmp(c->op->name, "linear") || strstr(c->op->name, "conv");
  if (product) {
    mixture[count++] = 1;
    mixture[count++] = all & ~1u;
  }
  return count;
}

/* Every (op, type, direction) of all networks that a card is asked for in that precision has been shown. */
static void expect_all_shown(vq_precision precision)
{
  bench_list list = {0};
  vq_place place;
  vq_status status = vq_place_find(&place, "cuda", precision, 1, NULL);
  if (!status)
    status = bench_list_everything(&list, &place);
  if (status || !list.rows) {
    printf("FAIL the list of all cases: %s\n", status ? vq_error_message() : "it is empty");
    failures++;
  }
  for (int i = 0; i < list.rows; i++) {
    const bench_case *c = &list.row[i].c;
    bool halves = !strcmp(bench_case_dtype(c), "bf16");
    unsigned *mask = shown_of(c->op), bit = 1u << VQ_RAN(halves, c->backward);
    if (bench_is_update(c->op) || *mask & bit)
      continue;
    printf("FAIL %s %s in %s: no row of it has passed, and networks call it\n", c->op->name,
           c->backward ? "backward" : "forward", bench_case_dtype(c));
    failures++;
    *mask |= bit; /* told */
  }
  bench_list_free(&list);
}

/* --by WHO */
static bool read_choice(const char *name)
{
  static const char *const names[] = {"table", "own", "cublaslt", "cudnn", "libraries"};
  for (int i = 0; i <= VQ_PRODUCTS_LIBRARIES; i++)
    if (!strcmp(name, names[i])) {
      products_by = i;
      return true;
    }
  printf("%s: not one of " VQ_PRODUCTS_NAMES "\n", name);
  return false;
}

/* Whether what was asked for can be had. A library that the environment names must be there. */
static bool is_missing(int maker, const char *variable)
{
  char text[256];
  if (!module->chooses(products_by, maker) || getenv(variable) || !module->library(maker, 0, text, sizeof text))
    return false;
  printf("[SKIP] %s\n", vq_error_message());
  return true;
}

/* A library that was asked for has computed something, and no other. */
static void check_makers(void)
{
  bool lt = products_by == VQ_PRODUCTS_CUBLASLT || products_by == VQ_PRODUCTS_LIBRARIES;
  bool dnn = products_by == VQ_PRODUCTS_CUDNN || products_by == VQ_PRODUCTS_LIBRARIES;
  if (lt != (computed[VQ_CUBLASLT] > 0) || dnn != (computed[VQ_CUDNN] > 0)) {
    printf("FAIL cuBLASLt has computed %lld products and cuDNN %lld\n", (long long)computed[VQ_CUBLASLT],
           (long long)computed[VQ_CUDNN]);
    failures++;
  }
}

int main(int argc, char **argv)
{
  setvbuf(stdout, NULL, _IOLBF, 0); /* what a sanitizer ends has said what it was at */
  int rows = 0, cards;
  if (vq_cuda_open(&module) || module->count(&cards)) {
    printf("[SKIP] %s\n", vq_error_message());
    return 77;
  }
  if (argc > 2 && !strcmp(argv[1], "--by")) {
    if (!read_choice(argv[2]))
      return 2;
    if (is_missing(VQ_CUBLASLT, "VQGEN_CUBLASLT") || is_missing(VQ_CUDNN, "VQGEN_CUDNN"))
      return 77;
    argc -= 2;
    argv += 2;
  }
  for (int i = 0; vq_case_at(i); i++) {
    const vq_case *c = vq_case_at(i);
    vq_kernels by;
    unsigned mixture[3];
    module->backend->find(NULL, c->op, &by);
    if (!asked_for(c, argc - 1, argv + 1))
      continue;
    if (!by.forward)
      complain(c, "has no kernel", c->op->name);
    rows++;
    bool composed = test_row(c, 0);
    for (int m = composed ? 0 : mixtures(c, mixture); m > 0; m--)
      test_row(c, mixture[m - 1]);
  }
  if (argc == 1) {
    expect_all_shown(VQ_PRECISION_FP32);
    expect_all_shown(VQ_PRECISION_BF16);
  }
  check_makers();
  printf("%d rows, %lld products by cuBLASLt and %lld by cuDNN, %d failures\n", rows,
         (long long)computed[VQ_CUBLASLT], (long long)computed[VQ_CUDNN], failures);
  return failures > 0 || rows == 0;
}
