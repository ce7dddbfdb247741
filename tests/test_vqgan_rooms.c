/* test_vqgan_rooms.c -- what the table of cases cannot say of the rooms of the VQGAN, the cutouts and the objective: which
 * code is the nearest, what lies at the ends of the sphere, five updates of Adam, and what is refused. */
#include "kernels/ops.h"
#include "loaders/safetensors.h"
#include "tests/bench.h"

#include <math.h>
#include <string.h>

/* A leaf of these numbers; without them, of zeros. */
static vq_tensor *leaf(bench *b, bool wants, const double *values, int rank, const int64_t *dim)
{
  vq_real host[512] = {0};
  vq_shape s = vq_shape_make(VQ_REAL, rank, dim);
  cr_assert(vq_shape_bytes(&s) <= sizeof host);
  for (int64_t i = 0; values && i < vq_shape_count(&s); i++)
    host[i] = (vq_real)values[i];
  return vq_leaf(b->tape, &s, host, wants);
}

#define LEAF(wants, values, ...) \
  leaf(&b, wants, values, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define ZEROS(...) LEAF(false, NULL, __VA_ARGS__)

static void expect_ids(bench *b, const vq_tensor *ids, int count, const int32_t *must)
{
  int32_t is[8];
  cr_assert(ids && vq_count(ids) == count && ids->dtype == VQ_I32, "%s", vq_error_message());
  cr_assert(!vq_tensor_read(b->device, ids, is));
  for (int i = 0; i < count; i++)
    cr_expect(is[i] == must[i], "token %d: row %d, must be %d", i, (int)is[i], (int)must[i]);
}

/* Of equals the first; what is not a number is near to nothing, and its id is a row's all the same. */
Test(vqgan_rooms, nearest)
{
  bench b = open_bench();
  const double book[] = {3, 0, 1, 1, -2, 5, 1, 1};
  const double z[] = {1.1, 0.9, 2.9, 0.1, 0, 0, NAN, 0, INFINITY, 1, -3, 5};
  vq_tensor *ids = vq_nearest(b.tape, LEAF(true, z, 2, 3, 2), LEAF(false, book, 4, 2));
  expect_ids(&b, ids, 6, (int32_t[]){1, 0, 1, 0, 0, 2});
  cr_expect(ids->rank == 2 && ids->dim[0] == 2 && ids->dim[1] == 3 && !ids->wants);
  const double close[] = {4096, 4096.5}, far = 4096.5; /* the squares alone would drown the difference in a float */
  expect_ids(&b, vq_nearest(b.tape, LEAF(false, &far, 1), LEAF(false, close, 2, 1)), 1, (int32_t[]){1});
  close_bench(&b);
}

/* In the same direction the distance is 0, in the opposite one pi^2 / 2; half a turn has no direction to pull in. */
Test(vqgan_rooms, sphere_ends)
{
  bench b = open_bench();
  const double e[] = {0.5, -0.5, 0.5, 0.5}, same[] = {1, -1, 1, 1}, opposite[] = {-2, 2, -2, -2};
  const struct {
    const double *f;
    double must;
  } ends[] = {{same, 0}, {opposite, 4.934802200544679}};
  for (int i = 0; i < 2; i++) {
    vq_real y, df[4];
    vq_tensor *f = LEAF(true, ends[i].f, 1, 4);
    vq_mark mark = vq_tape_mark(b.tape);
    vq_tensor *loss = vq_sphere(b.tape, f, LEAF(false, e, 1, 4), 1, -INFINITY, 1, 1);
    cr_assert(loss && !vq_tensor_read(b.device, loss, &y), "%s", vq_error_message());
    cr_expect(fabs((double)y - ends[i].must) <= 1e-6, "distance %g, must be %g", (double)y, ends[i].must);
    cr_assert(!vq_backward(b.tape, loss, mark) && !vq_grad_read(b.device, f, df), "%s", vq_error_message());
    for (int d = 0; d < 4; d++)
      cr_expect(df[d] == 0, "end %d: gradient %g", i, (double)df[d]);
  }
  close_bench(&b);
}

/* ---- Adam ---- */

static void read(const vq_safetensors *file, const char *name, double *out, size_t count)
{
  const vq_file_tensor *t = vq_safetensors_find(file, name);
  cr_assert(t && vq_file_tensor_count(t) == count, "%s", name);
  vq_file_tensor_read_f64(t, out);
}

/* torch.optim.Adam from the same gradients, each update followed by the clamp. Values are about 1 and updates about 0.3: the
 * float build may be off by a few of its roundings, 6e-8 each. */
Test(vqgan_rooms, adam_follows_pytorch)
{
#ifdef VQ_DOUBLE
  const double tolerance = 1e-14;
#else
  const double tolerance = 4e-7;
#endif
  bench b = open_bench();
  vq_safetensors *file;
  double z0[12], g[5][12], after[5][12], low[4], high[4];
  cr_assert(!vq_safetensors_open(&file, VQ_TEST_DATA "/adam_clamp.safetensors"), "%s", vq_error_message());
  read(file, "z", z0, 12);
  read(file, "g", g[0], 60);
  read(file, "after", after[0], 60);
  read(file, "low", low, 4);
  read(file, "high", high, 4);
  vq_tensor *z = LEAF(true, z0, 3, 4), *m = ZEROS(3, 4), *v = ZEROS(3, 4), *par = ZEROS(2);
  vq_tensor *least = LEAF(false, low, 4), *most = LEAF(false, high, 4);
  int clamped = 0;
  for (int t = 0; t < 5; t++) {
    vq_real gradient[12], is[12];
    for (int i = 0; i < 12; i++)
      gradient[i] = (vq_real)g[t][i];
    vq_grad_drop(b.tape, z);
    cr_assert(!vq_seed_with(b.tape, z, gradient));
    vq_real changing[2];
    vq_adam_parameters(changing, 0.3, t + 1);
    cr_assert(!vq_tensor_write(b.device, par, changing));
    cr_assert(!vq_adam_clamp(b.device, z, m, v, par, least, most), "%s", vq_error_message());
    cr_assert(!vq_tensor_read(b.device, z, is));
    for (int i = 0; i < 12; i++) {
      cr_expect(fabs((double)is[i] - after[t][i]) <= tolerance, "update %d, element %d: %.17g, must be %.17g",
                t + 1, i, (double)is[i], after[t][i]);
      clamped += after[t][i] == low[i % 4] || after[t][i] == high[i % 4];
    }
  }
  cr_expect(clamped > 0, "nothing was clamped: the data test less than they should");
  vq_safetensors_close(file);
  close_bench(&b);
}

/* torch.optim's others, and torch_optimizer's, the same way; every other one clamped. The first five updates of radam are not rectified, the rest are. */
static void follow_pytorch(const vq_safetensors *file, int kind, const char *name)
{
#ifdef VQ_DOUBLE
  const double tolerance = 1e-14;
#else
  const double tolerance = 6e-7; /* eight updates of about 0.3, each with roundings of 6e-8 of z's about 1 */
#endif
  bench b = open_bench();
  double z0[12], g[8][12], after[8][12], low[4], high[4];
  read(file, "z", z0, 12);
  read(file, kind == VQ_OPTIMISER_ADAMP ? "g adamp" : "g", g[0],
       96); /* every other one of adamp's at right angles to z */
  read(file, "low", low, 4);
  read(file, "high", high, 4);
  read(file, name, after[0], 96);
  vq_tensor *z = LEAF(true, z0, 3, 4), *m = ZEROS(3, 4), *v = ZEROS(3, 4), *par = ZEROS(3),
            *past = kind == VQ_OPTIMISER_DIFFGRAD ? ZEROS(3, 4) : NULL;
  vq_tensor *least = kind % 2 ? LEAF(false, low, 4) : NULL, *most = kind % 2 ? LEAF(false, high, 4) : NULL;
  for (int t = 0; t < 8; t++) {
    vq_real gradient[12], is[12], changing[3];
    for (int i = 0; i < 12; i++)
      gradient[i] = (vq_real)g[t][i];
    vq_grad_drop(b.tape, z);
    cr_assert(!vq_seed_with(b.tape, z, gradient));
    vq_optimiser_parameters(changing, (vq_optimiser)kind, 0.3, 0.05, t + 1);
    cr_assert(!vq_tensor_write(b.device, par, changing));
    cr_assert(!vq_optimise(b.device, (vq_optimiser)kind, z, m, v, par, least, most, past), "%s",
              vq_error_message());
    cr_assert(!vq_tensor_read(b.device, z, is));
    for (int i = 0; i < 12; i++)
      cr_expect(fabs((double)is[i] - after[t][i]) <= tolerance * fmax(1, fabs(after[t][i])),
                "%s, update %d, element %d: %.17g, must be %.17g", name, t + 1, i, (double)is[i], after[t][i]);
  }
  close_bench(&b);
}

Test(vqgan_rooms, optimisers_follow_pytorch)
{
  static const char *const names[VQ_OPTIMISERS] = {"adamw", "adagrad",  "adamax", "rmsprop",
                                                   "radam", "diffgrad", "adamp"};
  vq_safetensors *file;
  cr_assert(!vq_safetensors_open(&file, VQ_TEST_DATA "/optimisers.safetensors"), "%s", vq_error_message());
  for (int kind = 0; kind < VQ_OPTIMISERS; kind++)
    follow_pytorch(file, kind, names[kind]);
  vq_safetensors_close(file);
}

/* ---- what is refused ---- */

static void expect_refused(bench *b, const vq_tensor *y, vq_status code, const char *text)
{
  cr_expect(!y, "a tensor came where '%s' was expected", text);
  cr_expect(vq_tape_status(b->tape) == code && strstr(vq_error_message(), text),
            "%s: '%s' was expected to hold '%s'", vq_status_name(vq_tape_status(b->tape)), vq_error_message(),
            text);
  vq_rewind(b->tape, VQ_TAPE_START);
}

Test(vqgan_rooms, refuse_what_does_not_fit)
{
  bench b = open_bench();
  vq_tape *t = b.tape;
  const int none[4] = {0, 0, 0, 0}, wide[4] = {0, 3, 0, 0}, one[4] = {1, 1, 1, 1};
  expect_refused(&b, vq_conv(t, ZEROS(1, 4, 4, 2), ZEROS(3, 3, 3, 5), NULL, 1, one), VQ_ERR_SHAPE, "conv: x");
  expect_refused(&b, vq_conv(t, ZEROS(1, 4, 4, 2), ZEROS(3, 3, 3, 2), NULL, 1, wide), VQ_ERR_ARGUMENT,
                 "padding of 3");
  expect_refused(&b, vq_conv(t, ZEROS(1, 4, 4, 2), ZEROS(3, 3, 3, 2), NULL, 0, one), VQ_ERR_ARGUMENT,
                 "stride of 0");
  expect_refused(&b, vq_conv(t, ZEROS(1, 4, 2, 2), ZEROS(3, 3, 3, 2), NULL, 1, none), VQ_ERR_SHAPE, "smaller than");
  expect_refused(&b, vq_conv(t, ZEROS(1, 4, 4, 2), ZEROS(3, 3, 3, 2), ZEROS(2), 1, one), VQ_ERR_SHAPE, "conv: b");
  expect_refused(&b, vq_group_norm(t, ZEROS(1, 4, 6), ZEROS(6), ZEROS(6), 4, 1e-6), VQ_ERR_ARGUMENT, "4 groups");
  expect_refused(&b, vq_group_norm(t, ZEROS(1, 4, 6), ZEROS(6), ZEROS(6), 3, 0), VQ_ERR_ARGUMENT, "eps");
  expect_refused(&b, vq_group_norm(t, ZEROS(4, 6), ZEROS(6), ZEROS(6), 3, 1e-6), VQ_ERR_SHAPE, "rank 2");
  expect_refused(&b,
                 vq_norm_act_conv(t, ZEROS(1, 2, 2, 6), ZEROS(6), ZEROS(6), 3, 1e-6, VQ_ACT_SILU, ZEROS(2, 5, 5, 6),
                                  NULL, NULL),
                 VQ_ERR_SHAPE, "5x5");
  expect_refused(&b,
                 vq_norm_act_conv(t, ZEROS(1, 2, 2, 6), ZEROS(6), ZEROS(6), 3, 1e-6, VQ_ACT_SILU, ZEROS(2, 3, 3, 6),
                                  NULL, ZEROS(1, 2, 2, 3)),
                 VQ_ERR_SHAPE, "skip");
  expect_refused(&b,
                 vq_norm_act_conv(t, ZEROS(1, 2, 2, 6), LEAF(true, NULL, 6), ZEROS(6), 3, 1e-6, VQ_ACT_SILU,
                                  ZEROS(2, 3, 3, 6), NULL, NULL),
                 VQ_ERR_GRADIENT, "input 1");
  expect_refused(&b, vq_upsample_conv(t, ZEROS(1, 2, 2, 3), ZEROS(4, 1, 1, 3), NULL), VQ_ERR_SHAPE, "w is");
  expect_refused(&b, vq_nearest(t, ZEROS(4, 3), ZEROS(5, 2)), VQ_ERR_SHAPE, "nearest: z");
  expect_refused(&b, vq_sphere(t, ZEROS(2, 3), ZEROS(1, 4), 1, 0, 2, 2), VQ_ERR_SHAPE, "sphere: e");
  expect_refused(&b, vq_sphere(t, ZEROS(2, 3), ZEROS(1, 3), 1, 0, 3, 3), VQ_ERR_ARGUMENT, "3 of 2 rows");
  expect_refused(&b, vq_sphere(t, ZEROS(2, 3), ZEROS(1, 3), NAN, 0, 2, 2), VQ_ERR_ARGUMENT, "weight of nan");
  expect_refused(&b, vq_total_variation(t, ZEROS(2, 3), 1), VQ_ERR_SHAPE, "total_variation: x");
  vq_shape s = vq_shape_make(VQ_I32, 1, (int64_t[]){2});
  vq_tensor *ids = vq_leaf(t, &s, (int32_t[]){0, 5}, false);
  expect_refused(&b, vq_quantise(t, ZEROS(2, 3), ZEROS(5, 3), ids), VQ_ERR_ARGUMENT, "token 1 has the id 5");
  close_bench(&b);
}
