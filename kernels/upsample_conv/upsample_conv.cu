/* upsample_conv.cu -- upsample_conv on CUDA. Contract: upsample_conv.h; the arithmetic: kernels/cuda/product.cuh.
 *
 * The 3x3 kernel sees of repeated pixels 2x2 different ones, which ones depends on whether its own row and column are even: so there are four
 * 2x2 convolutions, with 4 products where there were 9. Their weights are sums of the kernel's rows and columns, and they are those of
 * the way back:
 *
 *   spread[s,t,o,i] = rows w[2], w[1] + w[2], w[0] + w[1], w[0] of the kernel, and its columns likewise
 *   y[2r+a, 2q+b]   = sum over u, v in 0..1 of spread[3-2u-a, 3-2v-b] x[r+u+a-1, q+v+b-1]
 *   dx[r,q]         = sum over s, t in 0..3 of spread[s,t]^T dy[2r-1+s, 2q-1+t]
 *
 * In bf16 the sums are rounded once more, which adds to a result what rounding itself does: an error of 1.4 times that. */
#include "kernels/cuda/product.cuh"

namespace
{

enum { X, W, B };

#define THREADS 256
#define SPREAD  4

template <class T> __global__ void spread_kernel(T *spread, const T *w, int64_t O, int64_t I)
{
  const int first[SPREAD] = {2, 1, 0, 0}, last[SPREAD] = {2, 2, 1, 0};
  int64_t each = O * I;
  for (int64_t i = vq_thread(); i < SPREAD * SPREAD * each; i += vq_thread_count()) {
    int s = (int)(i / each) / SPREAD, t = (int)(i / each) % SPREAD;
    int64_t o = i % each / I, channel = i % I;
    float sum = 0;
    for (int u = first[s]; u <= last[s]; u++)
      for (int v = first[t]; v <= last[t]; v++)
        sum += vq_float(w[((o * 3 + u) * 3 + v) * I + channel]);
    spread[i] = vq_round<T>(sum);
  }
}

vq_status spread_weights(const vq_call *c, void *to)
{
  const vq_tensor *w = c->in[W];
  int64_t count = SPREAD * SPREAD * w->dim[0] * w->dim[3];
  return vq_by_type(w->dtype, [&](auto type) {
    using T = decltype(type);
    return vq_cuda_status(VQ_LAUNCH(spread_kernel<T>, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                    static_cast<T *>(to), vq_values_as<T>(w), w->dim[0], w->dim[3]),
                          "upsample_conv");
  });
}

size_t spread_bytes(const vq_tensor *w)
{
  size_t bytes = (size_t)(SPREAD * SPREAD * w->dim[0] * w->dim[3]) * vq_dtype_bytes(w->dtype);
  return (bytes + VQ_POOL_ALIGN - 1) / VQ_POOL_ALIGN * VQ_POOL_ALIGN;
}

/* One form, for both ways. */
vq_status upsample_conv_prepare_cuda(const vq_call *c)
{
  vq_tensor *w = c->in[W];
  void *form;
  if (!w->weight || w->prepared[VQ_FORWARD])
    return VQ_OK;
  VQ_TRY(vq_weights_take(c->device, spread_bytes(w), &form));
  w->prepared[VQ_FORWARD] = w->prepared[VQ_BACKWARD] = form;
  return c->device->plan ? VQ_OK : spread_weights(c, form);
}

vq_product forwards(const vq_call *c)
{
  const vq_tensor *x = c->in[X], *w = c->in[W];
  int64_t each = w->dim[0] * w->dim[3];
  vq_product p = vq_product_of_conv(x, w, c->out, 1, 1, 1);
  p.rows = p.height;
  p.columns = p.width;
  p.kh = p.kw = p.scale = 2;
  p.w_first = (SPREAD * SPREAD - 1) * each;
  p.w_down = -SPREAD * each;
  p.w_right = -each;
  p.w_output = w->dim[3];
  return p;
}

vq_product backwards(const vq_call *c)
{
  const vq_tensor *x = c->in[X], *w = c->in[W];
  int64_t each = w->dim[0] * w->dim[3];
  vq_product p = vq_product_back(x, w, c->out, 1, -1, -1);
  p.kh = p.kw = SPREAD;
  p.step = 2;
  p.turn = 1;
  p.w_down = SPREAD * each;
  p.w_right = each;
  p.w_channel = w->dim[3];
  return p;
}

size_t upsample_conv_scratch_cuda(const vq_call *c, bool backward)
{
  vq_product p = backward ? backwards(c) : forwards(c);
  return (c->in[W]->prepared[VQ_FORWARD] ? 0 : spread_bytes(c->in[W])) + vq_product_scratch(c, &p);
}

/* Weights that are not frozen are spread in scratch. */
vq_status run(const vq_call *c, vq_product *p)
{
  const vq_tensor *w = c->in[W];
  void *scratch = c->scratch;
  p->w = w->prepared[VQ_FORWARD];
  if (!p->w) {
    VQ_TRY(spread_weights(c, scratch));
    p->w = scratch;
    scratch = static_cast<char *>(scratch) + spread_bytes(w);
  }
  return vq_product_run(c, p, scratch, "upsample_conv");
}

vq_status upsample_conv_forward_cuda(const vq_call *c)
{
  vq_product p = forwards(c);
  p.x = vq_values(c->in[X]);
  p.bias = c->in[B] ? vq_values(c->in[B]) : NULL;
  p.y = vq_values(c->out);
  return run(c, &p);
}

vq_status upsample_conv_backward_cuda(const vq_call *c)
{
  vq_product p = backwards(c);
  p.x = vq_grad(c->out);
  p.add = vq_adds(c, X);
  p.y = vq_grad(c->in[X]);
  return run(c, &p);
}

} // namespace

const vq_kernels vq_cuda_upsample_conv = {upsample_conv_forward_cuda, upsample_conv_backward_cuda,
                                          upsample_conv_scratch_cuda, upsample_conv_prepare_cuda};
