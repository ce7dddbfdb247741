/* product_few.cu -- products with 4 outputs at most: the convolution that ends in a picture, which a square of sums would waste itself on.
 * Contract: product.cuh.
 *
 * Four lanes share a row and have 8 channels of each 32; a thread has 4 rows, so that a value of w, [k][4] in shared memory, serves
 * 16 products. What it reads of x comes 64 bytes at a time and nine times, from the first-level cache. */
#include "kernels/cuda/product.cuh"
#include "kernels/cuda/reduce.cuh"

namespace
{

#define THREADS 256
#define OUTPUTS 4
#define EACH    4 /* rows of a thread */
#define LANES   4 /* of a row */
#define RUN     8 /* channels of a lane, together */
#define ROWS    (THREADS / LANES * EACH)
#define MOST    2560 /* terms: of 4 outputs, 45 KiB of shared memory */

/* Four outputs of term k; a gap after each run puts the four lanes' reads into different banks. */
VQ_DEVICE int place_of(int k)
{
  return (k / RUN * (RUN + 1) + k % RUN) * OUTPUTS;
}

template <class W> VQ_DEVICE void bring_w(const vq_product &p, float *to)
{
  const W *w = static_cast<const W *>(p.w);
  for (int i = threadIdx.x; i < p.kh * p.kw * p.channels * OUTPUTS; i += THREADS) {
    int o = i % OUTPUTS, k = i / OUTPUTS, tap = k / p.channels;
    int64_t at =
        vq_product_weight_at(p, vq_product_place{}, tap / p.kw, tap % p.kw) + o * p.w_output + k % p.channels;
    to[place_of(k) + o] = o < p.outputs ? vq_float(w[at]) : 0;
  }
}

template <class X, class W> __global__ void __launch_bounds__(THREADS, 2) few_kernel(vq_product p)
{
  VQ_SHARED(float, w, MOST / RUN * (RUN + 1) * OUTPUTS);
  const X *x = static_cast<const X *>(p.x);
  int lane = threadIdx.x % LANES, m = (int)blockIdx.x * ROWS + (int)threadIdx.x / LANES;
  vq_product_row row[EACH];
  float sum[EACH][OUTPUTS] = {};
#pragma unroll
  for (int i = 0; i < EACH; i++)
    row[i] = vq_product_row_at(p, vq_product_place{}, m + i * (THREADS / LANES));
  bring_w<W>(p, w);
  __syncthreads();
  for (int u = 0; u < p.kh; u++)
    for (int v = 0; v < p.kw; v++) {
      int64_t at[EACH];
#pragma unroll
      for (int i = 0; i < EACH; i++) {
        int down = row[i].down + u * p.turn, right = row[i].right + v * p.turn;
        bool in = row[i].image >= 0 && down >= 0 && down < p.height && right >= 0 && right < p.width;
        at[i] = in ? (((int64_t)row[i].image * p.height + down) * p.width + right) * p.channels : -1;
      }
      for (int c = lane * RUN; c < p.channels; c += LANES * RUN) {
        float value[EACH][RUN];
#pragma unroll
        for (int i = 0; i < EACH; i++)
          if (at[i] >= 0)
            vq_load_floats<RUN>(value[i], x + at[i] + c);
          else
            for (int j = 0; j < RUN; j++)
              value[i][j] = 0;
        const float *of_w = w + place_of((u * p.kw + v) * p.channels + c);
#pragma unroll
        for (int j = 0; j < RUN; j++) {
          vq_pack<float, OUTPUTS> factor = vq_load<OUTPUTS>(of_w + j * OUTPUTS);
#pragma unroll
          for (int i = 0; i < EACH; i++)
#pragma unroll
            for (int o = 0; o < OUTPUTS; o++)
              sum[i][o] += value[i][j] * factor.at[o];
        }
      }
    }
#pragma unroll
  for (int i = 0; i < EACH; i++) {
#pragma unroll
    for (int o = 0; o < OUTPUTS; o++)
      for (int bits = LANES / 2; bits; bits /= 2)
        sum[i][o] += __shfl_xor_sync(VQ_WHOLE_WARP, sum[i][o], bits);
    if (lane == i)
      vq_product_finish<OUTPUTS>(p, NULL, 0, 0, m + i * (THREADS / LANES), 0, sum[i]);
  }
}

} // namespace

bool vq_product_few_fits(const vq_product *p)
{
  return p->outputs <= OUTPUTS && p->channels % (LANES * RUN) == 0 && p->kh * p->kw * p->channels <= MOST &&
         p->apart == 1 && p->scale == 1 && p->w_channel == 1;
}

vq_status vq_product_few(const vq_call *c, const vq_product *p, const char *op)
{
  return vq_by_type(p->x_type, [&](auto x) {
    return vq_by_type(p->w_type, [&](auto w) {
      return vq_cuda_status(VQ_LAUNCH((few_kernel<decltype(x), decltype(w)>), vq_blocks(vq_product_rows(p), ROWS),
                                      THREADS, vq_stream(c), *p),
                            op);
    });
  });
}
