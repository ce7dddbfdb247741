/* jitter.cu -- jitter on CUDA. Contract: jitter.h. A thread for each pixel, and blocks within one cutout, so that all threads of a block
 * go through the same stages; what a stage was given lies in shared memory until the gradient comes back. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

extern "C" {
#include "kernels/jitter/jitter.h"
}

namespace
{

#define THREADS 128

enum { X, STAGE, AMOUNT };
enum { MEANING }; /* attr.i */

/* What all kernels are told. */
struct job {
  const float *x, *amount;
  const int32_t *stage;
  float *mean;       /* [n], saved */
  double *sum;       /* scratch: [n, blocks of a cutout] */
  int64_t n, pixels; /* of a cutout */
  int K, across;     /* stages; blocks of a cutout */
  float eps;
};

int64_t pixels_of(const vq_call *c)
{
  return c->in[X]->dim[1] * c->in[X]->dim[2];
}

job job_of(const vq_call *c)
{
  return job{vq_values(c->in[X]),
             vq_values(c->in[AMOUNT]),
             vq_values_as<int32_t>(c->in[STAGE]),
             static_cast<float *>(c->saved->data),
             static_cast<double *>(c->scratch),
             c->in[X]->dim[0],
             pixels_of(c),
             (int)c->in[STAGE]->dim[1],
             (int)vq_blocks(pixels_of(c), THREADS),
             (float)(c->attr->i[MEANING] == VQ_JITTER_KORNIA ? 1e-8 : 1e-6)};
}

size_t jitter_scratch_cuda(const vq_call *c, bool backward)
{
  (void)backward;
  return (size_t)(c->in[X]->dim[0] * vq_blocks(pixels_of(c), THREADS)) * sizeof(double);
}

/* One cutout's stages. */
struct stages {
  const int32_t *stage;
  const float *amount;
  int count, contrast; /* contrast: which one, or -1 */
  float eps, mean;     /* mean: m, where it is known */
};

VQ_DEVICE stages stages_of(const job &j, int64_t cutout)
{
  stages s = {j.stage + cutout * j.K, j.amount + cutout * j.K, j.K, -1, j.eps, 0};
  for (int k = 0; k < j.K; k++)
    if (s.stage[k] == VQ_JITTER_CONTRAST)
      s.contrast = k;
  return s;
}

/* ---- one pixel ---- */

struct colour {
  float r, g, b;
};

