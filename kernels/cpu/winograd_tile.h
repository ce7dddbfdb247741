/* winograd_tile.h -- Winograd's transforms of one tile, WIDE channels at a time. Included once for each WIDE by winograd.c, which
 * defines WIDE and NAME(x), x with WIDE's number behind it.
 *
 * No guard: that it is included twice is the point.
 */
typedef vq_real NAME(vector) __attribute__((vector_size(WIDE * sizeof(vq_real)), aligned(sizeof(vq_real))));
#define vector NAME(vector)

/* B' d */
static inline VQ_BODY void NAME(input_line)(int side, vector *to, const vector *d, int step)
{
  if (side == 3) {
    to[0] = d[0] + d[step];
    to[step] = d[step] - d[0];
    to[2 * step] = d[2 * step] - d[0];
    return;
  }
  if (side == 4) {
    to[0] = d[0] - d[2 * step];
    to[step] = d[step] + d[2 * step];
    to[2 * step] = d[2 * step] - d[step];
    to[3 * step] = d[3 * step] - d[step];
    return;
  }
  vector d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
  if (side == 5) {
    const vq_real c = C1, e = D1, c2 = C2, e2 = D2;
    vector odd_c = d3 - e2 * d1, even_c = c * (d2 - e2 * d0);
    vector odd_e = d3 - c2 * d1, even_e = e * (d2 - c2 * d0);
    to[0] = odd_c + even_c;
    to[step] = odd_c - even_c;
    to[2 * step] = odd_e + even_e;
    to[3 * step] = odd_e - even_e;
    to[4 * step] = c2 * e2 * d0 - (c2 + e2) * d2 + d4;
    return;
  }
  const vq_real a = A1, b = B1, a2 = A2, b2 = B2;
  vector d5 = d[5 * step];
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
static inline VQ_BODY void NAME(output_line)(int side, vector *to, int to_step, const vector *q, int step)
{
  if (side == 3) {
    to[0] = q[0] + q[step];
    to[to_step] = q[0] - q[step] + q[2 * step];
    return;
  }
  if (side == 4) {
    to[0] = q[0] + q[step] + q[2 * step];
    to[to_step] = q[step] - q[2 * step] + q[3 * step];
    return;
  }
  if (side == 5) {
    const vq_real c = C1, e = D1, c2 = C2, e2 = D2;
    vector sum_c = q[0] + q[step], off_c = c * (q[0] - q[step]);
    vector sum_e = q[2 * step] + q[3 * step], off_e = e * (q[2 * step] - q[3 * step]);
    to[0] = sum_c + sum_e;
    to[to_step] = off_c + off_e;
    to[2 * to_step] = c2 * sum_c + e2 * sum_e;
    to[3 * to_step] = c2 * off_c + e2 * off_e + q[4 * step];
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
static inline VQ_BODY void NAME(see_tile)(int side, const vq_real *const *pixel, const vq_real *const *next,
                                          int64_t channels, vq_real *seen, int64_t apart)
{
  for (int64_t c = 0; c < channels; c += WIDE) {
    vector d[MOST * MOST], t[MOST * MOST];
    for (int p = 0; p < side * side; p++)
      __builtin_prefetch(next[p] + c);
    for (int p = 0; p < side * side; p++)
      d[p] = *(const vector *)(pixel[p] + c);
    for (int v = 0; v < side; v++)
      NAME(input_line)(side, t + v, d + v, side);
    for (int u = 0; u < side; u++)
      NAME(input_line)(side, d + u * side, t + u * side, 1);
    for (int p = 0; p < side * side; p++)
      *(vector *)(seen + p * apart + c) = d[p];
  }
}

static inline VQ_BODY void NAME(see)(int side, const vq_real *const *pixel, const vq_real *const *next,
                                     int64_t channels, vq_real *seen, int64_t apart)
{
  switch (side) {
  case 3: NAME(see_tile)(3, pixel, next, channels, seen, apart); break;
  case 4: NAME(see_tile)(4, pixel, next, channels, seen, apart); break;
  case 5: NAME(see_tile)(5, pixel, next, channels, seen, apart); break;
  default: NAME(see_tile)(6, pixel, next, channels, seen, apart); break;
  }
}

/* One tile's output of WIDE channels, with what the picture's edge leaves of it. The same pixels of the tile to the right are called. */
static inline VQ_BODY void NAME(write_pixels)(const vq_conv_args *a, int m, const target *to, place at, int64_t o,
                                              const vector *y)
{
  int64_t pixel = to->step * a->co, line = to->step * to->wide * pixel;
  int64_t first = to->step * to->step * at.n * to->high * to->wide + to->row * to->step * to->wide + to->column;
  int64_t begin = first * a->co + at.row * line + at.column * pixel + o;
  for (int64_t r = 0; r < m && at.row + r < to->high; r++)
    for (int64_t q = 0; q < m && at.column + q < to->wide; q++) {
      int64_t i = begin + r * line + q * pixel;
      if (at.column + q + m < to->wide) {
        __builtin_prefetch(a->y + i + m * pixel, 1);
        if (a->skip)
          __builtin_prefetch(a->skip + i + m * pixel);
      }
      vector sum = y[r * m + q];
      if (a->bias)
        sum += *(const vector *)(a->bias + o);
      if (a->skip)
        sum += *(const vector *)(a->skip + i);
      if (to->add)
        sum += *(const vector *)(a->y + i);
      *(vector *)(a->y + i) = sum;
    }
}

static inline VQ_BODY void NAME(put_tile)(const vq_conv_args *a, int side, const target *to, place at, int64_t from,
                                          int64_t columns, const vq_real *made, int64_t apart)
{
  const int m = side > 4 ? 4 : 2;
  for (int64_t c = 0; c < columns; c += WIDE) {
    vector q[MOST * MOST], t[MOST * MOST], y[MOST * MOST];
    for (int p = 0; p < side * side; p++)
      q[p] = *(const vector *)(made + p * apart + c);
    for (int v = 0; v < side; v++)
      NAME(output_line)(side, t + v, side, q + v, side);
    for (int u = 0; u < m; u++)
      NAME(output_line)(side, y + u * m, 1, t + u * side, 1);
    NAME(write_pixels)(a, m, to, at, from + c, y);
  }
}

static inline VQ_BODY void NAME(put)(const vq_conv_args *a, int side, const target *to, place at, int64_t from,
                                     int64_t columns, const vq_real *made, int64_t apart)
{
  switch (side) {
  case 3: NAME(put_tile)(a, 3, to, at, from, columns, made, apart); break;
  case 4: NAME(put_tile)(a, 4, to, at, from, columns, made, apart); break;
  case 5: NAME(put_tile)(a, 5, to, at, from, columns, made, apart); break;
  default: NAME(put_tile)(a, 6, to, at, from, columns, made, apart); break;
  }
}

#undef vector
