/* step.c -- the engine's own step at full size, with networks of made-up weights: time by part, processor, memory, page faults. */
#define _DEFAULT_SOURCE /* getrusage's ru_minflt, ru_maxrss */
#include "tools/vqbench/bench.h"

#include "kernels/ops.h"
#include "runtime/cutouts.h"
#include "tools/vqbench/allocations.h"
#include "tools/vqbench/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define WARM_UP 2

typedef enum part { NEAREST, DECODE, CUTOUTS, TOWER, LOSS, TOWER_BACK, DECODE_BACK, ADAM, REST, PARTS } part;

static const char *const part_names[PARTS] = {
    "nearest, quantise",
    "decoder forward",
    "cutouts, both ways",
    "tower forward",
    "losses",
    "tower backward",
    "decoder backward",
    "Adam",
    "all else",
};
static const char *const part_keys[PARTS] = {"nearest", "decoder_forward", "cutouts",          "tower_forward",
                                             "losses",  "tower_backward",  "decoder_backward", "adam",
                                             "rest"};

/* Which part a kernel belongs to follows from its place: cutouts lie between the decoder and the tower, and the clamp of the picture is the
 * first of the way back through the decoder. */
typedef struct parts {
  double seconds[PARTS];
  bool seen_cutouts, past_clamp;
} parts;

static part part_of(parts *p, const vq_op *op, bool backward)
{
  if (op == &vq_op_nearest || op == &vq_op_quantise)
    return NEAREST;
  if (bench_is_update(op))
    return ADAM;
  if (op == &vq_op_sphere)
    return LOSS;
  if (op == &vq_op_resample) {
    p->seen_cutouts = true;
    return CUTOUTS;
  }
  p->past_clamp = p->past_clamp || (backward && op == &vq_op_clamp01);
  if (!backward)
    return p->seen_cutouts ? TOWER : DECODE;
  return p->past_clamp ? DECODE_BACK : TOWER_BACK;
}

static void watch(void *user, const vq_op *op, const vq_call *call, bool backward, double seconds)
{
  parts *p = user;
  (void)call;
  p->seconds[part_of(p, op, backward)] += seconds;
}

/* ---- the run ---- */

typedef struct step_run {
  vq_engine *engine;
  int32_t *boxes;
  int least, most;
  double *wall, *part[PARTS]; /* [steps] */
  double cpu;                 /* seconds, of all measured steps */
  long faults, rss_before;
  int64_t allocations; /* of all measured steps; below 0: not counted */
  int steps;
} step_run;

static struct rusage usage(void)
{
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u;
}

