/* gemm_plain.c -- matrix products as plain loops: the double oracle. */
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/reduce.h"

/* Both operands run along k: each element of C is a dot product. */
static void rows_by_rows(const vq_gemm_args *g)
{
  for (int64_t i = 0; i < g->m; i++)
    for (int64_t j = 0; j < g->n; j++) {
      vq_real sum = g->alpha * vq_dot(g->a + i * g->lda, g->b + j * g->ldb, g->k);
      vq_real *c = g->c + i * g->ldc + j;
      *c = g->beta ? g->beta * *c + sum : sum;
    }
}

/* B runs along n: rows of B are added up into a row of C. */
static void rows_by_columns(const vq_gemm_args *g)
{
  for (int64_t i = 0; i < g->m; i++) {
    vq_real *c = g->c + i * g->ldc;
    for (int64_t j = 0; j < g->n; j++)
      c[j] = g->beta ? g->beta * c[j] : 0;
    for (int64_t l = 0; l < g->k; l++) {
      vq_real a = g->alpha * (g->ta ? g->a[l * g->lda + i] : g->a[i * g->lda + l]);
      const vq_real *b = g->b + l * g->ldb;
      for (int64_t j = 0; j < g->n; j++)
        c[j] += a * b[j];
    }
  }
}

/* The rare case: neither operand runs along anything. */
static void columns_by_rows(const vq_gemm_args *g)
{
  for (int64_t i = 0; i < g->m; i++)
    for (int64_t j = 0; j < g->n; j++) {
      vq_real sum = 0, *c = g->c + i * g->ldc + j;
      for (int64_t l = 0; l < g->k; l++)
        sum += g->a[l * g->lda + i] * g->b[j * g->ldb + l];
      *c = g->beta ? g->beta * *c + g->alpha * sum : g->alpha * sum;
    }
}

void vq_gemm(const vq_gemm_args *whole)
{
  vq_gemm_args g = vq_gemm_start(whole);
  if (!g.tb)
    rows_by_columns(&g);
  else if (g.ta)
    columns_by_rows(&g);
  else
    rows_by_rows(&g);
}

vq_status vq_gemm_keep_panels(vq_device *device, vq_tensor *w)
{
  (void)device, (void)w;
  return VQ_OK;
}

const char *vq_gemm_backend(void)
{
  return "plain loops";
}
