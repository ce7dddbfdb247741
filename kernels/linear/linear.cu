/* linear.cu -- linear on CUDA. Contract: linear.h; the arithmetic: kernels/cuda/product.cuh. */
#include "kernels/cuda/product.cuh"

namespace
{

enum { X, W, B, SKIP };

static vq_product forwards(const vq_call *c)
{
  return vq_product_of_rows(vq_rows(c->out), c->in[X]->dtype, c->in[W], false, c->out->dtype);
}

static vq_product backwards(const vq_call *c)
{
  return vq_product_of_rows(vq_rows(c->out), c->out->dtype, c->in[W], true, c->in[X]->dtype);
}

static size_t linear_scratch_cuda(const vq_call *c, bool backward)
{
  vq_product p = backward ? backwards(c) : forwards(c);
  return backward && !vq_wants(c, X) ? 0 : vq_product_scratch(&p);
}

static vq_status linear_forward_cuda(const vq_call *c)
{
  vq_product p = forwards(c);
  p.x = vq_values(c->in[X]);
  p.w = vq_values(c->in[W]);
  p.bias = c->in[B] ? vq_values(c->in[B]) : NULL;
  p.skip = c->in[SKIP] ? vq_values(c->in[SKIP]) : NULL;
  p.y = vq_values(c->out);
  return vq_product_run(c, &p, c->scratch, "linear");
}

static vq_status linear_backward_cuda(const vq_call *c)
{
  vq_product forward = forwards(c), p = backwards(c);
  const void *dy = vq_grad(c->out);
  if (vq_wants(c, X)) {
    p.x = dy;
    p.w = vq_values(c->in[W]);
    p.add = vq_adds(c, X);
    p.y = vq_grad(c->in[X]);
    VQ_TRY(vq_product_run(c, &p, c->scratch, "linear"));
  }
  if (vq_wants(c, W)) {
    forward.x = vq_values(c->in[X]);
    VQ_TRY(vq_product_dw(c, &forward, dy, vq_adds(c, W), vq_grad(c->in[W]), "linear"));
  }
  if (vq_wants(c, B))
    VQ_TRY(vq_product_dbias(c, &forward, dy, vq_adds(c, B), vq_grad(c->in[B]), "linear"));
  return VQ_OK;
}

} // namespace

const vq_kernels vq_cuda_linear = {linear_forward_cuda, linear_backward_cuda, linear_scratch_cuda, NULL};
