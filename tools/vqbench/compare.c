/* compare.c -- the CPU's own matrix products beside oneDNN's, at the shapes of a step's linears. One thread: both are called from inside
 * tasks, one thread a call. */
#include "tools/vqbench/bench.h"

#include "kernels/cpu/gemm.h"
#include "kernels/ops.h"
#include "tools/vqbench/data.h"
#ifdef VQ_ONEDNN
#include "tools/vqbench/onednn.h"
#endif

#include <stdio.h>
#include <stdlib.h>

#ifdef VQ_ONEDNN

#define RUNS_AT_LEAST 5
#define RUNS_AT_MOST  40

/* One shape, and the memory for it. */
typedef struct product {
  vq_gemm_args g;
  float *a, *b, *c, *other; /* other: what oneDNN made */
} product;

/* y = x w^T forward, dx = dy w backward, as kernels/linear has them; without what is added, which both leave to vq_gemm_start. */
static void arguments(vq_gemm_args *g, const bench_case *c)
{
  int64_t O = c->in[1].shape.dim[0], I = c->in[1].shape.dim[1], M = vq_shape_count(&c->out) / O;
  *g = c->backward ? (vq_gemm_args){.m = M, .n = I, .k = O, .alpha = 1, .lda = O, .ldb = I, .ldc = I}
                   : (vq_gemm_args){.tb = true, .m = M, .n = O, .k = I, .alpha = 1, .lda = I, .ldb = I, .ldc = O};
}

static vq_status make(product *p, const bench_case *c)
{
  arguments(&p->g, c);
  vq_gemm_args *g = &p->g;
  p->a = malloc((size_t)(g->m * g->k) * sizeof(float));
  p->b = malloc((size_t)(g->n * g->k) * sizeof(float));
  p->c = malloc((size_t)(g->m * g->n) * sizeof(float));
  p->other = malloc((size_t)(g->m * g->n) * sizeof(float));
  if (!p->a || !p->b || !p->c || !p->other)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a product");
  bench_normals(p->a, g->m * g->k, 1, 0, 1);
  bench_normals(p->b, g->n * g->k, 2, 0, 1);
  g->a = p->a;
  g->b = p->b;
  return VQ_OK;
}

static void unmake(product *p)
{
  free(p->a);
  free(p->b);
  free(p->c);
  free(p->other);
}

/* Both by turns, so that what else the machine does meets both. */
static void race(product *p, double budget, bench_time *own, bench_time *onednn)
{
  double ours[RUNS_AT_MOST], theirs[RUNS_AT_MOST], used = 0;
  int n = 0;
  vq_gemm_args g = p->g, h = p->g;
  g.c = p->c;
  h.c = p->other;
  vq_gemm_own(&g);
  vq_gemm_onednn(&h);
  while (n < RUNS_AT_LEAST || (used < budget && n < RUNS_AT_MOST)) {
    double start = bench_now();
    vq_gemm_own(&g);
    double between = bench_now();
    vq_gemm_onednn(&h);
    double end = bench_now();
    ours[n] = between - start;
    theirs[n++] = end - between;
    used += end - start;
  }
  *own = bench_time_of(ours, n);
  *onednn = bench_time_of(theirs, n);
}

/* Two sums of k products in two orders: each errs by about 2^-24 sqrt(k) of sqrt(k), the size of an element here. */
static bool agree(const product *p)
{
  double k = (double)p->g.k, far = 0;
  bool finite = true;
  for (int64_t i = 0; i < p->g.m * p->g.n; i++) {
    double d = (double)p->c[i] - (double)p->other[i];
    far = d * d > far ? d * d : far;
    finite = finite && d * d >= 0;
  }
  return finite && far <= 256 * 0x1p-48 * k * k;
}

static vq_status race_one(const bench_row *row, const bench_options *o)
{
  product p = {.a = NULL};
  bench_time own, onednn;
  VQ_TRY(make(&p, &row->c));
  race(&p, o->quick ? 0 : 0.5, &own, &onednn);
  double flops = 2e-9 * (double)p.g.m * (double)p.g.n * (double)p.g.k;
  bool right = agree(&p);
  if (o->json)
    printf("{\"compare\":\"onednn\",\"direction\":\"%s\",\"m\":%lld,\"n\":%lld,\"k\":%lld,\"count\":%lld,\"own_"
           "seconds\":%.6g,"
           "\"onednn_seconds\":%.6g,\"ratio\":%.4g,\"agree\":%s}\n",
           row->c.backward ? "backward" : "forward", (long long)p.g.m, (long long)p.g.n, (long long)p.g.k,
           (long long)row->count, own.median, onednn.median, own.median / onednn.median, right ? "true" : "false");
  else
    printf("%-3s %6lld x %5lld x %5lld %5lld %9.1f %2.0f %9.1f %2.0f %7.2f%s\n", row->c.backward ? "bwd" : "fwd",
           (long long)p.g.m, (long long)p.g.n, (long long)p.g.k, (long long)row->count, flops / own.median,
           100 * own.spread, flops / onednn.median, 100 * onednn.spread, own.median / onednn.median,
           right ? "" : " WRONG");
  unmake(&p);
  return right ? VQ_OK
               : vq_fail(VQ_ERR_NAN, "the two products of %lld x %lld x %lld do not agree", (long long)p.g.m,
                         (long long)p.g.n, (long long)p.g.k);
}

vq_status bench_run_compare(const bench_options *o)
{
  bench_list list = {0};
  vq_status status = bench_list_step(&list, &o->step, VQ_ON_CPU(1));
  bench_print_head(o, NULL);
  if (!status && !o->json)
    printf("%-3s %22s %5s %9s %2s %9s %2s %7s   (%s; one thread, warm, by turns)\n", "dir",
           "rows x columns x depth", "n", "own GF/s", "+-", "oneDNN", "+-", "ratio", vq_onednn_name());
  for (int i = 0; i < list.rows && !status; i++)
    if (list.row[i].c.op == &vq_op_linear && (!list.row[i].c.backward || list.row[i].c.wants == 1))
      status = race_one(&list.row[i], o);
  if (!status && !o->json)
    printf("\nn: times in a step; ratio: own time over oneDNN's, below 1 is faster\n");
  bench_list_free(&list);
  return status;
}

#else

vq_status bench_run_compare(const bench_options *o)
{
  (void)o;
  return vq_fail(VQ_ERR_UNSUPPORTED, "--compare onednn: this build has no oneDNN (meson setup -Donednn=enabled)");
}

#endif
