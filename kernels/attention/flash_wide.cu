/* flash_wide.cu -- attention on the tensor cores for heads of 136 to 512 columns. Contract: flash.cuh.
 *
 * The sums of a row of 512 columns are more than a warp's registers hold, so they are split: four warps compute the scores of 32 rows with a
 * tile of others together, leave them in shared memory as factors of a product, and then each sums its own quarter of the columns.
 *
 * There is one such head, and 1024 tokens make 32 tiles of rows. To give 132 multiprocessors work, a sequence is walked in parts, each by a
 * block of its own, whose sums meet in memory: [parts, heads of all sequences, T, D] floats, 8 MiB at 1024 tokens and 512 columns, which
 * stay in the second-level cache. Three tiles of 32 rows are 96 KiB, what every card from 8.0 on has for a block, and two blocks
 * share a Hopper multiprocessor.
 */
#include "kernels/attention/flash.cuh"

namespace
{

#define WARPS   4
#define THREADS (WARPS * VQ_WARP)
#define ROWS    32 /* of a tile */
#define STEP    16 /* rows that the two products of dq and dk see at a time: their tiles are four */

/* Blocks that a launch should have: one for each multiprocessor of the cards that we mean. No question to the card at hand: results
 * would depend on it. */
#define MULTIPROCESSORS 132

typedef vq_flash_sizes sizes;

/* Of [parts, heads of all sequences, T] rows, those before this block's part of its head. */
VQ_DEVICE int64_t rows_before(const vq_flash_place &p, const sizes &s)
{
  int64_t heads = gridDim.x / vq_flash_tiles<ROWS>(s);
  return blockIdx.y * heads * s.tokens + p.row;
}

/* ---- tiles ---- */

/* Where 8 columns from d on of a tile's row are: rows lie without gaps, their vectors shuffled so that eight rows that are read together
 * lie in different banks. */
template <int WIDE> VQ_DEVICE int place_of(int row, int d)
{
  return row * WIDE + (d ^ (row % 8 * 8));
}

/* COUNT rows from row `first` on; zeros where the sequence or the head ends. */
template <int WIDE, int COUNT>
VQ_DEVICE void load_tile(vq_bf16 *to, const vq_bf16 *from, int64_t stride, int first, const sizes &s)
{
  for (int i = threadIdx.x; i < COUNT * (WIDE / 8); i += THREADS) {
    int r = i / (WIDE / 8), d = i % (WIDE / 8) * 8;
    bool there = first + r < s.tokens && d < s.width;
    vq_copy_async(to + place_of<WIDE>(r, d), there ? from + (first + r) * stride + d : from, there);
  }
}

/* sum = 16 rows times 16 others, transposed: this warp's. Every other step has sums of its own, so that no product waits for the last one. */
template <int WIDE>
VQ_DEVICE void scores(float (&sum)[2][4], const vq_bf16 *rows, int row, const vq_bf16 *others, int other)
{
  int lane = threadIdx.x % VQ_WARP, r = lane % 8, matrix = lane / 8;
  float odd[2][4] = {};
#pragma unroll
  for (int j = 0; j < 2; j++)
#pragma unroll
    for (int e = 0; e < 4; e++)
      sum[j][e] = 0;
#pragma unroll 4
  for (int d = 0; d < WIDE; d += 32) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      uint32_t a[4], b[4];
      vq_load_matrices(a, rows + place_of<WIDE>(row + r + matrix % 2 * 8, d + half * 16 + matrix / 2 * 8));
      vq_load_matrices(b, others + place_of<WIDE>(other + r + matrix / 2 * 8, d + half * 16 + matrix % 2 * 8));
      vq_mma_bf16(half ? odd[0] : sum[0], a, b);
      vq_mma_bf16(half ? odd[1] : sum[1], a, b + 2);
    }
  }
#pragma unroll
  for (int j = 0; j < 2; j++)
#pragma unroll
    for (int e = 0; e < 4; e++)
      sum[j][e] += odd[j][e];
}

/* A lane's element of scores: its row and column among the warp's 16. */
VQ_DEVICE int row_of(int e)
{
  return (int)threadIdx.x % VQ_WARP / 4 + e / 2 * 8;
}

