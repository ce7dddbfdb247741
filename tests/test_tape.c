/* test_tape.c -- the autograd as a machine: views, marks, what is kept and for how long, memory, errors, the trap, the
 * watch. What the ops compute is test_ops.c's. Built as float and as double.
 */
#include "base/rng.h"
#include "kernels/check.h"
#include "kernels/ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define POOL_BYTES ((size_t)4 << 20)
#define MOST       1024 /* elements of the tensors here */

/* ---- a device with a tape, and tensors of drawn numbers ---- */

typedef struct bench {
  vq_device *device;
  vq_tape *tape;
} bench;

static bench open_on(vq_device *device)
{
  bench b = {.device = device};
  cr_assert(!vq_tape_create(&b.tape, device), "%s", vq_error_message());
  return b;
}

static bench open_bench(int threads, size_t pool)
{
  vq_device *device;
  cr_assert(!vq_cpu_create(&device, threads) && !vq_device_reserve(device, pool), "%s", vq_error_message());
  return open_on(device);
}

static void close_bench(bench *b)
{
  vq_tape_free(b->tape);
  cr_expect(!b->device->pool || vq_pool_used(b->device->pool) == 0, "a freed tape leaves %zu bytes in the pool",
            vq_pool_used(b->device->pool));
  vq_device_free(b->device);
}

static vq_real drawn(int number, int64_t i)
{
  return (vq_real)vq_rng_normal(7, VQ_RNG_WEIGHTS, (uint32_t)number, (uint64_t)i);
}

#define DIM(...)                                                               \
  (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) \
  {                                                                            \
    __VA_ARGS__                                                                \
  }

static const vq_real *draw(vq_real *to, int number)
{
  for (int64_t i = 0; i < MOST; i++)
    to[i] = drawn(number, i);
  return to;
}

/* `number` tells what values a tensor gets. */
static vq_tensor *leaf(bench *b, int number, bool wants, int rank, const int64_t *dim)
{
  vq_real host[MOST];
  vq_shape s = vq_shape_make(VQ_REAL, rank, dim);
  return vq_leaf(b->tape, &s, draw(host, number), wants);
}

static vq_tensor *weight(bench *b, int number, bool wants, int rank, const int64_t *dim)
{
  vq_real host[MOST];
  vq_tensor *w;
  vq_shape s = vq_shape_make(VQ_REAL, rank, dim);
  cr_assert(!vq_weight_create(&w, b->device, &s, draw(host, number), wants), "%s", vq_error_message());
  return w;
}

static void expect_status(bench *b, vq_status must)
{
  cr_assert(vq_tape_status(b->tape) == must, "%s where %s was due: %s", vq_status_name(vq_tape_status(b->tape)),
            vq_status_name(must), vq_error_message());
}

#define expect_words(...)                                                                                  \
  do {                                                                                                     \
    const char *words_[] = {__VA_ARGS__};                                                                  \
    for (size_t w_ = 0; w_ < sizeof words_ / sizeof *words_; w_++)                                         \
      cr_expect(strstr(vq_error_message(), words_[w_]), "no '%s' in: %s", words_[w_], vq_error_message()); \
  } while (0)

static void back(bench *b, vq_tensor *loss, vq_mark mark)
{
  cr_assert(!vq_backward(b->tape, loss, mark), "%s", vq_error_message());
}

/* The gradient is that of `must`, to the last digits. */
static void expect_gradient(bench *b, const vq_tensor *x, const char *what, vq_real (*must)(int64_t i))
{
  vq_real dx[MOST];
  cr_assert(!vq_grad_read(b->device, x, dx));
  for (int64_t i = 0; i < vq_count(x); i++)
    cr_assert(fabs((double)(dx[i] - must(i))) <= 1e-5 * (1 + fabs((double)must(i))), "%s: element %d is %g, not %g",
              what, (int)i, (double)dx[i], (double)must(i));
}

/* ---- views ---- */

static vq_real through_views_and_directly(int64_t i)
{
  return drawn(2, i) + 2 * drawn(1, i) + drawn(3, i);
}

