/* arrays.h -- for tests that compare the arrays of files. To be included first, as scratch.h. */
#ifndef VQ_TESTS_ARRAYS_H
#define VQ_TESTS_ARRAYS_H

#include "tests/scratch.h"

#include "loaders/safetensors.h"

/* The numbers of an array that must be there; the caller frees them. */
static inline double *values(const vq_safetensors *file, const char *name, size_t *count)
{
  const vq_file_tensor *x = vq_safetensors_find(file, name);
  cr_assert(x, "no %s", name);
  *count = vq_file_tensor_count(x);
  double *to = malloc(*count * sizeof *to);
  vq_file_tensor_read_f64(x, to);
  return to;
}

#endif
