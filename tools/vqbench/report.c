/* report.c -- tables of at most 100 columns, and the same as JSON, an object a line. */
#define _DEFAULT_SOURCE /* getloadavg */
#include "tools/vqbench/bench.h"

#include "kernels/ops.h"
#include "runtime/cutouts.h"
#include "runtime/machine.h"
#include "tools/vqbench/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_log(void *user, vq_log_level level, const char *message)
{
  (void)user;
  fprintf(stderr, "vqbench: %s%s\n", level == VQ_LOG_WARNING ? "warning: " : "", message);
}

const vq_log bench_log = {write_log, NULL};

void bench_print_json_text(const char *text)
{
  putchar('"');
  for (; *text; text++)
    if (*text == '"' || *text == '\\')
      printf("\\%c", *text);
    else if ((unsigned char)*text < ' ')
      printf("\\u%04x", *text);
    else
      putchar(*text);
  putchar('"');
}

void bench_progress(const char *what, int number, int of, const char *name)
{
  if (!isatty(STDERR_FILENO))
    return;
  if (what)
    fprintf(stderr, "\r\033[K%s, %d of %d: %s", what, number, of, name);
  else
    fprintf(stderr, "\r\033[K");
}

/* ---- the head ---- */

/* Of the CPU; 0 where it does not compute. */
static int threads_of(const bench_options *o)
{
  vq_threads *pool;
  int count = o->place.cuda ? 0 : o->threads;
  if (!count && !o->place.cuda && !vq_threads_create(&pool, 0, NULL)) {
    count = vq_threads_count(pool);
    vq_threads_free(pool);
  }
  return count;
}

static const char *device_of(const bench_options *o)
{
  return o->place.cuda ? o->place.cuda->backend->name : vq_cpu_backend.name;
}

void bench_print_head(const bench_options *o, const bench_peak *peak)
{
  char device[256], build[160], step[48];
  double load[3] = {NAN, NAN, NAN};
  vq_place_name(&o->place, device, sizeof device);
  vq_machine_build(build, sizeof build);
  bench_step_name(step, sizeof step, &o->step);
  if (getloadavg(load, 3) != 3)
    load[0] = load[1] = load[2] = -1;
  if (o->json) {
    printf("{\"vqbench\":");
    bench_print_json_text(build);
    printf(",\"device\":");
    bench_print_json_text(device);
    printf(",\"threads\":%d,\"load\":[%.2f,%.2f,%.2f],\"step\":", threads_of(o), load[0], load[1], load[2]);
    bench_print_json_text(step);
    printf(",\"cutouts\":%d,\"cutout_chunk\":%d", o->step.cutouts,
           vq_cutouts_chunk(o->step.cutouts, o->step.chunk));
    if (peak) {
      printf(",\"peak_flops\":%.4g,\"peak_bytes\":%.4g,\"vectors\":", peak->flops, peak->bytes);
      bench_print_json_text(peak->vectors);
    }
    printf("}\n");
    return;
  }
  printf("vqbench %.*s; %s; threads: %d\n", (int)strcspn(build, " "), build, device, threads_of(o));
  printf("load of the machine at the start: %.2f, %.2f, %.2f (of 1, 5 and 15 minutes)\n", load[0], load[1],
         load[2]);
  if (peak && peak->flops > 0)
    printf("its peak, by own loops: %.1f GFLOP/s (multiply-adds, %s), %.1f GB/s (copied, both ways)\n",
           peak->flops * 1e-9, peak->vectors, peak->bytes * 1e-9);
  else if (peak)
    printf("its peak: %.1f GB/s (copied, both ways)\n", peak->bytes * 1e-9);
  printf("a step: %s, %d cutouts, %d at once\n\n", step, o->step.cutouts,
         vq_cutouts_chunk(o->step.cutouts, o->step.chunk));
}

/* ---- lists ---- */

static const char *direction(const bench_case *c)
{
  return c->backward ? "bwd" : "fwd";
}

