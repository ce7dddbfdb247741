/* flash.cu -- attention on the tensor cores. Contract: flash.cuh.
 *
 * A block is four warps with 16 rows each. Its tiles are small (9 KiB at a width of 64), so that several blocks share a multiprocessor and
 * one computes while another waits for its copies: a second stage of tiles would cost more blocks than it gains.
 */
#include "kernels/attention/flash.cuh"

#include <type_traits>

namespace
{

#define WARPS   4
#define THREADS (WARPS * VQ_WARP)
#define ROWS    (WARPS * 16) /* of a block */

typedef vq_flash_sizes sizes;

/* A row of a tile: 16 bytes longer than its vectors, so that eight rows that are read together lie in different banks. */
template <int WIDE> constexpr int LINE = WIDE + 8;

/* Columns of scores that the way back has in hand: fewer where dk and dv take more registers. */
template <int WIDE> constexpr int BACK_COLUMNS = WIDE > 80 ? 32 : 64;

VQ_DEVICE vq_flash_place place_of(const vq_bf16 *qkv, const sizes &s)
{
  return vq_flash_here<ROWS>(qkv, s);
}

/* A tile of COUNT rows from row `first` on; zeros where the sequence or the head ends. */
template <int WIDE, int COUNT>
VQ_DEVICE void load_tile(vq_bf16 *to, const vq_bf16 *from, int64_t stride, int first, const sizes &s)
{
  for (int i = threadIdx.x; i < COUNT * (WIDE / 8); i += THREADS) {
    int r = i / (WIDE / 8), d = i % (WIDE / 8) * 8;
    bool there = first + r < s.tokens && d < s.width;
    vq_copy_async(to + r * LINE<WIDE> + d, there ? from + (first + r) * stride + d : from, there);
  }
}

/* This lane's row of four 8 x 8 matrices at (row, column) of a tile: below each other first, or beside each other first. */
template <int WIDE> VQ_DEVICE const vq_bf16 *below(const vq_bf16 *tile, int row, int column)
{
  int lane = threadIdx.x % VQ_WARP, matrix = lane / 8;
  return tile + (row + lane % 8 + matrix % 2 * 8) * LINE<WIDE> + column + matrix / 2 * 8;
}

template <int WIDE> VQ_DEVICE const vq_bf16 *beside(const vq_bf16 *tile, int row, int column)
{
  int lane = threadIdx.x % VQ_WARP, matrix = lane / 8;
  return tile + (row + lane % 8 + matrix / 2 * 8) * LINE<WIDE> + column + matrix % 2 * 8;
}

/* sum[j] = this warp's 16 rows of `rows` times rows 8j .. 8j + 7 of `others`, transposed. */
template <int WIDE, int COLUMNS>
VQ_DEVICE void scores(float (&sum)[COLUMNS / 8][4], const vq_bf16 *rows, const vq_bf16 *others)
{
#pragma unroll
  for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
    for (int e = 0; e < 4; e++)
      sum[j][e] = 0;
#pragma unroll
  for (int d = 0; d < WIDE; d += 16) {
    uint32_t a[4], b[4];
    vq_load_matrices(a, below<WIDE>(rows, threadIdx.x / VQ_WARP * 16, d));
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j += 2) {
      vq_load_matrices(b, beside<WIDE>(others, 8 * j, d));
      vq_mma_bf16(sum[j], a, b);
      vq_mma_bf16(sum[j + 1], a, b + 2);
    }
  }
}

/* sum += weight, rounded to bf16, times the tile `others`. */
template <int WIDE, int COLUMNS>
VQ_DEVICE void weighted_sum(float (&sum)[WIDE / 8][4], const float (&weight)[COLUMNS / 8][4], const vq_bf16 *others)
{
#pragma unroll
  for (int t = 0; t < COLUMNS / 8; t += 2) {
    uint32_t b[4],
        a[4] = {vq_bf16_pair(weight[t][0], weight[t][1]), vq_bf16_pair(weight[t][2], weight[t][3]),
                vq_bf16_pair(weight[t + 1][0], weight[t + 1][1]), vq_bf16_pair(weight[t + 1][2], weight[t + 1][3])};
#pragma unroll
    for (int d = 0; d < WIDE / 8; d += 2) {
      vq_load_matrices_transposed(b, below<WIDE>(others, 8 * t, 8 * d));
      vq_mma_bf16(sum[d], a, b);
      vq_mma_bf16(sum[d + 1], a, b + 2);
    }
  }
}

/* Of an accumulator's element: its row in the block, and its column. */
VQ_DEVICE int row_of(int e)
{
  return (int)threadIdx.x / VQ_WARP * 16 + (int)threadIdx.x % VQ_WARP / 4 + e / 2 * 8;
}