VQ_DEVICE float clamp(float v)
{
  return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* 1 where the clamp passes a gradient. */
VQ_DEVICE float passes(float v)
{
  return v >= 0 && v <= 1 ? 1 : 0;
}

VQ_DEVICE float gray(const colour &p)
{
  return 0.299f * p.r + 0.587f * p.g + 0.114f * p.b;
}

/* A pixel as hue, s and v, and what their gradients need. */
struct hsv {
  float hue, s, v, d, low;
  float red, green, blue; /* 1 for the one of them that v is, the first that is so large; else 0 */
  float numerator, slope; /* of hue, and 1 / d */
};

VQ_DEVICE hsv hsv_of(const colour &x, float eps)
{
  hsv p;
  p.v = x.r > x.g ? x.r : x.g;
  p.v = p.v > x.b ? p.v : x.b;
  p.low = x.r < x.g ? x.r : x.g;
  p.low = p.low < x.b ? p.low : x.b;
  p.d = p.v - p.low;
  p.s = p.d / (p.v + eps);
  p.slope = 1 / (p.d == 0 ? 1 : p.d);
  p.red = x.r == p.v ? 1 : 0;
  p.green = (x.g == p.v ? 1 : 0) * (1 - p.red);
  p.blue = 1 - p.red - p.green;
  p.numerator = p.red * (x.g - x.b) + p.green * (x.b - x.r) + p.blue * (x.r - x.g);
  p.hue = 2 * p.green + 4 * p.blue + p.numerator * p.slope;
  p.hue = p.hue < 0 ? p.hue + 6 : p.hue;
  return p;
}

/* (n + hue) mod 6, for a hue in [0,12) */
VQ_DEVICE float sector(float n, float hue)
{
  float k = n + hue;
  k = k >= 12 ? k - 12 : k;
  return k >= 6 ? k - 6 : k;
}

VQ_DEVICE float share(float k)
{
  return clamp(k < 4 - k ? k : 4 - k);
}

VQ_DEVICE float share_slope(float k)
{
  return (float)((k < 1) - (k >= 3 && k < 4));
}

/* Whole turns to sixths, in [0,6). */
VQ_DEVICE float sixths(float turns)
{
  double t = (double)turns - floor((double)turns);
  return (float)(6 * (t < 1 ? t : 0));
}

/* a: what s is multiplied by; h: what is added to hue; holds: s is clamped. */
VQ_DEVICE colour forward_hsv(const colour &x, float a, float h, float eps, bool holds)
{
  hsv p = hsv_of(x, eps);
  float s = holds ? clamp(a * p.s) : a * p.s, hue = p.hue + h;
  return colour{p.v - p.v * s * share(sector(5, hue)), p.v - p.v * s * share(sector(3, hue)),
                p.v - p.v * s * share(sector(1, hue))};
}

VQ_DEVICE colour backward_hsv(const colour &dy, const colour &x, float a, float h, float eps, bool holds)
{
  hsv p = hsv_of(x, eps);
  float s = holds ? clamp(a * p.s) : a * p.s, hue = p.hue + h;
  float kr = sector(5, hue), kg = sector(3, hue), kb = sector(1, hue);
  float along = dy.r * share(kr) + dy.g * share(kg) + dy.b * share(kb);
  float turning = dy.r * share_slope(kr) + dy.g * share_slope(kg) + dy.b * share_slope(kb);
  float ds = -p.v * along * a * (holds ? passes(a * p.s) : 1) / (p.v + eps);
  float dnumerator = -p.v * s * turning * p.slope; /* where d is 0, so is the numerator, and what follows of it */
  float dd = ds - dnumerator * p.numerator * p.slope;
  float dv = (dy.r + dy.g + dy.b) - s * along - ds * p.s + dd;
  float low_red = x.r == p.low ? 1 : 0, low_green = (x.g == p.low ? 1 : 0) * (1 - low_red);
  return colour{p.red * dv + (p.blue - p.green) * dnumerator - low_red * dd,
                p.green * dv + (p.red - p.blue) * dnumerator - low_green * dd,
                p.blue * dv + (p.green - p.red) * dnumerator - (1 - low_red - low_green) * dd};
}

/* y = clamp(a x + b), of each channel. */
VQ_DEVICE colour forward_line(const colour &x, float a, float b)
{
  return colour{clamp(a * x.r + b), clamp(a * x.g + b), clamp(a * x.b + b)};
}

VQ_DEVICE colour stopped(const colour &dy, const colour &x, float a, float b)
{
  return colour{dy.r * passes(a * x.r + b), dy.g * passes(a * x.g + b), dy.b * passes(a * x.b + b)};
}

VQ_DEVICE colour backward_line(const colour &dy, const colour &x, float a, float b)
{
  colour d = stopped(dy, x, a, b);
  return colour{a * d.r, a * d.g, a * d.b};
}

VQ_DEVICE colour backward_gray(const colour &dy, const colour &x, float a)
{
  colour d = stopped(dy, x, a, (1 - a) * gray(x));
  float sum = (1 - a) * (d.r + d.g + d.b);
  return colour{a * d.r + sum * 0.299f, a * d.g + sum * 0.587f, a * d.b + sum * 0.114f};
}

/* A stage that there is not gives no numbers; mean_kernel complains about it. */
VQ_DEVICE colour forward_stage(const colour &x, const stages &s, int k)
{
  float a = s.amount[k];
  switch (s.stage[k]) {
  case VQ_JITTER_NONE: return x;
  case VQ_JITTER_CLAMP: return forward_line(x, 1, 0);
  case VQ_JITTER_SHIFT: return forward_line(x, 1, a);
  case VQ_JITTER_SCALE: return forward_line(x, a, 0);
  case VQ_JITTER_CONTRAST: return forward_line(x, a, (1 - a) * s.mean);
  case VQ_JITTER_GRAY: return forward_line(x, a, (1 - a) * gray(x));
  case VQ_JITTER_SATURATION: return forward_hsv(x, a, 0, s.eps, true);
  case VQ_JITTER_HUE: return forward_hsv(x, 1, sixths(a), s.eps, false);
  }
  return colour{NAN, NAN, NAN};
}

/* All but what goes through m. */
VQ_DEVICE colour backward_stage(const colour &dy, const colour &x, const stages &s, int k)
{
  float a = s.amount[k];
  switch (s.stage[k]) {
  case VQ_JITTER_NONE: return dy;
  case VQ_JITTER_CLAMP: return backward_line(dy, x, 1, 0);
  case VQ_JITTER_SHIFT: return backward_line(dy, x, 1, a);
  case VQ_JITTER_SCALE: return backward_line(dy, x, a, 0);
  case VQ_JITTER_CONTRAST: return backward_line(dy, x, a, (1 - a) * s.mean);
  case VQ_JITTER_GRAY: return backward_gray(dy, x, a);
  case VQ_JITTER_SATURATION: return backward_hsv(dy, x, a, 0, s.eps, true);
  case VQ_JITTER_HUE: return backward_hsv(dy, x, 1, sixths(a), s.eps, false);
  }
  return colour{NAN, NAN, NAN};
}

/* ---- this thread's pixel ---- */

struct place {
  int64_t cutout, at; /* of its first element, in x */
  bool there;
};

VQ_DEVICE place place_of(const job &j)
{
  int64_t cutout = blockIdx.x / j.across, pixel = (int64_t)(blockIdx.x % j.across) * THREADS + threadIdx.x;
  return place{cutout, (cutout * j.pixels + pixel) * 3, pixel < j.pixels};
}

/* Black beyond the cutout. */
VQ_DEVICE colour take(const float *x, const place &p)
{
  return p.there ? colour{x[p.at], x[p.at + 1], x[p.at + 2]} : colour{0, 0, 0};
}

/* The block's sum of x, of the pixels that there are, to its place in j.sum. */
VQ_DEVICE void give_sum(const job &j, const place &p, double x, double *room)
{
  x = vq_block_sum<THREADS>(p.there ? x : 0, room);
  if (threadIdx.x == 0)
    j.sum[blockIdx.x] = x;
}

/* ---- forward ---- */

const vq_cuda_complaint bad_stage = {VQ_ERR_ARGUMENT,
                                     "jitter: cutout %lld has a stage that there is not, or a second contrast"};

/* Sums of gray, for those cutouts whose contrast needs their mean. */
__global__ void gray_kernel(job j)
{
  VQ_SHARED(double, room, THREADS / VQ_WARP);
  place p = place_of(j);
  stages s = stages_of(j, p.cutout);
  if (s.contrast < 0)
    return;
  colour c = take(j.x, p);
  for (int k = 0; k < s.contrast; k++)
    c = forward_stage(c, s, k);
  give_sum(j, p, (double)gray(c), room);
}

/* A warp's sum over the blocks of a cutout, to all lanes. */
VQ_DEVICE double sum_of_cutout(const job &j, int64_t cutout)
{
  double sum = 0;
  for (int i = threadIdx.x % VQ_WARP; i < j.across; i += VQ_WARP)
    sum += j.sum[cutout * j.across + i];
  return vq_warp_sum(sum);
}

/* A warp for each cutout: its m, and whether its stages are any. */
__global__ void mean_kernel(job j, vq_cuda_fault *fault, unsigned long long complaint)
{
  int64_t cutout = blockIdx.x;
  stages s = stages_of(j, cutout);
  double sum = s.contrast < 0 ? 0 : sum_of_cutout(j, cutout);
  if (threadIdx.x)
    return;
  j.mean[cutout] = (float)(sum / (double)j.pixels);
  for (int k = 0; k < s.count; k++)
    if (s.stage[k] < VQ_JITTER_NONE || s.stage[k] > VQ_JITTER_HUE ||
        (s.stage[k] == VQ_JITTER_CONTRAST && k != s.contrast))
      vq_complain(fault, complaint, cutout);
}

__global__ void __launch_bounds__(THREADS) jitter_kernel(float *y, job j)
{
  place p = place_of(j);
  stages s = stages_of(j, p.cutout);
  if (!p.there)
    return;
  s.mean = j.mean[p.cutout];
  colour c = take(j.x, p);
  for (int k = 0; k < s.count; k++)
    c = forward_stage(c, s, k);
  y[p.at] = c.r;
  y[p.at + 1] = c.g;
  y[p.at + 2] = c.b;
}

vq_status jitter_forward_cuda(const vq_call *c)
{
  job j = job_of(c);
  unsigned blocks = (unsigned)(j.n * j.across);
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(gray_kernel, blocks, THREADS, vq_stream(c), j), "jitter"));
  VQ_TRY(vq_cuda_status(
      VQ_LAUNCH(mean_kernel, (unsigned)j.n, VQ_WARP, vq_stream(c), j, vq_cuda(c)->fault, vq_complaint(&bad_stage)),
      "jitter"));
  return vq_cuda_status(VQ_LAUNCH(jitter_kernel, blocks, THREADS, vq_stream(c), vq_values(c->out), j), "jitter");
}

