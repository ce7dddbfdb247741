/* total_variation.cu -- total variation on CUDA. Contract: total_variation.h. A block for each picture row. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

namespace
{

#define THREADS 256

enum { X };
enum { WEIGHT }; /* attr.f */

/* The picture's sizes in elements, and the factor of each squared difference, down and across. */
struct picture {
  int64_t rows, H, C, line;
  float down, across;
};

picture picture_of(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  double down = (double)(d[0] * (d[1] - 1) * d[2] * d[3]), across = (double)(d[0] * d[1] * (d[2] - 1) * d[3]);
  double weight = c->attr->f[WEIGHT];
  return picture{d[0] * d[1],
                 d[1],
                 d[3],
                 d[2] * d[3],
                 (float)(down > 0 ? weight / down : 0),
                 (float)(across > 0 ? weight / across : 0)};
}

size_t total_variation_scratch_cuda(const vq_call *c, bool backward)
{
  return backward ? 0 : (size_t)(c->in[X]->dim[0] * c->in[X]->dim[1]) * sizeof(float);
}

__global__ void row_variation_kernel(float *sums, const float *x, picture p)
{
  VQ_SHARED(float, room, THREADS / VQ_WARP);
  const float *row = x + blockIdx.x * p.line;
  bool below = blockIdx.x % p.H < p.H - 1;
  float across = 0, down = 0;
  for (int64_t i = threadIdx.x; i < p.line; i += THREADS) {
    float v = row[i], right = i < p.line - p.C ? row[i + p.C] - v : 0, under = below ? row[i + p.line] - v : 0;
    across += right * right;
    down += under * under;
  }
  float sum = vq_block_sum<THREADS>(p.across * across + p.down * down, room);
  if (threadIdx.x == 0)
    sums[blockIdx.x] = sum;
}

__global__ void total_variation_kernel(float *y, const float *sums, int64_t rows)
{
  VQ_SHARED(float, room, THREADS / VQ_WARP);
  float sum = 0;
  for (int64_t i = threadIdx.x; i < rows; i += THREADS)
    sum += sums[i];
  sum = vq_block_sum<THREADS>(sum, room);
  if (threadIdx.x == 0)
    *y = sum;
}

vq_status total_variation_forward_cuda(const vq_call *c)
{
  picture p = picture_of(c);
  float *sums = static_cast<float *>(c->scratch);
  VQ_TRY(vq_cuda_status(
      VQ_LAUNCH(row_variation_kernel, (unsigned)p.rows, THREADS, vq_stream(c), sums, vq_values(c->in[X]), p),
      "total_variation"));
  return vq_cuda_status(
      VQ_LAUNCH(total_variation_kernel, 1, THREADS, vq_stream(c), vq_values(c->out), sums, p.rows),
      "total_variation");
}

__global__ void total_variation_gradient_kernel(float *dx, bool add, const float *x, const float *dy, picture p)
{
  const float *row = x + blockIdx.x * p.line;
  float across = 2 * *dy * p.across, down = 2 * *dy * p.down;
  bool above = blockIdx.x % p.H > 0, below = blockIdx.x % p.H < p.H - 1;
  for (int64_t i = threadIdx.x; i < p.line; i += THREADS) {
    float v = row[i], g = 0;
    if (i >= p.C)
      g += across * (v - row[i - p.C]);
    if (i < p.line - p.C)
      g += across * (v - row[i + p.C]);
    if (above)
      g += down * (v - row[i - p.line]);
    if (below)
      g += down * (v - row[i + p.line]);
    vq_put_gradient(dx + blockIdx.x * p.line + i, add, g);
  }
}

vq_status total_variation_backward_cuda(const vq_call *c)
{
  picture p = picture_of(c);
  return vq_cuda_status(VQ_LAUNCH(total_variation_gradient_kernel, (unsigned)p.rows, THREADS, vq_stream(c),
                                  vq_grad(c->in[X]), vq_adds(c, X), vq_values(c->in[X]), vq_grad(c->out), p),
                        "total_variation");
}

} // namespace

const vq_kernels vq_cuda_total_variation = {total_variation_forward_cuda, total_variation_backward_cuda,
                                            total_variation_scratch_cuda, NULL};
