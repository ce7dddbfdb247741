/* test_ops.c -- everything that is done with a row of tests/cases.h. Built as float and as double. */
#include "cases.h"

#include "autograd/gradcheck.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <string.h>

#define SEED 20210407

/* A parameter crosses a process, so it is a row's number and not a pointer. */
static struct criterion_test_params all_rows(void)
{
  static int number[512];
  int count = 0;
  while (vq_case_at(count)) {
    number[count] = count;
    count++;
  }
  return cr_make_param_array(int, number, (size_t)count);
}

/* Every op of the engine has a row, and no two rows share a name. */
Test(ops, every_op_has_a_row)
{
  for (const vq_op *const *op = vq_ops; *op; op++) {
    bool found = false;
    for (int i = 0; vq_case_at(i); i++)
      found = found || vq_case_at(i)->op == *op;
    cr_expect(found, "%s has no row in the table of cases", (*op)->name);
  }
  for (int i = 0; vq_case_at(i); i++)
    for (int j = 0; j < i; j++)
      cr_expect(strcmp(vq_case_at(i)->name, vq_case_at(j)->name), "two rows are called %s", vq_case_at(i)->name);
}

static void expect_equal_bits(const vq_case *c, const vq_result *a, const vq_result *b, const char *what)
{
  for (int i = 0; i <= VQ_IN; i++) {
    cr_expect(a->count[i] == b->count[i] && !!a->value[i] == !!b->value[i], "%s: %s: other tensors", c->name, what);
    if (a->value[i] && b->value[i])
      cr_expect(!memcmp(a->value[i], b->value[i], (size_t)a->count[i] * sizeof(vq_real)),
                "%s: %s: tensor %d differs", c->name, what, i);
  }
}

ParameterizedTestParameters(ops, repeats)
{
  return all_rows();
}

/* The same bits again, on one thread and on three; and the dry run has asked for exactly the memory that was used. */
ParameterizedTest(int *number, ops, repeats)
{
  const vq_case *c = vq_case_at(*number);
  vq_result first, again, threaded, dry;
  cr_assert(!vq_case_run(c, 1, SEED, NULL, NULL, &first), "%s: %s", c->name, vq_error_message());
  cr_assert(!vq_case_run(c, 1, SEED, NULL, NULL, &again), "%s: %s", c->name, vq_error_message());
  cr_assert(!vq_case_run(c, 3, SEED, NULL, NULL, &threaded), "%s: %s", c->name, vq_error_message());
  cr_assert(!vq_case_run(c, 0, SEED, NULL, NULL, &dry), "%s: %s", c->name, vq_error_message());
  expect_equal_bits(c, &first, &again, "a second run");
  expect_equal_bits(c, &first, &threaded, "three threads");
  cr_expect(dry.peak == first.peak, "%s: planned %zu bytes, used %zu", c->name, dry.peak, first.peak);
  for (int i = 0; i <= VQ_IN; i++)
    for (int64_t e = 0; first.value[i] && i != VQ_IN && e < first.count[i]; e++)
      cr_assert(isfinite(first.value[i][e]), "%s: gradient %d has a value that is not finite", c->name, i);
  vq_result_free(&first);
  vq_result_free(&again);
  vq_result_free(&threaded);
  vq_result_free(&dry);
}

static vq_tensor *linear(vq_tape *t, vq_tensor *const *in)
{
  return vq_linear(t, in[0], in[1], in[2], in[3]);
}

/* A frozen weight is kept as panels: the same sums in the same order as of one that is read row by row. Deeper and wider than a block
 * of products, both ways. */
Test(ops, a_kept_weight_makes_the_same_bits)
{
  const vq_case kept = {
      "kept", &vq_op_linear, linear, {LEAF(30, 784), FROZEN(800, 784), FROZEN(800), LEAF(30, 800)}};
  const vq_case read = {"read", &vq_op_linear, linear, {LEAF(30, 784), CONST(800, 784), CONST(800), LEAF(30, 800)}};
  vq_result a, b;
  cr_assert(!vq_case_run(&kept, 2, SEED, NULL, NULL, &a) && !vq_case_run(&read, 2, SEED, NULL, NULL, &b), "%s",
            vq_error_message());
  expect_equal_bits(&kept, &a, &b, "a weight that is not kept");
  vq_result_free(&a);
  vq_result_free(&b);
}