VQ_DEVICE int column_of(int j, int e)
{
  return 8 * j + (int)threadIdx.x % 4 * 2 + e % 2;
}

/* Puts factor (one for each row of a lane) times the sums into the rows of `to` from `first` on. */
template <int WIDE>
VQ_DEVICE void put_rows(vq_bf16 *to, int64_t stride, bool add, const float (&sum)[WIDE / 8][4],
                        const float (&factor)[2], int first, const sizes &s)
{
#pragma unroll
  for (int j = 0; j < WIDE / 8; j++)
#pragma unroll
    for (int e = 0; e < 4; e += 2) {
      int row = first + row_of(e), d = column_of(j, e);
      if (row >= s.tokens || d >= s.width)
        continue;
      vq_bf16 *at = to + row * stride + d;
      vq_pack<vq_bf16, 2> two = {};
      if (add)
        two = vq_load<2>(at);
      vq_put_gradient(&two.at[0], add, sum[j][e] * factor[e / 2]);
      vq_put_gradient(&two.at[1], add, sum[j][e + 1] * factor[e / 2]);
      vq_store(at, two);
    }
}

/* ---- forward ---- */

/* The running softmax takes a tile of scores, which become weights. In powers of two: `most` is in units of ln 2. Key 0 is seen by
 * every query, so that the maximum is finite from the first tile on; rows past the end see it too. */
template <int COLUMNS>
VQ_DEVICE void take_scores(float (&S)[COLUMNS / 8][4], float (&most)[2], float (&total)[2], float (&shrink)[2],
                           int query, int key, const sizes &s)
{
  float scale = s.scale * VQ_LOG2_E;
#pragma unroll
  for (int h = 0; h < 2; h++) {
    float largest = most[h], sum = 0;
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
      for (int e = 2 * h; e < 2 * h + 2; e++) {
        int t = key + column_of(j, e);
        bool hidden = t >= s.tokens || (s.causal && t > query + row_of(e));
        S[j][e] = hidden ? -INFINITY : S[j][e] * scale;
        largest = fmaxf(largest, S[j][e]);
      }
    largest = vq_quad_max(largest);
    shrink[h] = exp2f(most[h] - largest);
    most[h] = largest;
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
      for (int e = 2 * h; e < 2 * h + 2; e++) {
        S[j][e] = exp2f(S[j][e] - largest);
        sum += S[j][e];
      }
    total[h] = total[h] * shrink[h] + sum;
  }
}

template <int WIDE>
__global__ void __launch_bounds__(THREADS) forward_kernel(vq_bf16 *y, float *lse, const vq_bf16 *qkv, sizes s)
{
  VQ_SHARED_OF_LAUNCH(memory);
  vq_flash_place p = place_of(qkv, s);
  vq_bf16 *q = reinterpret_cast<vq_bf16 *>(memory), *k = q + ROWS * LINE<WIDE>, *v = k + ROWS * LINE<WIDE>;
  float out[WIDE / 8][4] = {}, S[ROWS / 8][4], most[2] = {-INFINITY, -INFINITY}, total[2] = {}, shrink[2];
  int end = s.causal ? min(s.tokens, p.first + ROWS) : s.tokens;
  load_tile<WIDE, ROWS>(q, p.q, s.stride, p.first, s);
  for (int key = 0; key < end; key += ROWS) {
    load_tile<WIDE, ROWS>(k, p.k, s.stride, key, s);
    vq_copy_commit();
    load_tile<WIDE, ROWS>(v, p.v, s.stride, key, s);
    vq_copy_commit();
    vq_copy_wait<1>();
    __syncthreads();
    scores<WIDE, ROWS>(S, q, k);
    take_scores<ROWS>(S, most, total, shrink, p.first, key, s);
#pragma unroll
    for (int j = 0; j < WIDE / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++)
        out[j][e] *= shrink[e / 2];
    vq_copy_wait<0>();
    __syncthreads();
    weighted_sum<WIDE, ROWS>(out, S, v);
    __syncthreads(); /* before the tiles are written again */
  }
#pragma unroll
  for (int h = 0; h < 2; h++) {
    float sum = vq_quad_sum(total[h]);
    int row = p.first + row_of(2 * h);
    if (threadIdx.x % 4 == 0 && row < s.tokens)
      lse[p.row + row] = most[h] * VQ_LN_2 + logf(sum);
    shrink[h] = 1 / sum;
  }
  put_rows<WIDE>(y + p.y, (int64_t)s.heads * s.width, false, out, shrink, p.first, s);
}

/* ---- the way back ---- */

