/* parallel.h -- loops over rows as tasks of a fixed size. */
#ifndef VQ_KERNELS_CPU_PARALLEL_H
#define VQ_KERNELS_CPU_PARALLEL_H

#include "autograd/op.h"

/* Rows [from,to) of an op's work; called on any thread. */
typedef void (*vq_rows_fn)(const vq_call *call, int64_t from, int64_t to);

/* fn over all rows, in blocks whose size depends on `rows` and `cost` (arithmetic operations a row, roughly) alone. */
void vq_parallel_rows(const vq_call *call, int64_t rows, int64_t cost, vq_rows_fn fn);

#endif
