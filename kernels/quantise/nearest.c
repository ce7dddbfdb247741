/* nearest.c -- rows of a book against tokens that lie side by side in a vector. Contract: nearest.h.
 *
 * The book is read once for a vector of tokens, and no sum goes across a vector: each token has its 16 partial sums in as many
 * vectors. They are folded in halves, as vq_fold_lanes does it, but four of them as soon as they are there: fewer registers.
 */
#include "kernels/quantise/nearest.h"

#include "kernels/cpu/reduce.h"
#include "kernels/cpu/simd.h"

#include <math.h>

#ifdef VQ_DOUBLE
typedef int64_t integer;
#else
typedef int32_t integer;
#endif

#define QUARTER (VQ_LANES / 4)

/* quarter_: partial sums j, j + 4, j + 8 and j + 12, folded. */
#define DEFINE_NEAREST(wide)                                                                                      \
  typedef vq_real reals_##wide __attribute__((vector_size(wide * sizeof(vq_real)), aligned(sizeof(vq_real))));    \
  typedef integer integers_##wide __attribute__((vector_size(wide * sizeof(integer)), aligned(sizeof(integer)))); \
                                                                                                                  \
  static inline VQ_BODY void quarter_##wide(const vq_real *z, const vq_real *row, int64_t C, int j,               \
                                            reals_##wide *folded)                                                 \
  {                                                                                                               \
    reals_##wide sum[4] = {{0}, {0}, {0}, {0}};                                                                   \
    int64_t c = j;                                                                                                \
    for (; c + 3 * QUARTER < C; c += VQ_LANES)                                                                    \
      for (int i = 0; i < 4; i++) {                                                                               \
        reals_##wide d =                                                                                          \
            *(const reals_##wide *)(z + (c + i * QUARTER) * VQ_NEAREST_TOKENS) - row[c + i * QUARTER];            \
        sum[i] += d * d;                                                                                          \
      }                                                                                                           \
    for (int i = 0; i < 3; i++, c += QUARTER)                                                                     \
      if (c < C) {                                                                                                \
        reals_##wide d = *(const reals_##wide *)(z + c * VQ_NEAREST_TOKENS) - row[c];                             \
        sum[i] += d * d;                                                                                          \
      }                                                                                                           \
    *folded = (sum[0] + sum[2]) + (sum[1] + sum[3]);                                                              \
  }                                                                                                               \
                                                                                                                  \
  static inline VQ_BODY void nearest_##wide(const vq_real *z, const vq_real *book, int64_t K, int64_t C,          \
                                            int32_t *ids)                                                         \
  {                                                                                                               \
    for (int first = 0; first < VQ_NEAREST_TOKENS; first += wide) {                                               \
      reals_##wide least = (reals_##wide){0} + (vq_real)INFINITY;                                                 \
      integers_##wide id = {0};                                                                                   \
      for (int64_t k = 0; k < K; k++) {                                                                           \
        const vq_real *row = book + k * C;                                                                        \
        reals_##wide quarter[4];                                                                                  \
        for (int j = 0; j < 4; j++)                                                                               \
          quarter_##wide(z + first, row, C, j, &quarter[j]);                                                      \
        reals_##wide distance = (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);                            \
        integers_##wide less = distance < least;                                                                  \
        least = (reals_##wide)(((integers_##wide)distance & less) | ((integers_##wide)least & ~less));            \
        id = ((integer)k & less) | (id & ~less);                                                                  \
      }                                                                                                           \
      for (int m = 0; m < wide; m++)                                                                              \
        ids[first + m] = (int32_t)id[m];                                                                          \
    }                                                                                                             \
  }
DEFINE_NEAREST(8)
DEFINE_NEAREST(16)
VQ_LOOP3(nearest, (const vq_real *z, const vq_real *book, int64_t K, int64_t C, int32_t *ids), (z, book, K, C, ids))

void vq_nearest_rows(const vq_real *z, const vq_real *book, int64_t K, int64_t C, int32_t *ids)
{
  nearest(z, book, K, C, ids);
}