VQ_DEVICE int column_of(int j, int e)
{
  return 8 * j + (int)threadIdx.x % 4 * 2 + e % 2;
}

/* Scores of 16 rows with 16 others become weights: a factor of the next product, for whoever has the same lane. */
VQ_DEVICE void leave(uint32_t *weights, const float (&S)[2][4])
{
  vq_pack<uint32_t, 4> four = {vq_bf16_pair(S[0][0], S[0][1]), vq_bf16_pair(S[0][2], S[0][3]),
                               vq_bf16_pair(S[1][0], S[1][1]), vq_bf16_pair(S[1][2], S[1][3])};
  vq_store(weights + threadIdx.x % VQ_WARP * 4, four);
}

/* A warp's columns of the sums of a tile of rows. */
template <int WIDE> struct sums {
  static constexpr int COLUMNS = WIDE / WARPS;
  float at[ROWS / 16][COLUMNS / 8][4];

  VQ_DEVICE void clear()
  {
#pragma unroll
    for (int g = 0; g < ROWS / 16; g++)
#pragma unroll
      for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++)
          at[g][j][e] = 0;
  }

  /* factor: for each of the rows */
  VQ_DEVICE void scale(const float *factor)
  {
#pragma unroll
    for (int g = 0; g < ROWS / 16; g++)
#pragma unroll
      for (int e = 0; e < 4; e += 2) {
        float f = factor[g * 16 + row_of(e)];
#pragma unroll
        for (int j = 0; j < COLUMNS / 8; j++) {
          at[g][j][e] *= f;
          at[g][j][e + 1] *= f;
        }
      }
  }

  /* += the weights of each 16 rows, `apart` words from one to the next, times 16 values from row `value` of their tile on */
  VQ_DEVICE void add(const uint32_t *weights, int apart, const vq_bf16 *values, int value)
  {
    int lane = threadIdx.x % VQ_WARP, d = threadIdx.x / VQ_WARP * COLUMNS;
    uint32_t a[ROWS / 16][4], b[4];
#pragma unroll
    for (int g = 0; g < ROWS / 16; g++) {
      vq_pack<uint32_t, 4> four = vq_load<4>(weights + g * apart + lane * 4);
#pragma unroll
      for (int i = 0; i < 4; i++)
        a[g][i] = four.at[i];
    }
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j += 2) {
      vq_load_matrices_transposed(b, values + place_of<WIDE>(value + lane % 16, d + 8 * j + lane / 16 * 8));
#pragma unroll
      for (int g = 0; g < ROWS / 16; g++) {
        vq_mma_bf16(at[g][j], a[g], b);
        vq_mma_bf16(at[g][j + 1], a[g], b + 2);
      }
    }
  }

  /* To this part's place. */
  VQ_DEVICE void put(float *partial, const vq_flash_place &p, const sizes &s) const
  {
    int64_t before = rows_before(p, s);
    int d = threadIdx.x / VQ_WARP * COLUMNS;
#pragma unroll
    for (int g = 0; g < ROWS / 16; g++)
#pragma unroll
      for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e += 2) {
          int row = p.first + g * 16 + row_of(e), column = d + column_of(j, e);
          if (row < s.tokens && column < s.width)
            vq_store(partial + (before + row) * s.width + column, vq_pack<float, 2>{at[g][j][e], at[g][j][e + 1]});
        }
  }
};

/* Which others this block sees: [first, end), its part of those that its rows see, in steps. */
struct span {
  int first, end;
};

template <bool KEYS, int EACH> VQ_DEVICE span span_of(int first, const sizes &s)
{
  int from = s.causal && KEYS ? first : 0, to = s.causal && !KEYS ? min(s.tokens, first + ROWS) : s.tokens;
  int steps = (to - from + EACH - 1) / EACH, parts = (int)gridDim.y, mine = (steps + parts - 1) / parts * EACH;
  span it;
  it.first = min(to, from + (int)blockIdx.y * mine);
  it.end = min(to, it.first + mine);
  return it;
}

