/* test_vqbench.c -- vqbench tells all that there is, in tables and in JSON; and its check can fail. */
#include "tests/cli.h"

#include "base/bf16.h"
#include "kernels/ops.h"
#include "tools/vqbench/bench.h"

#include <jansson.h>
#include <math.h>

TestSuite(vqbench, .init = scratch_create, .fini = scratch_remove, .timeout = 300);

#define TINY_PAIR "--vqgan", "tiny", "--clip", "tiny", "--cutouts", "9"

/* ---- what it prints ---- */

/* The objects of its lines, which the caller gives back. */
static json_t *lines_of(const said *s)
{
  json_t *all = json_array();
  for (const char *line = s->out; *line; line += strcspn(line, "\n") + 1) {
    json_error_t error;
    json_t *o = json_loadb(line, strcspn(line, "\n"), 0, &error);
    cr_assert(json_is_object(o), "%s: %.200s", error.text, line);
    json_array_append_new(all, o);
  }
  return all;
}

static const char *text(const json_t *o, const char *key)
{
  const char *value = json_string_value(json_object_get(o, key));
  cr_assert(value, "an object has no %s", key);
  return value;
}

static double number(const json_t *o, const char *key)
{
  const json_t *value = json_object_get(o, key);
  cr_assert(json_is_number(value), "an object has no %s", key);
  return json_number_value(value);
}

static bool lists(const json_t *rows, const vq_op *op, const char *direction)
{
  size_t i;
  json_t *row;
  json_array_foreach (rows, i, row)
    if (!strcmp(text(row, "op"), op->name) && !strcmp(text(row, "direction"), direction))
      return true;
  return false;
}

static void expect_every_op(said s)
{
  json_t *rows = lines_of(&s);
  for (const vq_op *const *op = vq_ops; *op; op++) {
    cr_expect(lists(rows, *op, "forward"), "%s is not in the list", (*op)->name);
    cr_expect(lists(rows, *op, "backward") == !!(*op)->backward, "%s backward", (*op)->name);
  }
  cr_expect(lists(rows, &vq_op_adam_clamp, "forward") && lists(rows, &vq_op_optimise, "forward"));
  json_decref(rows);
  forget(&s);
}

Test(vqbench, lists_every_op_in_every_direction)
{
  expect_every_op(TOOL_OK("--list", "--json"));
  expect_every_op(TOOL_OK("--list", "--json", TINY_PAIR));
}

static void expect_narrow(const said *s)
{
  for (const char *line = s->out; *line; line += strcspn(line, "\n") + 1)
    cr_expect(strcspn(line, "\n") <= 100, "%zu columns: %.120s", strcspn(line, "\n"), line);
}

Test(vqbench, tables_have_a_hundred_columns)
{
  static const char *const words[][12] = {{"--list", NULL},
                                          {"--quick", TINY_PAIR, NULL},
                                          {"step", "--quick", TINY_PAIR, NULL},
                                          {"--help", NULL},
                                          {"step", "--help", NULL}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    said s = tool_ok(tool_run(NULL, words[i]), words[i][0]);
    cr_expect(strlen(s.out) > 500 && !strstr(s.out, "WRONG"), "%s", s.out);
    expect_narrow(&s);
    forget(&s);
  }
}

/* Every case of the tiny step and of what stands beside it, right and with a time; shares of one step. */
Test(vqbench, checks_and_times_every_case)
{
  said s = TOOL_OK("--quick", "--json", "--threads", "2", TINY_PAIR),
       listed = TOOL_OK("--list", "--json", TINY_PAIR);
  json_t *rows = lines_of(&s), *cases = lines_of(&listed), *row;
  const json_t *head = json_array_get(rows, 0);
  double shares = 0;
  size_t i;
  cr_expect(number(head, "threads") == 2 && number(head, "peak_flops") > 1e8 && number(head, "peak_bytes") > 1e8);
  cr_expect(!strcmp(text(head, "step"), "tiny 64x64 tiny") && number(head, "cutouts") == 9);
  cr_expect(json_array_size(rows) == json_array_size(cases) + 1);
  json_array_remove(rows, 0);
  json_array_foreach (rows, i, row) {
    cr_expect(json_is_true(json_object_get(row, "right")), "%s %s is not right", text(row, "op"),
              text(row, "sizes"));
    cr_expect(number(row, "error") <= number(row, "allowed") && number(row, "allowed") < 1e-2);
    cr_expect(number(row, "seconds") > 0 && number(row, "runs") >= 3 && number(row, "bytes") > 0);
    shares += number(row, "share");
  }
  cr_expect(fabs(shares - 1) < 0.01, "the shares add up to %g", shares);
  json_decref(rows);
  json_decref(cases);
  forget(&s);
  forget(&listed);
}

