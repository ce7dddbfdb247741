/* linear.cu -- linear on CUDA. Contract: linear.h; the arithmetic: kernels/cuda/product.cuh. */
#include "kernels/cuda/product.cuh"

namespace
{

enum { X, W };

vq_product_op product_of(const vq_call *c)
{
  int64_t rows = vq_rows(c->out);
  return {vq_product_of_rows(rows, c->in[X]->dtype, c->in[W], false, c->out->dtype),
          vq_product_of_rows(rows, c->out->dtype, c->in[W], true, c->in[X]->dtype), "linear"};
}

size_t linear_scratch_cuda(const vq_call *c, bool backward)
{
  vq_product_op op = product_of(c);
  return vq_product_op_scratch(c, &op, backward);
}

vq_status linear_forward_cuda(const vq_call *c)
{
  vq_product_op op = product_of(c);
  return vq_product_op_forward(c, &op);
}

vq_status linear_backward_cuda(const vq_call *c)
{
  vq_product_op op = product_of(c);
  return vq_product_op_backward(c, &op);
}

} // namespace

const vq_kernels vq_cuda_linear = {linear_forward_cuda, linear_backward_cuda, linear_scratch_cuda, NULL};
