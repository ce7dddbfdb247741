/* normals.h -- for tests that fill arrays of their own. */
#ifndef VQ_TESTS_NORMALS_H
#define VQ_TESTS_NORMALS_H

#include "autograd/tensor.h"
#include "base/rng.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* `count` normal numbers, others for each `which`; the caller frees them. */
static inline vq_real *draw(int64_t count, uint32_t which)
{
  vq_real *x = malloc((size_t)count * sizeof *x);
  cr_assert(x);
  for (int64_t i = 0; i < count; i++)
    x[i] = (vq_real)vq_rng_normal(7, VQ_RNG_WEIGHTS, which, (uint64_t)i);
  return x;
}

#endif