/* x is used through a view of a view, through a view, and directly: the gradients meet in x. */
Test(tape, views_share_values_and_gradient)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, true, DIM(2, 6)), *c = leaf(&b, 2, false, DIM(12)), *d = leaf(&b, 3, false, DIM(2, 6));
  vq_mark start = vq_tape_mark(b.tape);
  vq_tensor *v = vq_view(b.tape, x, DIM(3, 4)), *vv = vq_view(b.tape, v, DIM(12));
  cr_expect(vq_values(vv) == vq_values(x) && vq_root(vv) == x && vv->wants);
  vq_done(b.tape, v); /* the view of it goes on */
  vq_tensor *sum = vq_add(b.tape, vq_sum(b.tape, vq_mul(b.tape, vv, c)), vq_sum(b.tape, vq_mul(b.tape, x, x)));
  sum = vq_add(b.tape, sum, vq_sum(b.tape, vq_mul(b.tape, vq_view(b.tape, x, DIM(2, 6)), d)));
  expect_status(&b, VQ_OK);
  back(&b, sum, start);
  expect_gradient(&b, x, "dx", through_views_and_directly);
  cr_expect(x->refs == 1, "the views' references are given back: %d", x->refs);
  close_bench(&b);
}

/* The values stay as long as a view of them is needed, and go with the last. */
Test(tape, a_view_holds_the_values)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, false, DIM(4)), *v = vq_view(b.tape, x, DIM(2, 2));
  vq_done(b.tape, x);
  cr_assert(x->data && vq_values(v)[3] == drawn(1, 3));
  vq_done(b.tape, v);
  cr_expect(!x->data && vq_pool_used(b.device->pool) == 0);
  close_bench(&b);
}

Test(tape, a_view_must_have_as_many_elements)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, false, DIM(2, 6));
  cr_expect(!vq_view(b.tape, x, DIM(5, 2)));
  expect_status(&b, VQ_ERR_SHAPE);
  expect_words("view", "[2,6]", "[5,2]");
  close_bench(&b);
}

/* ---- one tensor as two inputs ---- */

static vq_real twice_dy(int64_t i)
{
  return 2 * drawn(2, i);
}

static vq_real of_square(int64_t i)
{
  return 2 * drawn(1, i) * drawn(2, i);
}

static vq_real of_linear_and_skip(int64_t i)
{
  vq_real sum = drawn(2, i); /* through the skip; and dy w */
  for (int64_t o = 0; o < 3; o++)
    sum += drawn(2, i / 3 * 3 + o) * drawn(3, o * 3 + i % 3);
  return sum;
}

static void seed_drawn(bench *b, vq_tensor *y)
{
  vq_real dy[MOST];
  cr_assert(!vq_seed_with(b->tape, y, draw(dy, 2)), "%s", vq_error_message());
}

Test(tape, one_tensor_may_be_two_inputs)
{
  for (int op = 0; op < 3; op++) {
    bench b = open_bench(1, POOL_BYTES);
    vq_tensor *x = leaf(&b, 1, true, DIM(4, 3)), *w = leaf(&b, 3, false, DIM(3, 3));
    vq_mark start = vq_tape_mark(b.tape);
    vq_tensor *y = op == 0   ? vq_add(b.tape, x, x)
                   : op == 1 ? vq_mul(b.tape, x, x)
                             : vq_linear(b.tape, x, w, NULL, x);
    expect_status(&b, VQ_OK);
    seed_drawn(&b, y);
    back(&b, NULL, start);
    if (op == 0)
      expect_gradient(&b, x, "add(x, x)", twice_dy);
    if (op == 1)
      expect_gradient(&b, x, "mul(x, x)", of_square);
    if (op == 2)
      expect_gradient(&b, x, "linear(x, w) + x", of_linear_and_skip);
    close_bench(&b);
  }
}

/* ---- seeds ---- */

static vq_real seeded(int64_t i)
{
  return 5 + 2 * drawn(2, i);
}

Test(tape, seeds_add_up)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, true, DIM(3, 4)), *plain = leaf(&b, 1, false, DIM(3, 4));
  vq_real none[12] = {1};
  cr_assert(!vq_grad_read(b.device, x, none) && none[0] == 0 && none[11] == 0, "no gradient yet reads as zeros");
  vq_seed(b.tape, x, 2);
  seed_drawn(&b, x);
  vq_seed(b.tape, vq_view(b.tape, x, DIM(12)), 3);
  seed_drawn(&b, x);
  expect_gradient(&b, x, "the seeds' sum", seeded);
  cr_expect(!vq_seed(b.tape, plain, 1) && !plain->grad, "what wants no gradient gets none");
  cr_expect(!vq_seed(b.tape, NULL, 1));
  vq_grad_drop(b.tape, x);
  cr_expect(!x->grad);
  close_bench(&b);
}