/* ---- backward ---- */

/* What each stage of this thread's pixel was given: given[k][channel][thread]. */
struct memory {
  float *given;
};

VQ_DEVICE void keep(const memory &m, int k, const colour &c)
{
  float *to = m.given + k * 3 * THREADS + threadIdx.x;
  to[0] = c.r;
  to[THREADS] = c.g;
  to[2 * THREADS] = c.b;
}

VQ_DEVICE colour kept(const memory &m, int k)
{
  const float *from = m.given + k * 3 * THREADS + threadIdx.x;
  return colour{from[0], from[THREADS], from[2 * THREADS]};
}

/* Through the stages, but the last one: its output nobody needs. */
VQ_DEVICE void remember(const memory &m, const job &j, const stages &s, const place &p)
{
  colour c = take(j.x, p);
  for (int k = 0; k < s.count; k++) {
    keep(m, k, c);
    if (k + 1 < s.count)
      c = forward_stage(c, s, k);
  }
}

/* For each block, the sum of what reaches contrast's output and is not stopped by its clamp. */
__global__ void __launch_bounds__(THREADS) contrast_kernel(const float *dy, job j)
{
  VQ_SHARED(float, given, VQ_JITTER_MOST * 3 * THREADS);
  VQ_SHARED(double, room, THREADS / VQ_WARP);
  place p = place_of(j);
  stages s = stages_of(j, p.cutout);
  if (s.contrast < 0)
    return;
  s.mean = j.mean[p.cutout];
  remember(memory{given}, j, s, p);
  colour d = take(dy, p);
  for (int k = s.count - 1; k > s.contrast; k--)
    d = backward_stage(d, kept(memory{given}, k), s, k);
  float a = s.amount[s.contrast];
  d = stopped(d, kept(memory{given}, s.contrast), a, (1 - a) * s.mean);
  give_sum(j, p, (double)d.r + (double)d.g + (double)d.b, room);
}

