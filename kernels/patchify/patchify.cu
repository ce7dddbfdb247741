/* patchify.cu -- patchify and prepend on CUDA. Contract: patchify.h. */
#include "kernels/cuda/cuda.cuh"

namespace
{

#define THREADS     256
#define MOST_BLOCKS 8192

unsigned blocks_for(int64_t count)
{
  unsigned blocks = vq_blocks(count, THREADS);
  return blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS;
}

/* ---- patchify ---- */

struct cut {
  int64_t S, P, count;
  float mean[3], std[3];
};

cut cut_of(const vq_call *c)
{
  cut k = {c->in[0]->dim[1], c->attr->i[0], vq_count(c->in[0]), {}, {}};
  for (int i = 0; i < 3; i++) {
    k.mean[i] = (float)c->attr->f[i];
    k.std[i] = (float)c->attr->f[3 + i];
  }
  return k;
}

/* Where element i of the pictures stands among the patches. */
VQ_DEVICE int64_t place_of(const cut &k, int64_t i)
{
  int64_t pixel = i / 3, column = pixel % k.S, row = pixel / k.S % k.S, image = pixel / (k.S * k.S),
          side = k.S / k.P;
  int64_t patch = (image * side + row / k.P) * side + column / k.P;
  return ((patch * k.P + row % k.P) * k.P + column % k.P) * 3 + i % 3;
}

template <class T> __global__ void patchify_kernel(T *y, const float *x, cut k)
{
  for (int64_t i = vq_thread(); i < k.count; i += vq_thread_count())
    y[place_of(k, i)] = vq_round<T>((x[i] - k.mean[i % 3]) / k.std[i % 3]);
}

template <class T> __global__ void unpatchify_kernel(float *dx, bool add, const T *dy, cut k)
{
  for (int64_t i = vq_thread(); i < k.count; i += vq_thread_count())
    vq_put_gradient(dx + i, add, vq_float(dy[place_of(k, i)]) / k.std[i % 3]);
}

vq_status patchify_forward_cuda(const vq_call *c)
{
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    return vq_cuda_status(VQ_LAUNCH(patchify_kernel<T>, blocks_for(vq_count(c->in[0])), THREADS, vq_stream(c),
                                    vq_values_as<T>(c->out), vq_values(c->in[0]), cut_of(c)),
                          "patchify");
  });
}

vq_status patchify_backward_cuda(const vq_call *c)
{
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    return vq_cuda_status(VQ_LAUNCH(unpatchify_kernel<T>, blocks_for(vq_count(c->in[0])), THREADS, vq_stream(c),
                                    vq_grad(c->in[0]), vq_adds(c, 0), vq_grad_as<T>(c->out), cut_of(c)),
                          "patchify");
  });
}

/* ---- prepend ---- */

enum { X, FIRST, POS };

/* y [n,T,C], T tokens with the first. */
template <class T>
__global__ void prepend_kernel(T *y, const T *x, const float *first, const float *pos, int64_t tokens, int64_t C,
                               int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count()) {
    int64_t image = i / (tokens * C), t = i / C % tokens, c = i % C;
    float value = t ? vq_float(x[(image * (tokens - 1) + t - 1) * C + c]) : first[c];
    y[i] = vq_round<T>(value + pos[t * C + c]);
  }
}

template <class T>
__global__ void prepend_gradient_kernel(T *dx, bool add, const T *dy, int64_t tokens, int64_t C, int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count()) {
    int64_t image = i / ((tokens - 1) * C), rest = i % ((tokens - 1) * C);
    vq_put_gradient(dx + i, add, vq_float(dy[image * tokens * C + C + rest]));
  }
}

/* The first `count` elements of each picture's tokens, added up over the pictures. */
template <class T>
__global__ void sum_pictures_kernel(float *to, bool add, const T *dy, int64_t images, int64_t each, int64_t count)
{
  int64_t i = vq_thread();
  float sum = 0;
  if (i >= count)
    return;
  for (int64_t image = 0; image < images; image++)
    sum += vq_float(dy[image * each + i]);
  vq_put_gradient(to + i, add, sum);
}

vq_status prepend_forward_cuda(const vq_call *c)
{
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    return vq_cuda_status(VQ_LAUNCH(prepend_kernel<T>, blocks_for(vq_count(c->out)), THREADS, vq_stream(c),
                                    vq_values_as<T>(c->out), vq_values_as<T>(c->in[X]), vq_values(c->in[FIRST]),
                                    vq_values(c->in[POS]), c->out->dim[1], c->out->dim[2], vq_count(c->out)),
                          "prepend");
  });
}

vq_status prepend_backward_cuda(const vq_call *c)
{
  return vq_by_type(c->out->dtype, [&](auto type) {
    using T = decltype(type);
    const vq_tensor *y = c->out;
    int64_t tokens = y->dim[1], C = y->dim[2];
    if (vq_wants(c, X))
      VQ_TRY(vq_cuda_status(VQ_LAUNCH(prepend_gradient_kernel<T>, blocks_for(vq_count(c->in[X])), THREADS,
                                      vq_stream(c), vq_grad_as<T>(c->in[X]), vq_adds(c, X), vq_grad_as<T>(y),
                                      tokens, C, vq_count(c->in[X])),
                            "prepend"));
    for (int i = FIRST; i <= POS; i++)
      if (vq_wants(c, i))
        VQ_TRY(vq_cuda_status(VQ_LAUNCH(sum_pictures_kernel<T>, vq_blocks(vq_count(c->in[i]), THREADS), THREADS,
                                        vq_stream(c), vq_grad(c->in[i]), vq_adds(c, i), vq_grad_as<T>(y), y->dim[0],
                                        tokens * C, vq_count(c->in[i])),
                              "prepend"));
    return VQ_OK;
  });
}

} // namespace

const vq_kernels vq_cuda_patchify = {patchify_forward_cuda, patchify_backward_cuda, NULL, NULL};
const vq_kernels vq_cuda_prepend = {prepend_forward_cuda, prepend_backward_cuda, NULL, NULL};