/* A gradient stays and is added to until it is dropped. */
Test(tape, walks_add_up)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, true, DIM(4, 3));
  vq_mark start = vq_tape_mark(b.tape);
  for (int i = 0; i < 2; i++) {
    vq_tensor *y = vq_view(b.tape, vq_mul(b.tape, x, leaf(&b, 2, false, DIM(4, 3))), DIM(12));
    vq_seed(b.tape, y, 1);
    back(&b, NULL, start);
  }
  expect_gradient(&b, x, "two walks", twice_dy);
  close_bench(&b);
}

Test(tape, a_loss_is_one_number)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, true, DIM(3)), *y = vq_mul(b.tape, x, x);
  cr_expect(vq_backward(b.tape, y, VQ_TAPE_START) == VQ_ERR_SHAPE);
  expect_words("loss", "3");
  close_bench(&b);
}

/* ---- marks ---- */

#define CHUNKS 5

/* One chunk's loss, from the shared tensor p: sum of gelu(p a_i) b_i. */
static vq_tensor *chunk(bench *b, vq_tensor *p, int i)
{
  vq_tensor *y = vq_mul(b->tape, p, leaf(b, 10 + i, false, DIM(6, 5)));
  y = vq_gelu(b->tape, y, VQ_GELU_EXACT);
  return vq_sum(b->tape, vq_mul(b->tape, y, leaf(b, 20 + i, false, DIM(6, 5))));
}

/* The trunk, the chunks walked back one by one, then the trunk: dz. The same again with each chunk alone and
 * their sum made here: not one bit differs. */
Test(tape, chunks_above_a_mark_add_up_exactly)
{
  vq_real sum[30] = {0}, dp[30], dz[30], other[30];
  bench b = open_bench(1, POOL_BYTES);
  for (int i = 0; i < CHUNKS; i++) {
    vq_tensor *leaf_p = leaf(&b, 1, true, DIM(6, 5));
    vq_tensor *trunk = vq_mul(b.tape, leaf(&b, 1, false, DIM(6, 5)), leaf(&b, 2, false, DIM(6, 5)));
    cr_assert(!vq_tensor_read(b.device, trunk, dp) && !vq_tensor_write(b.device, leaf_p, dp));
    vq_mark mark = vq_tape_mark(b.tape);
    back(&b, chunk(&b, leaf_p, i), mark);
    cr_assert(!vq_grad_read(b.device, leaf_p, dp));
    for (int j = 0; j < 30; j++)
      sum[j] = i ? sum[j] + dp[j] : dp[j];
    vq_rewind(b.tape, VQ_TAPE_START);
  }
  for (int one_by_one = 0; one_by_one < 2; one_by_one++) {
    vq_tensor *z = leaf(&b, 1, true, DIM(6, 5)), *k = leaf(&b, 2, false, DIM(6, 5));
    vq_mark start = vq_tape_mark(b.tape);
    vq_tensor *p = vq_mul(b.tape, z, k);
    vq_mark mark = vq_tape_mark(b.tape);
    size_t before = vq_pool_used(b.device->pool), with_gradient = 0;
    for (int i = 0; i < CHUNKS && one_by_one; i++) {
      back(&b, chunk(&b, p, i), mark);
      vq_mark after = vq_tape_mark(b.tape);
      with_gradient = i ? with_gradient : vq_pool_used(b.device->pool);
      cr_expect(after.nodes == mark.nodes && after.tensors == mark.tensors, "the tape is not as it was");
      cr_expect(vq_pool_used(b.device->pool) == with_gradient && with_gradient > before,
                "more than p's gradient is left: %zu bytes, %zu", vq_pool_used(b.device->pool), with_gradient);
      cr_expect(p->refs == 1 && p->data);
    }
    if (!one_by_one)
      vq_seed_with(b.tape, p, sum);
    back(&b, NULL, start);
    cr_assert(!vq_grad_read(b.device, z, one_by_one ? dz : other));
    vq_rewind(b.tape, VQ_TAPE_START);
  }
  cr_expect(!memcmp(dz, other, sizeof dz), "the chunks' sum has other bits");
  cr_expect(dz[0] != 0 && isfinite(dz[0]));
  close_bench(&b);
}

