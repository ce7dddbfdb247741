/* take_row.cu -- one row of each sequence, on CUDA. Contract: take_row.h. */
#include "kernels/cuda/cuda.cuh"

namespace
{

enum { X, ROW };

#define THREADS 256

const vq_cuda_complaint no_such_row = {VQ_ERR_ARGUMENT, "take_row: row[%lld] is outside x"};

/* A block to a sequence. */
template <class T>
__global__ void take_kernel(T *y, const T *x, const int32_t *row, int64_t rows, int64_t C, vq_cuda_fault *fault,
                            unsigned long long complaint)
{
  int64_t b = blockIdx.x, r = row[b];
  if (r < 0 || r >= rows) {
    if (threadIdx.x == 0)
      vq_complain(fault, complaint, b);
    return;
  }
  for (int64_t i = threadIdx.x; i < C; i += THREADS)
    y[b * C + i] = x[(b * rows + r) * C + i];
}

/* Every element of dx, by its own thread: most are zero. */
template <class T>
__global__ void spread_kernel(T *dx, bool add, const T *dy, const int32_t *row, int64_t rows, int64_t C,
                              int64_t count)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count()) {
    int64_t b = i / (rows * C), r = i / C % rows;
    bool taken = r == row[b];
    if (taken || !add)
      vq_put_gradient(dx + i, add, taken ? vq_float(dy[b * C + i % C]) : 0);
  }
}

vq_status take_row_forward_cuda(const vq_call *c)
{
  const vq_tensor *x = c->in[X];
  return vq_by_type(x->dtype, [&](auto type) {
    using T = decltype(type);
    return vq_cuda_status(VQ_LAUNCH(take_kernel<T>, (unsigned)x->dim[0], THREADS, vq_stream(c),
                                    vq_values_as<T>(c->out), vq_values_as<T>(x), vq_values_as<int32_t>(c->in[ROW]),
                                    x->dim[1], x->dim[2], vq_cuda(c)->fault, vq_complaint(&no_such_row)),
                          "take_row");
  });
}

vq_status take_row_backward_cuda(const vq_call *c)
{
  const vq_tensor *x = c->in[X];
  return vq_by_type(x->dtype, [&](auto type) {
    using T = decltype(type);
    int64_t count = vq_count(x);
    unsigned blocks = vq_blocks(count, THREADS);
    return vq_cuda_status(VQ_LAUNCH(spread_kernel<T>, blocks < 4096 ? blocks : 4096, THREADS, vq_stream(c),
                                    vq_grad_as<T>(x), vq_adds(c, X), vq_grad_as<T>(c->out),
                                    vq_values_as<int32_t>(c->in[ROW]), x->dim[1], x->dim[2], count),
                          "take_row");
  });
}

} // namespace

const vq_kernels vq_cuda_take_row = {take_row_forward_cuda, take_row_backward_cuda, NULL, NULL};