static double processor_seconds(const struct rusage *u)
{
  return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
         1e-6 * (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

/* p: NULL, nobody watches: a device that queues is then waited for at the end alone. */
static vq_status one_step(step_run *r, const bench_options *o, int number, parts *p)
{
  vq_findings findings = {.tv_loss = 0};
  if (p)
    *p = (parts){.past_clamp = false};
  vq_boxes_draw(r->boxes, o->step.cutouts, o->step.width, o->step.height, r->least, r->most, 1, 1,
                (uint32_t)number);
  vq_engine_watch(r->engine, p ? watch : NULL, p);
  return vq_engine_step(r->engine, r->boxes, 0.05, &findings);
}

static void note_parts(step_run *r, int i, const parts *p, double whole)
{
  double kernels = 0;
  for (int k = 0; k < REST; k++) {
    r->part[k][i] = p->seconds[k];
    kernels += p->seconds[k];
  }
  r->part[REST][i] = whole - kernels;
}

/* The CPU's steps are measured while they are watched: it costs two looks at a clock for each kernel. A device that queues would be held
 * up; its parts are of further steps. */
static vq_status take_steps(step_run *r, const bench_options *o)
{
  parts p;
  char name[48];
  bool apart = o->place.cuda != NULL;
  for (int i = 0; i < WARM_UP; i++)
    VQ_TRY(one_step(r, o, i, NULL));
  struct rusage before = usage();
  int64_t allocations = bench_allocations();
  for (int i = 0; i < r->steps; i++) {
    double start = bench_now();
    bench_progress("step", i + 1, r->steps, bench_step_name(name, sizeof name, &o->step));
    VQ_TRY(one_step(r, o, WARM_UP + i, apart ? NULL : &p));
    r->wall[i] = bench_now() - start;
    if (!apart)
      note_parts(r, i, &p, r->wall[i]);
  }
  struct rusage after = usage();
  r->allocations = bench_allocations() < 0 ? -1 : bench_allocations() - allocations;
  for (int i = 0; apart && i < r->steps; i++) {
    double start = bench_now();
    VQ_TRY(one_step(r, o, WARM_UP + i, &p));
    note_parts(r, i, &p, bench_now() - start);
  }
  bench_progress(NULL, 0, 0, NULL);
  r->cpu = processor_seconds(&after) - processor_seconds(&before);
  r->faults = after.ru_minflt - before.ru_minflt;
  return VQ_OK;
}

/* ---- the report ---- */

static double part_median(step_run *r, int k)
{
  return bench_time_of(r->part[k], r->steps).median;
}

static void print_json(step_run *r, const bench_options *o, const vq_footprint *plan)
{
  bench_time t = bench_time_of(r->wall, r->steps);
  printf("{\"steps\":%d,\"seconds\":%.6g,\"spread\":%.4g,\"cpu_seconds\":%.6g,\"faults\":%.1f,\"allocations\":%.1f,"
         "\"planned_bytes\":%"
         "zu,\"resident_bytes\":%.0f,"
         "\"parts\":{",
         r->steps, t.median, t.spread, r->cpu / r->steps, (double)r->faults / r->steps,
         (double)r->allocations / r->steps, plan->weights + plan->step, 1024.0 * (double)usage().ru_maxrss);
  for (int k = 0; k < PARTS; k++)
    printf("%s\"%s\":%.6g", k ? "," : "", part_keys[k], part_median(r, k));
  printf("}}\n");
  (void)o;
}

static void print_table(step_run *r, const vq_footprint *plan)
{
  const double mib = 1 << 20;
  bench_time t = bench_time_of(r->wall, r->steps);
  double planned = (double)(plan->weights + plan->step) / mib, resident = (double)usage().ru_maxrss / 1024;
  printf("%-20s %10.4f s, spread %.1f %% (median of %d, after %d to warm up)\n", "a step", t.median, 100 * t.spread,
         r->steps, WARM_UP);
  printf("%-20s %10.4f s a step, user + system\n", "processor", r->cpu / r->steps);
  for (int k = 0; k < PARTS; k++)
    printf("  %-18s %10.4f s %6.1f %%\n", part_names[k], part_median(r, k), 100 * part_median(r, k) / t.median);
  printf("%-20s %10.1f MiB: networks %.1f, a step %.1f\n", "planned memory", planned, (double)plan->weights / mib,
         (double)plan->step / mib);
  printf("%-20s %10.1f MiB at most (%+.1f %%), of which %.1f before the networks were made\n", "resident memory",
         resident, 100 * (resident / planned - 1), (double)r->rss_before / 1024);
  printf("%-20s %10.1f a step\n", "page faults", (double)r->faults / r->steps);
  if (r->allocations >= 0)
    printf("%-20s %10.1f a step\n", "calls of malloc", (double)r->allocations / r->steps);
}

static vq_status run(step_run *r, const bench_options *o)
{
  vq_engine_config config;
  vq_footprint plan;
  bench_step_config(&config, &o->step);
  r->least = config.box_least;
  r->most = config.box_most;
  r->rss_before = usage().ru_maxrss;
  VQ_TRY(vq_engine_plan(&config, &o->place, &plan));
  VQ_TRY(vq_engine_create(&r->engine, &config, &o->place));
  VQ_TRY(bench_set_state(r->engine, &config));
  bench_print_head(o, NULL);
  VQ_TRY(take_steps(r, o));
  if (o->json)
    print_json(r, o, &plan);
  else
    print_table(r, &plan);
  return VQ_OK;
}

vq_status bench_run_step(const bench_options *o)
{
  step_run r = {.steps = o->quick ? 1 : o->steps};
  double *times = calloc((size_t)(r.steps * (PARTS + 1)), sizeof *times);
  r.boxes = malloc((size_t)o->step.cutouts * 3 * sizeof *r.boxes);
  r.wall = times;
  for (int k = 0; k < PARTS; k++)
    r.part[k] = times + (k + 1) * r.steps;
  vq_status status = times && r.boxes ? run(&r, o) : vq_fail(VQ_ERR_MEMORY, "no memory for a benchmark");
  vq_engine_free(r.engine);
  free(times);
  free(r.boxes);
  return status;
}
