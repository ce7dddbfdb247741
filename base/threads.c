/* threads.c -- the pool: workers sleep on a condition until a job is posted, then take task numbers from a counter. */
#define _GNU_SOURCE /* sched_getaffinity: how many processors this process may use */
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define MOST_THREADS 1024

struct vq_threads {
  int count;         /* threads that run tasks, the caller's included */
  pthread_t *worker; /* count - 1 of them */
  void (*start)(void);
  pthread_mutex_t lock;
  pthread_cond_t posted, finished;
  uint64_t job; /* number of the job that was posted last; guarded by lock, as all below but `next` */
  int busy;     /* workers that have not yet left the current job */
  bool quit;
  vq_task_fn fn;
  void *context;
  int64_t tasks;
  atomic_int_fast64_t next; /* the first task that nobody has taken */
};

static void run_tasks(vq_threads *threads)
{
  for (;;) {
    int64_t task = atomic_fetch_add_explicit(&threads->next, 1, memory_order_relaxed);
    if (task >= threads->tasks)
      return;
    threads->fn(threads->context, task);
  }
}

static void *work(void *argument)
{
  vq_threads *threads = argument;
  uint64_t seen = 0;
  if (threads->start)
    threads->start();
  pthread_mutex_lock(&threads->lock);
  for (;;) {
    while (!threads->quit && threads->job == seen)
      pthread_cond_wait(&threads->posted, &threads->lock);
    if (threads->quit)
      break;
    seen = threads->job;
    pthread_mutex_unlock(&threads->lock);
    run_tasks(threads);
    pthread_mutex_lock(&threads->lock);
    if (--threads->busy == 0)
      pthread_cond_signal(&threads->finished);
  }
  pthread_mutex_unlock(&threads->lock);
  return NULL;
}

static int processors(void)
{
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set))
    return 1;
  return CPU_COUNT(&set);
}

vq_status vq_threads_create(vq_threads **out, int count, void (*start)(void))
{
  *out = NULL;
  if (count < 0 || count > MOST_THREADS)
    return vq_fail(VQ_ERR_ARGUMENT, "%d threads: give a number from 0 (one a processor) to %d", count,
                   MOST_THREADS);
  if (count == 0)
    count = processors();
  vq_threads *threads = calloc(1, sizeof *threads);
  pthread_t *worker = calloc((size_t)count, sizeof *worker);
  if (!threads || !worker) {
    free(threads);
    free(worker);
    return vq_fail(VQ_ERR_MEMORY, "no memory for %d threads", count);
  }
  threads->worker = worker;
  threads->start = start;
  threads->count = 1;
  pthread_mutex_init(&threads->lock, NULL);
  pthread_cond_init(&threads->posted, NULL);
  pthread_cond_init(&threads->finished, NULL);
  for (; threads->count < count; threads->count++)
    if (pthread_create(&worker[threads->count - 1], NULL, work, threads)) {
      int started = threads->count;
      vq_threads_free(threads);
      return vq_fail(VQ_ERR_MEMORY, "the system gives no more than %d of %d threads; ask for fewer", started,
                     count);
    }
  *out = threads;
  return VQ_OK;
}

void vq_threads_free(vq_threads *threads)
{
  if (!threads)
    return;
  pthread_mutex_lock(&threads->lock);
  threads->quit = true;
  pthread_cond_broadcast(&threads->posted);
  pthread_mutex_unlock(&threads->lock);
  for (int i = 0; i < threads->count - 1; i++)
    pthread_join(threads->worker[i], NULL);
  pthread_cond_destroy(&threads->finished);
  pthread_cond_destroy(&threads->posted);
  pthread_mutex_destroy(&threads->lock);
  free(threads->worker);
  free(threads);
}

int vq_threads_count(const vq_threads *threads)
{
  return threads ? threads->count : 1;
}

void vq_parallel(vq_threads *threads, int64_t tasks, vq_task_fn fn, void *context)
{
  if (!threads || threads->count == 1 || tasks <= 1) {
    for (int64_t task = 0; task < tasks; task++)
      fn(context, task);
    return;
  }
  pthread_mutex_lock(&threads->lock);
  threads->fn = fn;
  threads->context = context;
  threads->tasks = tasks;
  atomic_store_explicit(&threads->next, 0, memory_order_relaxed);
  threads->busy = threads->count - 1;
  threads->job++;
  pthread_cond_broadcast(&threads->posted);
  pthread_mutex_unlock(&threads->lock);
  run_tasks(threads);
  pthread_mutex_lock(&threads->lock);
  while (threads->busy)
    pthread_cond_wait(&threads->finished, &threads->lock);
  pthread_mutex_unlock(&threads->lock);
}
