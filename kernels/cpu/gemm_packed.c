/* gemm_packed.c -- matrix products, fast. Contract: gemm.h.
 *
 * A block of B, DEPTH x COLUMNS, is laid out as panels in memory of this thread (a second-level cache holds it), and then
 * meets the rows of A. The sizes of the blocks were measured (SPEED.md); both together take 336 KiB of a thread's stack, of which some
 * systems give 512.
 */
#include "kernels/cpu/gemm.h"
#include "autograd/op.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH   768
#define COLUMNS 64
#define ROWS    48 /* of a block of A that is stored transposed, and so is turned first */

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

typedef vq_real eight __attribute__((vector_size(8 * sizeof(vq_real)), aligned(sizeof(vq_real))));

/* to[q * VQ_PANEL + c] = from[c * ld + q] for c, q < 8: neighbours are exchanged, then pairs, then fours. */
static inline VQ_BODY void turn_eight(const vq_real *from, int64_t ld, vq_real *to)
{
  eight a[8], b[8];
  for (int c = 0; c < 8; c++)
    a[c] = *(const eight *)(from + c * ld);
  for (int c = 0; c < 8; c += 2) {
    b[c] = __builtin_shufflevector(a[c], a[c + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    b[c + 1] = __builtin_shufflevector(a[c], a[c + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int c = 0; c < 8; c += 4)
    for (int i = c; i < c + 2; i++) {
      a[i] = __builtin_shufflevector(b[i], b[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      a[i + 2] = __builtin_shufflevector(b[i], b[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; i++) {
    *(eight *)(to + i * VQ_PANEL) = __builtin_shufflevector(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    *(eight *)(to + (i + 4) * VQ_PANEL) = __builtin_shufflevector(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/* from [.., k] with n rows, or [k, ..]: panels [n / VQ_PANEL rounded up, k, VQ_PANEL], zeros where n ends. */
static inline VQ_BODY void lay_out_body(bool transposed, const vq_real *from, int64_t ld, int64_t k, int64_t n,
                                        vq_real *panels)
{
  int64_t whole = n / VQ_PANEL * VQ_PANEL, columns = n - whole;
  if (!transposed)
    for (int64_t p = 0; p < k; p++) /* a row at once, not a panel: what is read lies in one piece */
      for (int64_t j = 0; j < whole; j += VQ_PANEL)
        for (int64_t c = 0; c < VQ_PANEL; c++)
          panels[j * k + p * VQ_PANEL + c] = from[p * ld + j + c];
  else
    for (int64_t j = 0; j < whole; j += VQ_PANEL) {
      int64_t p = 0;
      for (; p + 8 <= k; p += 8)
        for (int64_t c = 0; c < VQ_PANEL; c += 8)
          turn_eight(from + (j + c) * ld + p, ld, panels + j * k + p * VQ_PANEL + c);
      for (; p < k; p++)
        for (int64_t c = 0; c < VQ_PANEL; c++)
          panels[j * k + p * VQ_PANEL + c] = from[(j + c) * ld + p];
    }
  for (int64_t p = 0; columns && p < k; p++)
    for (int64_t c = 0; c < VQ_PANEL; c++)
      panels[whole * k + p * VQ_PANEL + c] = c >= columns ? 0
                                             : transposed ? from[(whole + c) * ld + p]
                                                          : from[p * ld + whole + c];
}
VQ_LOOP(lay_out, (bool transposed, const vq_real *from, int64_t ld, int64_t k, int64_t n, vq_real *panels),
        (transposed, from, ld, k, n, panels))

/* The same of [k,n] that is kept as panels of its rows, ld * VQ_PANEL elements from one to the next. k and n are multiples of VQ_PANEL. */
static inline VQ_BODY void turn_panels_body(const vq_real *from, int64_t ld, int64_t k, int64_t n, vq_real *panels)
{
  for (int64_t p = 0; p < k; p += VQ_PANEL) /* one kept panel after the other: what is read lies in one piece */
    for (int64_t j = 0; j < n; j += 8)
      for (int64_t q = p; q < p + VQ_PANEL; q += 8)
        turn_eight(from + p * ld + j * VQ_PANEL + q - p, VQ_PANEL,
                   panels + j / VQ_PANEL * VQ_PANEL * k + q * VQ_PANEL + j % VQ_PANEL);
}
VQ_LOOP(turn_panels, (const vq_real *from, int64_t ld, int64_t k, int64_t n, vq_real *panels),
        (from, ld, k, n, panels))

static void turn(const vq_real *from, int64_t ld, int64_t rows, int64_t k, vq_real *to)
{
  for (int64_t p = 0; p < k; p++)
    for (int64_t i = 0; i < rows; i++)
      to[i * k + p] = from[p * ld + i];
}

/* A panel of fewer columns is computed beside C, and what there is of it copied. */
static void narrow(int64_t m, int64_t n, int64_t k, const vq_real *a, int64_t lda, const vq_real *panel,
                   vq_real alpha, vq_real beta, vq_real *c, int64_t ldc)
{
  vq_real tile[ROWS * VQ_PANEL];
  for (int64_t from = 0; from < m; from += ROWS) {
    int64_t rows = least(ROWS, m - from);
    vq_panel_products(rows, 1, k, a + from * lda, lda, panel, 0, alpha, 0, tile, VQ_PANEL);
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < n; j++) {
        vq_real *to = c + (from + i) * ldc + j, made = tile[i * VQ_PANEL + j];
        *to = beta != 0 ? made + beta * *to : made;
      }
  }
}

/* Rows of A [m,k] times all panels. */
static void all_panels(int64_t m, int64_t n, int64_t k, const vq_real *a, int64_t lda, const vq_real *panels,
                       int64_t apart, vq_real alpha, vq_real beta, vq_real *c, int64_t ldc)
{
  int64_t whole = n / VQ_PANEL;
  vq_panel_products(m, whole, k, a, lda, panels, apart, alpha, beta, c, ldc);
  if (n > whole * VQ_PANEL)
    narrow(m, n - whole * VQ_PANEL, k, a, lda, panels + whole * apart, alpha, beta, c + whole * VQ_PANEL, ldc);
}

/* Columns [j, j + n) and depths [p, p + k) of B as panels, `apart` elements from one to the next: where they are kept so, as they lie; else in `room`. */
static const vq_real *panels_of(const vq_gemm_args *g, int64_t j, int64_t n, int64_t p, int64_t k, vq_real *room,
                                int64_t *apart)
{
  if (g->panels && g->tb) {
    *apart = g->ldb * VQ_PANEL;
    return g->b + j * g->ldb + p * VQ_PANEL;
  }
  *apart = k * VQ_PANEL;
  if (g->panels)
    turn_panels(g->b + p * g->ldb + j * VQ_PANEL, g->ldb, k, n, room);
  else
    lay_out(g->tb, g->tb ? g->b + j * g->ldb + p : g->b + p * g->ldb + j, g->ldb, k, n, room);
  return room;
}

void vq_gemm_own(const vq_gemm_args *g)
{
  _Alignas(64) vq_real room[DEPTH * COLUMNS];
  vq_real turned[ROWS * DEPTH];
  for (int64_t j = 0; j < g->n; j += COLUMNS)
    for (int64_t p = 0; p < g->k; p += DEPTH) {
      int64_t n = least(COLUMNS, g->n - j), k = least(DEPTH, g->k - p), apart;
      vq_real beta = p ? 1 : g->beta, *c = g->c + j;
      const vq_real *panels = panels_of(g, j, n, p, k, room, &apart);
      if (!g->ta) {
        all_panels(g->m, n, k, g->a + p, g->lda, panels, apart, g->alpha, beta, c, g->ldc);
        continue;
      }
      for (int64_t i = 0; i < g->m; i += ROWS) {
        int64_t rows = least(ROWS, g->m - i);
        turn(g->a + p * g->lda + i, g->lda, rows, k, turned);
        all_panels(rows, n, k, turned, k, panels, apart, g->alpha, beta, c + i * g->ldc, g->ldc);
      }
    }
}

void vq_gemm(const vq_gemm_args *whole)
{
  vq_gemm_args g = vq_gemm_start(whole);
  vq_gemm_own(&g);
}

typedef struct keeping {
  const vq_real *rows;
  vq_real *panels;
  int64_t k;
} keeping;

static void keep_task(void *context, int64_t panel)
{
  const keeping *job = context;
  int64_t from = panel * VQ_PANEL * job->k;
  lay_out(true, job->rows + from, job->k, job->k, VQ_PANEL, job->panels + from);
}

vq_status vq_gemm_keep_panels(vq_device *device, vq_tensor *w)
{
  int64_t n = w->dim[0], k = w->dim[1];
  size_t bytes = (size_t)(n * k) * sizeof(vq_real);
  if (n % VQ_PANEL || k % VQ_PANEL)
    return VQ_OK;
  if (!device->plan) {
    vq_real *rows = malloc(bytes + 1);
    if (!rows)
      return vq_fail(VQ_ERR_MEMORY, "no memory to lay a weight out");
    memcpy(rows, w->data, bytes);
    vq_parallel(device->threads, n / VQ_PANEL, keep_task, &(keeping){rows, w->data, k});
    free(rows);
  }
  w->prepared[VQ_FORWARD] = w->prepared[VQ_BACKWARD] = w->data;
  return VQ_OK;
}

const char *vq_gemm_backend(void)
{
  return vq_vectors_name(vq_processor_vectors());
}
