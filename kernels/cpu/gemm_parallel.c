/* gemm_parallel.c -- a matrix product as tasks. */
#include "kernels/cpu/gemm.h"

/* A block's rows and columns: large enough that packing an operand again for each block is small beside the product. */
#define BLOCK_ROWS 128
#define BLOCK_COLS 512

typedef struct blocks {
  const vq_gemm_args *whole;
  int64_t across;
} blocks;

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static void block_task(void *context, int64_t task)
{
  const blocks *cut = context;
  vq_gemm_args g = *cut->whole;
  int64_t row = task / cut->across * BLOCK_ROWS, col = task % cut->across * BLOCK_COLS;
  g.m = least(BLOCK_ROWS, g.m - row);
  g.n = least(BLOCK_COLS, g.n - col);
  g.a += g.ta ? row : row * g.lda;
  g.b += g.tb ? col * g.ldb : col;
  g.c += row * g.ldc + col;
  vq_gemm(&g);
}

void vq_gemm_parallel(vq_threads *threads, const vq_gemm_args *g)
{
  blocks cut = {g, (g->n + BLOCK_COLS - 1) / BLOCK_COLS};
  vq_parallel(threads, (g->m + BLOCK_ROWS - 1) / BLOCK_ROWS * cut.across, block_task, &cut);
}
