/* columns.c -- sums over the rows of a matrix. */
#include "kernels/cpu/columns.h"

#define BLOCK_COLUMNS 64

typedef struct columns_job {
  vq_real *y;
  const vq_real *x;
  int64_t rows, columns;
  bool add;
} columns_job;

static void columns_task(void *context, int64_t task)
{
  const columns_job *job = context;
  int64_t from = task * BLOCK_COLUMNS,
          n = job->columns - from < BLOCK_COLUMNS ? job->columns - from : BLOCK_COLUMNS;
  vq_real sum[BLOCK_COLUMNS] = {0};
  for (int64_t m = 0; m < job->rows; m++)
    for (int64_t j = 0; j < n; j++)
      sum[j] += job->x[m * job->columns + from + j];
  for (int64_t j = 0; j < n; j++)
    job->y[from + j] = job->add ? job->y[from + j] + sum[j] : sum[j];
}

void vq_sum_columns(vq_threads *threads, vq_real *y, bool add, const vq_real *x, int64_t rows, int64_t columns)
{
  columns_job job = {y, x, rows, columns, add};
  vq_parallel(threads, (columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS, columns_task, &job);
}
