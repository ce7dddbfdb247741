/* doctor_gradient.c -- is the gradient that of the loss?
 *
 * From codes to the loss: decoder, cutouts, CLIP, the distance to a direction in its space. Left out is what has no true derivative, the choice
 * of the nearest code (straight-through) and the clamp, whose gradient is a rule of its own; both are compared with PyTorch elsewhere.
 *
 * In three directions the derivative g.d is compared, with its sign, with the difference of the losses on both sides, of two widths and
 * extrapolated (Richardson): along the gradient; along a third of its entries; against another third, where the loss must fall. Each holds
 * so large a part of the gradient that a wrong block cannot hide in it. In float32 the two differ by less than 1 %, in bf16, whose losses have
 * three digits, that is not asked. 2 % is taken.
 *
 * Then the same gradient elsewhere: on one thread, to the same bits; in bf16, if the processor has it; on a GPU, where there is one, in each precision that it has.
 */
#include "runtime/doctor.h"

#include "base/rng.h"
#include "kernels/ops.h"
#include "runtime/compute.h"
#include "runtime/cutouts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS     8 /* along each side */
#define CUTOUTS    2
#define DIRECTIONS 3
#define CHANGE \
  4e-3 /* of the loss, along the wider difference: far above float32's noise, small against its curve */

typedef struct chain {
  const vq_doctor *d;
  int side, count; /* of the picture, in pixels; of z's numbers */
  int32_t boxes[CUTOUTS * 3];
  vq_real *z, *target, *moved; /* z [TOKENS,TOKENS,C], the wanted features, and z a step away */
  vq_real *g;                  /* the gradient found */
  double loss;
  bool differences; /* are wanted */
  double slope[DIRECTIONS], difference[DIRECTIONS];
} chain;

typedef struct parts {
  vq_vqgan *vqgan;
  vq_clip *clip;
  vq_cutouts *cutouts;
} parts;

/* The loss at z, and its gradient unless g is NULL. */
static vq_status evaluate(vq_device *device, vq_tape *t, const chain *c, const parts *p, const vq_real *z,
                          double *loss, vq_real *g)
{
  const vq_cutouts_draws draws = {c->boxes, NULL, 0, 0, 0};
  vq_shape s = vq_shape_make(VQ_REAL, 4, (int64_t[]){1, TOKENS, TOKENS, vq_vqgan_settings(p->vqgan)->embed_dim});
  vq_shape to = vq_shape_make(VQ_REAL, 2, (int64_t[]){1, vq_clip_settings(p->clip)->embed_dim});
  vq_real value = 0;
  vq_tensor *x = vq_leaf(t, &s, z, g != NULL), *e = vq_leaf(t, &to, c->target, false);
  vq_mark mark = vq_tape_mark(t);
  vq_tensor *picture = vq_vqgan_decode(t, p->vqgan, vq_view(t, x, 4, s.dim));
  vq_tensor *source = vq_cutouts_source(t, p->cutouts, picture);
  vq_tensor *features =
      vq_clip_image(t, p->clip, vq_cutouts_draw(t, p->cutouts, source, &draws, 0, CUTOUTS, CUTOUTS));
  vq_tensor *y = vq_sum(t, vq_sphere(t, features, e, 1, -INFINITY, CUTOUTS, CUTOUTS));
  VQ_TRY(vq_tape_status(t));
  VQ_TRY(vq_tensor_read(device, y, &value));
  *loss = (double)value;
  if (g) {
    VQ_TRY(vq_backward(t, y, mark));
    VQ_TRY(vq_grad_read(device, x, g));
  }
  vq_rewind(t, VQ_TAPE_START);
  return VQ_OK;
}

/* How an entry takes part in a direction: as it is, not, or turned round. */
static int part_of(int direction, int i)
{
  int third = (int)vq_rng_below(11, VQ_RNG_TOKENS, 0, (uint64_t)i, 3);
  return direction == 0 ? 1 : direction == 1 ? third == 0 : -(third == 1);
}

/* (f(z + h d) - f(z - h d)) / 2 h, d the direction's unit vector. */
static vq_status central(vq_device *device, vq_tape *t, chain *c, const parts *p, int direction, double length,
                         double h, double *out)
{
  double side[2] = {0, 0};
  for (int k = 0; k < 2; k++) {
    for (int i = 0; i < c->count; i++)
      c->moved[i] = (vq_real)((double)c->z[i] + (k ? -h : h) * part_of(direction, i) * (double)c->g[i] / length);
    VQ_TRY(evaluate(device, t, c, p, c->moved, &side[k], NULL));
  }
  *out = (side[0] - side[1]) / (2 * h);
  return VQ_OK;
}