void bench_print_json_case(const bench_row *row, const bench_options *o)
{
  const bench_case *c = &row->c;
  char text[128];
  printf("{\"op\":\"%s\",\"direction\":\"%s\",\"dtype\":\"%s\",\"device\":\"%s\",\"sizes\":", c->op->name,
         c->backward ? "backward" : "forward", bench_case_dtype(c), device_of(o));
  bench_print_json_text(bench_case_text(text, sizeof text, c));
  printf(",\"inputs\":[");
  for (int i = 0, printed = 0; i < VQ_IN; i++)
    if (c->in[i].there) {
      printf("%s\"%d:%s%s\"", printed++ ? "," : "", i, vq_shape_text(text, sizeof text, &c->in[i].shape),
             c->in[i].frozen ? ",frozen" : "");
    }
  printf("],\"output\":\"%s\",\"count\":%lld,\"from\":", vq_shape_text(text, sizeof text, &c->out),
         (long long)row->count);
  bench_print_json_text(row->from);
}

void bench_print_list(const bench_row *const *rows, int count, const bench_options *o)
{
  if (!o->json)
    printf("%-15s %-3s %-4s %-6s %-34s %4s  %s\n", "op", "dir", "type", "device", "sizes", "n", "first seen in");
  for (int i = 0; i < count; i++) {
    const bench_case *c = &rows[i]->c;
    char text[128];
    if (o->json) {
      bench_print_json_case(rows[i], o);
      printf("}\n");
      continue;
    }
    printf("%-15s %-3s %-4s %-6s %-34s", c->op->name, direction(c), bench_case_dtype(c), device_of(o),
           bench_case_text(text, sizeof text, c));
    if (rows[i]->count)
      printf(" %4lld", (long long)rows[i]->count);
    else
      printf(" %4s", "-");
    printf("  %s\n", rows[i]->from);
  }
  if (!o->json)
    printf("\n%d cases; n: times in a step of the first network that has it; +=: added to another gradient\n",
           count);
}

/* ---- what was measured ---- */

typedef struct rates {
  double bytes, flops; /* a second */
  double share;        /* of the peak, of the higher of the two */
  char which;          /* 'f' or 'm': which of the two that is */
} rates;

static rates rates_of(const bench_found *f, const bench_peak *peak)
{
  rates r = {bench_case_bytes(&f->row->c) / f->time.median, bench_flops(&f->row->c) / f->time.median, 0, 'm'};
  double memory = r.bytes / peak->bytes, arithmetic = peak->flops > 0 ? r.flops / peak->flops : 0;
  r.which = arithmetic > memory ? 'f' : 'm';
  r.share = arithmetic > memory ? arithmetic : memory;
  return r;
}

static double in_a_step(const bench_found *f)
{
  return (double)f->row->count * f->time.median;
}

static void print_row(const bench_found *f, const bench_peak *peak, double whole)
{
  char text[128];
  const bench_case *c = &f->row->c;
  printf("%-15s %s %-33.33s", c->op->name, direction(c), bench_case_text(text, sizeof text, c));
  printf(f->row->count ? " %3lld" : "   -", (long long)f->row->count);
  if (f->missing) {
    printf(" no kernel\n");
    return;
  }
  rates r = rates_of(f, peak);
  printf(" %8.3f %2.0f %5.1f", 1e3 * f->time.median, fmin(99, 100 * f->time.spread), r.bytes * 1e-9);
  printf(r.flops > 0 ? " %5.0f" : "     -", r.flops * 1e-9);
  printf(" %3.0f%c", 100 * r.share, r.which);
  if (f->row->count && whole > 0)
    printf(" %4.1f", 100 * in_a_step(f) / whole);
  else
    printf("    -");
  if (!f->verdict.made)
    printf("     -\n");
  else if (f->verdict.right)
    printf(f->verdict.error > 0 ? " %.0e\n" : "     0\n", f->verdict.error);
  else
    printf(" WRONG\n");
}

