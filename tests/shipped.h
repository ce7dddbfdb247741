/* shipped.h -- for tests of runs: the pair that ships, with its defaults, but small and quick. */
#ifndef VQ_TESTS_SHIPPED_H
#define VQ_TESTS_SHIPPED_H

#include "tests/scratch.h"

#include "vqgen.h"

static inline vq_settings shipped_pair(int side, int cutouts, int threads)
{
  vq_settings s;
  vq_settings_init(&s);
  s.vqgan = VQ_SOURCE_ROOT "/weights/vqgan.safetensors";
  s.clip = VQ_SOURCE_ROOT "/weights/clip.safetensors";
  expect_ok(vq_settings_load(&s));
  s.width = s.height = side;
  s.cutouts = cutouts;
  s.threads = threads;
  return s;
}

#endif