Test(vqbench, takes_whole_steps)
{
  said s = TOOL_OK("step", "--json", "-n", "3", "--threads", "1", TINY_PAIR);
  json_t *rows = lines_of(&s), *o = json_array_get(rows, 1), *parts = json_object_get(o, "parts"), *part;
  const char *key;
  double sum = 0;
  cr_assert(json_array_size(rows) == 2 && json_object_size(parts) == 9);
  json_object_foreach (parts, key, part) {
    cr_expect(json_number_value(part) > 0, "%s took no time", key);
    sum += json_number_value(part);
  }
  cr_expect(number(o, "steps") == 3 && number(o, "cpu_seconds") > 0 && number(o, "planned_bytes") > 1 << 20);
  cr_expect(number(o, "resident_bytes") > 0.5 * number(o, "planned_bytes"));
  /* Medians of parts do not add up to the median of the whole, but nearly so where the machine is not torn. */
  cr_expect(sum > 0.5 * number(o, "seconds") && sum < 2 * number(o, "seconds"), "%g of %g s", sum,
            number(o, "seconds"));
  json_decref(rows);
  forget(&s);
}

#ifdef VQ_TEST_CUDA_MODULE

/* The emulated card computes what the CPU does, in BF16 where networks do; what it has no kernel for is told. */
Test(vqbench, measures_another_device)
{
  setenv("VQGEN_CUDA_MODULE", VQ_TEST_CUDA_MODULE, 1);
  said s = TOOL("--device", "cuda", "--quick", "--json", "--vqgan", "tiny", "--clip", "tiny", "--size", "16x16",
                "--cutouts", "1");
  json_t *rows = lines_of(&s), *row;
  size_t i, right = 0, halves = 0, missing = 0;
  cr_expect(!strncmp(text(json_array_get(rows, 0), "device"), "cuda", 4));
  json_array_remove(rows, 0);
  json_array_foreach (rows, i, row) {
    bool none = json_is_true(json_object_get(row, "missing"));
    missing += none;
    right += json_is_true(json_object_get(row, "right"));
    halves += !none && !strcmp(text(row, "dtype"), "bf16");
    cr_expect(!strcmp(text(row, "device"), "cuda"));
  }
  cr_expect(right > 50 && halves > 20 && right + missing == json_array_size(rows),
            "%zu right, %zu in bf16, %zu missing of %zu\n%s", right, halves, missing, json_array_size(rows), s.err);
  cr_expect(s.status == (missing ? 1 : 0) && !missing == !strstr(s.err, "have no kernel on this device"), "%d\n%s",
            s.status, s.err);
  json_decref(rows);
  forget(&s);
}

/* Ours, cuBLASLt's (a library that stands in for it) and cuDNN's (which is not there) beside each other: which has computed what, and that
 * it is right. A library that is missing is told, once. */
