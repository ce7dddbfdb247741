/* attention.cu -- attention on CUDA. Contract: attention.h.
 *
 * A block has a few query rows of one head, or in the way back a few keys too, and all of its sequence's scores for them in shared memory:
 * no n x n matrix, a whole softmax at once, any head width and type. k and v come from the second-level cache, once a block. Heads of
 * bf16 of a multiple of 8 columns, up to 512, go to the tensor cores instead: flash.cuh.
 */
#include "kernels/attention/flash.cuh"
#include "kernels/cuda/reduce.cuh"

namespace
{

#define THREADS   128 /* of a block; at 4 blocks of a multiprocessor a thread has the registers that it wants */
#define MOST_ROWS 8   /* of a block */
#define ROOM      (48 << 10) /* bytes of shared memory that a block has at most, unless one row needs more */

/* A head's q, k, v and y, by rows of the sequence; lse and delta [B,heads,T]. */
struct sizes {
  int64_t tokens, heads, width, stride; /* of a head; 3C */
  int rows;                             /* of a block */
  bool causal;
  float scale;
};

/* Floats of shared memory of a block with that many rows: two of scores for each token, and two rows of vectors. */
int64_t floats_of(int64_t tokens, int64_t width, int rows)
{
  return rows * (2 * tokens + 2 * width);
}

sizes sizes_of(const vq_call *c)
{
  const vq_tensor *qkv = c->in[0];
  sizes s = {
      qkv->dim[1], c->attr->i[0], qkv->dim[2] / 3 / c->attr->i[0], qkv->dim[2], MOST_ROWS, c->attr->i[1] != 0, 0};
  s.scale = (float)(1 / sqrt((double)s.width));
  while (s.rows > 1 && floats_of(s.tokens, s.width, s.rows) * 4 > ROOM)
    s.rows /= 2;
  return s;
}

/* Of this block: its head's first elements, its first row and how many it has. The blocks of all heads are in a grid's x, which is where
 * there may be more than 65535; those of a head are neighbours. */
template <class T> struct place {
  const T *q, *k, *v;
  int64_t y, row; /* elements of y and dy before the head's; of lse before the head's */
  int first, rows;
};

template <class T> VQ_DEVICE place<T> place_of(const T *qkv, const sizes &s)
{
  place<T> p;
  int64_t blocks = (s.tokens + s.rows - 1) / s.rows, line = blockIdx.x / blocks; /* which head of all sequences */
  int64_t head = line % s.heads, b = line / s.heads, C = s.heads * s.width;
  p.q = qkv + b * s.tokens * s.stride + head * s.width;
  p.k = p.q + C;
  p.v = p.k + C;
  p.y = b * s.tokens * C + head * s.width;
  p.row = line * s.tokens;
  p.first = (int)(blockIdx.x % blocks) * s.rows;
  p.rows = (int)min((int64_t)s.rows, s.tokens - p.first);
  return p;
}

/* to[r][d] = from[first + r][d], of a block's rows. */
template <class T>
VQ_DEVICE void load_rows(float *to, const T *from, int64_t stride, int first, int rows, int width)
{
  for (int i = threadIdx.x; i < rows * width; i += THREADS)
    to[i] = vq_float(from[(int64_t)(first + i / width) * stride + i % width]);
}

/* sum[r] = the product of the row `x` with each of the block's rows, and, with `y`, those of y with others: a thread has one row of x. */
template <class T>
VQ_DEVICE void products(float (&sum)[MOST_ROWS], const T *x, const float *rows, int count, int width)
{
  for (int r = 0; r < MOST_ROWS; r++)
    sum[r] = 0;
  for (int d = 0; d < width; d++) {
    float value = vq_float(x[d]);
#pragma unroll
    for (int r = 0; r < MOST_ROWS; r++)
      if (r < count)
        sum[r] += value * rows[r * width + d];
  }
}

/* out[r][d] = factor times the sum over t of weight[r][t] x[t][d], a thread to each d. */
template <class T, class P>
VQ_DEVICE void weighted_sums(const float *weight, const T *x, int64_t stride, int rows, const sizes &s, P put)
{
  for (int d = threadIdx.x; d < s.width; d += THREADS) {
    float sum[MOST_ROWS] = {};
    for (int64_t t = 0; t < s.tokens; t++) {
      float value = vq_float(x[t * stride + d]);
#pragma unroll
      for (int r = 0; r < MOST_ROWS; r++)
        if (r < rows)
          sum[r] += weight[r * s.tokens + t] * value;
    }
#pragma unroll
    for (int r = 0; r < MOST_ROWS; r++)
      if (r < rows)
        put(r, d, sum[r]);
  }
}

VQ_DEVICE bool seen(const sizes &s, int64_t query, int64_t key)
{
  return !s.causal || key <= query;
}

/* ---- forward ---- */

template <class T>
__global__ void __launch_bounds__(THREADS, 4) forward_kernel(T *y, float *lse, const T *qkv, sizes s)
{
  VQ_SHARED(float, room, THREADS / VQ_WARP);
  VQ_SHARED_OF_LAUNCH(memory);
  place<T> p = place_of(qkv, s);
  int width = (int)s.width;
  float *q = reinterpret_cast<float *>(memory), *P = q + s.rows * width;
  load_rows(q, p.q, s.stride, p.first, p.rows, width);
  __syncthreads();
  for (int64_t t = threadIdx.x; t < s.tokens; t += THREADS) {
    float sum[MOST_ROWS];
    products(sum, p.k + t * s.stride, q, p.rows, width);
#pragma unroll
    for (int r = 0; r < MOST_ROWS; r++)
      if (r < p.rows)
        P[r * s.tokens + t] = seen(s, p.first + r, t) ? sum[r] * s.scale : -INFINITY;
  }
  for (int r = 0; r < p.rows; r++) { /* each thread reads what it has written */
    float largest = -INFINITY, sum = 0, *row = P + r * s.tokens;
    for (int64_t t = threadIdx.x; t < s.tokens; t += THREADS)
      largest = fmaxf(largest, row[t]);
    largest = vq_block_max<THREADS>(largest, room);
    for (int64_t t = threadIdx.x; t < s.tokens; t += THREADS)
      sum += expf(row[t] - largest);
    sum = vq_block_sum<THREADS>(sum, room);
    for (int64_t t = threadIdx.x; t < s.tokens; t += THREADS)
      row[t] = expf(row[t] - largest) / sum;
    if (threadIdx.x == 0)
      lse[p.row + p.first + r] = largest + logf(sum);
  }
  __syncthreads();
  T *out = y + p.y;
  int64_t C = s.heads * s.width;
  weighted_sums(P, p.v, s.stride, p.rows, s,
                [&](int r, int d, float value) { out[(p.first + r) * C + d] = vq_round<T>(value); });
}

/* ---- the way back ---- */

/* dq of a block's queries: dS = P (dP - delta), dq = dS k scale. delta, the row's sum of P dP, equals that of dy y, but y has been rounded. It
 * is left for the keys' kernel. */
template <class T>
__global__ void __launch_bounds__(THREADS, 4)
    dq_kernel(T *dqkv, bool add, float *delta, const T *qkv, const T *dy, const float *lse, sizes s)
{
  VQ_SHARED(float, room, THREADS / VQ_WARP);
  VQ_SHARED_OF_LAUNCH(memory);
  place<T> p = place_of(qkv, s);
  int width = (int)s.width;
  int64_t C = s.heads * s.width;
  float *q = reinterpret_cast<float *>(memory), *d_out = q + s.rows * width, *P = d_out + s.rows * width,
        *dS = P + s.rows * s.tokens;
  load_rows(q, p.q, s.stride, p.first, p.rows, width);
  load_rows(d_out, dy + p.y, C, p.first, p.rows, width);
  __syncthreads();
  for (int64_t t = threadIdx.x; t < s.tokens; t += THREADS) {
    float S[MOST_ROWS], dP[MOST_ROWS];
    products(S, p.k + t * s.stride, q, p.rows, width);
    products(dP, p.v + t * s.stride, d_out, p.rows, width);
#pragma unroll
    for (int r = 0; r < MOST_ROWS; r++)
      if (r < p.rows) {
        P[r * s.tokens + t] = seen(s, p.first + r, t) ? expf(S[r] * s.scale - lse[p.row + p.first + r]) : 0;
        dS[r * s.tokens + t] = dP[r];
      }
  }
  for (int r = 0; r < p.rows; r++) { /* each thread reads what it has written */
    float sum = 0, *weight = P + r * s.tokens, *slope = dS + r * s.tokens;
    for (int64_t t = threadIdx.x; t < s.tokens; t += THREADS)
      sum += weight[t] * slope[t];
    sum = vq_block_sum<THREADS>(sum, room);
    for (int64_t t = threadIdx.x; t < s.tokens; t += THREADS)
      slope[t] = weight[t] * (slope[t] - sum) * s.scale;
    if (threadIdx.x == 0)
      delta[p.row + p.first + r] = sum;
  }
  __syncthreads();
  T *dq = dqkv + (p.q - qkv);
  weighted_sums(dS, p.k, s.stride, p.rows, s,
                [&](int r, int d, float value) { vq_put_gradient(dq + (p.first + r) * s.stride + d, add, value); });
}

/* dk and dv of a block's keys: dk = dS^T q scale, dv = P^T dy. */
template <class T>
__global__ void __launch_bounds__(THREADS, 4)
    dkv_kernel(T *dqkv, bool add, const T *qkv, const T *dy, const float *lse, const float *delta, sizes s)
{
  VQ_SHARED_OF_LAUNCH(memory);
  place<T> p = place_of(qkv, s);
  int width = (int)s.width;
  int64_t C = s.heads * s.width;
  float *k = reinterpret_cast<float *>(memory), *v = k + s.rows * width, *P = v + s.rows * width,
        *dS = P + s.rows * s.tokens;
  load_rows(k, p.k, s.stride, p.first, p.rows, width);
  load_rows(v, p.v, s.stride, p.first, p.rows, width);
  __syncthreads();
  for (int64_t t = threadIdx.x; t < s.tokens; t += THREADS) {
    float S[MOST_ROWS], dP[MOST_ROWS];
    products(S, p.q + t * s.stride, k, p.rows, width);
    products(dP, dy + p.y + t * C, v, p.rows, width);
#pragma unroll
    for (int r = 0; r < MOST_ROWS; r++)
      if (r < p.rows) {
        float weight = seen(s, t, p.first + r) ? expf(S[r] * s.scale - lse[p.row + t]) : 0;
        P[r * s.tokens + t] = weight;
        dS[r * s.tokens + t] = weight * (dP[r] - delta[p.row + t]) * s.scale;
      }
  }
  __syncthreads();
  T *dk = dqkv + (p.k - qkv), *dv = dqkv + (p.v - qkv);
  weighted_sums(dS, p.q, s.stride, p.rows, s,
                [&](int r, int d, float value) { vq_put_gradient(dk + (p.first + r) * s.stride + d, add, value); });
  weighted_sums(P, dy + p.y, C, p.rows, s,
                [&](int r, int d, float value) { vq_put_gradient(dv + (p.first + r) * s.stride + d, add, value); });
}

/* ---- launches ---- */

/* Blocks of rows, and the heads of all sequences. */
unsigned blocks_of(const vq_call *c, const sizes &s)
{
  return vq_blocks(s.tokens, s.rows) * (unsigned)(c->in[0]->dim[0] * s.heads);
}

/* Asks for the shared memory of a launch: it and the kernel's own array may be more than comes unasked. */
template <class K> vq_status ask_for_room(K kernel, int64_t floats)
{
  if (!VQ_ALLOW_SHARED(kernel, floats * 4))
    return VQ_OK;
  cudaGetLastError(); /* said here, and not once more by the next launch */
  return vq_fail(VQ_ERR_UNSUPPORTED,
                 "attention: a sequence is too long for this GPU's shared memory: ask for a smaller picture");
}

bool has_tensor_cores(const vq_call *c)
{
  return vq_cuda(c)->major >= 8;
}

vq_status attention_forward_cuda(const vq_call *c)
{
  if (has_tensor_cores(c) && vq_flash_takes(c))
    return vq_flash_forward(c);
  if (has_tensor_cores(c) && vq_flash_takes_wide(c))
    return vq_flash_wide_forward(c, c->scratch);
  sizes s = sizes_of(c);
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    int64_t floats = floats_of(s.tokens, s.width, s.rows);
    VQ_TRY(ask_for_room(forward_kernel<T>, floats));
    return vq_cuda_status(VQ_LAUNCH_SHARED(forward_kernel<T>, blocks_of(c, s), THREADS, (size_t)floats * 4,
                                           vq_stream(c), vq_values_as<T>(c->out), vq_values(c->saved),
                                           vq_values_as<T>(c->in[0]), s),
                          "attention");
  });
}