Test(tape, rewind_cuts_without_a_walk)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, true, DIM(6, 5));
  size_t before = vq_pool_used(b.device->pool);
  vq_mark mark = vq_tape_mark(b.tape);
  for (int i = 0; i < 400; i++) /* more than a block of tensors */
    chunk(&b, x, 0);
  expect_status(&b, VQ_OK);
  vq_rewind(b.tape, mark);
  cr_expect(vq_pool_used(b.device->pool) == before && !x->grad && x->refs == 1);
  close_bench(&b);
}

/* ---- what is kept ---- */

Test(tape, a_frozen_weight_keeps_nothing)
{
  for (int trained = 0; trained < 2; trained++) {
    bench b = open_bench(1, POOL_BYTES);
    vq_tensor *x = leaf(&b, 1, true, DIM(4, 6)), *h = vq_mul(b.tape, x, x);
    vq_tensor *w = weight(&b, 2, trained, DIM(5, 6)), *y = vq_linear(b.tape, h, w, NULL, NULL);
    size_t used = vq_pool_used(b.device->pool);
    expect_status(&b, VQ_OK);
    vq_done(b.tape, h);
    cr_expect(trained ? h->data != NULL : h->data == NULL, "a %s weight", trained ? "trained" : "frozen");
    cr_expect(trained ? vq_pool_used(b.device->pool) == used : vq_pool_used(b.device->pool) < used);
    back(&b, vq_sum(b.tape, y), VQ_TAPE_START);
    cr_expect(trained == (w->grad != NULL));
    vq_grad_drop(b.tape, w);
    close_bench(&b);
  }
}

/* Nobody wants a gradient: no nodes, and vq_done gives all back, what the op saved for itself too. */
Test(tape, a_forward_pass_alone_keeps_nothing)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, false, DIM(4, 6)), *g = weight(&b, 2, false, DIM(6)),
            *c = weight(&b, 3, false, DIM(6));
  vq_tensor *y = vq_layer_norm(b.tape, x, g, c, 1e-5);
  expect_status(&b, VQ_OK);
  cr_expect(vq_tape_mark(b.tape).nodes == 0);
  vq_done(b.tape, x);
  vq_done(b.tape, y);
  vq_done(b.tape, NULL);
  cr_expect(vq_pool_used(b.device->pool) == 0);
  close_bench(&b);
}

Test(tape, use_after_done_is_refused)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_real host[4];
  vq_tensor *x = leaf(&b, 1, false, DIM(4)), *y = leaf(&b, 1, false, DIM(4));
  vq_done(b.tape, x);
  cr_expect(vq_tensor_read(b.device, x, host) == VQ_ERR_ARGUMENT);
  cr_expect(!vq_add(b.tape, y, x));
  expect_status(&b, VQ_ERR_ARGUMENT);
  expect_words("add", "input 1", "vq_done");
  close_bench(&b);
}

/* ---- memory: planned, used, given back ---- */

/* A block of a transformer, with a frozen and a trained weight, done with tensors as a network is. */
static vq_tensor *network(bench *b, vq_tensor *w[4])
{
  vq_tape *t = b->tape;
  vq_tensor *x = leaf(b, 1, true, DIM(2, 9, 16));
  vq_tensor *h = vq_layer_norm(t, x, w[0], w[1], 1e-5), *qkv = vq_linear(t, h, w[2], NULL, NULL);
  vq_done(t, h);
  vq_tensor *a = vq_attention(t, qkv, 2, true);
  vq_done(t, qkv);
  vq_tensor *y = vq_linear(t, a, w[3], NULL, x);
  vq_done(t, a);
  vq_done(t, x);
  vq_tensor *z = vq_gelu(t, y, VQ_GELU_QUICK), *square = vq_mul(t, z, z), *loss = vq_sum(t, square);
  vq_done(t, y);
  vq_done(t, z);
  vq_done(t, square);
  return loss;
}

static void weights(bench *b, vq_tensor *w[4])
{
  w[0] = weight(b, 2, false, DIM(16));
  w[1] = weight(b, 3, false, DIM(16));
  w[2] = weight(b, 4, false, DIM(48, 16));
  w[3] = weight(b, 5, true, DIM(16, 16));
}