Test(vqbench, compares_libraries)
{
  setenv("VQGEN_CUDA_MODULE", VQ_TEST_CUDA_MODULE, 1);
  setenv("VQGEN_CUBLASLT", VQ_TEST_CUBLASLT, 1);
  setenv("VQGEN_CUDNN", "/nowhere/libcudnn.so", 1);
  said s = TOOL("--device", "cuda", "--quick", "--json", "--vqgan", "tiny", "--clip", "tiny", "--size", "16x16",
                "--cutouts", "1", "--compare", "libraries", "--op", "linear");
  json_t *rows = lines_of(&s), *row;
  size_t i, theirs = 0;
  json_array_remove(rows, 0);
  json_array_foreach (rows, i, row) {
    bool lt = json_is_number(json_object_get(row, "cublaslt_seconds"));
    theirs += lt;
    cr_expect(json_is_true(json_object_get(row, "own_right")) &&
              json_is_null(json_object_get(row, "cudnn_seconds")));
    cr_expect(!lt || json_is_true(json_object_get(row, "cublaslt_right")));
  }
  cr_expect(s.status == 0 && i > 10 && theirs > 10, "%zu of %zu\n%s", theirs, i, s.err);
  const char *told = strstr(s.err, "cuDNN cannot be used: /nowhere/libcudnn.so");
  cr_expect(told && !strstr(told + 1, "cuDNN cannot") && !strstr(s.err, "cuBLASLt cannot"), "%s", s.err);
  json_decref(rows);
  forget(&s);
  s = TOOL("step", "--device", "cuda", "--products", "cublaslt", "-n", "2", "--json", "--vqgan", "tiny", "--clip",
           "tiny", "--size", "16x16", "--cutouts", "1");
  rows = lines_of(&s);
  cr_expect(s.status == 0 && strstr(text(json_array_get(rows, 0), "device"), ", products by cublaslt"), "%s",
            s.err);
  json_decref(rows);
  forget(&s);
  setenv("VQGEN_CUDA_PRODUCTS", "blas", 1);
  s = TOOL("step", "--device", "cuda");
  cr_expect(s.status == 2 && strstr(s.err, "VQGEN_CUDA_PRODUCTS is \"blas\""), "%s", s.err);
  forget(&s);
}

/* And what it does not compute in is refused, not taken for something near it. */
Test(vqbench, refuses_tf32_on_a_card)
{
  setenv("VQGEN_CUDA_MODULE", VQ_TEST_CUDA_MODULE, 1);
  said s = TOOL("step", "--quick", TINY_PAIR, "--device", "cuda", "--precision", "tf32");
  cr_expect(s.status != 0 && !*s.out &&
                strstr(s.err, "tf32 is not in this version yet: use --precision fp32 or bf16"),
            "%d\n%s", s.status, s.err);
  forget(&s);
}

#endif

typedef struct refusal {
  int status;
  const char *says, *words[8];
} refusal;

static const refusal refusals[] = {
    {2, "did you mean --threads?", {"--thread", "2"}},
    {2, "\"f9\" is none of f16|f16-16384|f8|tiny", {"--vqgan", "f9"}},
    {2, "there is no op \"conf\", but add, attention", {"--op", "conf"}},
    {2, "\"(\" is no pattern", {"--only", "("}},
    {2, "--products is for a GPU: --device cuda", {"--products", "own", "--device", "cpu"}},
    {2, "--compare libraries is for a GPU", {"--compare", "libraries", "--device", "cpu"}},
    {2, "no case is left", {"--only", "nothing has this", "--quick"}},
    {2, "is not a size", {"--size", "64"}},
    {2, "is not a size", {"--size", "64x64x3"}},
    {2, "a side has 1 to", {"step", "--size", "0x64"}},
    {2, "16 pixels to a token", {"step", "--size", "8x8"}},
    {2, "\"gpu\" is no device", {"--device", "gpu"}},
    {2, "tf32 is for GPUs", {"step", "--device", "cpu", "--precision", "tf32"}},
    {2, "the subcommands are step and agree", {"steps"}},
    {2, "unknown option --list", {"step", "--list"}},
};

Test(vqbench, refuses)
{
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    const refusal *r = &refusals[i];
    said s = tool_run(NULL, r->words);
    cr_expect(s.status == r->status && strstr(s.err, r->says) && !*s.out, "%s: %d\n%s%s", r->says, s.status, s.out,
              s.err);
    forget(&s);
  }
}

/* ---- what it records ---- */

static void count_call(void *user, const vq_op *op, const vq_call *call, bool backward, double seconds)
{
  (void)op, (void)call, (void)backward, (void)seconds;
  ++*(int64_t *)user;
}