/* ---- forward, and dv: both are weights of one product times values ---- */

struct values_room {
  uint32_t weights[ROWS / 16][ROWS / 16][VQ_WARP * 4]; /* of rows, of others */
  float most[ROWS / 16][ROWS], shrink[ROWS];
};

/* The running softmax of a tile of scores, of which this warp has 16 rows, from row `row` on, and 16 of the keys. In powers of two: `most` is in
 * units of ln 2. -INFINITY, as long as a row has seen no key: then it has no weights. */
VQ_DEVICE void take_scores(float (&S)[2][4], float (&most)[2], float (&total)[2], values_room *r, int row,
                           int query, int key, const sizes &s)
{
  int keys = threadIdx.x / VQ_WARP / 2;
  float scale = s.scale * VQ_LOG2_E;
#pragma unroll
  for (int h = 0; h < 2; h++) {
    float largest = -INFINITY;
#pragma unroll
    for (int j = 0; j < 2; j++)
#pragma unroll
      for (int e = 2 * h; e < 2 * h + 2; e++) {
        int t = key + column_of(j, e);
        bool hidden = t >= s.tokens || (s.causal && t > query + row_of(e));
        S[j][e] = hidden ? -INFINITY : S[j][e] * scale;
        largest = fmaxf(largest, S[j][e]);
      }
    largest = vq_quad_max(largest);
    if (threadIdx.x % 4 == 0)
      r->most[keys][row + row_of(2 * h)] = largest;
  }
  __syncthreads();
#pragma unroll
  for (int h = 0; h < 2; h++) {
    int at = row + row_of(2 * h);
    float largest = fmaxf(most[h], fmaxf(r->most[0][at], r->most[1][at])), sum = 0;
    float base = largest == -INFINITY ? 0 : largest, shrink = exp2f(most[h] - base);
    most[h] = largest;
#pragma unroll
    for (int j = 0; j < 2; j++)
#pragma unroll
      for (int e = 2 * h; e < 2 * h + 2; e++) {
        S[j][e] = exp2f(S[j][e] - base);
        sum += S[j][e];
      }
    total[h] = total[h] * shrink + sum;
    if (keys == 0 && threadIdx.x % 4 == 0)
      r->shrink[at] = shrink;
  }
}

/* What the parts' sums are worth: each row's maximum and total. */
VQ_DEVICE void put_totals(float *totals, const float (&most)[2], const float (&total)[2], values_room *r, int row,
                          const vq_flash_place &p, const sizes &s)
{
  int keys = threadIdx.x / VQ_WARP / 2;
#pragma unroll
  for (int h = 0; h < 2; h++) {
    float sum = vq_quad_sum(total[h]);
    if (threadIdx.x % 4 == 0)
      r->most[keys][row + row_of(2 * h)] = sum;
  }
  __syncthreads();
  int64_t before = rows_before(p, s);
#pragma unroll
  for (int h = 0; h < 2; h++) {
    int at = row + row_of(2 * h);
    if (keys == 0 && threadIdx.x % 4 == 0 && p.first + at < s.tokens)
      vq_store(totals + (before + p.first + at) * 2, vq_pack<float, 2>{most[h], r->most[0][at] + r->most[1][at]});
  }
}

/* The weights of a tile of keys (rows) for queries (columns), whose sums are known. */
VQ_DEVICE void weights_of(float (&S)[2][4], const float *lse, int key, int query, const sizes &s)
{
#pragma unroll
  for (int j = 0; j < 2; j++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int t = query + column_of(j, e);
      S[j][e] = vq_flash_seen(s, t, key + row_of(e)) ? exp2f((S[j][e] * s.scale - lse[t]) * VQ_LOG2_E) : 0;
    }
}

/* Forward: rows are queries, and lse is not read. DV: rows are keys, others queries, values dy, and totals are not written. The values of a
 * tile come while its scores are computed, and the next tile's others while its values are summed. */