#ifdef VQ_DOUBLE

static vq_tensor *call_case(vq_tape *tape, vq_tensor *const *in, void *user)
{
  return ((const vq_case *)user)->call(tape, in);
}

/* Central differences of every element of every wanted input of the case. */
static vq_gradcheck_report check_gradient(const vq_case *c)
{
  vq_device *device;
  vq_tape *tape;
  vq_tensor *in[VQ_IN];
  vq_gradcheck_report report;
  cr_assert(!vq_cpu_create(&device, 1) && !vq_device_reserve(device, (size_t)64 << 20), "%s", vq_error_message());
  cr_assert(!vq_tape_create(&tape, device), "%s", vq_error_message());
  cr_assert(!vq_case_inputs(c, tape, 0, SEED, NULL, in), "%s: %s", c->name, vq_error_message());
  cr_assert(!vq_gradcheck(tape, call_case, (void *)c, in, VQ_IN, SEED + 1, &report), "%s: %s", c->name,
            vq_error_message());
  vq_tape_free(tape);
  vq_device_free(device);
  return report;
}

ParameterizedTestParameters(ops, central_differences)
{
  return all_rows();
}

ParameterizedTest(int *number, ops, central_differences)
{
  const vq_case *c = vq_case_at(*number);
  bool wants = false;
  for (int i = 0; i < VQ_IN; i++)
    wants = wants || c->in[i].kind == VQ_INPUT_LEAF;
  if (c->not_a_derivative || !wants)
    return;
  vq_gradcheck_report r = check_gradient(c);
  cr_expect(r.worst <= 1e-6, /* a NaN is not */
            "%s: input %d, element %lld: difference %.12g, gradient %.12g (error %.3g)", c->name, r.input,
            (long long)r.element, r.difference, r.dx, r.worst);
}

/* The check itself is checked: a backward with the wrong sign in one input, and one that writes a NaN, must fail. */
static vq_status wrong_sign(const vq_call *call)
{
  VQ_TRY(vq_op_linear.backward(call));
  for (int64_t e = 0; call->wants & 1 && e < vq_count(call->in[0]); e++)
    vq_grad(call->in[0])[e] = -vq_grad(call->in[0])[e];
  return VQ_OK;
}

static vq_status writes_nan(const vq_call *call)
{
  VQ_TRY(vq_op_linear.backward(call));
  vq_grad(call->in[0])[3] = NAN;
  return VQ_OK;
}

static vq_op planted;

static vq_tensor *call_planted(vq_tape *t, vq_tensor *const *in)
{
  return vq_record(t, &planted, in, 4, NULL);
}

static vq_gradcheck_report check_planted(vq_kernel backward)
{
  static const vq_case row = {"planted", &planted, call_planted, {LEAF(5, 7), LEAF(3, 7), LEAF(3), NONE},
                              NULL,      NULL};
  planted = vq_op_linear;
  planted.backward = backward;
  return check_gradient(&row);
}

Test(gradcheck, sees_a_planted_sign_error)
{
  cr_expect(check_planted(vq_op_linear.backward).worst <= 1e-6);
  vq_gradcheck_report r = check_planted(wrong_sign);
  cr_expect(r.worst > 1 && r.input == 0, "error %g at input %d", r.worst, r.input);
}

Test(gradcheck, sees_a_planted_nan)
{
  vq_gradcheck_report r = check_planted(writes_nan);
  cr_expect(isnan(r.worst) && r.input == 0 && r.element == 3, "error %g at element %lld", r.worst,
            (long long)r.element);
  cr_expect(!(r.worst <= 1e-6), "a NaN passes the comparison");
}

#endif
