/* embed.cu -- tokens' rows of a table, on CUDA. Contract: embed.h. A text is read once a run: plain kernels. */
#include "kernels/cuda/cuda.cuh"

namespace
{

enum { IDS, TABLE, POS };

#define THREADS 256

const vq_cuda_complaint no_such_row = {VQ_ERR_ARGUMENT,
                                       "embed: ids, seen as one list, has at %lld what the table has no row for"};

/* A block to a token. */
template <class T, class P>
__global__ void embed_kernel(T *y, const int32_t *ids, const T *table, const P *pos, int64_t V, int64_t length,
                             int64_t C, vq_cuda_fault *fault, unsigned long long complaint)
{
  int64_t m = blockIdx.x, id = ids[m];
  if (id < 0 || id >= V) {
    if (threadIdx.x == 0)
      vq_complain(fault, complaint, m);
    return;
  }
  for (int64_t i = threadIdx.x; i < C; i += THREADS)
    y[m * C + i] = vq_round<T>(vq_float(table[id * C + i]) + (pos ? vq_float(pos[m % length * C + i]) : 0));
}

/* A thread to an element of the table: it looks through all tokens, in their order. */
template <class T>
__global__ void table_kernel(T *dtable, bool add, const T *dy, const int32_t *ids, int64_t tokens, int64_t V,
                             int64_t C)
{
  int64_t i = vq_thread();
  float sum = 0;
  if (i >= V * C)
    return;
  for (int64_t m = 0; m < tokens; m++)
    if (ids[m] == i / C)
      sum += vq_float(dy[m * C + i % C]);
  vq_put_gradient(dtable + i, add, sum);
}

/* And to one of the places'. Those beyond the texts' length have none. */
template <class T, class P>
__global__ void pos_kernel(P *dpos, bool add, const T *dy, int64_t texts, int64_t length, int64_t C, int64_t count)
{
  int64_t i = vq_thread();
  float sum = 0;
  if (i >= count)
    return;
  for (int64_t b = 0; i < length * C && b < texts; b++)
    sum += vq_float(dy[b * length * C + i]);
  vq_put_gradient(dpos + i, add, sum);
}

/* f(the table's type, the places') */
template <class F> vq_status by_types(const vq_call *c, F f)
{
  return vq_by_type(c->out->dtype, [&](auto table) {
    return vq_by_type(c->in[POS] ? c->in[POS]->dtype : VQ_F32, [&](auto pos) { return f(table, pos); });
  });
}

vq_status embed_forward_cuda(const vq_call *c)
{
  return by_types(c, [&](auto table, auto pos) {
    using T = decltype(table);
    using P = decltype(pos);
    return vq_cuda_status(VQ_LAUNCH((embed_kernel<T, P>), (unsigned)vq_rows(c->out), THREADS, vq_stream(c),
                                    vq_values_as<T>(c->out), vq_values_as<int32_t>(c->in[IDS]),
                                    vq_values_as<T>(c->in[TABLE]),
                                    c->in[POS] ? vq_values_as<P>(c->in[POS]) : nullptr, c->in[TABLE]->dim[0],
                                    c->out->dim[1], vq_last(c->out), vq_cuda(c)->fault, vq_complaint(&no_such_row)),
                          "embed");
  });
}

vq_status embed_backward_cuda(const vq_call *c)
{
  return by_types(c, [&](auto table_type, auto pos_type) {
    using T = decltype(table_type);
    using P = decltype(pos_type);
    const vq_tensor *table = c->in[TABLE], *pos = c->in[POS];
    int64_t C = vq_last(c->out);
    if (vq_wants(c, TABLE))
      VQ_TRY(vq_cuda_status(VQ_LAUNCH(table_kernel<T>, vq_blocks(vq_count(table), THREADS), THREADS, vq_stream(c),
                                      vq_grad_as<T>(table), vq_adds(c, TABLE), vq_grad_as<T>(c->out),
                                      vq_values_as<int32_t>(c->in[IDS]), vq_rows(c->out), table->dim[0], C),
                            "embed"));
    if (!vq_wants(c, POS))
      return VQ_OK;
    return vq_cuda_status(VQ_LAUNCH((pos_kernel<T, P>), vq_blocks(vq_count(pos), THREADS), THREADS, vq_stream(c),
                                    vq_grad_as<P>(pos), vq_adds(c, POS), vq_grad_as<T>(c->out), c->out->dim[0],
                                    c->out->dim[1], C, vq_count(pos)),
                          "embed");
  });
}

} // namespace

const vq_kernels vq_cuda_embed = {embed_forward_cuda, embed_backward_cuda, NULL, NULL};
