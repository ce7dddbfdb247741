/* lines.c -- lines of x that are made as they are read. Contract: lines.h. */
#include "kernels/cpu/lines.h"

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

int64_t vq_lines_reals(const vq_conv_args *a, int64_t count)
{
  return count * a->w * a->ci;
}

vq_lines vq_lines_begin(const vq_conv_args *a, int64_t count, vq_real *room)
{
  vq_lines l = {.a = a, .count = count, .room = room};
  for (int64_t i = 0; i < count; i++)
    l.has[i].line = -1;
  return l;
}

static void make(const vq_lines *l, int64_t n, int64_t row, int64_t from, int64_t to)
{
  const vq_conv_args *a = l->a;
  vq_real *line = l->room + (n * a->h + row) % l->count * a->w * a->ci;
  if (from < to)
    a->read(a->source, n, row, from, to, line + from * a->ci);
}

void vq_lines_reach(vq_lines *l, int64_t n, int64_t first, int64_t last, int64_t from, int64_t to)
{
  const vq_conv_args *a = l->a;
  from = most(from, 0), to = least(to, a->w);
  for (int64_t row = most(first, 0); row < least(last, a->h) && from < to; row++) {
    int64_t line = n * a->h + row, slot = line % l->count;
    if (l->has[slot].line != line) {
      l->has[slot].line = line;
      l->has[slot].from = l->has[slot].to = from;
    }
    make(l, n, row, from, l->has[slot].from);
    make(l, n, row, l->has[slot].to, to);
    l->has[slot].from = least(l->has[slot].from, from);
    l->has[slot].to = most(l->has[slot].to, to);
  }
}