static vq_status run_network(bench *b, vq_real *gradient)
{
  vq_tensor *w[4];
  weights(b, w);
  vq_status status = vq_backward(b->tape, network(b, w), VQ_TAPE_START);
  if (!status && gradient)
    status = vq_grad_read(b->device, w[3], gradient);
  vq_rewind(b->tape, VQ_TAPE_START);
  vq_grad_drop(b->tape, w[3]);
  cr_expect(vq_pool_used(b->device->pool) == 0, "%zu bytes are leaked", vq_pool_used(b->device->pool));
  return status;
}

Test(tape, a_plan_is_exact)
{
  vq_device *device;
  cr_assert(!vq_plan_create(&device, &vq_cpu_backend));
  bench plan = open_on(device);
  cr_assert(!run_network(&plan, NULL), "%s", vq_error_message());
  size_t peak = vq_device_peak(device), weights_bytes = device->weight_bytes;
  close_bench(&plan);

  bench real = open_bench(2, peak);
  cr_expect(!run_network(&real, NULL), "with what was planned: %s", vq_error_message());
  cr_expect(vq_device_peak(real.device) == peak, "planned %zu, used %zu", peak, vq_device_peak(real.device));
  cr_expect(real.device->weight_bytes == weights_bytes);
  close_bench(&real);

  bench less = open_bench(2, peak - VQ_POOL_ALIGN);
  cr_expect(run_network(&less, NULL) == VQ_ERR_MEMORY, "one unit less is enough");
  expect_words("pool");
  close_bench(&less);
}

Test(tape, steps_use_the_same_memory)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_real first[256], again[256];
  cr_assert(!run_network(&b, first));
  size_t peak = vq_device_peak(b.device);
  for (int i = 0; i < 3; i++) {
    cr_assert(!run_network(&b, again));
    cr_expect(!memcmp(first, again, sizeof first), "step %d has other bits", i + 2);
  }
  cr_expect(vq_device_peak(b.device) == peak);
  close_bench(&b);
}

Test(tape, needs_a_step_pool)
{
  vq_device *device;
  cr_assert(!vq_cpu_create(&device, 1));
  bench b = open_on(device);
  cr_expect(!leaf(&b, 1, false, DIM(4)));
  expect_status(&b, VQ_ERR_MEMORY);
  expect_words("vq_device_reserve");
  cr_expect(!vq_device_reserve(device, 1000));
  cr_expect(vq_device_reserve(device, 1000) == VQ_ERR_ARGUMENT);
  close_bench(&b);
}

/* ---- errors ---- */

Test(tape, the_first_error_sticks)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, true, DIM(4, 3)), *w = leaf(&b, 2, false, DIM(2, 5));
  vq_tensor *bad = vq_linear(b.tape, x, w, NULL, NULL);
  cr_expect(!bad && !vq_gelu(b.tape, bad, VQ_GELU_QUICK) && !vq_view(b.tape, bad, DIM(1)));
  cr_expect(!vq_add(b.tape, x, x), "after an error nothing is recorded");
  cr_expect(!leaf(&b, 1, false, DIM(3)));
  cr_expect(!vq_tape_fail(b.tape, VQ_ERR_FILE), "a later error does not replace it");
  expect_status(&b, VQ_ERR_SHAPE);
  cr_expect(vq_seed(b.tape, x, 1) == VQ_ERR_SHAPE && vq_backward(b.tape, NULL, VQ_TAPE_START) == VQ_ERR_SHAPE);
  expect_words("linear", "[4,3]", "[2,5]", vq_dtype_name(VQ_REAL));
  vq_rewind(b.tape, VQ_TAPE_START);
  expect_status(&b, VQ_OK);
  x = leaf(&b, 1, true, DIM(4, 3));
  cr_expect(x && vq_add(b.tape, x, x), "the tape is as new");
  close_bench(&b);
}

Test(tape, a_missing_input_is_named)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, true, DIM(4, 3));
  cr_expect(!vq_add(b.tape, x, NULL));
  expect_status(&b, VQ_ERR_ARGUMENT);
  expect_words("add", "input 1", "missing");
  close_bench(&b);
}

