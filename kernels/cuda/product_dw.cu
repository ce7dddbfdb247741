/* product_dw.cu -- the gradients of weights and biases, plainly: in what vqgen runs, networks are frozen. Contract: product.cuh. */
#include "kernels/cuda/product.cuh"

namespace
{

#define THREADS 256
#define TILE    64 /* outputs, and terms (u,v,c), of a block; a thread has 4 x 4 sums */
#define CHUNK   16 /* rows m that are in shared memory together */

/* x(m,u,v)[c] of the term k = (u,v,c), of a way forward. */
template <class X> VQ_DEVICE float load_x(const vq_product &p, int m, int k)
{
  vq_product_row row = vq_product_row_at(p, vq_product_place{}, m);
  int tap = k / p.channels, down = row.down + tap / p.kw, right = row.right + tap % p.kw;
  if (row.image < 0 || tap >= p.kh * p.kw || down < 0 || right < 0 || down >= p.height || right >= p.width)
    return 0;
  int64_t pixel = ((int64_t)row.image * p.height + down) * p.width + right;
  return vq_float(static_cast<const X *>(p.x)[pixel * p.channels + k % p.channels]);
}

template <class X, class W>
__global__ void __launch_bounds__(THREADS) dw_kernel(vq_product p, const W *dy, bool add, W *dw)
{
  VQ_SHARED(float, of_dy, CHUNK *TILE);
  VQ_SHARED(float, of_x, CHUNK *TILE);
  int terms = p.kh * p.kw * p.channels, M = p.images * p.rows * p.columns;
  int o0 = (int)blockIdx.y * TILE, k0 = (int)blockIdx.x * TILE, column = threadIdx.x % TILE;
  int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  float sum[4][4] = {};
  for (int m0 = 0; m0 < M; m0 += CHUNK) {
    for (int row = threadIdx.x / TILE; row < CHUNK; row += THREADS / TILE) {
      bool there = m0 + row < M && o0 + column < p.outputs;
      of_dy[row * TILE + column] = there ? vq_float(dy[(int64_t)(m0 + row) * p.outputs + o0 + column]) : 0;
      of_x[row * TILE + column] = load_x<X>(p, m0 + row, k0 + column);
    }
    __syncthreads();
    for (int row = 0; row < CHUNK; row++) {
      float a[4], b[4];
      vq_load_floats<4>(a, of_dy + row * TILE + ty * 4);
      vq_load_floats<4>(b, of_x + row * TILE + tx * 4);
      for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
          sum[i][j] += a[i] * b[j];
    }
    __syncthreads();
  }
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      int o = o0 + ty * 4 + i, k = k0 + tx * 4 + j;
      if (o < p.outputs && k < terms)
        vq_put_gradient(dw + (int64_t)o * terms + k, add, sum[i][j]);
    }
}

/* A block has 32 columns; its 8 rows of threads take every eighth row, and the first adds up what they have. */
template <class T> __global__ void dbias_kernel(float *dbias, bool add, const T *dy, int64_t M, int N)
{
  VQ_SHARED(float, part, THREADS);
  int column = threadIdx.x % 32, o = (int)blockIdx.x * 32 + column;
  float sum = 0;
  for (int64_t m = threadIdx.x / 32; m < M && o < N; m += THREADS / 32)
    sum += vq_float(dy[m * N + o]);
  part[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x < 32 && o < N) {
    for (int i = 1; i < THREADS / 32; i++)
      sum += part[i * 32 + column];
    vq_put_gradient(dbias + o, add, sum);
  }
}

} // namespace

vq_status vq_product_dw(const vq_call *c, const vq_product *p, const void *dy, bool add, void *dw, const char *op)
{
  dim3 blocks(vq_blocks((int64_t)p->kh * p->kw * p->channels, TILE), vq_blocks(p->outputs, TILE));
  return vq_by_type(p->x_type, [&](auto x) {
    return vq_by_type(p->w_type, [&](auto w) {
      using W = decltype(w);
      return vq_cuda_status(VQ_LAUNCH((dw_kernel<decltype(x), W>), blocks, THREADS, vq_stream(c), *p,
                                      static_cast<const W *>(dy), add, static_cast<W *>(dw)),
                            op);
    });
  });
}

vq_status vq_product_dbias(const vq_call *c, const vq_product *p, const void *dy, bool add, float *dbias,
                           const char *op)
{
  return vq_by_type(p->y_type, [&](auto y) {
    using Y = decltype(y);
    return vq_cuda_status(VQ_LAUNCH(dbias_kernel<Y>, vq_blocks(p->outputs, 32), THREADS, vq_stream(c), dbias, add,
                                    static_cast<const Y *>(dy), vq_product_rows(p), p->outputs),
                          op);
  });
}
