/* first_tape.c -- a first lesson: from one multiplication to a small network that learns a curve.
 *
 * With the installed library:
 *
 *     cc -D_POSIX_C_SOURCE=200809L first_tape.c $(pkg-config --cflags --libs vqgen) -lm
 *
 * With a C compiler alone, in the source tree:
 *
 *     cc -std=c11 -O2 -D_POSIX_C_SOURCE=200809L -I. examples/first_tape.c \
 *        base/pool.c base/processor.c base/rng.c base/status.c base/threads.c autograd/[a-z]*.c kernels/check.c \
 *        kernels/cpu/bf16_*.c kernels/cpu/columns.c kernels/cpu/gemm_parallel.c kernels/cpu/gemm_plain.c kernels/cpu/parallel.c \
 *        kernels/activation/activation.c kernels/elementwise/elementwise.c kernels/linear/linear.c -lm -lpthread
 *
 * It prints what it finds, and exits with 1 if a number is not what the lesson says it is.
 */
#include "autograd/gradcheck.h"
#include "kernels/ops.h"

#include <math.h>
#include <stdio.h>

/* ---- lesson 1: one multiplication ----
 *
 * y = a b. The tape runs each operation when it is called and remembers it. Walking back from y, each input gets the
 * derivative of y with regard to it: dy/da = b, dy/db = a. */
static int lesson_one(vq_device *device, vq_tape *t)
{
  const vq_real three = 3, four = 4;
  const vq_shape scalar = vq_shape_make(VQ_REAL, 0, NULL);
  vq_tensor *a = vq_leaf(t, &scalar, &three, true), *b = vq_leaf(t, &scalar, &four, true);
  vq_mark mark = vq_tape_mark(t); /* a and b are to outlive the walk: it cuts the tape back to here */
  vq_real y_value = 0, da = 0, db = 0;

  vq_tensor *y = vq_mul(t, a, b);
  if (vq_tape_status(t) || vq_tensor_read(device, y, &y_value) || vq_backward(t, y, mark))
    return 1;
  vq_grad_read(device, a, &da);
  vq_grad_read(device, b, &db);
  printf("1. y = a b at a = 3, b = 4:  y = %g, dy/da = %g, dy/db = %g\n", (double)y_value, (double)da, (double)db);
  vq_rewind(t, VQ_TAPE_START);
  return !(y_value == 12 && da == 4 && db == 3);
}

/* ---- lesson 2: the chain rule ----
 *
 * s = sum of tanh(w x)^2 over a few x. Nobody writes the derivative of the whole; each operation knows its own, and the
 * tape multiplies them from the end to the beginning. Central differences, which know no calculus, agree. */
static vq_tensor *chain(vq_tape *t, vq_tensor *const *in, void *user)
{
  (void)user;
  vq_tensor *product = vq_mul(t, in[0], in[1]), *bent = vq_tanh(t, product), *square = vq_mul(t, bent, bent);
  return vq_sum(t, square);
}

static int lesson_two(vq_tape *t)
{
  const vq_shape three = vq_shape_make(VQ_REAL, 1, (int64_t[]){3});
  vq_tensor *in[2] = {vq_leaf(t, &three, (vq_real[]){0.5, -1, 2}, true),
                      vq_leaf(t, &three, (vq_real[]){1, 0.3, -0.7}, true)};
  vq_gradcheck_report report;
  if (vq_gradcheck(t, chain, NULL, in, 2, 1, &report))
    return 1;
  /* In float a difference is good to three digits or so; the library's own tests ask it in double, for nine. */
  printf("2. sum tanh(w x)^2:  the tape and central differences agree within %.1g\n", report.worst);
  vq_rewind(t, VQ_TAPE_START);
  return !(report.worst < (sizeof(vq_real) == 8 ? 1e-8 : 2e-3));
}

/* ---- lesson 3: a network that learns a curve ----
 *
 * y = w2 tanh(w1 x + b1) + b2 with 16 hidden numbers is to be sin(3 x) on [-1, 1]. The loss is the mean square of what is
 * missing; every step moves each parameter a little against its derivative. */
#define POINTS 32
#define HIDDEN 16
#define STEPS  6000

typedef struct network {
  vq_tensor *w1, *b1, *w2, *b2;
} network;

