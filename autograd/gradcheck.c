/* gradcheck.c -- central differences against the tape. The formula and what passes: gradcheck.h. */
#include "autograd/gradcheck.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

#define STEP 1e-3 /* h; its fourth power, 1e-12, is the size of the difference's own error */

typedef struct check {
  vq_tape *tape;
  vq_function f;
  void *user;
  vq_tensor *const *in;
  vq_real *dy, *y;
  int64_t outputs;
} check;

/* *s = sum dy * f(in) at the inputs' present values. */
static vq_status weighted_sum(check *k, double *s)
{
  vq_mark mark = vq_tape_mark(k->tape);
  vq_tensor *y = k->f(k->tape, k->in, k->user);
  VQ_TRY(vq_tape_status(k->tape));
  VQ_TRY(vq_tensor_read(vq_tape_device(k->tape), y, k->y));
  vq_rewind(k->tape, mark);
  *s = 0;
  for (int64_t i = 0; i < k->outputs; i++)
    *s += (double)k->dy[i] * (double)k->y[i];
  return VQ_OK;
}

static vq_status difference(check *k, vq_tensor *x, vq_real *host, int64_t e, double *slope)
{
  static const double offset[4] = {1, -1, 2, -2}, weight[4] = {8, -8, -1, 1};
  vq_real kept = host[e];
  *slope = 0;
  for (int j = 0; j < 4; j++) {
    double s;
    host[e] = (vq_real)((double)kept + offset[j] * STEP);
    VQ_TRY(vq_tensor_write(vq_tape_device(k->tape), x, host));
    VQ_TRY(weighted_sum(k, &s));
    *slope += weight[j] * s;
  }
  *slope /= 12 * STEP;
  host[e] = kept;
  return vq_tensor_write(vq_tape_device(k->tape), x, host);
}

static vq_status compare(check *k, int input, vq_real *host, vq_real *dx, vq_gradcheck_report *report)
{
  vq_tensor *x = k->in[input];
  int64_t count = vq_count(x);
  double squares = 0;
  VQ_TRY(vq_tensor_read(vq_tape_device(k->tape), x, host));
  VQ_TRY(vq_grad_read(vq_tape_device(k->tape), x, dx));
  for (int64_t e = 0; e < count; e++)
    squares += (double)dx[e] * (double)dx[e];
  double typical = sqrt(squares / (double)count);
  for (int64_t e = 0; e < count; e++) {
    double slope;
    VQ_TRY(difference(k, x, host, e, &slope));
    double scale = fabs((double)dx[e]) + typical;
    double error = fabs(slope - (double)dx[e]) / (scale > 0 ? scale : 1);
    if (!(error <= report->worst)) {
      *report = (vq_gradcheck_report){error, input, e, slope, (double)dx[e]};
      if (isnan(error))
        return VQ_OK;
    }
  }
  return VQ_OK;
}

/* One forward and backward with a random dy, which leaves every dx. */
static vq_status analytic(check *k, uint64_t seed)
{
  vq_mark mark = vq_tape_mark(k->tape);
  vq_tensor *y = k->f(k->tape, k->in, k->user);
  VQ_TRY(vq_tape_status(k->tape));
  k->outputs = vq_count(y);
  k->dy = malloc((size_t)k->outputs * sizeof *k->dy);
  k->y = malloc((size_t)k->outputs * sizeof *k->y);
  if (!k->dy || !k->y)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a gradient check");
  for (int64_t i = 0; i < k->outputs; i++)
    k->dy[i] = (vq_real)vq_rng_normal(seed, VQ_RNG_WEIGHTS, 0, (uint64_t)i);
  VQ_TRY(vq_seed_with(k->tape, y, k->dy));
  return vq_backward(k->tape, NULL, mark);
}

vq_status vq_gradcheck(vq_tape *tape, vq_function f, void *user, vq_tensor *const *in, int count, uint64_t seed,
                       vq_gradcheck_report *report)
{
  check k = {.tape = tape, .f = f, .user = user, .in = in};
  *report = (vq_gradcheck_report){.input = -1};
  vq_status status = analytic(&k, seed);
  for (int i = 0; i < count && !status && !isnan(report->worst); i++) {
    if (!in[i] || !in[i]->wants)
      continue;
    vq_real *host = malloc((size_t)vq_count(in[i]) * sizeof *host),
            *dx = malloc((size_t)vq_count(in[i]) * sizeof *dx);
    if (host && dx)
      status = compare(&k, i, host, dx, report);
    else
      status = vq_fail(VQ_ERR_MEMORY, "no memory for a gradient check");
    free(host);
    free(dx);
  }
  free(k.dy);
  free(k.y);
  return status;
}