/* dq of a tile of queries; and their sums of dy y, a warp to a row at a time. */
template <int WIDE>
__global__ void __launch_bounds__(THREADS) dq_kernel(vq_bf16 *dqkv, bool add, float *delta, const vq_bf16 *qkv,
                                                     const vq_bf16 *y, const vq_bf16 *dy, const float *lse, sizes s)
{
  constexpr int COLUMNS = BACK_COLUMNS<WIDE>;
  VQ_SHARED_OF_LAUNCH(memory);
  VQ_SHARED(float, sums, ROWS);
  vq_flash_place p = place_of(qkv, s);
  int64_t C = (int64_t)s.heads * s.width;
  vq_bf16 *q = reinterpret_cast<vq_bf16 *>(memory), *o = q + ROWS * LINE<WIDE>, *k = o + ROWS * LINE<WIDE>;
  vq_bf16 *v = k + COLUMNS * LINE<WIDE>;
  float dq[WIDE / 8][4] = {}, S[COLUMNS / 8][4], dP[COLUMNS / 8][4], of[2], from[2];
  int end = s.causal ? min(s.tokens, p.first + ROWS) : s.tokens;
  load_tile<WIDE, ROWS>(q, p.q, s.stride, p.first, s);
  load_tile<WIDE, ROWS>(o, dy + p.y, C, p.first, s);
  vq_copy_commit();
  for (int r = threadIdx.x / VQ_WARP; r < ROWS; r += WARPS) {
    float sum = 0;
    for (int d = threadIdx.x % VQ_WARP; d < s.width && p.first + r < s.tokens; d += VQ_WARP)
      sum += vq_float(dy[p.y + (p.first + r) * C + d]) * vq_float(y[p.y + (p.first + r) * C + d]);
    sum = vq_warp_sum(sum);
    if (threadIdx.x % VQ_WARP == 0) {
      sums[r] = sum;
      if (p.first + r < s.tokens)
        delta[p.row + p.first + r] = sum;
    }
  }
  __syncthreads();
#pragma unroll
  for (int h = 0; h < 2; h++) {
    int row = row_of(2 * h);
    of[h] = p.first + row < s.tokens ? lse[p.row + p.first + row] * VQ_LOG2_E : 0;
    from[h] = sums[row];
  }
  for (int key = 0; key < end; key += COLUMNS) {
    load_tile<WIDE, COLUMNS>(k, p.k, s.stride, key, s);
    load_tile<WIDE, COLUMNS>(v, p.v, s.stride, key, s);
    vq_copy_commit();
    vq_copy_wait<0>();
    __syncthreads();
    scores<WIDE, COLUMNS>(S, q, k);
    scores<WIDE, COLUMNS>(dP, o, v);
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        float P = exp2f(S[j][e] * (s.scale * VQ_LOG2_E) - of[e / 2]);
        bool sees = vq_flash_seen(s, p.first + row_of(e), key + column_of(j, e));
        S[j][e] = sees ? P * (dP[j][e] - from[e / 2]) : 0;
      }
    weighted_sum<WIDE, COLUMNS>(dq, S, k);
    __syncthreads();
  }
  of[0] = of[1] = s.scale;
  put_rows<WIDE>(dqkv + (p.q - qkv), s.stride, add, dq, of, p.first, s);
}

/* dk and dv of a tile of keys: all that dq's kernel has, transposed. */
template <int WIDE>
__global__ void __launch_bounds__(THREADS)
    dkv_kernel(vq_bf16 *dqkv, bool add, const float *delta, const vq_bf16 *qkv, const vq_bf16 *dy, const float *lse,
               sizes s)
{
  constexpr int COLUMNS = BACK_COLUMNS<WIDE>;
  VQ_SHARED_OF_LAUNCH(memory);
  VQ_SHARED(float, of, COLUMNS);
  VQ_SHARED(float, from, COLUMNS);
  vq_flash_place p = place_of(qkv, s);
  int64_t C = (int64_t)s.heads * s.width;
  vq_bf16 *k = reinterpret_cast<vq_bf16 *>(memory), *v = k + ROWS * LINE<WIDE>, *q = v + ROWS * LINE<WIDE>;
  vq_bf16 *o = q + COLUMNS * LINE<WIDE>;
  float dk[WIDE / 8][4] = {}, dv[WIDE / 8][4] = {}, P[COLUMNS / 8][4], dP[COLUMNS / 8][4], factor[2];
  load_tile<WIDE, ROWS>(k, p.k, s.stride, p.first, s);
  load_tile<WIDE, ROWS>(v, p.v, s.stride, p.first, s);
  for (int query = s.causal ? p.first : 0; query < s.tokens; query += COLUMNS) {
    load_tile<WIDE, COLUMNS>(q, p.q, s.stride, query, s);
    load_tile<WIDE, COLUMNS>(o, dy + p.y, C, query, s);
    vq_copy_commit();
    for (int t = threadIdx.x; t < COLUMNS; t += THREADS) {
      of[t] = query + t < s.tokens ? lse[p.row + query + t] * VQ_LOG2_E : 0;
      from[t] = query + t < s.tokens ? delta[p.row + query + t] : 0;
    }
    vq_copy_wait<0>();
    __syncthreads();
    scores<WIDE, COLUMNS>(P, k, q);
    scores<WIDE, COLUMNS>(dP, v, o);
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        int t = column_of(j, e);
        bool sees = vq_flash_seen(s, query + t, p.first + row_of(e));
        P[j][e] = sees ? exp2f(P[j][e] * (s.scale * VQ_LOG2_E) - of[t]) : 0;
        dP[j][e] = P[j][e] * (dP[j][e] - from[t]);
      }
    weighted_sum<WIDE, COLUMNS>(dv, P, o);
    weighted_sum<WIDE, COLUMNS>(dk, dP, q);
    __syncthreads();
  }
  factor[0] = factor[1] = s.scale;
  put_rows<WIDE>(dqkv + (p.k - qkv), s.stride, add, dk, factor, p.first, s);
  factor[0] = factor[1] = 1;
  put_rows<WIDE>(dqkv + (p.v - qkv), s.stride, add, dv, factor, p.first, s);
}