template <int WIDE, bool DV>
__global__ void __launch_bounds__(THREADS, 2)
    values_kernel(float *partial, float *totals, const vq_bf16 *qkv, const vq_bf16 *dy, const float *lse, sizes s)
{
  VQ_SHARED_OF_LAUNCH(memory);
  vq_bf16 *rows = reinterpret_cast<vq_bf16 *>(memory), *others = rows + ROWS * WIDE, *values = others + ROWS * WIDE;
  values_room *r = reinterpret_cast<values_room *>(values + ROWS * WIDE);
  vq_flash_place p = vq_flash_here<ROWS>(qkv, s);
  span mine = span_of<DV, ROWS>(p.first, s);
  int warp = threadIdx.x / VQ_WARP, row = warp % 2 * 16, other = warp / 2 * 16;
  const vq_bf16 *of_others = DV ? p.q : p.k, *of_values = DV ? dy + p.y : p.v;
  int64_t apart = DV ? (int64_t)s.heads * s.width : s.stride;
  float S[2][4], most[2] = {-INFINITY, -INFINITY}, total[2] = {};
  sums<WIDE> out;
  out.clear();
  load_tile<WIDE, ROWS>(rows, DV ? p.k : p.q, s.stride, p.first, s);
  load_tile<WIDE, ROWS>(others, of_others, s.stride, mine.first, s);
  vq_copy_commit();
  load_tile<WIDE, ROWS>(values, of_values, apart, mine.first, s);
  vq_copy_commit();
  for (int t = mine.first; t < mine.end; t += ROWS) {
    vq_copy_wait<1>();
    __syncthreads();
    scores<WIDE>(S, rows, row, others, other);
    if (DV) {
      weights_of(S, lse + p.row, p.first + row, t + other, s);
      __syncthreads(); /* before the others are written again, as take_scores has it */
    } else
      take_scores(S, most, total, r, row, p.first + row, t + other, s);
    if (t + ROWS < mine.end)
      load_tile<WIDE, ROWS>(others, of_others, s.stride, t + ROWS, s);
    vq_copy_commit();
    leave(r->weights[row / 16][other / 16], S);
    vq_copy_wait<1>();
    __syncthreads();
    if (!DV)
      out.scale(r->shrink);
    for (int step = 0; step < ROWS / 16; step++)
      out.add(r->weights[0][step], ROWS / 16 * VQ_WARP * 4, values, step * 16);
    __syncthreads();
    if (t + ROWS < mine.end)
      load_tile<WIDE, ROWS>(values, of_values, apart, t + ROWS, s);
    vq_copy_commit();
  }
  out.put(partial, p, s);
  if (!DV)
    put_totals(totals, most, total, r, row, p, s);
}

/* ---- dq and dk: two products of the same tiles make the weights ---- */

struct slopes_room {
  float dP[ROWS / 16][2][VQ_WARP * 4]; /* as a lane has them */
  uint32_t weights[ROWS / 16][VQ_WARP * 4];
};

/* S becomes dS, from row `row` and other `other` on. */
template <bool KEYS>
VQ_DEVICE void slopes_of(float (&S)[2][4], const float (&dP)[2][VQ_WARP * 4], const float *lse, const float *delta,
                         int row, int other, const sizes &s)
{
#pragma unroll
  for (int j = 0; j < 2; j++) {
    vq_pack<float, 4> four = vq_load<4>(dP[j] + threadIdx.x % VQ_WARP * 4);
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int at = row + row_of(e), o = other + column_of(j, e), query = KEYS ? o : at;
      bool sees = vq_flash_seen(s, query, KEYS ? at : o);
      float P = sees ? exp2f((S[j][e] * s.scale - lse[query]) * VQ_LOG2_E) : 0;
      S[j][e] = sees ? P * (four.at[e] - delta[query]) : 0;
    }
  }
}

/* dq: rows are queries, with q and dy, and others keys, with k and v. KEYS, dk: the other way round. Two warps compute S, two dP, which they
 * give to the first. */
