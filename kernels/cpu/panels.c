/* panels.c -- rows times a panel. Contract: panels.h.
 *
 * A block of ROWS x VQ_PANEL sums stays in registers (12 of AVX2's 16) while k runs: for each k, two vectors of B and one
 * number of each row of A.
 */
#include "kernels/cpu/panels.h"

#include "kernels/cpu/simd.h"

#define ROWS 6

#ifdef VQ_DOUBLE
#define WIDE VQ_PANEL
#else
#define WIDE 8
#endif
#define VECTORS (VQ_PANEL / WIDE)

typedef vq_real vector __attribute__((vector_size(WIDE * sizeof(vq_real)), aligned(sizeof(vq_real))));

typedef struct product {
  int64_t k;
  const vq_real *a;
  int64_t lda;
  const vq_real *panel;
  vq_real alpha, beta;
  vq_real *c;
  int64_t ldc;
} product;

static inline VQ_BODY void block(int rows, const product *g, int64_t from)
{
  const vq_real *a = g->a + from * g->lda, *panel = g->panel;
  const int64_t k = g->k, lda = g->lda;
  vector sum[ROWS][VECTORS];
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < VECTORS; v++)
      sum[i][v] = (vector){0};
  for (int64_t p = 0; p < k; p++, panel += VQ_PANEL) {
    const vector *at = (const vector *)panel;
    for (int i = 0; i < rows; i++)
      for (int v = 0; v < VECTORS; v++)
        sum[i][v] += a[i * lda + p] * at[v];
  }
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < VECTORS; v++) {
      vector *c = (vector *)(g->c + (from + i) * g->ldc) + v;
      *c = g->beta != 0 ? g->alpha * sum[i][v] + g->beta * *c : g->alpha * sum[i][v];
    }
}

/* The compiler makes a block of each number of rows. */
static inline VQ_BODY void rows_body(int64_t m, const product *g)
{
  int64_t i = 0;
  for (; i + ROWS <= m; i += ROWS)
    block(ROWS, g, i);
  switch (m - i) {
  case 1: block(1, g, i); break;
  case 2: block(2, g, i); break;
  case 3: block(3, g, i); break;
  case 4: block(4, g, i); break;
  case 5: block(5, g, i); break;
  default: break;
  }
}
VQ_LOOP(rows, (int64_t m, const product *g), (m, g))

void vq_panel_product(int64_t m, int64_t k, const vq_real *a, int64_t lda, const vq_real *panel, vq_real alpha,
                      vq_real beta, vq_real *c, int64_t ldc)
{
  rows(m, &(product){k, a, lda, panel, alpha, beta, c, ldc});
}
