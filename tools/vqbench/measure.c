/* measure.c -- clocks, medians, a cold cache. Contract: measure.h. */
#include "tools/vqbench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

double bench_now(void)
{
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static vq_status wait(vq_device *device)
{
  return device->backend->wait ? device->backend->wait(device) : VQ_OK;
}

static vq_status host_start(bench_clock *clock, vq_device *device)
{
  VQ_TRY(wait(device));
  clock->started = bench_now();
  return VQ_OK;
}

static vq_status host_stop(bench_clock *clock, vq_device *device, double *seconds)
{
  VQ_TRY(wait(device));
  *seconds = bench_now() - clock->started;
  return VQ_OK;
}

bench_clock bench_clock_for(const vq_device *device)
{
  (void)device;
  return (bench_clock){.name = "host clock", .start = host_start, .stop = host_stop};
}

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

bench_time bench_time_of(double *seconds, int n)
{
  qsort(seconds, (size_t)n, sizeof *seconds, by_size);
  double middle = n % 2 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2;
  double width = seconds[(3 * n) / 4 < n ? (3 * n) / 4 : n - 1] - seconds[n / 4];
  return (bench_time){middle, middle > 0 ? width / 2 / middle : 0, n};
}

/* ---- a cold cache ---- */

/* As Linux tells it: the C library's own answer counts, on some machines, what other sockets have. */
size_t bench_last_cache(void)
{
  FILE *f = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r");
  unsigned long kib = 0;
  int read = f ? fscanf(f, "%luK", &kib) : 0;
  if (f)
    fclose(f);
  return read == 1 && kib >= 1024 && kib <= (1u << 20) ? (size_t)kib << 10 : (size_t)32 << 20;
}

#define GPU_CACHE ((size_t)128 << 20) /* as much as any card has, and more */

vq_status bench_cold_create(bench_cold *out, const vq_place *place)
{
  size_t bytes = 2 * (place->cuda ? GPU_CACHE : bench_last_cache());
  vq_shape s = vq_shape_make(VQ_REAL, 1, (int64_t[]){(int64_t)(bytes / sizeof(vq_real))});
  *out = (bench_cold){NULL, NULL};
  VQ_TRY(vq_place_open(&out->device, place));
  vq_status status = vq_weight_create(&out->stretch, out->device, &s, NULL, false);
  if (!status) /* memory that was never written is one page of zeros */
    status = out->device->backend->fill(out->device, VQ_REAL, out->stretch->data, 1, vq_count(out->stretch));
  if (status)
    bench_cold_free(out);
  return status;
}

void bench_cold_free(bench_cold *cold)
{
  vq_device_free(cold->device);
  cold->device = NULL;
}

/* One number of each line of the cache. */
static vq_status read_through(const bench_cold *cold)
{
  const volatile vq_real *memory = cold->stretch->data;
  for (int64_t i = 0; i < vq_count(cold->stretch); i += 64 / (int64_t)sizeof(vq_real))
    (void)memory[i];
  return VQ_OK;
}

static vq_status chill(bench_cold *cold)
{
  bool finite;
  if (cold && cold->device->backend->in_host_memory)
    return read_through(cold);
  return cold ? vq_tensor_finite(cold->device, cold->stretch, false, &finite) : VQ_OK;
}

/* ---- one call ---- */

#define LEAST_RUNS 3
#define MOST_RUNS  50

vq_status bench_measure(bench_time *out, bench_call *call, vq_device *device, bench_cold *cold, double budget)
{
  bench_clock clock = bench_clock_for(device);
  double seconds[MOST_RUNS], used = 0;
  int n = 0;
  VQ_TRY(bench_call_run(call));
  while (n < LEAST_RUNS || (used < budget && n < MOST_RUNS)) {
    VQ_TRY(chill(cold));
    VQ_TRY(clock.start(&clock, device));
    VQ_TRY(bench_call_run(call));
    VQ_TRY(clock.stop(&clock, device, &seconds[n]));
    used += seconds[n++];
  }
  *out = bench_time_of(seconds, n);
  return VQ_OK;
}