template <int WIDE, bool KEYS>
__global__ void __launch_bounds__(THREADS, 2) slopes_kernel(float *partial, const vq_bf16 *qkv, const vq_bf16 *dy,
                                                            const float *lse, const float *delta, sizes s)
{
  VQ_SHARED_OF_LAUNCH(memory);
  vq_flash_place p = vq_flash_here<ROWS>(qkv, s);
  span mine = span_of<KEYS, STEP>(p.first, s);
  int64_t C = (int64_t)s.heads * s.width;
  int64_t apart_of_rows = KEYS ? s.stride : C, apart_of_others = KEYS ? C : s.stride; /* of v and dy */
  const vq_bf16 *to_see = KEYS ? p.q : p.k, *to_meet = KEYS ? dy + p.y : p.v;         /* the others' */
  vq_bf16 *rows = reinterpret_cast<vq_bf16 *>(memory), *others = rows + 2 * ROWS * WIDE;
  slopes_room *r = reinterpret_cast<slopes_room *>(others + 2 * STEP * WIDE);
  int lane = threadIdx.x % VQ_WARP, group = threadIdx.x / VQ_WARP % 2, second = threadIdx.x / VQ_WARP / 2;
  float S[2][4];
  sums<WIDE> out;
  out.clear();
  load_tile<WIDE, ROWS>(rows, KEYS ? p.k : p.q, s.stride, p.first, s);
  load_tile<WIDE, ROWS>(rows + ROWS * WIDE, KEYS ? p.v : dy + p.y, apart_of_rows, p.first, s);
  load_tile<WIDE, STEP>(others, to_see, s.stride, mine.first, s);
  load_tile<WIDE, STEP>(others + STEP * WIDE, to_meet, apart_of_others, mine.first, s);
  vq_copy_commit();
  for (int t = mine.first; t < mine.end; t += STEP) {
    vq_copy_wait<0>();
    __syncthreads();
    scores<WIDE>(S, rows + second * ROWS * WIDE, group * 16, others + second * STEP * WIDE, 0);
    if (second)
      for (int j = 0; j < 2; j++)
        vq_store(r->dP[group][j] + lane * 4, vq_pack<float, 4>{S[j][0], S[j][1], S[j][2], S[j][3]});
    __syncthreads();
    if (t + STEP < mine.end)
      load_tile<WIDE, STEP>(others + STEP * WIDE, to_meet, apart_of_others, t + STEP, s);
    if (!second) {
      slopes_of<KEYS>(S, r->dP[group], lse + p.row, delta + p.row, p.first + group * 16, t, s);
      leave(r->weights[group], S);
    }
    __syncthreads();
    out.add(r->weights[0], VQ_WARP * 4, others, 0);
    __syncthreads();
    if (t + STEP < mine.end)
      load_tile<WIDE, STEP>(others, to_see, s.stride, t + STEP, s);
    vq_copy_commit();
  }
  out.put(partial, p, s);
}

/* ---- what the parts have left ---- */

/* Four columns of a row, a thread: which row of all heads, and its place in the sequences. */
struct four_columns {
  int64_t row, b, token; /* row: of [heads of all sequences, T] */
  int head, d;
};

VQ_DEVICE four_columns four_columns_at(int64_t i, const sizes &s)
{
  int64_t row = i / (s.width / 4), head = row / s.tokens;
  return {row, head / s.heads, row % s.tokens, (int)(head % s.heads), (int)(i % (s.width / 4)) * 4};
}

__global__ void outputs_kernel(vq_bf16 *y, float *lse, const float *partial, const float *totals, int parts,
                               int64_t rows, sizes s)
{
  int64_t count = rows * (s.width / 4);
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count()) {
    four_columns at = four_columns_at(i, s);
    float most = -INFINITY, total = 0, sum[4] = {};
    for (int part = 0; part < parts; part++)
      most = fmaxf(most, totals[(part * rows + at.row) * 2]);
    for (int part = 0; part < parts; part++) {
      vq_pack<float, 2> of = vq_load<2>(totals + (part * rows + at.row) * 2);
      vq_pack<float, 4> values = vq_load<4>(partial + (part * rows + at.row) * s.width + at.d);
      float shrink = exp2f(of.at[0] - most); /* 0 of a part that has seen no key */
      total += of.at[1] * shrink;
      for (int j = 0; j < 4; j++)
        sum[j] += values.at[j] * shrink;
    }
    vq_pack<vq_bf16, 4> out;
    for (int j = 0; j < 4; j++)
      out.at[j] = vq_round<vq_bf16>(sum[j] / total);
    vq_store(y + ((at.b * s.tokens + at.token) * s.heads + at.head) * s.width + at.d, out);
    if (at.d == 0)
      lse[at.row] = most * VQ_LN_2 + logf(total);
  }
}

