/* peak.c -- what this machine reaches: multiply-adds that stay in registers, and a copy that leaves all caches. */
#include "tools/vqbench/measure.h"

#include <stdlib.h>
#include <string.h>

/* Sixteen sums of one vector each: a multiply-add has to wait for the last one on its own sum, and meanwhile others start. */
#define SUMS  16
#define TURNS 200000

#define SPIN(name, floats, attribute)                                               \
  typedef float name##_vector __attribute__((vector_size(floats * sizeof(float)))); \
  attribute static float name(int64_t turns)                                        \
  {                                                                                 \
    name##_vector sum[SUMS], factor = {0}, step = {0}, all = {0};                   \
    float total = 0;                                                                \
    for (int j = 0; j < floats; j++) {                                              \
      factor[j] = 0.999f + 1e-6f * (float)j;                                        \
      step[j] = 1e-3f;                                                              \
    }                                                                               \
    for (int i = 0; i < SUMS; i++)                                                  \
      sum[i] = step * (float)i;                                                     \
    for (int64_t t = 0; t < turns; t++)                                             \
      for (int i = 0; i < SUMS; i++)                                                \
        sum[i] = sum[i] * factor + step;                                            \
    for (int i = 0; i < SUMS; i++)                                                  \
      all += sum[i];                                                                \
    for (int j = 0; j < floats; j++)                                                \
      total += all[j];                                                              \
    return total;                                                                   \
  }

#define PLAIN
SPIN(spin_any, 4, PLAIN)
#if defined(__x86_64__) && defined(__GNUC__)
SPIN(spin_avx2, 8, __attribute__((target("avx2,fma"))))
SPIN(spin_avx512, 16, __attribute__((target("avx512f"))))
#endif

typedef struct spinner {
  float (*spin)(int64_t turns);
  int floats;
  const char *vectors;
  volatile float *sink;
} spinner;

static spinner widest(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx512f"))
    return (spinner){spin_avx512, 16, "AVX-512", NULL};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return (spinner){spin_avx2, 8, "AVX2", NULL};
#endif
  return (spinner){spin_any, 4, "the compiler's", NULL};
}

static void spin_task(void *context, int64_t task)
{
  const spinner *s = context;
  s->sink[task] = s->spin(TURNS);
}

/* The best of all runs that the budget allows: a peak is what there is when nothing disturbs. */
static vq_status find_flops(bench_peak *out, vq_threads *threads, double budget)
{
  spinner s = widest();
  int tasks = vq_threads_count(threads);
  double began = bench_now(), best = 0;
  s.sink = calloc((size_t)tasks, sizeof *s.sink);
  if (!s.sink)
    return vq_fail(VQ_ERR_MEMORY, "no memory to find the machine's peak");
  do {
    double start = bench_now();
    vq_parallel(threads, tasks, spin_task, &s);
    double rate = 2.0 * s.floats * SUMS * TURNS * tasks / (bench_now() - start);
    best = rate > best ? rate : best;
  } while (bench_now() - began < budget);
  free((void *)s.sink);
  out->flops = best;
  out->vectors = s.vectors;
  return VQ_OK;
}

typedef struct copier {
  char *from, *to;
  size_t each;
} copier;

static void copy_task(void *context, int64_t task)
{
  const copier *c = context;
  memcpy(c->to + (size_t)task * c->each, c->from + (size_t)task * c->each, c->each);
}

static vq_status find_bytes(bench_peak *out, vq_threads *threads, double budget)
{
  size_t tasks = (size_t)vq_threads_count(threads), bytes = 4 * bench_last_cache();
  copier c = {malloc(bytes), malloc(bytes), bytes / tasks};
  double best = 0;
  if (c.from && c.to) {
    memset(c.from, 1, bytes);
    memset(c.to, 2, bytes);
    double began = bench_now();
    do {
      double start = bench_now();
      vq_parallel(threads, (int64_t)tasks, copy_task, &c);
      double rate = 2.0 * (double)(c.each * tasks) / (bench_now() - start);
      best = rate > best ? rate : best;
    } while (bench_now() - began < budget);
  }
  vq_status status = c.from && c.to ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory to find the machine's peak");
  free(c.from);
  free(c.to);
  out->bytes = best;
  return status;
}

/* Of a device: from one half of a stretch to the other. */
static vq_status find_device_bytes(bench_peak *out, const vq_place *place, double budget)
{
  bench_cold half; /* a stretch that no cache holds, and a device for it */
  void *to;
  VQ_TRY(bench_cold_create(&half, place));
  size_t bytes = (size_t)vq_count(half.stretch) * sizeof(vq_real);
  vq_status status = vq_weights_take(half.device, bytes, &to);
  bench_clock clock = bench_clock_for(half.device);
  double seconds = 0, used = 0;
  while (!status && used <= budget) {
    status = clock.start(&clock, half.device);
    if (!status)
      status = half.device->backend->copy(half.device, to, half.stretch->data, bytes);
    if (!status)
      status = clock.stop(&clock, half.device, &seconds);
    double rate = seconds > 0 ? 2 * (double)bytes / seconds : 0;
    out->bytes = rate > out->bytes ? rate : out->bytes;
    used += seconds > 0 ? seconds : budget + 1;
  }
  bench_cold_free(&half);
  return status;
}

vq_status bench_find_peak(bench_peak *out, const vq_place *place, double budget)
{
  vq_threads *pool;
  *out = (bench_peak){0, 0, "unknown"};
  if (place->cuda)
    return find_device_bytes(out, place, budget);
  VQ_TRY(vq_threads_create(&pool, place->threads, NULL));
  vq_status status = find_flops(out, pool, budget);
  if (!status)
    status = find_bytes(out, pool, budget);
  vq_threads_free(pool);
  return status;
}
