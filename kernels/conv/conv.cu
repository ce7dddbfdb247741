/* conv.cu -- conv on CUDA. Contract: conv.h; the arithmetic: kernels/cuda/product.cuh. */
#include "kernels/cuda/product.cuh"

namespace
{

enum { X, W, B };
enum { STRIDE, TOP, LEFT, BOTTOM, RIGHT }; /* attr->i */

static vq_product forwards(const vq_call *c)
{
  const int64_t *attr = c->attr->i;
  return vq_product_of_conv(c->in[X], c->in[W], c->out, attr[STRIDE], attr[TOP], attr[LEFT]);
}

static vq_product backwards(const vq_call *c)
{
  const int64_t *attr = c->attr->i;
  return vq_product_back(c->in[X], c->in[W], c->out, attr[STRIDE], attr[TOP], attr[LEFT]);
}

static size_t conv_scratch_cuda(const vq_call *c, bool backward)
{
  vq_product p = backward ? backwards(c) : forwards(c);
  return backward && !vq_wants(c, X) ? 0 : vq_product_scratch(&p);
}

static vq_status conv_forward_cuda(const vq_call *c)
{
  vq_product p = forwards(c);
  p.x = vq_values(c->in[X]);
  p.w = vq_values(c->in[W]);
  p.bias = c->in[B] ? vq_values(c->in[B]) : NULL;
  p.y = vq_values(c->out);
  return vq_product_run(c, &p, c->scratch, "conv");
}

static vq_status conv_backward_cuda(const vq_call *c)
{
  vq_product forward = forwards(c), p = backwards(c);
  const void *dy = vq_grad(c->out);
  if (vq_wants(c, X)) {
    p.x = dy;
    p.w = vq_values(c->in[W]);
    p.add = vq_adds(c, X);
    p.y = vq_grad(c->in[X]);
    VQ_TRY(vq_product_run(c, &p, c->scratch, "conv"));
  }
  if (vq_wants(c, W)) {
    forward.x = vq_values(c->in[X]);
    VQ_TRY(vq_product_dw(c, &forward, dy, vq_adds(c, W), vq_grad(c->in[W]), "conv"));
  }
  if (vq_wants(c, B))
    VQ_TRY(vq_product_dbias(c, &forward, dy, vq_adds(c, B), vq_grad(c->in[B]), "conv"));
  return VQ_OK;
}

} // namespace

const vq_kernels vq_cuda_conv = {conv_forward_cuda, conv_backward_cuda, conv_scratch_cuda, NULL};
