/* onednn.c -- matrix products by oneDNN, one thread a call: what our own are compared with. Contract: onednn.h. */
#include "tools/vqbench/onednn.h"

#include <signal.h>

#include <dnnl.h>
#include <omp.h>

/* oneDNN takes as many threads as OpenMP offers to the calling thread. The library shares work out itself, so that bits
 * do not depend on the number of threads: each call gets one, and the caller's own setting is put back. */
void vq_gemm_onednn(const vq_gemm_args *g)
{
  int threads = omp_get_max_threads();
  sigset_t all, before;
  /* While it computes, oneDNN's sgemm (up to 3.11 at least, its issue #4845) keeps the stack pointer in other memory: a
   * signal handler that ran on this thread now would write over the heap. */
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  omp_set_num_threads(1);
  dnnl_sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', g->m, g->n, g->k, g->alpha, g->a, g->lda, g->b, g->ldb, g->beta,
             g->c, g->ldc);
  omp_set_num_threads(threads);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

#define TEXT2(x) #x
#define TEXT(x)  TEXT2(x)

const char *vq_onednn_name(void)
{
  return "oneDNN " TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH);
}