/* ---- launches ---- */

unsigned blocks_of(const vq_call *c, const sizes &s)
{
  return vq_blocks(s.tokens, ROWS) * (unsigned)(c->in[0]->dim[0] * s.heads);
}

/* f(the width of the kernel's tiles): the least that has room for a head. */
template <class F> vq_status by_width(int width, F f)
{
  return width <= 32   ? f(std::integral_constant<int, 32>())
         : width <= 64 ? f(std::integral_constant<int, 64>())
         : width <= 80 ? f(std::integral_constant<int, 80>())
                       : f(std::integral_constant<int, 128>());
}

/* Bytes of `rows` rows of tiles. */
template <int WIDE> constexpr size_t bytes_of(int rows)
{
  return (size_t)(rows * LINE<WIDE>)*sizeof(vq_bf16);
}

template <class K> vq_status ask_for_room(K kernel, size_t bytes)
{
  return bytes > (48 << 10) ? vq_cuda_status(VQ_ALLOW_SHARED(kernel, bytes), "attention") : VQ_OK;
}

} // namespace

bool vq_flash_takes(const vq_call *c)
{
  int64_t width = c->in[0]->dim[2] / 3 / c->attr->i[0];
  return c->in[0]->dtype == VQ_BF16 && width % 8 == 0 && width <= 128 && c->in[0]->dim[1] < (1 << 30);
}

vq_status vq_flash_forward(const vq_call *c)
{
  sizes s = vq_flash_sizes_of(c);
  return by_width(s.width, [&](auto wide) {
    constexpr int WIDE = decltype(wide)::value;
    size_t bytes = bytes_of<WIDE>(3 * ROWS);
    VQ_TRY(ask_for_room(forward_kernel<WIDE>, bytes));
    return vq_cuda_status(VQ_LAUNCH_SHARED(forward_kernel<WIDE>, blocks_of(c, s), THREADS, bytes, vq_stream(c),
                                           vq_values_as<vq_bf16>(c->out), vq_values(c->saved),
                                           vq_values_as<vq_bf16>(c->in[0]), s),
                          "attention");
  });
}

vq_status vq_flash_backward(const vq_call *c, float *delta)
{
  sizes s = vq_flash_sizes_of(c);
  const vq_bf16 *qkv = vq_values_as<vq_bf16>(c->in[0]), *y = vq_values_as<vq_bf16>(c->out),
                *dy = vq_grad_as<vq_bf16>(c->out);
  vq_bf16 *dqkv = vq_grad_as<vq_bf16>(c->in[0]);
  return by_width(s.width, [&](auto wide) {
    constexpr int WIDE = decltype(wide)::value;
    size_t bytes = bytes_of<WIDE>(2 * ROWS + 2 * BACK_COLUMNS<WIDE>);
    VQ_TRY(ask_for_room(dq_kernel<WIDE>, bytes));
    VQ_TRY(ask_for_room(dkv_kernel<WIDE>, bytes));
    VQ_TRY(vq_cuda_status(VQ_LAUNCH_SHARED(dq_kernel<WIDE>, blocks_of(c, s), THREADS, bytes, vq_stream(c), dqkv,
                                           vq_adds(c, 0), delta, qkv, y, dy, vq_values(c->saved), s),
                          "attention"));
    return vq_cuda_status(VQ_LAUNCH_SHARED(dkv_kernel<WIDE>, blocks_of(c, s), THREADS, bytes, vq_stream(c), dqkv,
                                           vq_adds(c, 0), delta, qkv, dy, vq_values(c->saved), s),
                          "attention");
  });
}