/* to: the head's first dq, dk or dv of the first token */
__global__ void sum_parts_kernel(vq_bf16 *to, bool add, float factor, const float *partial, int parts, int64_t rows,
                                 sizes s)
{
  int64_t count = rows * (s.width / 4);
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count()) {
    four_columns at = four_columns_at(i, s);
    float sum[4] = {};
    for (int part = 0; part < parts; part++) {
      vq_pack<float, 4> values = vq_load<4>(partial + (part * rows + at.row) * s.width + at.d);
      for (int j = 0; j < 4; j++)
        sum[j] += values.at[j];
    }
    vq_bf16 *out = to + (at.b * s.tokens + at.token) * s.stride + at.head * s.width + at.d;
    vq_pack<vq_bf16, 4> four = {};
    if (add)
      four = vq_load<4>(out);
    for (int j = 0; j < 4; j++)
      vq_put_gradient(&four.at[j], add, sum[j] * factor);
    vq_store(out, four);
  }
}

/* The sums of dy y, a warp to a row. */
__global__ void delta_kernel(float *delta, const vq_bf16 *y, const vq_bf16 *dy, int64_t rows, sizes s)
{
  for (int64_t row = vq_thread() / VQ_WARP; row < rows; row += vq_thread_count() / VQ_WARP) {
    int64_t head = row / s.tokens, token = head / s.heads * s.tokens + row % s.tokens;
    int64_t at = (token * s.heads + head % s.heads) * s.width;
    float sum = 0;
    for (int d = threadIdx.x % VQ_WARP; d < s.width; d += VQ_WARP)
      sum += vq_float(dy[at + d]) * vq_float(y[at + d]);
    sum = vq_warp_sum(sum);
    if (threadIdx.x % VQ_WARP == 0)
      delta[row] = sum;
  }
}

/* ---- launches ---- */

/* Rows of all heads, the parts of each sequence, and where in the scratch is what. */
struct plan {
  sizes s;
  int heads, tiles, parts; /* heads: of all sequences */
  int64_t rows;
  size_t partial; /* floats of [parts, rows, width]; totals [parts, rows, 2] or delta [rows] stand behind them */
};

static_assert(3 * ROWS * 512 * sizeof(vq_bf16) + sizeof(values_room) <= 99 << 10, "more than a block may have");
static_assert(3 * ROWS * 512 * sizeof(vq_bf16) + sizeof(slopes_room) <= 99 << 10, "more than a block may have");

plan plan_of(const vq_call *c)
{
  plan p;
  p.s = vq_flash_sizes_of(c);
  p.heads = (int)c->in[0]->dim[0] * p.s.heads;
  p.tiles = (p.s.tokens + ROWS - 1) / ROWS;
  p.rows = (int64_t)p.heads * p.s.tokens;
  int64_t parts =
      MULTIPROCESSORS / (p.tiles * vq_whole_rows(c, p.heads)); /* of a batch, whatever of it comes at once */
  p.parts = (int)(parts < 1 ? 1 : parts < p.tiles ? parts : p.tiles);
  p.partial = (size_t)(p.parts * p.rows * p.s.width);
  return p;
}

/* A kernel of a plan's blocks, with tiles of 96 rows and, behind them, `more` bytes. */
template <int WIDE, class K, class... A>
vq_status launch(const vq_call *c, const plan &p, K kernel, size_t more, A... arguments)
{
  size_t bytes = 3 * ROWS * WIDE * sizeof(vq_bf16) + more;
  VQ_TRY(vq_cuda_status(VQ_ALLOW_SHARED(kernel, bytes), "attention"));
  dim3 blocks((unsigned)p.tiles * (unsigned)p.heads, (unsigned)p.parts);
  return vq_cuda_status(VQ_LAUNCH_SHARED(kernel, blocks, THREADS, bytes, vq_stream(c), arguments...), "attention");
}

