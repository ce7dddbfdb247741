/* agree.c -- does another device take the same steps? The CPU in float is the measure: from its state before some of its steps, z and
 * the optimizer's moments, the device takes the same step; then it takes all of them alone, twice, the second time with as
 * few cutouts at once as can be, which must end in the same bytes. */
#include "tools/vqbench/bench.h"

#include "runtime/cutouts.h"
#include "tools/vqbench/data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LR 0.1

/* What sums of a few thousand terms in another order may differ by, and what a whole network makes of it. In bf16 nothing is asked
 * but the direction: eight digits a layer have been rounded away. */
#define LOSS_APART     1e-5
#define GRADIENT_APART 1e-4
#define BF16_COSINE    0.9

typedef struct side {
  vq_engine *engine;
  vq_engine_state state;
  vq_real *dz;
  double loss;
} side;

typedef struct agreement {
  const bench_options *o;
  vq_engine_config config;
  int64_t reals; /* of z */
  int32_t *boxes;
  side cpu, device;
  bool wrong;
} agreement;

static vq_status open_side(agreement *a, side *s, const vq_place *place)
{
  size_t bytes = (size_t)a->reals * sizeof(vq_real);
  s->state = (vq_engine_state){.z = malloc(bytes), .m = malloc(bytes), .v = malloc(bytes)};
  s->dz = malloc(bytes);
  if (!s->state.z || !s->state.m || !s->state.v || !s->dz)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a state");
  VQ_TRY(vq_engine_create(&s->engine, &a->config, place));
  return bench_set_state(s->engine, &a->config);
}

static void close_side(side *s)
{
  vq_engine_free(s->engine);
  free(s->state.z);
  free(s->state.m);
  free(s->state.v);
  free(s->dz);
  *s = (side){.engine = NULL};
}

static vq_status take_step(agreement *a, side *s, int number)
{
  vq_findings f = {.dz = s->dz};
  const bench_step *step = &a->o->step;
  vq_boxes_draw(a->boxes, step->cutouts, step->width, step->height, a->config.box_least, a->config.box_most, 1, 1,
                (uint32_t)number);
  VQ_TRY(vq_engine_step(s->engine, a->boxes, LR, &f));
  s->loss = f.losses[0];
  return vq_engine_get_state(s->engine, &s->state);
}

/* |x - y| / |y|, and the cosine between them. */
static double distance(const vq_real *x, const vq_real *y, int64_t n, double *cosine)
{
  double apart = 0, xx = 0, yy = 0, xy = 0;
  for (int64_t i = 0; i < n; i++) {
    apart += pow((double)x[i] - (double)y[i], 2);
    xx += (double)x[i] * (double)x[i];
    yy += (double)y[i] * (double)y[i];
    xy += (double)x[i] * (double)y[i];
  }
  *cosine = xy / sqrt(xx * yy);
  return sqrt(apart / yy);
}

static void judge(agreement *a, int number)
{
  double cosine, unused, loss = fabs(a->device.loss - a->cpu.loss) / fabs(a->cpu.loss);
  double gradient = distance(a->device.dz, a->cpu.dz, a->reals, &cosine);
  double z = distance(a->device.state.z, a->cpu.state.z, a->reals, &unused);
  bool exact = a->o->place.products == VQ_F32;
  bool good = exact ? loss <= LOSS_APART && gradient <= GRADIENT_APART : cosine >= BF16_COSINE; /* a NaN is not */
  a->wrong = a->wrong || !good;
  if (a->o->json)
    printf(
        "{\"step\":%d,\"loss_cpu\":%.9g,\"loss\":%.9g,\"loss_apart\":%.3g,\"gradient_apart\":%.3g,\"cosine\":%.7g,"
        "\"z_apart\":%.3g,\"good\":%s}\n",
        number, a->cpu.loss, a->device.loss, loss, gradient, cosine, z, good ? "true" : "false");
  else
    printf("%-5s step %-3d loss %.7f, the CPU's %.7f: %.1e apart; gradient %.1e apart, cosine %.6f; z then %.1e\n",
           good ? "good" : "WRONG", number, a->device.loss, a->cpu.loss, loss, gradient, cosine, z);
  fflush(stdout);
}

/* Steps 0, 1, 10 and the last are taken by both, from the CPU's state. */
static bool is_compared(const agreement *a, int number)
{
  return number <= 1 || number == 10 || number == a->o->steps - 1;
}

static vq_status compare_steps(agreement *a)
{
  for (int i = 0; i < a->o->steps; i++) {
    if (is_compared(a, i)) {
      VQ_TRY(vq_engine_get_state(a->cpu.engine, &a->cpu.state));
      VQ_TRY(vq_engine_set_state(a->device.engine, &a->cpu.state));
      VQ_TRY(take_step(a, &a->device, i));
    }
    VQ_TRY(take_step(a, &a->cpu, i));
    if (is_compared(a, i))
      judge(a, i);
  }
  return VQ_OK;
}

/* All steps from the start; the loss of the last, and z after it in state.z. */
static vq_status run_alone(agreement *a, side *s)
{
  VQ_TRY(bench_set_state(s->engine, &a->config));
  for (int i = 0; i < a->o->steps; i++)
    VQ_TRY(take_step(a, s, i));
  return VQ_OK;
}

static vq_status compare_runs(agreement *a)
{
  size_t bytes = (size_t)a->reals * sizeof(vq_real);
  const bench_step *step = &a->o->step;
  vq_real *first = malloc(bytes);
  if (!first)
    return vq_fail(VQ_ERR_MEMORY, "no memory for z");
  vq_status status = run_alone(a, &a->device);
  memcpy(first, a->device.state.z, bytes);
  close_side(&a->device);
  a->config.chunk = 0;
  if (!status)
    status = open_side(a, &a->device, &a->o->place);
  if (!status)
    status = run_alone(a, &a->device);
  bool same = !status && !memcmp(first, a->device.state.z, bytes);
  free(first);
  VQ_TRY(status);
  a->wrong = a->wrong || !same;
  if (a->o->json)
    printf("{\"steps\":%d,\"repeats\":%s,\"loss_cpu\":%.9g,\"loss\":%.9g}\n", a->o->steps, same ? "true" : "false",
           a->cpu.loss, a->device.loss);
  else
    printf("%-5s %d steps alone, twice, with %d cutouts at once and %d: %s; they end at a loss of %.6f, the CPU's "
           "at %.6f\n",
           same ? "good" : "WRONG", a->o->steps, vq_cutouts_chunk(step->cutouts, step->chunk),
           vq_cutouts_chunk(step->cutouts, 0), same ? "the same bytes" : "other bytes", a->device.loss,
           a->cpu.loss);
  return VQ_OK;
}

vq_status bench_run_agree(const bench_options *o)
{
  agreement a = {.o = o};
  bench_step_config(&a.config, &o->step);
  a.reals = (int64_t)a.config.h * a.config.w * a.config.vqgan->embed_dim;
  a.boxes = malloc((size_t)o->step.cutouts * 3 * sizeof *a.boxes);
  bench_print_head(o, NULL);
  vq_status status = a.boxes ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for boxes");
  if (!status)
    status = open_side(&a, &a.cpu, VQ_ON_CPU(o->threads));
  if (!status)
    status = open_side(&a, &a.device, &o->place);
  if (!status)
    status = compare_steps(&a);
  if (!status)
    status = compare_runs(&a);
  close_side(&a.cpu);
  close_side(&a.device);
  free(a.boxes);
  if (!status && a.wrong)
    status = vq_fail(VQ_ERR_NAN, "the device does not agree with the CPU: see the lines marked WRONG");
  return status;
}