Test(tape, a_gradient_that_an_op_lacks_is_refused_at_once)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_tensor *x = leaf(&b, 1, true, DIM(1, 3, 3, 32)), *g = weight(&b, 2, false, DIM(32)),
            *c = weight(&b, 3, false, DIM(32));
  vq_tensor *w = weight(&b, 4, true, DIM(2, 1, 1, 32));
  cr_expect(!vq_norm_act_conv(b.tape, x, g, c, 32, 1e-6, VQ_ACT_SILU, w, NULL, NULL));
  expect_status(&b, VQ_ERR_GRADIENT);
  expect_words("norm_act_conv", "input 3");
  close_bench(&b);
}

Test(tape, shape_errors_name_what_does_not_fit)
{
  bench b = open_bench(1, POOL_BYTES);
  cr_expect(!vq_add(b.tape, leaf(&b, 1, true, DIM(4, 3)), leaf(&b, 2, false, DIM(3, 4))));
  expect_status(&b, VQ_ERR_SHAPE);
  expect_words("add", "[4,3]", "[3,4]");
  close_bench(&b);
}

/* ---- ops of the test's own ---- */

static vq_status same_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  *out = vq_shape_of(c->in[0]);
  return VQ_OK;
}

static vq_status copy_forward(const vq_call *c)
{
  memcpy(vq_values(c->out), vq_values(c->in[0]), (size_t)vq_count(c->out) * sizeof(vq_real));
  return VQ_OK;
}

static vq_status copy_backward(const vq_call *c)
{
  for (int64_t i = 0; i < vq_count(c->out); i++)
    vq_put(vq_grad(c->in[0]) + i, vq_adds(c, 0), vq_grad(c->out)[i]);
  return VQ_OK;
}

static vq_status nan_forward(const vq_call *c)
{
  VQ_TRY(copy_forward(c));
  vq_values(c->out)[1] = NAN;
  return VQ_OK;
}

static vq_status infinite_backward(const vq_call *c)
{
  VQ_TRY(copy_backward(c));
  vq_grad(c->in[0])[1] = -INFINITY;
  return VQ_OK;
}

static vq_op copy_op(void)
{
  return (vq_op){.name = "copy",
                 .gives = 3,
                 .optional = 2,
                 .shape = same_shape,
                 .forward = copy_forward,
                 .backward = copy_backward};
}

static vq_tensor *copied(bench *b, const vq_op *op, vq_tensor *x, vq_tensor *w)
{
  return vq_record(b->tape, op, VQ_INPUTS(x, w), NULL);
}

Test(tape, a_kernel_that_a_backend_lacks_is_named)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_op no_forward = copy_op(), no_backward = copy_op();
  no_forward.forward = NULL;
  no_backward.backward = NULL;
  cr_expect(!copied(&b, &no_forward, leaf(&b, 1, false, DIM(4)), NULL));
  expect_status(&b, VQ_ERR_UNSUPPORTED);
  expect_words("copy", "cpu", "kernel");
  vq_rewind(b.tape, VQ_TAPE_START);
  cr_expect(copied(&b, &no_backward, leaf(&b, 1, false, DIM(4)), NULL), "without a gradient it works");
  cr_expect(!copied(&b, &no_backward, leaf(&b, 1, true, DIM(4)), NULL));
  expect_status(&b, VQ_ERR_UNSUPPORTED);
  expect_words("copy", "cpu", "gradient");
  close_bench(&b);
}

static int prepared;

static vq_status count_prepare(const vq_call *c)
{
  prepared++;
  VQ_TRY(vq_weights_take(c->device, 64, &c->in[1]->prepared[0]));
  return vq_weights_take(c->device, 64, &c->in[1]->prepared[1]);
}

Test(tape, prepare_is_called_once_for_a_frozen_weight)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_op op = copy_op(), other = op;
  op.prepare = count_prepare;
  vq_tensor *x = leaf(&b, 1, true, DIM(4)), *w[] = {weight(&b, 2, false, DIM(4)), weight(&b, 3, false, DIM(4)),
                                                    leaf(&b, 1, false, DIM(4)), weight(&b, 4, true, DIM(4)), NULL};
  for (int i = 0; i < 15; i++)
    copied(&b, &op, x, w[i % 5]);
  cr_expect(prepared == 2, "%d: the two frozen weights, no leaf and no trained one", prepared);
  cr_expect(w[0]->prepared[0] && w[1]->prepared[1] && w[0]->prepared[0] != w[1]->prepared[0]);
  cr_expect(!w[2]->prepared[0] && !w[3]->prepared[0]);
  expect_status(&b, VQ_OK);
  cr_expect(!copied(&b, &other, x, w[0]), "its values may be gone");
  expect_status(&b, VQ_ERR_ARGUMENT);
  expect_words("copy", "input 1", "laid out");
  close_bench(&b);
}

