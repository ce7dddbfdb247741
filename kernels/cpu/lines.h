/* lines.h -- the lines of x that a convolution is reading, where x is made as it is read (vq_conv_args.read).
 *
 * A lane of a convolution goes down a picture from left to right and from line to line, and keeps the last few lines that were made: the
 * one that comes takes the place of the oldest. What a lane reads it has made once, and not before it is read; lines at the seam of two
 * lanes are made by both.
 */
#ifndef VQ_KERNELS_CPU_LINES_H
#define VQ_KERNELS_CPU_LINES_H

#include "kernels/cpu/conv.h"

#define VQ_MOST_LINES 16

typedef struct vq_lines {
  const vq_conv_args *a;
  int64_t count; /* of lines that are kept, at most VQ_MOST_LINES */
  vq_real *room; /* [count,w,ci] */
  struct {
    int64_t line, from, to; /* n * h + row, and which of its pixels have been made */
  } has[VQ_MOST_LINES];
} vq_lines;

/* Reals of `room`. */
int64_t vq_lines_reals(const vq_conv_args *a, int64_t count);

/* None is made yet. */
vq_lines vq_lines_begin(const vq_conv_args *a, int64_t count, vq_real *room);

/* Makes what is missing of columns [from, to) of lines [first, last) of picture n, last - first <= count; what lies outside of the picture
 * is left out. Lines more than `count` above `last` are no longer there. */
void vq_lines_reach(vq_lines *l, int64_t n, int64_t first, int64_t last, int64_t from, int64_t to);

/* Where pixel 0 of a line that is inside the picture lies. */
static inline const vq_real *vq_lines_at(const vq_lines *l, int64_t n, int64_t row)
{
  return l->room + (n * l->a->h + row) % l->count * l->a->w * l->a->ci;
}

#endif
