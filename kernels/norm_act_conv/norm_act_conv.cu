/* norm_act_conv.cu -- norm_act_conv on CUDA. Contract: norm_act_conv.h; the arithmetic: kernels/group_norm/norm.cuh and product.cuh.
 *
 * h and dh lie in scratch: in bf16 where x or w is, which is what a network in bf16 that rounds after every op does to them. */
#include "kernels/group_norm/norm.cuh"
#include "kernels/cuda/product.cuh"

namespace
{

enum { X, G, B, W, BIAS, SKIP };
enum { GROUPS, ACT }; /* attr->i */
enum { EPS };         /* attr->f */

vq_cuda_norm norm_sizes(const vq_call *c)
{
  return vq_cuda_norm_of(c->in[X], c->attr->i[GROUPS], c->attr->f[EPS], (vq_act)c->attr->i[ACT]);
}

/* Of h and dh. */
vq_dtype hidden_type(const vq_call *c)
{
  return c->in[W]->dtype == VQ_BF16 ? VQ_BF16 : c->in[X]->dtype;
}

vq_product forwards(const vq_call *c)
{
  const vq_tensor *w = c->in[W];
  vq_product p = vq_product_of_conv(c->in[X], w, c->out, 1, w->dim[1] / 2, w->dim[2] / 2);
  p.x_type = hidden_type(c);
  return p;
}

vq_product backwards(const vq_call *c)
{
  const vq_tensor *w = c->in[W];
  vq_product p = vq_product_back(c->in[X], w, c->out, 1, w->dim[1] / 2, w->dim[2] / 2);
  p.y_type = hidden_type(c);
  return p;
}

/* Scratch is h or dh, and then what the norm and the convolution want one after the other. */
size_t hidden_bytes(const vq_call *c)
{
  size_t bytes = (size_t)vq_count(c->in[X]) * vq_dtype_bytes(hidden_type(c));
  return (bytes + VQ_POOL_ALIGN - 1) / VQ_POOL_ALIGN * VQ_POOL_ALIGN;
}

size_t norm_act_conv_scratch_cuda(const vq_call *c, bool backward)
{
  vq_cuda_norm norm = norm_sizes(c);
  vq_product conv = backward ? backwards(c) : forwards(c);
  size_t of_norm = vq_cuda_norm_scratch(&norm), of_conv = vq_product_scratch(c, &conv);
  return hidden_bytes(c) + (of_norm > of_conv ? of_norm : of_conv);
}

vq_cuda_norm norm_of(const vq_call *c)
{
  vq_cuda_norm norm = norm_sizes(c);
  norm.x = vq_values(c->in[X]);
  norm.g = vq_values(c->in[G]);
  norm.b = vq_values(c->in[B]);
  norm.statistics = vq_values(c->saved);
  return norm;
}

vq_status norm_act_conv_forward_cuda(const vq_call *c)
{
  vq_cuda_norm norm = norm_of(c);
  vq_product conv = forwards(c);
  void *h = c->scratch, *scratch = static_cast<char *>(c->scratch) + hidden_bytes(c);
  VQ_TRY(vq_cuda_norm_measure(c, &norm, scratch, "norm_act_conv"));
  VQ_TRY(vq_cuda_norm_apply(c, &norm, h, conv.x_type, "norm_act_conv"));
  conv.x = h;
  conv.w = vq_values(c->in[W]);
  conv.bias = c->in[BIAS] ? vq_values(c->in[BIAS]) : NULL;
  conv.skip = c->in[SKIP] ? vq_values(c->in[SKIP]) : NULL;
  conv.y = vq_values(c->out);
  return vq_product_run(c, &conv, scratch, "norm_act_conv");
}

vq_status norm_act_conv_backward_cuda(const vq_call *c)
{
  vq_cuda_norm norm = norm_of(c);
  vq_product conv = backwards(c);
  void *dh = c->scratch, *scratch = static_cast<char *>(c->scratch) + hidden_bytes(c);
  conv.x = vq_grad(c->out);
  conv.w = vq_values(c->in[W]);
  conv.y = dh;
  VQ_TRY(vq_product_run(c, &conv, scratch, "norm_act_conv"));
  vq_cuda_norm_gradients d = {};
  d.dy = dh;
  d.dy_type = conv.y_type;
  d.dx = vq_grad(c->in[X]);
  d.adds_dx = vq_adds(c, X);
  return vq_cuda_norm_back(c, &norm, &d, scratch, "norm_act_conv");
}

} // namespace

const vq_kernels vq_cuda_norm_act_conv = {norm_act_conv_forward_cuda, norm_act_conv_backward_cuda,
                                          norm_act_conv_scratch_cuda, NULL};
