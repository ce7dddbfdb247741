/* parallel.c -- loops over rows as tasks of a fixed size. */
#include "kernels/cpu/parallel.h"

/* A task of about this many operations costs far more than handing it out does. */
#define TASK_COST 100000

typedef struct rows_job {
  const vq_call *call;
  vq_rows_fn fn;
  int64_t rows, block;
} rows_job;

static void rows_task(void *context, int64_t task)
{
  const rows_job *job = context;
  int64_t from = task * job->block, to = from + job->block;
  job->fn(job->call, from, to < job->rows ? to : job->rows);
}

void vq_parallel_rows(const vq_call *call, int64_t rows, int64_t cost, vq_rows_fn fn)
{
  int64_t block = TASK_COST / (cost > 0 ? cost : 1);
  rows_job job = {call, fn, rows, block > 0 ? block : 1};
  vq_parallel(call->device->threads, (rows + job.block - 1) / job.block, rows_task, &job);
}
