/* im2col.c -- the values that a convolution reads for one output pixel, copied side by side. */
#include "kernels/cpu/im2col.h"

#include <string.h>

static void zero(vq_real *to, int64_t count)
{
  memset(to, 0, (size_t)count * sizeof *to);
}

static void copy(vq_real *to, const vq_real *from, int64_t count)
{
  memcpy(to, from, (size_t)count * sizeof *to);
}

void vq_im2col(const vq_conv_args *a, const vq_lines *lines, int64_t from, int64_t to, int64_t u0, int64_t u1,
               int64_t v0, int64_t v1, vq_real *out)
{
  int64_t twice = a->upsample ? 2 : 1, high = twice * a->h, wide = twice * a->w;
  int64_t taps = v1 - v0;
  for (int64_t pixel = from; pixel < to; pixel++) {
    int64_t q = pixel % a->ow, r = pixel / a->ow % a->oh, n = pixel / a->ow / a->oh;
    int64_t col = q * a->stride - a->left + v0;
    for (int64_t u = u0; u < u1; u++, out += taps * a->ci) {
      int64_t row = r * a->stride - a->top + u;
      if (row < 0 || row >= high) {
        zero(out, taps * a->ci);
        continue;
      }
      const vq_real *x = lines ? vq_lines_at(lines, n, row) : a->x + (n * a->h + row / twice) * a->w * a->ci;
      if (!a->upsample && col >= 0 && col + taps <= wide) {
        copy(out, x + col * a->ci, taps * a->ci);
        continue;
      }
      for (int64_t v = 0; v < taps; v++)
        if (col + v < 0 || col + v >= wide)
          zero(out + v * a->ci, a->ci);
        else
          copy(out + v * a->ci, x + (col + v) / twice * a->ci, a->ci);
    }
  }
}
