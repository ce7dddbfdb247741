/* cross_entropy.cu -- cross entropy on CUDA. Contract: cross_entropy.h. A warp has a row. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

namespace
{

enum { LOGITS, TARGET };

#define THREADS 256
#define ROWS    (THREADS / VQ_WARP) /* of a block */

const vq_cuda_complaint no_such_class = {VQ_ERR_ARGUMENT,
                                         "cross_entropy: target[%lld] is not among the classes of the logits"};

const int32_t *target_of(const vq_call *c)
{
  return static_cast<const int32_t *>(vq_root(c->in[TARGET])->data);
}

/* A loss for each row. */
size_t cross_entropy_scratch_cuda(const vq_call *c, bool backward)
{
  return backward ? 0 : (size_t)c->in[LOGITS]->dim[0] * sizeof(float);
}

__global__ void __launch_bounds__(THREADS)
    row_loss_kernel(float *loss, float *lse, const float *logits, const int32_t *target, int64_t M, int64_t K,
                    vq_cuda_fault *fault, unsigned long long complaint)
{
  int64_t m = (int64_t)blockIdx.x * ROWS + threadIdx.x / VQ_WARP, lane = threadIdx.x % VQ_WARP;
  const float *x = logits + m * K;
  float most = -INFINITY, sum = 0;
  if (m >= M)
    return;
  for (int64_t k = lane; k < K; k += VQ_WARP)
    most = fmaxf(most, x[k]);
  most = vq_warp_max(most);
  for (int64_t k = lane; k < K; k += VQ_WARP)
    sum += expf(x[k] - most);
  sum = most + logf(vq_warp_sum(sum));
  if (lane)
    return;
  bool good = target[m] >= 0 && target[m] < K;
  if (!good)
    vq_complain(fault, complaint, m);
  lse[m] = sum;
  loss[m] = good ? sum - x[target[m]] : 0;
}

__global__ void __launch_bounds__(THREADS) mean_kernel(float *y, const float *loss, int64_t M)
{
  VQ_SHARED(float, room, THREADS / VQ_WARP);
  float sum = 0;
  for (int64_t m = threadIdx.x; m < M; m += THREADS)
    sum += loss[m];
  sum = vq_block_sum<THREADS>(sum, room);
  if (threadIdx.x == 0)
    *y = sum / (float)M;
}

vq_status cross_entropy_forward_cuda(const vq_call *c)
{
  int64_t M = c->in[LOGITS]->dim[0], K = c->in[LOGITS]->dim[1];
  float *loss = static_cast<float *>(c->scratch);
  VQ_TRY(vq_cuda_status(VQ_LAUNCH(row_loss_kernel, vq_blocks(M, ROWS), THREADS, vq_stream(c), loss,
                                  vq_values(c->saved), vq_values(c->in[LOGITS]), target_of(c), M, K,
                                  vq_cuda(c)->fault, vq_complaint(&no_such_class)),
                        "cross_entropy"));
  return vq_cuda_status(VQ_LAUNCH(mean_kernel, 1, THREADS, vq_stream(c), vq_values(c->out), loss, M),
                        "cross_entropy");
}

__global__ void logits_gradient_kernel(float *dx, bool add, const float *dy, const float *x, const float *lse,
                                       const int32_t *target, int64_t M, int64_t K)
{
  int64_t i = vq_thread(), m = i / K;
  if (m >= M)
    return;
  float softmax = expf(x[i] - lse[m]);
  vq_put_gradient(dx + i, add, *dy / (float)M * (i % K == target[m] ? softmax - 1 : softmax));
}

vq_status cross_entropy_backward_cuda(const vq_call *c)
{
  int64_t M = c->in[LOGITS]->dim[0], K = c->in[LOGITS]->dim[1];
  return vq_cuda_status(VQ_LAUNCH(logits_gradient_kernel, vq_blocks(M * K, THREADS), THREADS, vq_stream(c),
                                  vq_grad(c->in[LOGITS]), vq_adds(c, LOGITS), vq_grad(c->out),
                                  vq_values(c->in[LOGITS]), vq_values(c->saved), target_of(c), M, K),
                        "cross_entropy");
}

} // namespace

const vq_kernels vq_cuda_cross_entropy = {cross_entropy_forward_cuda, cross_entropy_backward_cuda,
                                          cross_entropy_scratch_cuda, NULL};