/* Parameters live in the weights arena, as long as the device, and want gradients. */
static vq_tensor *parameter(vq_device *device, int rank, const int64_t *dim, const vq_real *start)
{
  vq_shape shape = vq_shape_make(VQ_REAL, rank, dim);
  vq_tensor *w;
  return vq_weight_create(&w, device, &shape, start, true) ? NULL : w;
}

static int make_network(vq_device *device, network *net)
{
  vq_real slope[HIDDEN], zero[HIDDEN] = {0}, shift[HIDDEN], out[HIDDEN];
  for (int i = 0; i < HIDDEN; i++) {
    slope[i] = (vq_real)(1 + i % 4);
    shift[i] = (vq_real)(i - HIDDEN / 2) / 4;
    out[i] = (vq_real)(i % 2 ? 0.1 : -0.1);
  }
  net->w1 = parameter(device, 2, (int64_t[]){HIDDEN, 1}, slope);
  net->b1 = parameter(device, 1, (int64_t[]){HIDDEN}, shift);
  net->w2 = parameter(device, 2, (int64_t[]){1, HIDDEN}, out);
  net->b2 = parameter(device, 1, (int64_t[]){1}, zero);
  return !(net->w1 && net->b1 && net->w2 && net->b2);
}

/* sum (net(x) - target)^2 / POINTS, on the tape. -target comes in as the last layer's skip connection. */
static vq_tensor *loss_of(vq_tape *t, const network *net, const vq_real *x, const vq_real *minus_target)
{
  const vq_shape column = vq_shape_make(VQ_REAL, 2, (int64_t[]){POINTS, 1});
  static vq_real share[POINTS];
  for (int i = 0; i < POINTS; i++)
    share[i] = (vq_real)1 / POINTS;
  vq_tensor *in = vq_leaf(t, &column, x, false), *away = vq_leaf(t, &column, minus_target, false);
  vq_tensor *mean = vq_leaf(t, &column, share, false);
  vq_tensor *hidden = vq_tanh(t, vq_linear(t, in, net->w1, net->b1, NULL));
  vq_tensor *error = vq_linear(t, hidden, net->w2, net->b2, away);
  return vq_sum(t, vq_mul(t, vq_mul(t, error, error), mean));
}

/* w = w - rate dw, then the gradient is dropped: the next walk starts afresh. */
static vq_status descend(vq_device *device, vq_tape *t, vq_tensor *w, double rate)
{
  vq_real value[HIDDEN], slope[HIDDEN];
  vq_status status = vq_tensor_read(device, w, value);
  if (!status)
    status = vq_grad_read(device, w, slope);
  for (int64_t i = 0; i < vq_count(w); i++)
    value[i] -= (vq_real)rate * slope[i];
  vq_grad_drop(t, w);
  return status ? status : vq_tensor_write(device, w, value);
}

static int lesson_three(vq_device *device, vq_tape *t)
{
  network net;
  vq_real x[POINTS], minus_target[POINTS], loss = 0, first = 0;
  for (int i = 0; i < POINTS; i++) {
    x[i] = (vq_real)(2.0 * i / (POINTS - 1) - 1);
    minus_target[i] = (vq_real)-sin(3 * (double)x[i]);
  }
  if (make_network(device, &net))
    return 1;
  for (int step = 0; step < STEPS; step++) {
    vq_tensor *y = loss_of(t, &net, x, minus_target);
    if (vq_tape_status(t) || vq_tensor_read(device, y, &loss) || vq_backward(t, y, VQ_TAPE_START))
      return 1;
    vq_tensor *all[4] = {net.w1, net.b1, net.w2, net.b2};
    for (int i = 0; i < 4; i++)
      if (descend(device, t, all[i], 0.05))
        return 1;
    if (!step)
      first = loss;
  }
  printf("3. %d hidden numbers learn sin(3x):  mean square error %.2g at first, %.2g after %d steps\n", HIDDEN,
         (double)first, (double)loss, STEPS);
  return !(loss < 1e-3 && loss < first / 100);
}

int main(void)
{
  vq_device *device = NULL;
  vq_tape *t = NULL;
  int wrong = vq_cpu_create(&device, 1) || vq_device_reserve(device, 1 << 20) || vq_tape_create(&t, device);
  if (!wrong)
    wrong = lesson_one(device, t) || lesson_two(t) || lesson_three(device, t);
  if (wrong)
    fprintf(stderr, "the lesson went wrong: %s\n", vq_error_message());
  vq_tape_free(t);
  vq_device_free(device);
  return wrong;
}