static vq_status differ(vq_device *device, vq_tape *t, chain *c, const parts *p)
{
  for (int direction = 0; direction < DIRECTIONS; direction++) {
    double sum = 0, dot = 0, wide, narrow;
    for (int i = 0; i < c->count; i++) {
      double g = (double)c->g[i], v = part_of(direction, i) * g;
      sum += v * v;
      dot += v * g;
    }
    double length = sqrt(sum) > 0 ? sqrt(sum) : 1;
    c->slope[direction] = dot / length;
    double h = sum > 0 ? CHANGE / fabs(c->slope[direction]) / 2 : 1;
    VQ_TRY(central(device, t, c, p, direction, length, h, &wide));
    VQ_TRY(central(device, t, c, p, direction, length, h / 2, &narrow));
    c->difference[direction] = (4 * narrow - wide) / 3;
  }
  return VQ_OK;
}

static vq_status work(vq_device *device, vq_tape *t, void *user)
{
  chain *c = user;
  parts p = {NULL, NULL, NULL};
  int see = vq_network_clip(c->d->clip)->image_resolution;
  vq_cutouts_config cut = {VQ_CUT_POOL, c->side, c->side, see, c->boxes[5], c->boxes[2], CUTOUTS};
  vq_status status = vq_network_make_vqgan(&p.vqgan, c->d->vqgan, device, VQGAN_DECODER);
  if (!status)
    status = vq_network_make_clip(&p.clip, c->d->clip, device, CLIP_IMAGE);
  if (!status)
    status = vq_cutouts_create(&p.cutouts, &cut);
  if (!status)
    status = evaluate(device, t, c, &p, c->z, &c->loss, c->g);
  if (!status && c->differences)
    status = differ(device, t, c, &p);
  vq_cutouts_free(p.cutouts);
  vq_clip_free(p.clip);
  vq_vqgan_free(p.vqgan);
  return status;
}

/* ---- the numbers that it starts from ---- */

typedef struct book_job {
  const vq_network *vqgan;
  chain *c;
} book_job;

/* z is drawn codes. */
static vq_status draw_codes(vq_device *device, vq_tape *t, void *user)
{
  const book_job *job = user;
  vq_vqgan *net;
  (void)t;
  VQ_TRY(vq_network_make_vqgan(&net, job->vqgan, device, VQGAN_DECODER));
  const vq_tensor *book = vq_vqgan_codebook(net);
  int C = vq_network_vqgan(job->vqgan)->embed_dim, rows = vq_network_vqgan(job->vqgan)->n_embed;
  vq_real *values = malloc((size_t)vq_count(book) * sizeof *values);
  vq_status status =
      values ? vq_tensor_read(device, book, values) : vq_fail(VQ_ERR_MEMORY, "no memory for a codebook");
  for (int i = 0; i < TOKENS * TOKENS && !status; i++)
    memcpy(job->c->z + i * C, values + (int64_t)vq_rng_below(5, VQ_RNG_TOKENS, 0, (uint64_t)i, (uint32_t)rows) * C,
           (size_t)C * sizeof *values);
  free(values);
  vq_vqgan_free(net);
  return status;
}

static vq_status prepare(const vq_doctor *d, chain *c)
{
  const vq_vqgan_config *vqgan = vq_network_vqgan(d->vqgan);
  int D = vq_network_clip(d->clip)->embed_dim;
  *c = (chain){.d = d, .side = TOKENS * vq_vqgan_factor(vqgan), .count = TOKENS * TOKENS * vqgan->embed_dim};
  int small = c->side * 3 / 4;
  memcpy(c->boxes, (int32_t[]){0, 0, c->side, c->side - small, (c->side - small) / 2, small}, sizeof c->boxes);
  c->z = calloc((size_t)c->count, sizeof *c->z);
  c->moved = calloc((size_t)c->count, sizeof *c->moved);
  c->g = calloc((size_t)c->count, sizeof *c->g);
  c->target = calloc((size_t)D, sizeof *c->target);
  if (!c->z || !c->moved || !c->g || !c->target)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a gradient");
  for (int i = 0; i < D; i++)
    c->target[i] = (vq_real)vq_rng_normal(3, VQ_RNG_PROMPT, 0, (uint64_t)i);
  book_job job = {d->vqgan, c};
  return vq_compute(draw_codes, &job, VQ_ON_CPU(d->options.threads));
}

