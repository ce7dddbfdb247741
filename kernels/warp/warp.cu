/* warp.cu -- warp on CUDA. Contract: warp.h. A thread for each output pixel, whose point is found in double as on the CPU. Backward,
 * thousands of outputs may come from one pixel: their parts are added as int64, in any order to the same sum. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

extern "C" {
#include "kernels/warp/warp.h"
}

namespace
{

#define THREADS 256
#define SLAB    4096 /* elements of a cutout whose |dy| a block adds up */

enum { X, MATRIX };
enum { PADDING }; /* attr.i */

struct sizes {
  int n, H, W, C;
  bool border;
};

sizes sizes_of(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  return sizes{(int)d[0], (int)d[1], (int)d[2], (int)d[3], c->attr->i[PADDING] == VQ_WARP_BORDER};
}

const double *matrices_of(const vq_call *c)
{
  return vq_values_as<double>(c->in[MATRIX]);
}

VQ_DEVICE bool is_identity(const double *M)
{
  bool same = true;
  for (int i = 0; i < 9; i++)
    same = same && M[i] == (i % 4 == 0);
  return same;
}

/* ---- where an output pixel comes from ---- */

/* The two whole numbers around a point, of 0 ... n - 1, and their weights, 0 for one that is outside. */
struct pair {
  int low, high;
  double w_low, w_high;
};

VQ_DEVICE pair around(double at, int n, bool border)
{
  double least = border ? 0 : -1, most = border ? n - 1 : n;
  at = at > least ? at : least; /* a NaN, too, is there */
  at = at < most ? at : most;
  int i = (int)(at + 1) - 1;
  double t = at - i;
  return pair{i < 0   ? 0
              : i < n ? i
                      : n - 1,
              i + 1 < n ? i + 1 : n - 1, i >= 0 && i < n ? 1 - t : 0, i + 1 < n ? t : 0};
}

/* The four pixels that output pixel `at` of a cutout is made of, as elements of the cutout, and the weights of columns and lines. */
struct corners {
  int64_t al, ar, bl, br; /* above and below, left and right */
  double above, below, left, right;
};

VQ_DEVICE corners find(const double *M, const sizes &s, int at)
{
  double r = at / s.W, q = at % s.W;
  double u0 = M[1] * r + M[2], v0 = M[4] * r + M[5], w = M[6] * q + (M[7] * r + M[8]);
  pair column = around((M[0] * q + u0) / w, s.W, s.border), line = around((M[3] * q + v0) / w, s.H, s.border);
  int64_t above = (int64_t)line.low * s.W, below = (int64_t)line.high * s.W;
  return corners{(above + column.low) * s.C,
                 (above + column.high) * s.C,
                 (below + column.low) * s.C,
                 (below + column.high) * s.C,
                 line.w_low,
                 line.w_high,
                 column.w_low,
                 column.w_high};
}

/* ---- forward ---- */

/* Blocks `across` for each cutout. */
__global__ void warp_kernel(float *y, const float *x, const double *M, sizes s, int across)
{
  int j = blockIdx.x / across, at = blockIdx.x % across * THREADS + threadIdx.x;
  int64_t each = (int64_t)s.H * s.W * s.C;
  if (at >= s.H * s.W)
    return;
  M += 9 * j;
  x += j * each;
  y += j * each + (int64_t)at * s.C;
  if (is_identity(M)) {
    for (int k = 0; k < s.C; k++)
      y[k] = x[(int64_t)at * s.C + k];
    return;
  }
  corners p = find(M, s, at);
  float wa = (float)p.above, wb = (float)p.below;
  float al = wa * (float)p.left, ar = wa * (float)p.right, bl = wb * (float)p.left, br = wb * (float)p.right;
  for (int k = 0; k < s.C; k++)
    y[k] = (al * x[p.al + k] + ar * x[p.ar + k]) + (bl * x[p.bl + k] + br * x[p.br + k]);
}

int blocks_of_a_cutout(const sizes &s)
{
  return (int)vq_blocks((int64_t)s.H * s.W, THREADS);
}

vq_status warp_forward_cuda(const vq_call *c)
{
  sizes s = sizes_of(c);
  int across = blocks_of_a_cutout(s);
  return vq_cuda_status(VQ_LAUNCH(warp_kernel, (unsigned)(s.n * across), THREADS, vq_stream(c), vq_values(c->out),
                                  vq_values(c->in[X]), matrices_of(c), s, across),
                        "warp");
}

/* ---- backward ---- */

const vq_cuda_complaint not_finite = {VQ_ERR_NAN,
                                      "warp: the gradient of cutout %lld has a value that is not finite"};
const vq_cuda_complaint too_much = {VQ_ERR_ARGUMENT,
                                    "warp: the gradient of cutout %lld adds up to 4096 or more, which its "
                                    "fixed point does not hold: give the prompts "
                                    "smaller weights"};

/* Scratch. */
struct sums {
  unsigned long long *sum; /* [n,H,W,C] */
  double *slab;            /* [n,slabs]: sums of |dy| */
  double *total;           /* [n]: a cutout's */
  int slabs;
};

int64_t slabs_of(const vq_call *c)
{
  return (vq_count(c->in[X]) / c->in[X]->dim[0] + SLAB - 1) / SLAB;
}

size_t warp_scratch_cuda(const vq_call *c, bool backward)
{
  int64_t words = vq_count(c->in[X]) + c->in[X]->dim[0] * (slabs_of(c) + 1);
  return backward ? (size_t)words * sizeof(double) : 0;
}

