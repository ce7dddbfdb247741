/* columns.h -- sums over the rows of a matrix, for the gradients of biases and scales. */
#ifndef VQ_KERNELS_CPU_COLUMNS_H
#define VQ_KERNELS_CPU_COLUMNS_H

#include "autograd/tensor.h"
#include "base/threads.h"

/* y[c] (+)= sum over m of x[m,c], x [rows, columns]: rows in order, blocks of columns as tasks. */
void vq_sum_columns(vq_threads *threads, vq_real *y, bool add, const vq_real *x, int64_t rows, int64_t columns);

#endif
