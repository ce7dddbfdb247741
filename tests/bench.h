/* bench.h -- a CPU device with a small pool and a tape on it, for tests that call ops one by one. */
#ifndef VQ_TESTS_BENCH_H
#define VQ_TESTS_BENCH_H

#include "autograd/tape.h"

#include <criterion/criterion.h>

typedef struct bench {
  vq_device *device;
  vq_tape *tape;
} bench;

static inline bench open_bench(void)
{
  bench b;
  cr_assert(!vq_cpu_create(&b.device, 2) && !vq_device_reserve(b.device, 1 << 20), "%s", vq_error_message());
  cr_assert(!vq_tape_create(&b.tape, b.device), "%s", vq_error_message());
  return b;
}

static inline void close_bench(bench *b)
{
  vq_tape_free(b->tape);
  vq_device_free(b->device);
}

#endif
