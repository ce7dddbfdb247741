/* group_norm.cu -- group_norm on CUDA. Contract: group_norm.h; the kernels: kernels/group_norm/norm.cu. */
#include "kernels/group_norm/norm.cuh"

namespace
{

enum { X, G, B };
enum { GROUPS }; /* attr->i */
enum { EPS };    /* attr->f */

vq_cuda_norm norm_of(const vq_call *c)
{
  vq_cuda_norm a = vq_cuda_norm_of(c->in[X], c->attr->i[GROUPS], c->attr->f[EPS], VQ_ACT_NONE);
  a.x = vq_values(c->in[X]);
  a.g = vq_values(c->in[G]);
  a.b = vq_values(c->in[B]);
  a.statistics = vq_values(c->saved);
  return a;
}

size_t group_norm_scratch_cuda(const vq_call *c, bool backward)
{
  vq_cuda_norm a = vq_cuda_norm_of(c->in[X], c->attr->i[GROUPS], c->attr->f[EPS], VQ_ACT_NONE);
  (void)backward;
  return vq_cuda_norm_scratch(&a);
}

vq_status group_norm_forward_cuda(const vq_call *c)
{
  vq_cuda_norm a = norm_of(c);
  VQ_TRY(vq_cuda_norm_measure(c, &a, c->scratch, "group_norm"));
  return vq_cuda_norm_apply(c, &a, vq_values(c->out), c->out->dtype, "group_norm");
}

vq_status group_norm_backward_cuda(const vq_call *c)
{
  vq_cuda_norm a = norm_of(c);
  if (!vq_wants(c, X) && !vq_wants(c, G)) { /* then x and the statistics have not been kept, and db reads neither */
    a.x = vq_grad(c->out);
    a.statistics = NULL;
  }
  vq_cuda_norm_gradients d = {vq_grad(c->out),
                              c->out->dtype,
                              vq_wants(c, X) ? vq_grad(c->in[X]) : NULL,
                              vq_wants(c, G) ? vq_grad(c->in[G]) : NULL,
                              vq_wants(c, B) ? vq_grad(c->in[B]) : NULL,
                              vq_adds(c, X),
                              vq_adds(c, G),
                              vq_adds(c, B)};
  return vq_cuda_norm_back(c, &a, &d, c->scratch, "group_norm");
}

} // namespace

const vq_kernels vq_cuda_group_norm = {group_norm_forward_cuda, group_norm_backward_cuda, group_norm_scratch_cuda,
                                       NULL};