/* dm, the gradient of m over the number of pixels, in j.sum's first place of each cutout. A warp for each. */
__global__ void mean_gradient_kernel(job j)
{
  stages s = stages_of(j, blockIdx.x);
  double sum = s.contrast < 0 ? 0 : sum_of_cutout(j, blockIdx.x);
  if (threadIdx.x == 0) /* nobody else has read the first place */
    j.sum[(int64_t)blockIdx.x * j.across] =
        s.contrast < 0 ? 0 : (1 - (double)s.amount[s.contrast]) * sum / (double)j.pixels;
}

__global__ void __launch_bounds__(THREADS) jitter_gradient_kernel(float *dx, bool add, const float *dy, job j)
{
  VQ_SHARED(float, given, VQ_JITTER_MOST * 3 * THREADS);
  place p = place_of(j);
  stages s = stages_of(j, p.cutout);
  if (!p.there)
    return;
  double dm = j.sum[p.cutout * j.across];
  s.mean = j.mean[p.cutout];
  remember(memory{given}, j, s, p);
  colour d = take(dy, p);
  for (int k = s.count - 1; k >= 0; k--) {
    d = backward_stage(d, kept(memory{given}, k), s, k);
    if (k == s.contrast)
      d = colour{d.r + (float)(dm * 0.299), d.g + (float)(dm * 0.587), d.b + (float)(dm * 0.114)};
  }
  vq_put_gradient(dx + p.at, add, d.r);
  vq_put_gradient(dx + p.at + 1, add, d.g);
  vq_put_gradient(dx + p.at + 2, add, d.b);
}

vq_status jitter_backward_cuda(const vq_call *c)
{
  job j = job_of(c);
  unsigned blocks = (unsigned)(j.n * j.across);
  const float *dy = vq_grad(c->out);
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(contrast_kernel, blocks, THREADS, vq_stream(c), dy, j), "jitter"));
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(mean_gradient_kernel, (unsigned)j.n, VQ_WARP, vq_stream(c), j), "jitter"));
  return vq_cuda_status(
      VQ_LAUNCH(jitter_gradient_kernel, blocks, THREADS, vq_stream(c), vq_grad(c->in[X]), vq_adds(c, X), dy, j),
      "jitter");
}

} // namespace

const vq_kernels vq_cuda_jitter = {jitter_forward_cuda, jitter_backward_cuda, jitter_scratch_cuda, NULL};
