/* measure.h -- time, and what this machine can do at most. */
#ifndef VQBENCH_MEASURE_H
#define VQBENCH_MEASURE_H

#include "runtime/place.h"
#include "tools/vqbench/call.h"

/* The one seam between what is measured and how a device tells time. The host's clock waits for the device; a device with events of its
 * own gets a clock of its own in bench_clock_for. */
typedef struct bench_clock bench_clock;
struct bench_clock {
  const char *name; /* "host clock" */
  vq_status (*start)(bench_clock *clock, vq_device *device);
  vq_status (*stop)(bench_clock *clock, vq_device *device, double *seconds);
  double started;
};

bench_clock bench_clock_for(const vq_device *device);

double bench_now(void); /* seconds */

typedef struct bench_time {
  double median, spread; /* seconds; half of the middle half's width, over the median */
  int runs;
} bench_time;

/* The median and the spread of n values, which are put in order. */
bench_time bench_time_of(double *seconds, int n);

/* What kernels read comes from memory, not from the cache: between runs a stretch twice as large as the last cache is read. */
typedef struct bench_cold {
  vq_device *device; /* owned */
  vq_tensor *stretch;
} bench_cold;

vq_status bench_cold_create(bench_cold *out, const vq_place *place);
void bench_cold_free(bench_cold *cold);
size_t bench_last_cache(void); /* of the CPU, in bytes */

/* Times one call: a run to warm up, then runs until they have taken `budget` seconds together, at least 3 and at most 50. */
vq_status bench_measure(bench_time *out, bench_call *call, vq_device *device, bench_cold *cold, double budget);

/* What the place reaches: multiply-adds in registers, and memory to memory. */
typedef struct bench_peak {
  double flops;        /* floating-point operations a second, in float, an FMA being two; 0: not known, of a GPU */
  double bytes;        /* bytes a second, read and written */
  const char *vectors; /* "AVX-512", "AVX2", "the compiler's" */
} bench_peak;

vq_status bench_find_peak(bench_peak *out, const vq_place *place, double budget);

#endif
