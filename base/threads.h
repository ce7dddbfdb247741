/* threads.h -- a small pool of threads that runs numbered tasks.
 *
 * The library owns its parallelism: how work is cut into tasks depends on shapes alone, so the number of threads
 * changes who computes a task and never what it computes.
 */
#ifndef VQ_BASE_THREADS_H
#define VQ_BASE_THREADS_H

#include "base/status.h"

#include <stdint.h>

typedef struct vq_threads vq_threads;

typedef void (*vq_task_fn)(void *context, int64_t task);

/* `count` threads run tasks, the caller's own among them; 0 means one for each processor this process may use.
 * `start`, if not NULL, is called once on each thread but the caller's, before its first task. */
vq_status vq_threads_create(vq_threads **out, int count, void (*start)(void));
void vq_threads_free(vq_threads *threads);

int vq_threads_count(const vq_threads *threads);

/* Calls fn(context, 0) ... fn(context, tasks - 1), each once, in any order, on all threads, and returns when all have
 * returned. A NULL pool runs them in order on the caller. A task must not call vq_parallel on the same pool. */
void vq_parallel(vq_threads *threads, int64_t tasks, vq_task_fn fn, void *context);

#endif
