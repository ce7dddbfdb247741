/* gemm_parallel.c -- what all matrix products share: how one begins, and how it is cut into tasks. */
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/simd.h"

/* A block's rows and columns. Many rows, because each block lays its columns of B out again: all 400 rows of 8 cutouts
 * with 50 tokens are one. */
#define BLOCK_ROWS 416
#define BLOCK_COLS 96

typedef struct blocks {
  const vq_gemm_args *whole;
  int64_t across;
} blocks;

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static inline VQ_BODY void start_body(const vq_gemm_args *g)
{
  for (int64_t i = 0; i < g->m; i++) {
    vq_real *c = g->c + i * g->ldc;
    const vq_real *skip = g->skip ? g->skip + i * g->ldc : NULL;
    for (int64_t j = 0; j < g->n; j++) {
      vq_real was = g->beta != 0 ? g->beta * c[j] : 0;
      c[j] = was + (g->bias ? g->bias[j] : 0) + (skip ? skip[j] : 0);
    }
  }
}
VQ_LOOP(start, (const vq_gemm_args *g), (g))

vq_gemm_args vq_gemm_start(const vq_gemm_args *g)
{
  vq_gemm_args left = *g;
  if (!g->bias && !g->skip)
    return left;
  start(g);
  left.beta = 1;
  left.bias = left.skip = NULL;
  return left;
}

static void block_task(void *context, int64_t task)
{
  const blocks *cut = context;
  vq_gemm_args g = *cut->whole;
  int64_t row = task / cut->across * BLOCK_ROWS, col = task % cut->across * BLOCK_COLS;
  g.m = least(BLOCK_ROWS, g.m - row);
  g.n = least(BLOCK_COLS, g.n - col);
  g.a += g.ta ? row : row * g.lda;
  g.b += g.tb ? col * g.ldb : g.panels ? col * VQ_PANEL : col;
  g.c += row * g.ldc + col;
  g.bias = g.bias ? g.bias + col : NULL;
  g.skip = g.skip ? g.skip + row * g.ldc + col : NULL;
  vq_gemm(&g);
}

void vq_gemm_parallel(vq_threads *threads, const vq_gemm_args *g)
{
  blocks cut = {g, (g->n + BLOCK_COLS - 1) / BLOCK_COLS};
  vq_parallel(threads, (g->m + BLOCK_ROWS - 1) / BLOCK_ROWS * cut.across, block_task, &cut);
}
