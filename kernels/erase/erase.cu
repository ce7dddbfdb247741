/* erase.cu -- erase on CUDA. Contract: erase.h. A block for each line of the cutouts. */
#include "kernels/cuda/cuda.cuh"

namespace
{

#define THREADS 256

enum { X, BOX };
enum { VALUE }; /* attr.f */

VQ_DEVICE int64_t held(int64_t i, int64_t most)
{
  return i < 0 ? 0 : i > most ? most : i;
}

/* to = from, or is added it, outside the rectangle, and `value` inside. */
__global__ void erase_kernel(float *to, bool add, const float *from, const int32_t *box, float value, int64_t H,
                             int64_t W, int64_t C)
{
  int64_t line = blockIdx.x, r = line % H;
  box += line / H * 4;
  bool inside = r >= box[1] && r < (int64_t)box[1] + box[3] && box[2] > 0;
  int64_t left = inside ? held(box[0], W) * C : W * C;
  int64_t right = inside ? held((int64_t)box[0] + box[2], W) * C : W * C;
  for (int64_t i = threadIdx.x; i < W * C; i += THREADS)
    vq_put_gradient(to + line * W * C + i, add, i >= left && i < right ? value : from[line * W * C + i]);
}

vq_status erase_cuda(const vq_call *c, float *to, bool add, const float *from, float value)
{
  const int64_t *d = c->in[X]->dim;
  return vq_cuda_status(VQ_LAUNCH(erase_kernel, (unsigned)(d[0] * d[1]), THREADS, vq_stream(c), to, add, from,
                                  vq_values_as<int32_t>(c->in[BOX]), value, d[1], d[2], d[3]),
                        "erase");
}

vq_status erase_forward_cuda(const vq_call *c)
{
  return erase_cuda(c, vq_values(c->out), false, vq_values(c->in[X]), (float)c->attr->f[VALUE]);
}

vq_status erase_backward_cuda(const vq_call *c)
{
  return erase_cuda(c, vq_grad(c->in[X]), vq_adds(c, X), vq_grad(c->out), 0);
}

} // namespace

const vq_kernels vq_cuda_erase = {erase_forward_cuda, erase_backward_cuda, NULL, NULL};
