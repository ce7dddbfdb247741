/* panels.c -- rows times panels. Contract: panels.h.
 *
 * A block of sums stays in registers while k runs: 6 rows of one panel as two vectors of 8 each (12 of AVX2's 16 registers),
 * or 12 rows of two panels as a vector of 16 each (24 of AVX-512's 32). For each k, two vectors of B and one number of each
 * row of A.
 */
#include "kernels/cpu/panels.h"

#include "kernels/cpu/simd.h"

typedef vq_real vector8 __attribute__((vector_size(8 * sizeof(vq_real)), aligned(sizeof(vq_real))));
typedef vq_real vector16 __attribute__((vector_size(16 * sizeof(vq_real)), aligned(sizeof(vq_real))));

typedef struct product {
  int64_t k;
  const vq_real *a;
  int64_t lda;
  const vq_real *panel;
  int64_t apart; /* from one panel to the next */
  vq_real alpha, beta;
  vq_real *c;
  int64_t ldc;
} product;

/* Rows [from, from + rows) times `across` vectors of B, `apart` elements from one to the next. Rows are reached from every
 * third, by once and twice lda: an instruction can add that much to an address. */
#define DEFINE_BLOCK(name, vector)                                                                     \
  static inline VQ_BODY void name(int rows, int across, int64_t apart, const product *g, int64_t from) \
  {                                                                                                    \
    const vq_real *a[(VQ_PANEL_ROWS + 2) / 3], *b = g->panel;                                          \
    const int64_t k = g->k, lda = g->lda;                                                              \
    vector sum[VQ_PANEL_ROWS][2];                                                                      \
    for (int i = 0; i < rows; i++)                                                                     \
      for (int v = 0; v < across; v++)                                                                 \
        sum[i][v] = (vector){0};                                                                       \
    for (int i = 0; i < rows; i += 3)                                                                  \
      a[i / 3] = g->a + (from + i) * lda;                                                              \
    for (int64_t p = 0; p < k; p++, b += VQ_PANEL) {                                                   \
      for (int i = 0; i < rows; i++)                                                                   \
        for (int v = 0; v < across; v++)                                                               \
          sum[i][v] += a[i / 3][i % 3 * lda] * *(const vector *)(b + v * apart);                       \
      for (int i = 0; i < rows; i += 3)                                                                \
        a[i / 3]++;                                                                                    \
    }                                                                                                  \
    for (int i = 0; i < rows; i++)                                                                     \
      for (int v = 0; v < across; v++) {                                                               \
        vector *c = (vector *)(g->c + (from + i) * g->ldc) + v;                                        \
        *c = g->beta != 0 ? g->alpha * sum[i][v] + g->beta * *c : g->alpha * sum[i][v];                \
      }                                                                                                \
  }
DEFINE_BLOCK(block8, vector8)
DEFINE_BLOCK(block16, vector16)

/* All panels; the compiler makes a block of each number of rows. */
static inline VQ_BODY void rows_8(int64_t m, int64_t panels, product g)
{
  for (; panels > 0; panels--, g.panel += g.apart, g.c += VQ_PANEL) {
    int64_t i = 0;
    for (; i + 6 <= m; i += 6)
      block8(6, 2, 8, &g, i);
    switch (m - i) {
    case 1: block8(1, 2, 8, &g, i); break;
    case 2: block8(2, 2, 8, &g, i); break;
    case 3: block8(3, 2, 8, &g, i); break;
    case 4: block8(4, 2, 8, &g, i); break;
    case 5: block8(5, 2, 8, &g, i); break;
    default: break;
    }
  }
}

static inline VQ_BODY void some_panels(int across, int64_t m, const product *g)
{
  int64_t i = 0, apart = g->apart;
  for (; i + 12 <= m; i += 12)
    block16(12, across, apart, g, i);
  if (i + 8 <= m) {
    block16(8, across, apart, g, i);
    i += 8;
  }
  if (i + 4 <= m) {
    block16(4, across, apart, g, i);
    i += 4;
  }
  switch (m - i) {
  case 1: block16(1, across, apart, g, i); break;
  case 2: block16(2, across, apart, g, i); break;
  case 3: block16(3, across, apart, g, i); break;
  default: break;
  }
}

static inline VQ_BODY void rows_16(int64_t m, int64_t panels, product g)
{
  for (; panels >= 2; panels -= 2, g.panel += 2 * g.apart, g.c += 2 * VQ_PANEL)
    some_panels(2, m, &g);
  if (panels)
    some_panels(1, m, &g);
}
VQ_LOOP3(rows, (int64_t m, int64_t panels, product g), (m, panels, g))

void vq_panel_products(int64_t m, int64_t panels, int64_t k, const vq_real *a, int64_t lda, const vq_real *b,
                       int64_t apart, vq_real alpha, vq_real beta, vq_real *c, int64_t ldc)
{
  rows(m, panels, (product){k, a, lda, b, apart, alpha, beta, c, ldc});
}