/* The counts of the cases are the kernels of a step, one by one; and the engine that computes runs as many as the one that plans. */
Test(vqbench, counts_are_those_of_the_step)
{
  bench_step step = {BENCH_TINY, BENCH_TINY, 32, 16, 9};
  bench_list list = {0};
  vq_engine_config config;
  vq_engine *engine;
  vq_findings findings = {.tv_loss = 0};
  int32_t boxes[9 * 3] = {0};
  int64_t counted = 0, planned = 0, run = 0;
  expect_ok(bench_list_step(&list, &step, VQ_ON_CPU(1)));
  for (int i = 0; i < list.rows; i++)
    counted += list.row[i].count;
  bench_step_config(&config, &step);
  expect_ok(vq_engine_record(&config, VQ_ON_CPU(1), count_call, &planned));
  expect_ok(vq_engine_create(&engine, &config, VQ_ON_CPU(1)));
  for (int i = 0; i < 9; i++)
    boxes[3 * i + 2] = config.box_most;
  vq_engine_watch(engine, count_call, &run);
  expect_ok(vq_engine_step(engine, boxes, 0.1, &findings));
  cr_expect(counted == planned && planned == run && run > 100, "%lld, %lld, %lld", (long long)counted,
            (long long)planned, (long long)run);
  vq_engine_free(engine);
  bench_list_free(&list);
}

typedef struct update_seen {
  const vq_op *op;
  int64_t kind, inputs, times;
} update_seen;

static void see_update(void *user, const vq_op *op, const vq_call *call, bool backward, double seconds)
{
  update_seen *seen = user;
  (void)seconds;
  if (backward || !bench_is_update(op))
    return;
  *seen = (update_seen){op, call->attr->i[0], 0, seen->times + 1};
  for (int i = 0; i < VQ_IN; i++)
    seen->inputs += call->in[i] != NULL;
}

/* Who watches is told which optimizer moved z, on a plan and in a run. */
Test(vqbench, the_update_is_told_by_its_name)
{
  static const int64_t inputs[VQ_OPTIMISERS + 1] = {
      6, 6, 6, 6, 6, 6, 7, 6}; /* z, its state, what changes, the range; diffgrad's third */
  bench_step step = {BENCH_TINY, BENCH_TINY, 32, 16, 9};
  for (int optimizer = VQ_ADAM; optimizer <= VQ_ADAMP; optimizer++) {
    vq_engine_config config;
    vq_engine *engine;
    vq_findings findings = {.tv_loss = 0};
    int32_t boxes[9 * 3] = {0};
    update_seen planned = {.times = 0}, run = {.times = 0};
    bench_step_config(&config, &step);
    config.optimizer = (vq_optimizer)optimizer;
    for (int i = 0; i < 9; i++)
      boxes[3 * i + 2] = config.box_most;
    expect_ok(vq_engine_record(&config, VQ_ON_CPU(1), see_update, &planned));
    expect_ok(vq_engine_create(&engine, &config, VQ_ON_CPU(1)));
    vq_engine_watch(engine, see_update, &run);
    expect_ok(vq_engine_step(engine, boxes, 0.1, &findings));
    vq_engine_free(engine);
    const update_seen *seen[] = {&planned, &run};
    for (int i = 0; i < 2; i++)
      cr_expect(seen[i]->times == 1 &&
                    seen[i]->op == (optimizer == VQ_ADAM ? &vq_op_adam_clamp : &vq_op_optimise) &&
                    seen[i]->kind == (optimizer == VQ_ADAM ? 0 : optimizer - VQ_ADAMW) &&
                    seen[i]->inputs == inputs[optimizer],
                "optimizer %d is told as %s %d, %d times, with %d inputs", optimizer,
                seen[i]->op ? seen[i]->op->name : "nothing", (int)seen[i]->kind, (int)seen[i]->times,
                (int)seen[i]->inputs);
  }
}

/* ---- the check itself is checked ---- */

static vq_op planted; /* the oracle finds the right one by its name */

static vq_status forward_one_off(const vq_call *c)
{
  VQ_TRY(vq_op_linear.forward(c));
  vq_values(c->out)[vq_count(c->out) / 2] += (vq_real)0.01;
  return VQ_OK;
}