/* ---- checks ---- */

static const char broken[] =
    "the build computes wrong gradients on this machine: run tools/test.sh, and report it with this report";

static void check_differences(vq_doctor *d, const chain *c)
{
  static const char *const names[DIRECTIONS] = {"along it", "a third of it", "against a third"};
  for (int i = 0; i < DIRECTIONS; i++) {
    double apart = fabs(c->difference[i] - c->slope[i]) / fabs(c->slope[i]);
    vq_doctor_say(d, names[i], apart <= 0.02 ? VQ_CHECK_PASS : VQ_CHECK_FAIL, broken,
                  "slope %+.4e, by differences %+.4e: %.2f %% apart", c->slope[i], c->difference[i], 100 * apart);
  }
}

/* The same chain at another place. */
static void check_elsewhere(vq_doctor *d, chain *c, const char *name, const vq_place *place, double bound)
{
  vq_real *first = malloc((size_t)c->count * sizeof *first);
  double apart = 0, length = 0, loss = c->loss;
  if (first)
    memcpy(first, c->g, (size_t)c->count * sizeof *first);
  c->differences = false;
  vq_status status = first ? vq_compute(work, c, place) : vq_fail(VQ_ERR_MEMORY, "no memory for a gradient");
  for (int i = 0; !status && i < c->count; i++) {
    apart += pow((double)c->g[i] - (double)first[i], 2);
    length += pow((double)first[i], 2);
  }
  apart = sqrt(apart / (length > 0 ? length : 1));
  if (status)
    vq_doctor_broken(d, name, "compute on the CPU (--device cpu), and report it with this report");
  else
    vq_doctor_say(d, name, apart <= bound && fabs(c->loss - loss) <= bound ? VQ_CHECK_PASS : VQ_CHECK_FAIL, broken,
                  "gradients %.1e apart, losses %.1e; at most %.0e is taken", apart, fabs(c->loss - loss), bound);
  if (first)
    memcpy(c->g, first, (size_t)c->count * sizeof *first);
  c->loss = loss;
  free(first);
}

static void check_places(vq_doctor *d, chain *c)
{
  static const double bf16_apart = 0.1;
  static const struct {
    const char *name;
    vq_precision precision;
    double
        bound; /* float32 sums in another order; a product in bf16 keeps 8 bits, in tf32 11, and a gradient passes some fifty of them */
  } gpu[] = {{"gpu, fp32", VQ_PRECISION_FP32, 1e-3},
             {"gpu, tf32", VQ_PRECISION_TF32, 0.02},
             {"gpu, bf16", VQ_PRECISION_BF16, bf16_apart}};
  vq_place place;
  check_elsewhere(d, c, "on one thread", VQ_ON_CPU(1), 0);
  if (!vq_place_cpu_has_bf16())
    vq_doctor_say(d, "cpu, bf16", VQ_CHECK_SKIP, "", "this processor has no dot products of bf16");
  else if (!vq_place_find(&place, "cpu", VQ_PRECISION_BF16, d->options.threads, NULL))
    check_elsewhere(d, c, "cpu, bf16", &place, bf16_apart);
  if (!vq_cuda_expected() || vq_place_find(&place, "cuda", VQ_PRECISION_FP32, d->options.threads, NULL)) {
    vq_doctor_say(d, "on a gpu", VQ_CHECK_SKIP, "", "no GPU is used here");
    return;
  }
  for (size_t i = 0; i < sizeof gpu / sizeof *gpu; i++)
    if (!vq_place_find(&place, "cuda", gpu[i].precision, d->options.threads, NULL))
      check_elsewhere(d, c, gpu[i].name, &place, gpu[i].bound);
}

void vq_doctor_gradient(vq_doctor *d)
{
  chain c;
  if (!d->vqgan || !d->clip) {
    vq_doctor_say(d, "gradient", VQ_CHECK_SKIP, "mend the files first", "there are no two networks to ask");
    return;
  }
  vq_status status = prepare(d, &c);
  c.differences = true;
  if (!status)
    status = vq_compute(work, &c, VQ_ON_CPU(d->options.threads));
  if (status) {
    vq_doctor_broken(d, "gradient", "mend what failed before it");
  } else {
    check_differences(d, &c);
    check_places(d, &c);
  }
  free(c.z);
  free(c.moved);
  free(c.g);
  free(c.target);
}
