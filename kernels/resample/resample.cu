/* resample.cu -- resample on CUDA. Contract: resample.h.
 *
 * A block makes one line, of a cutout forward and of a picture backward: down first, into shared memory, then across. Where a line is
 * too long for that, a thread goes through both bands for each element: more products, and no shared memory.
 */
#include "kernels/cuda/cuda.cuh"

namespace
{

#define THREADS  256
#define SHARED   (48 << 10) /* bytes that any card gives a block */
#define TOGETHER 4          /* cutouts whose lines are in shared memory at once, backward */

enum { PICTURE, Y_INDEX, Y_WEIGHT, X_INDEX, X_WEIGHT };
enum { SIDE, RUN, BACK }; /* attr.i */

struct sizes {
  int64_t H, W, C, S, each; /* each: cutouts of a picture */
};

/* One axis of all cutouts' tables: pairs of first and count, for each output and then for each input, and their weights. */
struct axis {
  const int32_t *index;
  const float *weight;
  int64_t S, length, run, back;
};

/* One run. */
struct band {
  int first, count;
  const float *weight;
};

sizes sizes_of(const vq_call *c)
{
  const int64_t *d = c->in[PICTURE]->dim;
  return sizes{d[1], d[2], d[3], c->attr->i[SIDE], c->in[Y_INDEX]->dim[0] / d[0]};
}

axis axis_of(const vq_call *c, int index)
{
  return axis{vq_values_as<int32_t>(c->in[index]),
              vq_values(c->in[index + 1]),
              c->attr->i[SIDE],
              c->in[PICTURE]->dim[index == Y_INDEX ? 1 : 2],
              c->attr->i[RUN],
              c->attr->i[BACK]};
}

/* The inputs of output i of a cutout. */
VQ_DEVICE band run_of(const axis &a, int64_t cutout, int64_t i)
{
  const int32_t *pair = a.index + (cutout * (a.S + a.length) + i) * 2;
  return band{pair[0], pair[1], a.weight + cutout * (a.S * a.run + a.length * a.back) + i * a.run};
}

/* The outputs of a cutout that input i goes into. */
VQ_DEVICE band back_of(const axis &a, int64_t cutout, int64_t i)
{
  const int32_t *pair = a.index + (cutout * (a.S + a.length) + a.S + i) * 2;
  return band{pair[0], pair[1], a.weight + cutout * (a.S * a.run + a.length * a.back) + a.S * a.run + i * a.back};
}

/* The sum over a band of x, `step` elements from one to the next. */
VQ_DEVICE float along(const band &b, const float *x, int64_t step)
{
  float sum = 0;
  x += b.first * step;
  for (int i = 0; i < b.count; i++)
    sum += b.weight[i] * x[i * step];
  return sum;
}

/* ---- forward ---- */

/* A block: line r of cutout j. Of the columns, those that the cutout has. An H100's 132 multiprocessors read a picture of 512 x 512
 * for 64 cutouts of 224 some 12 times from their own caches: 1 GB, 0.1 ms. */
__global__ void __launch_bounds__(THREADS)
    resample_kernel(float *y, const float *x, axis down, axis across, sizes s)
{
  VQ_SHARED_OF_LAUNCH(memory);
  float *line = reinterpret_cast<float *>(memory);
  int64_t j = blockIdx.x / s.S, r = blockIdx.x % s.S, width = s.W * s.C;
  band rows = run_of(down, j, r);
  x += j / s.each * s.H * width;
  for (int64_t e = threadIdx.x; e < width; e += THREADS)
    if (back_of(across, j, e / s.C).count)
      line[e] = along(rows, x + e, width);
  __syncthreads();
  for (int64_t e = threadIdx.x; e < s.S * s.C; e += THREADS)
    y[blockIdx.x * s.S * s.C + e] = along(run_of(across, j, e / s.C), line + e % s.C, s.C);
}

__global__ void resample_long_kernel(float *y, const float *x, axis down, axis across, sizes s, int64_t count)
{
  int64_t i = vq_thread(), e = i % (s.S * s.C), line = i / (s.S * s.C), j = line / s.S;
  if (i >= count)
    return;
  band rows = run_of(down, j, line % s.S), columns = run_of(across, j, e / s.C);
  float sum = 0;
  x += (j / s.each * s.H + rows.first) * s.W * s.C + e % s.C;
  for (int a = 0; a < rows.count; a++)
    sum += rows.weight[a] * along(columns, x + a * s.W * s.C, s.C);
  y[i] = sum;
}

vq_status resample_forward_cuda(const vq_call *c)
{
  sizes s = sizes_of(c);
  size_t bytes = (size_t)(s.W * s.C) * sizeof(float);
  int64_t count = vq_count(c->out);
  if (bytes > SHARED)
    return vq_cuda_status(VQ_LAUNCH(resample_long_kernel, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                    vq_values(c->out), vq_values(c->in[PICTURE]), axis_of(c, Y_INDEX),
                                    axis_of(c, X_INDEX), s, count),
                          "resample");
  return vq_cuda_status(VQ_LAUNCH_SHARED(resample_kernel, (unsigned)(c->out->dim[0] * s.S), THREADS, bytes,
                                         vq_stream(c), vq_values(c->out), vq_values(c->in[PICTURE]),
                                         axis_of(c, Y_INDEX), axis_of(c, X_INDEX), s),
                        "resample");
}

/* ---- backward ---- */

/* A block: line a of picture p, what its cutouts say of it, cutout after cutout, onto what those before them have said: so the bits are the
 * same however many come at once. Each thread adds up elements of its own. */
__global__ void __launch_bounds__(THREADS)
    resample_gradient_kernel(float *dx, bool add, const float *dy, axis down, axis across, sizes s)
{
  VQ_SHARED_OF_LAUNCH(memory);
  int64_t p = blockIdx.x / s.H, a = blockIdx.x % s.H, width = s.W * s.C, side = s.S * s.C;
  float *sum = reinterpret_cast<float *>(memory), *line = sum + width;
  dx += blockIdx.x * width;
  for (int64_t e = threadIdx.x; e < width; e += THREADS)
    sum[e] = add ? dx[e] : 0;
  for (int64_t j = 0; j < s.each; j += TOGETHER) {
    int64_t first = p * s.each + j, together = s.each - j < TOGETHER ? s.each - j : TOGETHER;
    for (int64_t e = threadIdx.x; e < together * side; e += THREADS)
      line[e] = along(back_of(down, first + e / side, a), dy + (first + e / side) * s.S * side + e % side, side);
    __syncthreads();
    for (int k = 0; k < together; k++)
      if (back_of(down, first + k, a).count)
        for (int64_t e = threadIdx.x; e < width; e += THREADS)
          sum[e] += along(back_of(across, first + k, e / s.C), line + k * side + e % s.C, s.C);
    __syncthreads();
  }
  for (int64_t e = threadIdx.x; e < width; e += THREADS)
    dx[e] = sum[e];
}

__global__ void resample_long_gradient_kernel(float *dx, bool add, const float *dy, axis down, axis across, sizes s,
                                              int64_t count)
{
  int64_t i = vq_thread(), width = s.W * s.C, e = i % width, p = i / width / s.H, a = i / width % s.H;
  if (i >= count)
    return;
  float sum = add ? dx[i] : 0;
  for (int64_t j = p * s.each; j < (p + 1) * s.each; j++) {
    band rows = back_of(down, j, a), columns = back_of(across, j, e / s.C);
    const float *line = dy + (j * s.S + rows.first) * s.S * s.C + e % s.C;
    for (int r = 0; r < rows.count; r++)
      sum += rows.weight[r] * along(columns, line + r * s.S * s.C, s.C);
  }
  dx[i] = sum;
}

vq_status resample_backward_cuda(const vq_call *c)
{
  sizes s = sizes_of(c);
  size_t bytes = (size_t)((s.W + TOGETHER * s.S) * s.C) * sizeof(float);
  int64_t count = vq_count(c->in[PICTURE]);
  if (bytes > SHARED)
    return vq_cuda_status(VQ_LAUNCH(resample_long_gradient_kernel, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                    vq_grad(c->in[PICTURE]), vq_adds(c, PICTURE), vq_grad(c->out),
                                    axis_of(c, Y_INDEX), axis_of(c, X_INDEX), s, count),
                          "resample");
  return vq_cuda_status(VQ_LAUNCH_SHARED(resample_gradient_kernel, (unsigned)(c->in[PICTURE]->dim[0] * s.H),
                                         THREADS, bytes, vq_stream(c), vq_grad(c->in[PICTURE]), vq_adds(c, PICTURE),
                                         vq_grad(c->out), axis_of(c, Y_INDEX), axis_of(c, X_INDEX), s),
                        "resample");
}

} // namespace

const vq_kernels vq_cuda_resample = {resample_forward_cuda, resample_backward_cuda, NULL, NULL};
