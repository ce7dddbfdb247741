/* codebook.cu -- choose and soft_quantise on CUDA. Contract: codebook.h.
 *
 * choose gives the CPU's ids, not only such as are as likely: an exponential is kernels/cpu/exp.h's, product and sum rounded apart,
 * and one thread adds a token's weights up, in double and in their order. A token has a block, and all tokens run at once: 16384 codes
 * are two times as many additions one after the other, some tenths of a millisecond.
 */
#include "kernels/cuda/product.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/quantise/rows.cuh"

namespace
{

#define THREADS 256
#define CHUNK   2048 /* weights in shared memory at once */

enum { LOGITS, UNIFORM };
enum { BOOK = 1, IDS };

/* ---- a row's exponentials ---- */

VQ_DEVICE float times_plus(float x, float y, float z)
{
  return __fadd_rn(__fmul_rn(x, y), z);
}

/* vq_exp without fused products, as the CPU's choose is compiled on x86-64. */
VQ_DEVICE float exponential(float x)
{
  const float low = -87.33f, high = 88.37f, to_int = 0x1.8p23f;
  const float ln2_high = 0x1.62ep-1f, ln2_low = 0x1.0bfbe8p-15f;
  x = x < low ? low : x;
  x = x > high ? high : x;
  float t = times_plus(x, 0x1.715476p0f, to_int), n = __fadd_rn(t, -to_int);
  float r = times_plus(-n, ln2_low, times_plus(-n, ln2_high, x));
  float p = times_plus(1.f / 5040, r, 1.f / 720);
  p = times_plus(p, r, 1.f / 120);
  p = times_plus(p, r, 1.f / 24);
  p = times_plus(p, r, 1.f / 6);
  p = times_plus(p, r, .5f);
  p = __fadd_rn(times_plus(__fmul_rn(p, r), r, r), 1);
  uint32_t bits;
  memcpy(&bits, &t, sizeof bits);
  bits = (bits << 23) + 0x3f800000u; /* 2^n */
  memcpy(&t, &bits, sizeof t);
  return __fmul_rn(p, t);
}

/* The block's threads all get it. As on the CPU, a NaN is the largest only where it comes first. */
VQ_DEVICE float largest_of_row(const float *x, int K, float *room)
{
  float most = x[0];
  for (int k = threadIdx.x; k < K; k += THREADS)
    most = x[k] > most ? x[k] : most;
  return vq_block_max<THREADS>(most, room);
}

/* ---- choose ---- */

struct candidate {
  float value;
  int id;
};

VQ_DEVICE candidate larger(candidate a, candidate b)
{
  return b.value > a.value || (b.value == a.value && b.id < a.id) ? b : a;
}

/* A block to a token. Every thread begins with code 0, which a NaN there then keeps. */
__global__ void __launch_bounds__(THREADS) largest_kernel(int32_t *ids, const float *logits, int K)
{
  VQ_SHARED(candidate, room, THREADS / VQ_WARP);
  const float *x = logits + (int64_t)blockIdx.x * K;
  candidate best = {x[0], 0};
  for (int k = threadIdx.x; k < K; k += THREADS)
    if (x[k] > best.value)
      best = candidate{x[k], k};
  for (int bits = VQ_WARP / 2; bits; bits /= 2) {
    float value = __shfl_xor_sync(VQ_WHOLE_WARP, best.value, bits);
    int id = __shfl_xor_sync(VQ_WHOLE_WARP, best.id, bits);
    best = larger(best, candidate{value, id});
  }
  if (threadIdx.x % VQ_WARP == 0)
    room[threadIdx.x / VQ_WARP] = best;
  __syncthreads();
  for (int i = 0; threadIdx.x == 0 && i < THREADS / VQ_WARP; i++)
    best = larger(best, room[i]);
  if (threadIdx.x == 0)
    ids[blockIdx.x] = best.id;
}

/* Weights [from, from + CHUNK) of the row, as far as it goes. */
VQ_DEVICE int load_weights(float *weight, const float *x, float most, int from, int K)
{
  int count = K - from < CHUNK ? K - from : CHUNK;
  __syncthreads();
  for (int k = threadIdx.x; k < count; k += THREADS)
    weight[k] = exponential(__fadd_rn(x[from + k], -most));
  __syncthreads();
  return count;
}

/* A block to a token; its first thread adds. */
__global__ void __launch_bounds__(THREADS)
    drawn_kernel(int32_t *ids, const float *logits, const float *uniform, int K)
{
  VQ_SHARED(float, room, THREADS / VQ_WARP);
  VQ_SHARED(float, weight, CHUNK);
  const float *x = logits + (int64_t)blockIdx.x * K;
  float most = largest_of_row(x, K, room);
  double sum = 0, so_far = 0;
  int chosen = -1;
  for (int from = 0; from < K; from += CHUNK) {
    int count = load_weights(weight, x, most, from, K);
    for (int k = 0; threadIdx.x == 0 && k < count; k++)
      sum += (double)weight[k];
  }
  double until = (double)uniform[blockIdx.x] * sum; /* the first thread's is used */
  for (int from = 0; from < K; from += CHUNK) {
    int count = load_weights(weight, x, most, from, K);
    for (int k = 0; threadIdx.x == 0 && k < count && chosen < 0; k++) {
      so_far += (double)weight[k];
      if (so_far > until)
        chosen = from + k;
    }
  }
  if (threadIdx.x == 0)
    ids[blockIdx.x] = chosen < 0 ? 0 : chosen;
}

vq_status choose_forward_cuda(const vq_call *c)
{
  const vq_tensor *logits = c->in[LOGITS];
  int32_t *ids = static_cast<int32_t *>(vq_root(c->out)->data);
  unsigned tokens = (unsigned)vq_rows(logits);
  int K = (int)vq_last(logits);
  if (!c->in[UNIFORM])
    return vq_cuda_status(VQ_LAUNCH(largest_kernel, tokens, THREADS, vq_stream(c), ids, vq_values(logits), K),
                          "choose");
  return vq_cuda_status(
      VQ_LAUNCH(drawn_kernel, tokens, THREADS, vq_stream(c), ids, vq_values(logits), vq_values(c->in[UNIFORM]), K),
      "choose");
}

/* ---- soft_quantise ---- */

const vq_cuda_complaint no_such_row = {VQ_ERR_ARGUMENT,
                                       "soft_quantise: token %lld has an id that is no row of the book"};

vq_status soft_forward_cuda(const vq_call *c)
{
  return vq_cuda_take_rows(c, c->in[BOOK], c->in[IDS], &no_such_row, "soft_quantise");
}

/* dp = dy book^T */
vq_product slopes(const vq_call *c)
{
  return vq_product_of_rows(vq_rows(c->in[LOGITS]), VQ_F32, c->in[BOOK], false, VQ_F32);
}

size_t slope_bytes(const vq_call *c)
{
  size_t bytes = (size_t)vq_count(c->in[LOGITS]) * sizeof(float);
  return (bytes + VQ_POOL_ALIGN - 1) / VQ_POOL_ALIGN * VQ_POOL_ALIGN;
}

size_t soft_scratch_cuda(const vq_call *c, bool backward)
{
  vq_product p = slopes(c);
  return backward ? slope_bytes(c) + vq_product_scratch(c, &p) : 0;
}

/* A block to a token: its row is read three times, and comes from memory once. */
__global__ void __launch_bounds__(THREADS)
    soft_kernel(float *dlogits, bool add, const float *logits, const float *slope, int K)
{
  VQ_SHARED(float, room, THREADS / VQ_WARP);
  const float *x = logits + (int64_t)blockIdx.x * K, *dp = slope + (int64_t)blockIdx.x * K;
  float *dx = dlogits + (int64_t)blockIdx.x * K, most = largest_of_row(x, K, room), sum = 0, mean = 0;
  for (int k = threadIdx.x; k < K; k += THREADS) {
    float weight = expf(x[k] - most);
    sum += weight;
    mean += weight * dp[k];
  }
  sum = vq_block_sum<THREADS>(sum, room);
  mean = vq_block_sum<THREADS>(mean, room) / sum;
  for (int k = threadIdx.x; k < K; k += THREADS)
    vq_put_gradient(dx + k, add, expf(x[k] - most) / sum * (dp[k] - mean));
}

vq_status soft_backward_cuda(const vq_call *c)
{
  const vq_tensor *logits = c->in[LOGITS];
  vq_product p = slopes(c);
  float *dp = static_cast<float *>(c->scratch);
  p.x = vq_grad(c->out);
  p.w = vq_values(c->in[BOOK]);
  p.y = dp;
  VQ_TRY(vq_product_run(c, &p, static_cast<char *>(c->scratch) + slope_bytes(c), "soft_quantise"));
  return vq_cuda_status(VQ_LAUNCH(soft_kernel, (unsigned)vq_rows(logits), THREADS, vq_stream(c), vq_grad(logits),
                                  vq_adds(c, LOGITS), vq_values(logits), dp, (int)vq_last(logits)),
                        "soft_quantise");
}

} // namespace

const vq_kernels vq_cuda_choose = {choose_forward_cuda, NULL, NULL, NULL};
const vq_kernels vq_cuda_soft_quantise = {soft_forward_cuda, soft_backward_cuda, soft_scratch_cuda, NULL};
