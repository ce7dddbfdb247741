/* max_pool.cu -- max_pool on CUDA. Contract: max_pool.h. A thread for each output, and backward for each input. */
#include "kernels/cuda/cuda.cuh"

namespace
{

#define THREADS 256

enum { X };
enum { SIDE };  /* attr.i */
enum { SHARE }; /* attr.f */

struct sizes {
  int64_t N, H, W, C, S;
  float share;
};

sizes sizes_of(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  return sizes{d[0], d[1], d[2], d[3], c->attr->i[SIDE], (float)c->attr->f[SHARE]};
}

/* [from, to) */
struct range {
  int64_t from, to;
};

/* The inputs of window i, of n inputs to S windows; and, with n and S changed over, the windows that input i is in. */
VQ_DEVICE range window(int64_t i, int64_t n, int64_t S)
{
  return range{i * n / S, ((i + 1) * n + S - 1) / S};
}

VQ_DEVICE int64_t size_of(range r)
{
  return r.to - r.from;
}

/* Element i of [..., lines, columns, C]. */
struct place {
  int64_t picture, line, column, channel;
};

VQ_DEVICE place place_of(int64_t i, int64_t lines, int64_t columns, int64_t C)
{
  int64_t pixel = i / C, line = pixel / columns;
  return place{line / lines, line % lines, pixel % columns, i % C};
}

__global__ void max_pool_kernel(float *y, int32_t *where, const float *x, sizes s)
{
  int64_t i = vq_thread();
  if (i >= s.N * s.S * s.S * s.C)
    return;
  place at = place_of(i, s.S, s.S, s.C);
  range rows = window(at.line, s.H, s.S), columns = window(at.column, s.W, s.S);
  x += at.picture * s.H * s.W * s.C + at.channel;
  int64_t largest = rows.from * s.W + columns.from;
  float most = x[largest * s.C], sum = 0;
  for (int64_t r = rows.from; r < rows.to; r++)
    for (int64_t q = columns.from; q < columns.to; q++) {
      float v = x[(r * s.W + q) * s.C];
      sum += v;
      if (v > most || (v != v && most == most)) { /* the first NaN stays */
        most = v;
        largest = r * s.W + q;
      }
    }
  where[i] = (int32_t)largest;
  y[i] = s.share * most + (1 - s.share) * sum / (float)(size_of(rows) * size_of(columns));
}

__global__ void max_pool_gradient_kernel(float *dx, bool add, const float *dy, const int32_t *where, sizes s)
{
  int64_t i = vq_thread();
  if (i >= s.N * s.H * s.W * s.C)
    return;
  place at = place_of(i, s.H, s.W, s.C);
  range rows = window(at.line, s.S, s.H), columns = window(at.column, s.S, s.W);
  int64_t first = at.picture * s.S * s.S * s.C + at.channel;
  float sum = 0;
  for (int64_t a = rows.from; a < rows.to; a++)
    for (int64_t b = columns.from; b < columns.to; b++) {
      int64_t e = first + (a * s.S + b) * s.C, size = size_of(window(a, s.H, s.S)) * size_of(window(b, s.W, s.S));
      sum += (1 - s.share) * dy[e] / (float)size;
      if (where[e] == at.line * s.W + at.column)
        sum += s.share * dy[e];
    }
  vq_put_gradient(dx + i, add, sum);
}

vq_status max_pool_forward_cuda(const vq_call *c)
{
  return vq_cuda_status(VQ_LAUNCH(max_pool_kernel, vq_blocks(vq_count(c->out), THREADS), THREADS, vq_stream(c),
                                  vq_values(c->out), static_cast<int32_t *>(c->saved->data), vq_values(c->in[X]),
                                  sizes_of(c)),
                        "max_pool");
}

vq_status max_pool_backward_cuda(const vq_call *c)
{
  return vq_cuda_status(VQ_LAUNCH(max_pool_gradient_kernel, vq_blocks(vq_count(c->in[X]), THREADS), THREADS,
                                  vq_stream(c), vq_grad(c->in[X]), vq_adds(c, X), vq_grad(c->out),
                                  static_cast<const int32_t *>(c->saved->data), sizes_of(c)),
                        "max_pool");
}

} // namespace

const vq_kernels vq_cuda_max_pool = {max_pool_forward_cuda, max_pool_backward_cuda, NULL, NULL};