static vq_status forward_nan(const vq_call *c)
{
  VQ_TRY(vq_op_linear.forward(c));
  vq_values(c->out)[3] = NAN;
  return VQ_OK;
}

/* Right in all but a part in ten thousand. */
static vq_status forward_stretched(const vq_call *c)
{
  VQ_TRY(vq_op_linear.forward(c));
  for (int64_t i = 0; i < vq_count(c->out); i++)
    vq_values(c->out)[i] *= (vq_real)1.0001;
  return VQ_OK;
}

static vq_status backward_wrong_sign(const vq_call *c)
{
  VQ_TRY(vq_op_linear.backward(c));
  for (int64_t i = 0; i < vq_count(c->in[0]); i++)
    vq_grad(c->in[0])[i] = -vq_grad(c->in[0])[i];
  return VQ_OK;
}

/* Forgets that something was there. */
static vq_status backward_stores(const vq_call *c)
{
  vq_call other = *c;
  other.add = 0;
  return vq_op_linear.backward(&other);
}

static bench_case linear_case(bool backward, bool add)
{
  bench_case c = {.op = &planted, .backward = backward, .wants = backward, .add = add};
  c.out = vq_shape_make(VQ_F32, 2, (int64_t[]){37, 53});
  c.in[0] = (bench_input){true, false, backward, -1, vq_shape_make(VQ_F32, 2, (int64_t[]){37, 64})};
  c.in[1] = (bench_input){true, true, false, -1, vq_shape_make(VQ_F32, 2, (int64_t[]){53, 64})};
  return c;
}

/* A second CPU under another name: what is not the CPU is compared with the CPU. */
static vq_backend other_backend;

static bench_verdict verdict_on(bench_case c, bool other)
{
  bench_verdict v;
  vq_device *device;
  expect_ok(vq_cpu_create(&device, 2));
  other_backend = vq_cpu_backend;
  if (other)
    device->backend = &other_backend;
  expect_ok(bench_try(device, &c, true, 0, NULL, &v, NULL));
  vq_device_free(device);
  cr_expect(v.made);
  return v;
}

static bench_verdict with_kernels(vq_kernel forward, vq_kernel backward, bool back, bool add)
{
  planted = vq_op_linear;
  planted.forward = forward ? forward : vq_op_linear.forward;
  planted.backward = backward ? backward : vq_op_linear.backward;
  return verdict_on(linear_case(back, add), false);
}

Test(vqbench, sees_wrong_kernels)
{
  bench_verdict v = with_kernels(NULL, NULL, false, false);
  cr_expect(v.right && v.error < v.allowed, "a right kernel is refused: %g", v.error);
  v = with_kernels(NULL, NULL, true, true);
  cr_expect(v.right, "a right gradient is refused: %g", v.error);
  v = with_kernels(forward_one_off, NULL, false, false);
  cr_expect(!v.right && !strcmp(v.what, "output"), "one wrong element passes");
  v = with_kernels(forward_nan, NULL, false, false);
  cr_expect(!v.right && !strcmp(v.what, "output"), "a NaN passes");
  cr_expect(!with_kernels(forward_stretched, NULL, false, false).right, "a part in ten thousand passes");
  v = with_kernels(NULL, backward_wrong_sign, true, false);
  cr_expect(!v.right && !strcmp(v.what, "gradient 0"), "a wrong sign passes");
  cr_expect(!with_kernels(NULL, backward_stores, true, true).right, "a gradient that is not added to passes");
}

static void find_wrong(const vq_device *device, const vq_op *op, vq_kernels *out)
{
  vq_cpu_backend.find(device, op, out);
  out->forward = forward_one_off;
}

Test(vqbench, compares_another_device_with_the_cpu)
{
  bench_verdict v;
  vq_device *device;
  bench_case c = linear_case(false, false);
  planted = vq_op_linear;
  v = verdict_on(c, true);
  cr_expect(v.right && v.error == 0, "the same kernels, and %g between them", v.error);
  expect_ok(vq_cpu_create(&device, 1));
  other_backend = vq_cpu_backend;
  other_backend.find = find_wrong;
  device->backend = &other_backend;
  expect_ok(bench_try(device, &c, true, 0, NULL, &v, NULL));
  cr_expect(v.made && !v.right, "another device's wrong kernel passes");
  vq_device_free(device);
}

