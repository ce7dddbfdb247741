/* bench.h -- what the parts of vqbench share: what was asked, and how results are told. */
#ifndef VQBENCH_BENCH_H
#define VQBENCH_BENCH_H

#include "tools/vqbench/check.h"
#include "tools/vqbench/measure.h"
#include "tools/vqbench/networks.h"

enum { BENCH_COMPARE_NOTHING, BENCH_COMPARE_ONEDNN, BENCH_COMPARE_LIBRARIES };

typedef struct bench_options {
  bench_step step;
  bool step_given; /* a network, a size or a number of cutouts was named */
  bool list, all, json, quick, no_check;
  const char *op, *only;
  int threads, steps;
  const char *device;     /* NULL: auto */
  int precision, compare; /* vq_precision; BENCH_COMPARE_ */
  int products;           /* vq_products_by; -1: not said */
  vq_place place;         /* what device, precision and threads come to */
} bench_options;

/* Notices, to stderr. */
extern const vq_log bench_log;

/* One row of what was measured. */
typedef struct bench_found {
  const bench_row *row;
  bool missing; /* the device has no kernel for it: there is nothing else */
  bench_time time;
  bench_verdict verdict;
} bench_found;

/* ---- the subcommands: they print, and return a status ---- */

vq_status bench_run_ops(
    const bench_options
        *o); /* vqbench, --list. VQ_ERR_NAN after the table if a kernel is wrong, VQ_ERR_DEVICE if one is missing */
vq_status bench_run_step(const bench_options *o);    /* vqbench step */
vq_status bench_run_agree(const bench_options *o);   /* vqbench agree. VQ_ERR_NAN after the lines if it does not */
vq_status bench_run_compare(const bench_options *o); /* --compare onednn */
vq_status
bench_run_libraries(const bench_options *o); /* --compare libraries. VQ_ERR_NAN after the table if one is wrong */

/* Checks one case on a fresh device, against the oracle or, where the device is not the CPU, against that; then takes its time (`time` may be
 * NULL: it is only checked). `cold` may be NULL: the cache is as it is. */
vq_status bench_try(vq_device *device, const bench_case *c, bool checked, double budget, bench_cold *cold,
                    bench_verdict *verdict, bench_time *time);

/* Of the list, the rows that --op and --only leave, in their order, into *kept (of list->rows places; the caller frees it). VQ_ERR_ARGUMENT:
 * no such op, a pattern that cannot be read, or nothing left. */
vq_status bench_choose(const bench_row ***kept, int *count, const bench_list *list, const bench_options *o);

/* ---- report.c ---- */

/* What computes, on what, beside what else: the lines before a table, or the first JSON object. peak: NULL if it was not measured. */
void bench_print_head(const bench_options *o, const bench_peak *peak);

/* Of a row, the beginning of a JSON object: what it is; ", ...}" is the caller's. */
void bench_print_json_case(const bench_row *row, const bench_options *o);

void bench_print_list(const bench_row *const *rows, int count, const bench_options *o);
void bench_print_ops(const bench_found *found, int count, const bench_peak *peak, const bench_options *o);

/* "cold cache, 12 of 80: linear forward" on a terminal's stderr; nothing elsewhere. */
void bench_progress(const char *what, int number, int of, const char *name);

/* Text as a JSON string, with its quotes. */
void bench_print_json_text(const char *text);

#endif
