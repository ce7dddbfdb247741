/* sharpen.cu -- sharpen on CUDA. Contract: sharpen.h. A block for each line of the cutouts. */
#include "kernels/cuda/cuda.cuh"

namespace
{

#define THREADS 256

enum { X, FACTOR };

VQ_DEVICE float held(float v)
{
  return v < 0 ? 0 : v > 1 ? 1 : v;
}

VQ_DEVICE bool within(float v)
{
  return v >= 0 && v <= 1;
}

/* The block's line. */
struct line {
  int64_t at, width, C; /* of its first element, in x; elements in it */
  bool first, last;
  float factor;
  bool holds; /* its y are held to [0,1] */
};

VQ_DEVICE line line_of(const float *factor, int64_t H, int64_t W, int64_t C)
{
  int64_t i = blockIdx.x;
  float f = factor[i / H];
  return line{i * W * C, W * C, C, i % H == 0, i % H == H - 1, f, !within(f)};
}

/* Is its element e blurred too? */
VQ_DEVICE bool blurs(const line &l, int64_t e)
{
  return !l.first && !l.last && e >= l.C && e < l.width - l.C;
}

/* The element's 3x3 neighbours, itself five times. */
VQ_DEVICE float around(const float *above, const float *p, const float *below, int64_t C)
{
  return ((above[-C] + above[0] + above[C]) + (below[-C] + below[0] + below[C]) + (p[-C] + p[C])) + 5 * p[0];
}

VQ_DEVICE float blend(float x, float sum, float f)
{
  float blur = held(sum / 13);
  return blur + f * (x - blur);
}

/* y before it is held; x points to the element. */
VQ_DEVICE float sharpened(const line &l, const float *x, bool blurred)
{
  return blurred && l.factor != 1 ? blend(*x, around(x - l.width, x, x + l.width, l.C), l.factor) : *x;
}

__global__ void sharpen_kernel(float *y, const float *x, const float *factor, int64_t H, int64_t W, int64_t C)
{
  line l = line_of(factor, H, W, C);
  for (int64_t e = threadIdx.x; e < l.width; e += THREADS) {
    float v = sharpened(l, x + l.at + e, blurs(l, e));
    y[l.at + e] = l.holds ? held(v) : v;
  }
}

/* For each element, what its blur is told: d blur / 13 where the blur counts and was not held, else 0. */
__global__ void tell_kernel(float *told, const float *x, const float *dy, const float *factor, int64_t H, int64_t W,
                            int64_t C)
{
  line l = line_of(factor, H, W, C);
  float part = (1 - l.factor) / 13;
  for (int64_t e = threadIdx.x; e < l.width; e += THREADS) {
    const float *p = x + l.at + e;
    float value = 0;
    if (blurs(l, e) && l.factor != 1) {
      float sum = around(p - l.width, p, p + l.width, C);
      bool counts = within(sum / 13) && (!l.holds || within(blend(*p, sum, l.factor)));
      value = counts ? part * dy[l.at + e] : 0;
    }
    told[l.at + e] = value;
  }
}

/* What the blurs that element e is in were told. The border's were told nothing, and stand for those beyond. */
VQ_DEVICE float gathered(const line &l, const float *told, int64_t e)
{
  const float *p = told + l.at + e, *above = l.first ? p : p - l.width, *below = l.last ? p : p + l.width;
  if (e >= l.C && e < l.width - l.C)
    return around(above, p, below, l.C);
  int64_t inwards = e < l.C ? l.C : -l.C;
  return above[inwards] + p[inwards] + below[inwards];
}

__global__ void sharpen_gradient_kernel(float *dx, bool add, const float *x, const float *dy, const float *told,
                                        const float *factor, int64_t H, int64_t W, int64_t C)
{
  line l = line_of(factor, H, W, C);
  for (int64_t e = threadIdx.x; e < l.width; e += THREADS) {
    bool blurred = blurs(l, e);
    float value = (blurred ? l.factor : 1) * dy[l.at + e];
    if (l.holds && !within(sharpened(l, x + l.at + e, blurred)))
      value = 0;
    if (l.factor != 1 && l.width >= 3 * C)
      value += gathered(l, told, e);
    vq_put_gradient(dx + l.at + e, add, value);
  }
}

vq_status sharpen_forward_cuda(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  return vq_cuda_status(VQ_LAUNCH(sharpen_kernel, (unsigned)(d[0] * d[1]), THREADS, vq_stream(c), vq_values(c->out),
                                  vq_values(c->in[X]), vq_values(c->in[FACTOR]), d[1], d[2], d[3]),
                        "sharpen");
}

size_t sharpen_scratch_cuda(const vq_call *c, bool backward)
{
  return backward ? (size_t)vq_count(c->in[X]) * sizeof(float) : 0;
}

vq_status sharpen_backward_cuda(const vq_call *c)
{
  const int64_t *d = c->in[X]->dim;
  float *told = static_cast<float *>(c->scratch);
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(tell_kernel, (unsigned)(d[0] * d[1]), THREADS, vq_stream(c), told,
                                  vq_values(c->in[X]), vq_grad(c->out), vq_values(c->in[FACTOR]), d[1], d[2], d[3]),
                        "sharpen"));
  return vq_cuda_status(VQ_LAUNCH(sharpen_gradient_kernel, (unsigned)(d[0] * d[1]), THREADS, vq_stream(c),
                                  vq_grad(c->in[X]), vq_adds(c, X), vq_values(c->in[X]), vq_grad(c->out), told,
                                  vq_values(c->in[FACTOR]), d[1], d[2], d[3]),
                        "sharpen");
}

} // namespace

const vq_kernels vq_cuda_sharpen = {sharpen_forward_cuda, sharpen_backward_cuda, sharpen_scratch_cuda, NULL};