/* ---- the trap ---- */

/* copy, planted, gelu, sum; `trap` off: the NaN goes through. */
static vq_status run_planted(bool forward, bool trap)
{
  bench b = open_bench(1, POOL_BYTES);
  vq_op before = copy_op(), planted = copy_op();
  planted.name = "planted";
  if (forward)
    planted.forward = nan_forward;
  else
    planted.backward = infinite_backward;
  vq_tape_trap(b.tape, trap);
  vq_tensor *x = copied(&b, &before, leaf(&b, 1, true, DIM(2, 3)), NULL);
  vq_tensor *loss = vq_sum(b.tape, vq_gelu(b.tape, copied(&b, &planted, x, NULL), VQ_GELU_EXACT));
  vq_status status = vq_backward(b.tape, loss, VQ_TAPE_START);
  close_bench(&b);
  return status;
}

Test(tape, the_trap_names_the_op_that_made_it)
{
  cr_expect(run_planted(true, false) == VQ_OK && run_planted(false, false) == VQ_OK, "%s", vq_error_message());
  cr_expect(run_planted(true, true) == VQ_ERR_NAN);
  expect_words("planted: its output", "[2,3]");
  cr_expect(run_planted(false, true) == VQ_ERR_NAN);
  expect_words("planted: its gradient of input 0", "[2,3]");
}

/* ---- the watch ---- */

typedef struct watched {
  char calls[256];
  int bad;
} watched;

static void note(void *user, const vq_op *op, const vq_call *call, bool backward, double seconds)
{
  watched *w = user;
  strcat(strcat(w->calls, backward ? "-" : "+"), op->name);
  w->bad += !(seconds >= 0 && seconds < 60) || !call->out;
}

Test(tape, the_watch_sees_every_kernel)
{
  bench b = open_bench(1, POOL_BYTES);
  watched w = {.bad = 0};
  vq_tape_watch(b.tape, note, &w);
  vq_tensor *x = leaf(&b, 1, true, DIM(2, 3));
  vq_tensor *y = vq_add(b.tape, vq_gelu(b.tape, x, VQ_GELU_EXACT), x); /* add's gradient passes: it has no kernel */
  back(&b, vq_sum(b.tape, vq_mul(b.tape, y, y)), VQ_TAPE_START);
  cr_expect(!strcmp(w.calls, "+gelu+add+mul+sum-sum-mul-gelu"), "%s", w.calls);
  cr_expect(!w.bad, "%d calls with no output or an impossible time", w.bad);
  vq_tape_watch(b.tape, NULL, NULL);
  vq_gelu(b.tape, leaf(&b, 1, true, DIM(2, 3)), VQ_GELU_EXACT);
  cr_expect(strlen(w.calls) == 30, "a watch that was taken off is not called");
  close_bench(&b);
}

/* ---- two at once ---- */

typedef struct worker {
  vq_real must[256];
  int wrong;
} worker;

static void *work(void *argument)
{
  worker *w = argument;
  vq_real got[256];
  for (int i = 0; i < 10; i++) {
    bench b = open_bench(2, POOL_BYTES);
    w->wrong += run_network(&b, got) != VQ_OK || memcmp(got, w->must, sizeof got);
    close_bench(&b);
  }
  return NULL;
}

Test(tape, two_devices_work_at_once)
{
  worker w[2] = {{.wrong = 0}, {.wrong = 0}};
  pthread_t other;
  bench b = open_bench(1, POOL_BYTES);
  cr_assert(!run_network(&b, w[0].must));
  memcpy(w[1].must, w[0].must, sizeof w[0].must);
  close_bench(&b);
  cr_assert(!pthread_create(&other, NULL, work, &w[1]));
  work(&w[0]);
  pthread_join(other, NULL);
  cr_expect(!w[0].wrong && !w[1].wrong, "%d and %d of 10 runs gave other bits", w[0].wrong, w[1].wrong);
}
