/* conv.cu -- conv on CUDA. Contract: conv.h; the arithmetic: kernels/cuda/product.cuh. */
#include "kernels/cuda/product.cuh"

namespace
{

enum { X, W };
enum { STRIDE, TOP, LEFT }; /* attr->i */

vq_product_op product_of(const vq_call *c)
{
  const int64_t *attr = c->attr->i;
  return {vq_product_of_conv(c->in[X], c->in[W], c->out, attr[STRIDE], attr[TOP], attr[LEFT]),
          vq_product_back(c->in[X], c->in[W], c->out, attr[STRIDE], attr[TOP], attr[LEFT]), "conv"};
}

size_t conv_scratch_cuda(const vq_call *c, bool backward)
{
  vq_product_op op = product_of(c);
  return vq_product_op_scratch(c, &op, backward);
}

vq_status conv_forward_cuda(const vq_call *c)
{
  vq_product_op op = product_of(c);
  return vq_product_op_forward(c, &op);
}

vq_status conv_backward_cuda(const vq_call *c)
{
  vq_product_op op = product_of(c);
  return vq_product_op_backward(c, &op);
}

} // namespace

const vq_kernels vq_cuda_conv = {conv_forward_cuda, conv_backward_cuda, conv_scratch_cuda, NULL};
