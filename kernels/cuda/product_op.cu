/* product_op.cu -- ops that are one product of their inputs. Contract: product.cuh. */
#include "kernels/cuda/product.cuh"

namespace
{

enum { X, W, B, SKIP };

const void *values_of(const vq_tensor *x)
{
  return x ? vq_values(x) : NULL;
}

} // namespace

size_t vq_product_op_scratch(const vq_call *c, const vq_product_op *op, bool backward)
{
  if (backward && !vq_wants(c, X))
    return 0;
  return vq_product_scratch(c, backward ? &op->backward : &op->forward);
}

vq_status vq_product_op_forward(const vq_call *c, const vq_product_op *op)
{
  vq_product p = op->forward;
  p.x = vq_values(c->in[X]);
  p.w = vq_values(c->in[W]);
  p.bias = static_cast<const float *>(values_of(c->in[B]));
  p.skip = values_of(c->in[SKIP]);
  p.y = vq_values(c->out);
  return vq_product_run(c, &p, c->scratch, op->name);
}

vq_status vq_product_op_backward(const vq_call *c, const vq_product_op *op)
{
  vq_product forward = op->forward, p = op->backward;
  const void *dy = vq_grad(c->out);
  if (vq_wants(c, X)) {
    p.x = dy;
    p.w = vq_values(c->in[W]);
    p.add = vq_adds(c, X);
    p.y = vq_grad(c->in[X]);
    VQ_TRY(vq_product_run(c, &p, c->scratch, op->name));
  }
  if (vq_wants(c, W)) {
    forward.x = vq_values(c->in[X]);
    VQ_TRY(vq_product_dw(c, &forward, dy, vq_adds(c, W), vq_grad(c->in[W]), op->name));
  }
  if (vq_wants(c, B))
    VQ_TRY(vq_product_dbias(c, &forward, dy, vq_adds(c, B), vq_grad(c->in[B]), op->name));
  return VQ_OK;
}