sums sums_of(const vq_call *c)
{
  sums s = {static_cast<unsigned long long *>(c->scratch), NULL, NULL, (int)slabs_of(c)};
  s.slab = reinterpret_cast<double *>(s.sum + vq_count(c->in[X]));
  s.total = s.slab + c->in[X]->dim[0] * s.slabs;
  return s;
}

/* A block: one slab of one cutout. Its sums begin at 0, and its |dy| are added up. */
__global__ void slab_kernel(sums to, const float *dy, int64_t each)
{
  VQ_SHARED(double, room, THREADS / VQ_WARP);
  int64_t j = blockIdx.x / to.slabs, from = blockIdx.x % to.slabs * (int64_t)SLAB;
  int64_t end = from + SLAB < each ? from + SLAB : each;
  double sum = 0;
  for (int64_t i = from + threadIdx.x; i < end; i += THREADS) {
    sum += fabs((double)dy[j * each + i]);
    to.sum[j * each + i] = 0;
  }
  sum = vq_block_sum<THREADS>(sum, room);
  if (threadIdx.x == 0)
    to.slab[blockIdx.x] = sum;
}

/* One block: each cutout's sum of |dy|, and the complaint about the first that is none or too large. */
__global__ void judge_kernel(sums to, const double *M, int n, vq_cuda_fault *fault,
                             unsigned long long is_not_finite, unsigned long long is_too_much)
{
  for (int j = threadIdx.x; j < n; j += THREADS) {
    double sum = 0;
    for (int i = 0; i < to.slabs && !is_identity(M + 9 * j); i++)
      sum += to.slab[(int64_t)j * to.slabs + i];
    to.total[j] = sum;
  }
  __syncthreads();
  for (int j = 0; j < n && threadIdx.x == 0; j++)
    if (!(to.total[j] < VQ_WARP_MOST)) {
      vq_complain(fault, isfinite(to.total[j]) ? is_too_much : is_not_finite, j);
      return;
    }
}

/* What is 0 needs no atomic: much of a picture may come from outside. */
VQ_DEVICE void add_part(unsigned long long *sum, double part)
{
  long long whole = llrint(part);
  if (whole)
    atomicAdd(sum, (unsigned long long)whole);
}

__global__ void spread_kernel(sums to, const float *dy, const double *M, sizes s, int across)
{
  int j = blockIdx.x / across, at = blockIdx.x % across * THREADS + threadIdx.x;
  int64_t each = (int64_t)s.H * s.W * s.C;
  M += 9 * j;
  if (at >= s.H * s.W || is_identity(M) || !(to.total[j] < VQ_WARP_MOST))
    return;
  unsigned long long *sum = to.sum + j * each;
  dy += j * each + (int64_t)at * s.C;
  corners p = find(M, s, at);
  double wa = p.above * VQ_WARP_SCALE, wb = p.below * VQ_WARP_SCALE;
  double al = wa * p.left, ar = wa * p.right, bl = wb * p.left, br = wb * p.right;
  for (int k = 0; k < s.C; k++) {
    double g = (double)dy[k];
    add_part(sum + p.al + k, al * g);
    add_part(sum + p.ar + k, ar * g);
    add_part(sum + p.bl + k, bl * g);
    add_part(sum + p.br + k, br * g);
  }
}

/* Of a cutout that has been complained about, the gradient is no number. */
__global__ void warp_gradient_kernel(float *dx, bool add, sums of, const float *dy, const double *M, int64_t each,
                                     int64_t across)
{
  int64_t j = blockIdx.x / across, i = blockIdx.x % across * THREADS + threadIdx.x;
  if (i >= each)
    return;
  int64_t e = j * each + i;
  float value = (float)((double)(long long)of.sum[e] / VQ_WARP_SCALE);
  if (is_identity(M + 9 * j))
    value = dy[e];
  else if (!(of.total[j] < VQ_WARP_MOST))
    value = NAN;
  vq_put_gradient(dx + e, add, value);
}

vq_status warp_backward_cuda(const vq_call *c)
{
  sizes s = sizes_of(c);
  sums to = sums_of(c);
  int across = blocks_of_a_cutout(s);
  int64_t each = (int64_t)s.H * s.W * s.C, element_blocks = vq_blocks(each, THREADS);
  const float *dy = vq_grad(c->out);
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(slab_kernel, (unsigned)(s.n * to.slabs), THREADS, vq_stream(c), to, dy, each),
                        "warp"));
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(judge_kernel, 1, THREADS, vq_stream(c), to, matrices_of(c), s.n,
                                  vq_cuda(c)->fault, vq_complaint(&not_finite), vq_complaint(&too_much)),
                        "warp"));
  VQ_TRY(vq_cuda_status(
      VQ_LAUNCH(spread_kernel, (unsigned)(s.n * across), THREADS, vq_stream(c), to, dy, matrices_of(c), s, across),
      "warp"));
  return vq_cuda_status(VQ_LAUNCH(warp_gradient_kernel, (unsigned)(s.n * element_blocks), THREADS, vq_stream(c),
                                  vq_grad(c->in[X]), vq_adds(c, X), to, dy, matrices_of(c), each, element_blocks),
                        "warp");
}

} // namespace

const vq_kernels vq_cuda_warp = {warp_forward_cuda, warp_backward_cuda, warp_scratch_cuda, NULL};