/* A product of BF16 tensors, as a backend that has such kernels would make it: rounded once, or, wrongly, to 4 digits. */
static vq_status mul_halves(const vq_call *c)
{
  const uint16_t *a = c->in[0]->data, *b = c->in[1]->data;
  uint16_t *y = c->out->data;
  for (int64_t i = 0; i < vq_count(c->out); i++)
    y[i] = vq_bf16_from_float(vq_bf16_to_float(a[i]) * vq_bf16_to_float(b[i]));
  return VQ_OK;
}

static vq_status mul_quarters(const vq_call *c)
{
  VQ_TRY(mul_halves(c));
  for (int64_t i = 0; i < vq_count(c->out); i++)
    ((uint16_t *)c->out->data)[i] &= 0xfff0;
  return VQ_OK;
}

static void find_halves(const vq_device *device, const vq_op *op, vq_kernels *out)
{
  vq_cpu_backend.find(device, op, out);
  out->forward = mul_halves;
}

static void find_quarters(const vq_device *device, const vq_op *op, vq_kernels *out)
{
  vq_cpu_backend.find(device, op, out);
  out->forward = mul_quarters;
}

/* The reference has the same values in its own type. */
Test(vqbench, compares_bf16_with_reals)
{
  bench_case c = {.op = &vq_op_mul, .out = vq_shape_make(VQ_BF16, 2, (int64_t[]){31, 17})};
  c.in[0] = c.in[1] = (bench_input){true, false, false, -1, c.out};
  for (int wrong = 0; wrong < 2; wrong++) {
    bench_verdict v;
    vq_device *device;
    expect_ok(vq_cpu_create(&device, 1));
    other_backend = vq_cpu_backend;
    other_backend.bf16 = true;
    other_backend.find = wrong ? find_quarters : find_halves;
    device->backend = &other_backend;
    expect_ok(bench_try(device, &c, true, 0, NULL, &v, NULL));
    cr_expect(v.made && v.right == !wrong && v.error > 1e-4, "%d: %g of %g", wrong, v.error, v.allowed);
    vq_device_free(device);
  }
  char text[64];
  cr_expect(!strcmp(bench_case_dtype(&c), "bf16") && !strcmp(bench_case_text(text, sizeof text, &c), "31x17"));
}

/* Indices are right or wrong; where a formula has bends, a few elements count for nothing, and many do. */
Test(vqbench, compares_indices_and_bends)
{
  double want[20000], got[20000];
  bench_verdict v;
  bench_case c = {.op = &vq_op_nearest, .out = vq_shape_make(VQ_I32, 1, (int64_t[]){20000})};
  bench_result a = {.count = {[VQ_IN] = 20000}, .value = {[VQ_IN] = got}}, b = a, none = {{0}, {0}};
  b.value[VQ_IN] = want;
  for (int i = 0; i < 20000; i++)
    got[i] = want[i] = i % 7 + 1;
  bench_compare(&v, &c, &a, &b, false);
  cr_expect(v.right && v.error == 0);
  got[11] = 0;
  bench_compare(&v, &c, &a, &b, false);
  cr_expect(!v.right);
  c = (bench_case){.op = &vq_op_jitter, .out = vq_shape_make(VQ_F32, 1, (int64_t[]){20000})};
  bench_compare(&v, &c, &a, &b, false);
  cr_expect(v.right, "one element in twenty thousand is beyond a bend");
  got[12] = got[13] = got[14] = 0;
  bench_compare(&v, &c, &a, &b, false);
  cr_expect(!v.right, "four elements are beyond a bend");
  got[12] = NAN;
  got[13] = want[13];
  got[14] = want[14];
  got[11] = want[11];
  bench_compare(&v, &c, &a, &b, false);
  cr_expect(!v.right, "a NaN is beyond a bend");
  bench_compare(&v, &c, &none, &b, false);
  cr_expect(v.made && !v.right, "no result at all passes");
}
