/* winograd_tile.h -- Winograd's transforms of one tile, WIDE channels at a time. Included once for each WIDE by winograd.c, which
 * defines WIDE and NAME(x), x with WIDE's number behind it.
 *
 * No guard: that it is included twice is the point.
 */
typedef vq_real NAME(vector) __attribute__((vector_size(WIDE * sizeof(vq_real)), aligned(sizeof(vq_real))));
#define vector NAME(vector)

/* B' d */
static inline VQ_BODY void NAME(input_line)(int m, vector *to, const vector *d, int step)
{
  if (m == 2) {
    to[0] = d[0] - d[2 * step];
    to[step] = d[step] + d[2 * step];
    to[2 * step] = d[2 * step] - d[step];
    to[3 * step] = d[3 * step] - d[step];
    return;
  }
  const vq_real a = A1, b = B1, a2 = A2, b2 = B2;
  vector d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
  vector even_a = d4 - b2 * d2, odd_a = a * (d3 - b2 * d1);
  vector even_b = d4 - a2 * d2, odd_b = b * (d3 - a2 * d1);
  to[0] = a2 * b2 * d0 - (a2 + b2) * d2 + d4;
  to[step] = even_a + odd_a;
  to[2 * step] = even_a - odd_a;
  to[3 * step] = even_b + odd_b;
  to[4 * step] = even_b - odd_b;
  to[5 * step] = a2 * b2 * d1 - (a2 + b2) * d3 + d5;
}

/* A' q; to[i * to_step], i < m */
static inline VQ_BODY void NAME(output_line)(int m, vector *to, int to_step, const vector *q, int step)
{
  if (m == 2) {
    to[0] = q[0] + q[step] + q[2 * step];
    to[to_step] = q[step] - q[2 * step] + q[3 * step];
    return;
  }
  const vq_real a = A1, b = B1, a2 = A2, b2 = B2;
  vector sum_a = q[step] + q[2 * step], off_a = a * (q[step] - q[2 * step]);
  vector sum_b = q[3 * step] + q[4 * step], off_b = b * (q[3 * step] - q[4 * step]);
  to[0] = q[0] + sum_a + sum_b;
  to[to_step] = off_a + off_b;
  to[2 * to_step] = a2 * sum_a + b2 * sum_b;
  to[3 * to_step] = a2 * off_a + b2 * off_b + q[5 * step];
}

/* `next`: the pixels of the tile after it, which are called into the cache meanwhile. A tile reads and writes tens of places at once, more
 * than a processor guesses. */
static inline VQ_BODY void NAME(see_tile)(int m, const vq_real *const *pixel, const vq_real *const *next,
                                          int64_t channels, vq_real *seen, int64_t apart)
{
  const int side = m + 2;
  for (int64_t c = 0; c < channels; c += WIDE) {
    vector d[MOST * MOST], t[MOST * MOST];
    for (int p = 0; p < side * side; p++)
      __builtin_prefetch(next[p] + c);
    for (int p = 0; p < side * side; p++)
      d[p] = *(const vector *)(pixel[p] + c);
    for (int v = 0; v < side; v++)
      NAME(input_line)(m, t + v, d + v, side);
    for (int u = 0; u < side; u++)
      NAME(input_line)(m, d + u * side, t + u * side, 1);
    for (int p = 0; p < side * side; p++)
      *(vector *)(seen + p * apart + c) = d[p];
  }
}

static inline VQ_BODY void NAME(see)(int m, const vq_real *const *pixel, const vq_real *const *next,
                                     int64_t channels, vq_real *seen, int64_t apart)
{
  if (m == 2)
    NAME(see_tile)(2, pixel, next, channels, seen, apart);
  else
    NAME(see_tile)(4, pixel, next, channels, seen, apart);
}

/* One tile's output of WIDE channels, with what the picture's edge leaves of it. The same pixels of the tile to the right are called. */
static inline VQ_BODY void NAME(write_pixels)(const vq_conv_args *a, int m, place at, int64_t o, const vector *y)
{
  int64_t half = a->halve ? 2 : 1, high = a->oh / half, wide = a->ow / half;
  int64_t row = at.row / half, column = at.column / half, n = m / half;
  for (int64_t r = 0; r < n && row + r < high; r++)
    for (int64_t q = 0; q < n && column + q < wide; q++) {
      int64_t to = ((at.n * high + row + r) * wide + column + q) * a->co + o;
      const vector *from = y + (r * m + q) * half;
      if (column + q + n < wide) {
        __builtin_prefetch(a->y + to + n * a->co, 1);
        if (a->skip)
          __builtin_prefetch(a->skip + to + n * a->co);
      }
      vector sum = half == 2 ? (from[0] + from[1]) + (from[m] + from[m + 1]) : from[0];
      if (a->bias)
        sum += *(const vector *)(a->bias + o);
      if (a->skip)
        sum += *(const vector *)(a->skip + to);
      if (a->add)
        sum += *(const vector *)(a->y + to);
      *(vector *)(a->y + to) = sum;
    }
}

static inline VQ_BODY void NAME(put_tile)(const vq_conv_args *a, int m, place at, int64_t from, int64_t columns,
                                          const vq_real *made, int64_t apart)
{
  const int side = m + 2;
  for (int64_t c = 0; c < columns; c += WIDE) {
    vector q[MOST * MOST], t[MOST * MOST], y[MOST * MOST];
    for (int p = 0; p < side * side; p++)
      q[p] = *(const vector *)(made + p * apart + c);
    for (int v = 0; v < side; v++)
      NAME(output_line)(m, t + v, side, q + v, side);
    for (int u = 0; u < m; u++)
      NAME(output_line)(m, y + u * m, 1, t + u * side, 1);
    NAME(write_pixels)(a, m, at, from + c, y);
  }
}

static inline VQ_BODY void NAME(put)(const vq_conv_args *a, int m, place at, int64_t from, int64_t columns,
                                     const vq_real *made, int64_t apart)
{
  if (m == 2)
    NAME(put_tile)(a, 2, at, from, columns, made, apart);
  else
    NAME(put_tile)(a, 4, at, from, columns, made, apart);
}

#undef vector
