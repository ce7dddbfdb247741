/* product_plain.cu -- products and convolutions of any types and sizes, by threads that hold a square of sums each. Contract:
 * product.cuh.
 *
 * A block has TILE x TILE sums and goes through the sum's terms, k = (u, v, c) in this order, a chunk at a time: while it computes
 * one in shared memory, [k][m] and [k][o], the next is on its way in registers. With 128 x 128 a thread makes 64 products of 16
 * values read, so that shared memory (32 values a clock for 128 products) does not hold it up; 64 x 64 is for what would not fill the card. */
#include "kernels/cuda/product.cuh"

namespace
{

#define THREADS 256

template <int TILE> struct plain_sizes {
  static constexpr int CHUNK = 1024 / TILE; /* terms: a thread brings 4 values of each side */
  static constexpr int PITCH = TILE + 4;
  static constexpr int EACH = TILE / 16; /* rows, and outputs, of a thread's square */
};

/* Term k of the sum. */
struct term {
  int u, v, c;
};

VQ_DEVICE void advance(const vq_product &p, term &k, int by)
{
  for (k.c += by; k.c >= p.channels; k.c -= p.channels)
    if (++k.v == p.kw) {
      k.v = 0;
      k.u++;
    }
}

VQ_DEVICE term term_at(const vq_product &p, int k)
{
  int tap = k / p.channels;
  return {tap / p.kw, tap % p.kw, k % p.channels};
}

/* Where the pixel x(m,u,v) begins in x; less than 0: nowhere. */
VQ_DEVICE int64_t pixel_at(const vq_product &p, const vq_product_row &row, int u, int v)
{
  int down = row.down + u * p.turn, right = row.right + v * p.turn;
  if (row.image < 0 || down < 0 || right < 0 || u >= p.kh)
    return -1;
  if (p.apart > 1) {
    if (down % p.apart || right % p.apart)
      return -1;
    down /= p.apart;
    right /= p.apart;
  }
  if (down >= p.height || right >= p.width)
    return -1;
  return (((int64_t)row.image * p.height + down) * p.width + right) * p.channels;
}

/* Terms k to k + 3 of a row. */
template <class X> VQ_DEVICE void load_x(const vq_product &p, const vq_product_row &row, term k, float value[4])
{
  const X *x = static_cast<const X *>(p.x);
  if (p.channels % 4 == 0) {
    int64_t at = pixel_at(p, row, k.u, k.v);
    if (at >= 0)
      vq_load_floats<4>(value, x + at + k.c);
    else
      value[0] = value[1] = value[2] = value[3] = 0;
    return;
  }
  for (int i = 0; i < 4; i++, advance(p, k, 1)) {
    int64_t at = pixel_at(p, row, k.u, k.v);
    value[i] = at >= 0 ? vq_float(x[at + k.c]) : 0;
  }
}

/* Terms k to k + 3 of output o. */
template <class W>
VQ_DEVICE void load_w(const vq_product &p, const vq_product_place &here, int o, term k, float value[4])
{
  const W *w = static_cast<const W *>(p.w) + o * p.w_output;
  bool there = o < p.outputs;
  if (p.channels % 4 == 0) {
    if (there && k.u < p.kh)
      vq_load_floats<4>(value, w + vq_product_weight_at(p, here, k.u, k.v) + k.c);
    else
      value[0] = value[1] = value[2] = value[3] = 0;
    return;
  }
  for (int i = 0; i < 4; i++, advance(p, k, 1))
    value[i] = there && k.u < p.kh ? vq_float(w[vq_product_weight_at(p, here, k.u, k.v) + k.c]) : 0;
}

/* Outputs o to o + 3 of term k. */
template <class W>
VQ_DEVICE void load_w_by_channel(const vq_product &p, const vq_product_place &here, int o, term k, float value[4])
{
  const W *w = static_cast<const W *>(p.w) + vq_product_weight_at(p, here, k.u, k.v) + k.c * p.w_channel + o;
  bool there = k.u < p.kh;
  if (p.outputs % 4 == 0) {
    if (there && o < p.outputs)
      vq_load_floats<4>(value, w);
    else
      value[0] = value[1] = value[2] = value[3] = 0;
    return;
  }
  for (int i = 0; i < 4; i++)
    value[i] = there && o + i < p.outputs ? vq_float(w[i]) : 0;
}

/* A thread's rows (or outputs) of the square: 4 neighbours in each half of the tile, so that reads of shared memory are 16 bytes. */
template <int TILE> VQ_DEVICE int member(int thread, int i)
{
  return i / 4 * (TILE / 2) + thread * 4 + i % 4;
}

template <int TILE> VQ_DEVICE void multiply(const float *x, const float *w, float sum[][plain_sizes<TILE>::EACH])
{
  using S = plain_sizes<TILE>;
  int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
#pragma unroll
  for (int k = 0; k < S::CHUNK; k++) {
    float a[S::EACH], b[S::EACH];
#pragma unroll
    for (int i = 0; i < S::EACH; i += 4) {
      vq_load_floats<4>(a + i, x + k * S::PITCH + member<TILE>(ty, i));
      vq_load_floats<4>(b + i, w + k * S::PITCH + member<TILE>(tx, i));
    }
#pragma unroll
    for (int i = 0; i < S::EACH; i++)
#pragma unroll
      for (int j = 0; j < S::EACH; j++)
        sum[i][j] += a[i] * b[j];
  }
}

template <class X, class W, bool BY_CHANNEL, int TILE>
__global__ void __launch_bounds__(THREADS, 2) plain_kernel(vq_product p, int parts, float *partial)
{
  using S = plain_sizes<TILE>;
  VQ_SHARED(float, x, 2 * S::CHUNK * S::PITCH);
  VQ_SHARED(float, w, 2 * S::CHUNK * S::PITCH);
  int chunks = (p.kh * p.kw * p.channels + S::CHUNK - 1) / S::CHUNK;
  vq_product_place here = vq_product_here<TILE, TILE>(p, parts, chunks);
  int row = threadIdx.x / (S::CHUNK / 4),
      k4 = threadIdx.x % (S::CHUNK / 4) * 4;                           /* what it brings of x, and of w by output */
  int k = threadIdx.x / (TILE / 4), o4 = threadIdx.x % (TILE / 4) * 4; /* what of w by channel */
  vq_product_row pixel = vq_product_row_at(p, here, here.m + row);
  term x_term = term_at(p, here.first * S::CHUNK + k4),
       w_term = term_at(p, here.first * S::CHUNK + (BY_CHANNEL ? k : k4));
  float of_x[4], of_w[4], sum[S::EACH][S::EACH] = {};
  auto load = [&] {
    load_x<X>(p, pixel, x_term, of_x);
    if (BY_CHANNEL)
      load_w_by_channel<W>(p, here, here.n + o4, w_term, of_w);
    else
      load_w<W>(p, here, here.n + row, w_term, of_w);
    advance(p, x_term, S::CHUNK);
    advance(p, w_term, S::CHUNK);
  };
  if (here.first < here.end)
    load();
  for (int chunk = here.first; chunk < here.end; chunk++) {
    int half = chunk % 2 * S::CHUNK * S::PITCH; /* the other one may still be read */
    for (int i = 0; i < 4; i++)
      x[half + (k4 + i) * S::PITCH + row] = of_x[i];
    if (BY_CHANNEL)
      vq_store_floats<4>(w + half + k * S::PITCH + o4, of_w);
    else
      for (int i = 0; i < 4; i++)
        w[half + (k4 + i) * S::PITCH + row] = of_w[i];
    __syncthreads();
    if (chunk + 1 < here.end)
      load();
    multiply<TILE>(x + half, w + half, sum);
  }
  int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
#pragma unroll
  for (int i = 0; i < S::EACH; i++)
#pragma unroll
    for (int j = 0; j < S::EACH; j += 4)
      vq_product_finish<4>(p, partial, here.a, here.b, here.m + member<TILE>(ty, i), here.n + member<TILE>(tx, j),
                           sum[i] + j);
}

template <class X, class W, bool BY_CHANNEL>
static vq_status launch(const vq_call *c, const vq_product *p, int tile, vq_product_split split, const char *op)
{
  int64_t down = (vq_product_rows(p) + tile - 1) / tile, across = (p->outputs + tile - 1) / tile;
  dim3 blocks((unsigned)(down * across), (unsigned)split.parts, (unsigned)(p->scale * p->scale));
  if (tile == 128)
    return vq_cuda_status(VQ_LAUNCH((plain_kernel<X, W, BY_CHANNEL, 128>), blocks, THREADS, vq_stream(c), *p,
                                    split.parts, split.partial),
                          op);
  return vq_cuda_status(VQ_LAUNCH((plain_kernel<X, W, BY_CHANNEL, 64>), blocks, THREADS, vq_stream(c), *p,
                                  split.parts, split.partial),
                        op);
}

} // namespace

vq_status vq_product_plain(const vq_call *c, const vq_product *p, int tile, vq_product_split split, const char *op)
{
  return vq_by_type(p->w_type, [&](auto w) {
    using W = decltype(w);
    if (p->w_channel != 1) /* only ways back have this, and dy is of the weight's type */
      return launch<W, W, true>(c, p, tile, split, op);
    return vq_by_type(p->x_type, [&](auto x) { return launch<decltype(x), W, false>(c, p, tile, split, op); });
  });
}