template <int WIDE> vq_status forward(const vq_call *c, const plan &p, float *partial)
{
  const vq_bf16 *qkv = vq_values_as<vq_bf16>(c->in[0]);
  float *totals = partial + p.partial;
  VQ_TRY((launch<WIDE>(c, p, values_kernel<WIDE, false>, sizeof(values_room), partial, totals, qkv,
                       (const vq_bf16 *)NULL, (const float *)NULL, p.s)));
  return vq_cuda_status(VQ_LAUNCH(outputs_kernel, vq_blocks(p.rows * (p.s.width / 4), THREADS), THREADS,
                                  vq_stream(c), vq_values_as<vq_bf16>(c->out), vq_values(c->saved), partial, totals,
                                  p.parts, p.rows, p.s),
                        "attention");
}

/* From what is left in `partial` to dq, dk or dv, which begin at column `first`. */
vq_status sum_parts(const vq_call *c, const plan &p, int64_t first, float factor, const float *partial)
{
  return vq_cuda_status(VQ_LAUNCH(sum_parts_kernel, vq_blocks(p.rows * (p.s.width / 4), THREADS), THREADS,
                                  vq_stream(c), vq_grad_as<vq_bf16>(c->in[0]) + first, vq_adds(c, 0), factor,
                                  partial, p.parts, p.rows, p.s),
                        "attention");
}

template <int WIDE> vq_status backward(const vq_call *c, const plan &p, float *partial)
{
  const vq_bf16 *qkv = vq_values_as<vq_bf16>(c->in[0]), *dy = vq_grad_as<vq_bf16>(c->out);
  const float *lse = vq_values(c->saved);
  float *delta = partial + p.partial;
  int64_t C = (int64_t)p.s.heads * p.s.width;
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(delta_kernel, vq_blocks(p.rows * VQ_WARP, THREADS), THREADS, vq_stream(c), delta,
                                  vq_values_as<vq_bf16>(c->out), dy, p.rows, p.s),
                        "attention"));
  VQ_TRY((launch<WIDE>(c, p, slopes_kernel<WIDE, false>, sizeof(slopes_room), partial, qkv, dy, lse, delta, p.s)));
  VQ_TRY(sum_parts(c, p, 0, p.s.scale, partial));
  VQ_TRY((launch<WIDE>(c, p, slopes_kernel<WIDE, true>, sizeof(slopes_room), partial, qkv, dy, lse, delta, p.s)));
  VQ_TRY(sum_parts(c, p, C, p.s.scale, partial));
  VQ_TRY((launch<WIDE>(c, p, values_kernel<WIDE, true>, sizeof(values_room), partial, (float *)NULL, qkv, dy, lse,
                       p.s)));
  return sum_parts(c, p, 2 * C, 1, partial);
}

} // namespace

bool vq_flash_takes_wide(const vq_call *c)
{
  int64_t width = c->in[0]->dim[2] / 3 / c->attr->i[0];
  return c->in[0]->dtype == VQ_BF16 && width % 8 == 0 && width > 128 && width <= 512 &&
         c->in[0]->dim[1] < (1 << 30);
}

size_t vq_flash_wide_scratch(const vq_call *c, bool backward)
{
  plan p = plan_of(c);
  return (p.partial + (size_t)(backward ? p.rows : p.parts * p.rows * 2)) * sizeof(float);
}

vq_status vq_flash_wide_forward(const vq_call *c, void *scratch)
{
  plan p = plan_of(c);
  float *partial = static_cast<float *>(scratch);
  return p.s.width <= 256 ? forward<256>(c, p, partial) : forward<512>(c, p, partial);
}

vq_status vq_flash_wide_backward(const vq_call *c, void *scratch)
{
  plan p = plan_of(c);
  float *partial = static_cast<float *>(scratch);
  return p.s.width <= 256 ? backward<256>(c, p, partial) : backward<512>(c, p, partial);
}
