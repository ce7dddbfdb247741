/* panels.c -- matrix products with a laid-out operand. Contract: panels.h.
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

static inline VQ_BODY void block(int rows, int64_t k, const vq_real *a, int64_t lda, const vq_real *b, vq_real *c,
                                 int64_t ldc)
{
  vector sum[ROWS][VECTORS];
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < VECTORS; v++)
      sum[i][v] = (vector){0};
  for (int64_t p = 0; p < k; p++, b += VQ_PANEL) {
    const vector *at = (const vector *)b;
    for (int i = 0; i < rows; i++)
      for (int v = 0; v < VECTORS; v++)
        sum[i][v] += a[i * lda + p] * at[v];
  }
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < VECTORS; v++)
      ((vector *)(c + i * ldc))[v] = sum[i][v];
}

/* The rows that are left: the compiler makes a block of each number of rows. */
static inline VQ_BODY void rest(int rows, int64_t k, const vq_real *a, int64_t lda, const vq_real *b, vq_real *c,
                                int64_t ldc)
{
  switch (rows) {
  case 1: block(1, k, a, lda, b, c, ldc); break;
  case 2: block(2, k, a, lda, b, c, ldc); break;
  case 3: block(3, k, a, lda, b, c, ldc); break;
  case 4: block(4, k, a, lda, b, c, ldc); break;
  case 5: block(5, k, a, lda, b, c, ldc); break;
  default: break;
  }
}

static inline VQ_BODY void panel_body(int64_t m, int64_t k, const vq_real *a, int64_t lda, const vq_real *b, vq_real *c,
                                      int64_t ldc)
{
  int64_t i = 0;
  for (; i + ROWS <= m; i += ROWS)
    block(ROWS, k, a + i * lda, lda, b, c + i * ldc, ldc);
  rest((int)(m - i), k, a + i * lda, lda, b, c + i * ldc, ldc);
}

VQ_LOOP(panel, (int64_t m, int64_t k, const vq_real *a, int64_t lda, const vq_real *b, vq_real *c, int64_t ldc),
        (m, k, a, lda, b, c, ldc))

void vq_panel_product(int64_t m, int64_t panels, int64_t k, const vq_real *a, int64_t lda, const vq_real *b, vq_real *c,
                      int64_t ldc)
{
  for (int64_t j = 0; j < panels; j++)
    panel(m, k, a, lda, b + j * k * VQ_PANEL, c + j * VQ_PANEL, ldc);
}