static void print_json_row(const bench_found *f, const bench_peak *peak, double whole, const bench_options *o)
{
  const bench_verdict *v = &f->verdict;
  bench_print_json_case(f->row, o);
  if (f->missing) {
    printf(",\"missing\":true}\n");
    return;
  }
  rates r = rates_of(f, peak);
  printf(",\"seconds\":%.6g,\"spread\":%.4g,\"runs\":%d,\"bytes\":%.6g,\"flops\":%.6g,\"bytes_per_second\":%.4g,"
         "\"flops_per_second\":%.4g,\"of_peak\":%.4g,\"bound\":\"%s\"",
         f->time.median, f->time.spread, f->time.runs, bench_case_bytes(&f->row->c), bench_flops(&f->row->c),
         r.bytes, r.flops, r.share, r.which == 'f' ? "arithmetic" : "memory");
  if (whole > 0)
    printf(",\"share\":%.4g", in_a_step(f) / whole);
  if (v->made) {
    printf(",\"right\":%s,\"allowed\":%.3g", v->right ? "true" : "false", v->allowed);
    if (isfinite(v->error)) /* JSON has no infinity */
      printf(",\"error\":%.3g", v->error);
  }
  printf("}\n");
}

/* One line an op and direction: what all its cases take of a step. */
static void print_summary(const bench_found *found, int count, double whole)
{
  double rest = whole;
  bool *told = calloc((size_t)count, sizeof *told);
  printf("\nWhat a step's kernels take, by op:\n");
  while (told && rest > 0) {
    int most = -1;
    double most_time = 0;
    for (int i = 0; i < count; i++) {
      double time = 0;
      for (int j = i; !told[i] && j < count; j++)
        time += found[j].row->c.op == found[i].row->c.op && found[j].row->c.backward == found[i].row->c.backward
                    ? in_a_step(&found[j])
                    : 0;
      if (time > most_time) {
        most = i;
        most_time = time;
      }
    }
    if (most < 0)
      break;
    int64_t calls = 0;
    for (int j = 0; j < count; j++)
      if (found[j].row->c.op == found[most].row->c.op && found[j].row->c.backward == found[most].row->c.backward) {
        told[j] = true;
        calls += found[j].row->count;
      }
    printf("  %-15s %s %5lld calls %10.1f ms %5.1f %%\n", found[most].row->c.op->name,
           direction(&found[most].row->c), (long long)calls, 1e3 * most_time, 100 * most_time / whole);
    rest -= most_time;
  }
  printf("  all of them %34.1f ms\n", 1e3 * whole);
  free(told);
}

void bench_print_ops(const bench_found *found, int count, const bench_peak *peak, const bench_options *o)
{
  bool everything = !o->op && !o->only && !o->all; /* else a share of a step would be of a part of it */
  double whole = 0;
  for (int i = 0; everything && i < count; i++)
    whole += in_a_step(&found[i]);
  if (!o->json)
    printf("%-15s %s %-33s %3s %8s %2s %5s %5s %4s %4s %5s\n", "op", "dir", "sizes", "n", "ms", "+-", "GB/s",
           "GF/s", "peak", "step", "error");
  for (int i = 0; i < count; i++)
    if (o->json)
      print_json_row(&found[i], peak, whole, o);
    else
      print_row(&found[i], peak, whole);
  if (o->json)
    return;
  if (whole > 0)
    print_summary(found, count, whole);
  printf("\nn: times in %s; ms: median, cold cache; +-: spread in %%, half of\n"
         "the middle half; peak: %% of the machine's arithmetic (f) or memory (m), whichever is nearer;\n"
         "step: %% of a step's kernels. GF/s count the plain formula; what only reads can pass a copy.\n",
         o->all ? "a step of the first network that has it" : "a step");
  if (o->place.cuda && !o->no_check)
    printf("error: rms, relative, from the same on the CPU, before any time was taken.\n");
  else if (bench_has_oracle() && !o->no_check)
    printf("error: rms, relative, from the same in double and by plain loops, before any time was taken.\n");
  else
    printf("Nothing was checked%s.\n", o->no_check ? "" : ": this vqbench was built without its oracle");
}