size_t attention_scratch_cuda(const vq_call *c, bool backward)
{
  if (vq_flash_takes_wide(c)) /* more than the plain kernels ask for, which an older card has */
    return vq_flash_wide_scratch(c, backward);
  return backward ? (size_t)(c->in[0]->dim[0] * c->attr->i[0] * c->in[0]->dim[1]) * sizeof(float) : 0;
}

vq_status attention_backward_cuda(const vq_call *c)
{
  if (has_tensor_cores(c) && vq_flash_takes(c))
    return vq_flash_backward(c, static_cast<float *>(c->scratch));
  if (has_tensor_cores(c) && vq_flash_takes_wide(c))
    return vq_flash_wide_backward(c, c->scratch);
  sizes s = sizes_of(c);
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    const T *qkv = vq_values_as<T>(c->in[0]), *dy = vq_grad_as<T>(c->out);
    T *dqkv = vq_grad_as<T>(c->in[0]);
    float *delta = static_cast<float *>(c->scratch);
    int64_t floats = floats_of(s.tokens, s.width, s.rows);
    VQ_TRY(ask_for_room(dq_kernel<T>, floats));
    VQ_TRY(ask_for_room(dkv_kernel<T>, floats));
    VQ_TRY(vq_cuda_status(VQ_LAUNCH_SHARED(dq_kernel<T>, blocks_of(c, s), THREADS, (size_t)floats * 4, vq_stream(c),
                                           dqkv, vq_adds(c, 0), delta, qkv, dy, vq_values(c->saved), s),
                          "attention"));
    return vq_cuda_status(VQ_LAUNCH_SHARED(dkv_kernel<T>, blocks_of(c, s), THREADS, (size_t)floats * 4,
                                           vq_stream(c), dqkv, vq_adds(c, 0), qkv, dy, vq_values(c->saved), delta,
                                           s),
                          "attention");
  });
}

} // namespace

const vq_kernels vq_cuda_attention = {attention_forward_cuda, attention_backward_cuda, attention_scratch_cuda,
                                      NULL};
