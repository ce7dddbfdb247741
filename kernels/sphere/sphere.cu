/* sphere.cu -- sphere on CUDA. Contract: sphere.h. A block for each row, in double throughout: a few hundred rows of a few hundred
 * numbers are nothing to any card, and the angle between near rows is a small difference of large ones. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

namespace
{

#define THREADS 128
#define SHORT   1e-12

enum { F, E };
enum { ROWS, TOTAL };  /* attr->i */
enum { WEIGHT, STOP }; /* attr->f */

/* Rows of f, then rows of e, by one number. Scratch: the length of each, and then, backward, a gradient with regard to a unit row for
 * each of both. */
struct job {
  const float *f, *e;
  int64_t n, m, D, rows;
  double sign, scale, stop; /* sign of weight; |weight| / (total m) */
  double *length, *slope;
};

job job_of(const vq_call *c)
{
  double weight = c->attr->f[WEIGHT];
  job j = {vq_values(c->in[F]),
           vq_values(c->in[E]),
           c->in[F]->dim[0],
           c->in[E]->dim[0],
           c->in[F]->dim[1],
           c->attr->i[ROWS],
           0,
           0,
           c->attr->f[STOP],
           NULL,
           NULL};
  j.sign = (weight > 0) - (weight < 0);
  j.scale = fabs(weight) / (double)(c->attr->i[TOTAL] * j.m);
  j.length = static_cast<double *>(c->scratch);
  j.slope = j.length + j.n + j.m;
  return j;
}

size_t sphere_scratch_cuda(const vq_call *c, bool backward)
{
  int64_t n = c->in[F]->dim[0], m = c->in[E]->dim[0], D = c->in[F]->dim[1];
  return (size_t)((n + m) * (backward ? 1 + D : 1)) * sizeof(double);
}

VQ_DEVICE const float *row_of(const job &j, int64_t row)
{
  return row < j.n ? j.f + row * j.D : j.e + (row - j.n) * j.D;
}

VQ_DEVICE double divisor(const job &j, int64_t row)
{
  return fmax(j.length[row], SHORT);
}

__global__ void length_kernel(job j)
{
  VQ_SHARED(double, room, THREADS / VQ_WARP);
  const float *x = row_of(j, blockIdx.x);
  double sum = 0;
  for (int64_t d = threadIdx.x; d < j.D; d += THREADS)
    sum += (double)x[d] * (double)x[d];
  sum = vq_block_sum<THREADS>(sum, room);
  if (threadIdx.x == 0)
    j.length[blockIdx.x] = sqrt(sum);
}

/* |u_i - v_j| / 2, to every thread of the block; two unit rows are at most 2 apart, but for rounding. */
VQ_DEVICE double half_chord(const job &j, int64_t row, int64_t other, double *room)
{
  const float *a = row_of(j, row), *b = row_of(j, other);
  double by_a = divisor(j, row), by_b = divisor(j, other), sum = 0;
  for (int64_t d = threadIdx.x; d < j.D; d += THREADS) {
    double apart = (double)a[d] / by_a - (double)b[d] / by_b;
    sum += apart * apart;
  }
  double h = sqrt(vq_block_sum<THREADS>(sum, room)) / 2;
  return h > 1 ? 1 : h; /* a NaN stays one */
}

/* ---- forward ---- */

__global__ void distance_kernel(float *y, job j)
{
  VQ_SHARED(double, room, THREADS / VQ_WARP);
  double sum = 0;
  int64_t to = blockIdx.x < j.rows ? j.n + j.m : j.n; /* padding: no others */
  for (int64_t other = j.n; other < to; other++) {
    double angle = asin(half_chord(j, blockIdx.x, other, room));
    sum += j.sign * 2 * angle * angle;
  }
  if (threadIdx.x == 0)
    y[blockIdx.x] = (float)(j.scale * sum);
}

vq_status find_lengths(const vq_call *c, const job &j)
{
  return vq_cuda_status(VQ_LAUNCH(length_kernel, (unsigned)(j.n + j.m), THREADS, vq_stream(c), j), "sphere");
}

vq_status sphere_forward_cuda(const vq_call *c)
{
  job j = job_of(c);
  VQ_TRY(find_lengths(c, j));
  return vq_cuda_status(VQ_LAUNCH(distance_kernel, (unsigned)j.n, THREADS, vq_stream(c), vq_values(c->out), j),
                        "sphere");
}

/* ---- backward ---- */

/* d y_i / d d_ij times what d d_ij / d u_i has besides (u_i - v_j) */
VQ_DEVICE double pull(const job &j, double h)
{
  double angle = asin(h), cosine = sqrt((1 - h) * (1 + h)), distance = j.sign * 2 * angle * angle;
  double passes = distance > j.stop ? 1 : distance == j.stop ? 0.5 : distance < j.stop ? 0 : (double)NAN;
  if (cosine == 0)
    return 0;
  return passes * j.sign * j.scale * (h > 0 ? angle / (h * cosine) : 1);
}

/* The gradient of row `first` + blockIdx.x: over the unit rows [from,to) of the other side, then through the division by the length.
 * Each thread has elements of its own in `slope`. */
__global__ void row_gradient_kernel(float *dx, bool add, const float *dy, job j, int64_t first, int64_t from,
                                    int64_t to)
{
  VQ_SHARED(double, room, THREADS / VQ_WARP);
  int64_t row = first + blockIdx.x;
  const float *x = row_of(j, row);
  double *slope = j.slope + row * j.D, by = divisor(j, row), along = 0;
  if (row < j.n && row >= j.rows) /* padding: no others */
    to = from;
  for (int64_t d = threadIdx.x; d < j.D; d += THREADS)
    slope[d] = 0;
  for (int64_t other = from; other < to; other++) {
    const float *v = row_of(j, other);
    double a = (double)dy[row < j.n ? row : other] * pull(j, half_chord(j, row, other, room)),
           by_v = divisor(j, other);
    for (int64_t d = threadIdx.x; d < j.D; d += THREADS)
      slope[d] += a * ((double)x[d] / by - (double)v[d] / by_v);
  }
  for (int64_t d = threadIdx.x; d < j.D; d += THREADS)
    along += (double)x[d] / by * slope[d];
  along = vq_block_sum<THREADS>(along, room);
  if (j.length[row] < SHORT)
    along = 0;
  for (int64_t d = threadIdx.x; d < j.D; d += THREADS)
    vq_put_gradient(dx + blockIdx.x * j.D + d, add, (float)((slope[d] - (double)x[d] / by * along) / by));
}

vq_status sphere_backward_cuda(const vq_call *c)
{
  job j = job_of(c);
  VQ_TRY(find_lengths(c, j));
  for (int k = F; k <= E; k++)
    if (vq_wants(c, k))
      VQ_TRY(vq_cuda_status(VQ_LAUNCH(row_gradient_kernel, (unsigned)(k == F ? j.n : j.m), THREADS, vq_stream(c),
                                      vq_grad(c->in[k]), vq_adds(c, k), vq_grad(c->out), j, k == F ? 0 : j.n,
                                      k == F ? j.n : 0, k == F ? j.n + j.m : j.rows),
                            "sphere"));
  return VQ_OK;
}

} // namespace

const vq_kernels vq_cuda_sphere = {sphere_forward_cuda, sphere_backward_cuda, sphere_scratch_cuda, NULL};
