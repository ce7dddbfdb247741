/* cuda.cuh -- what every room's .cu file begins with: CUDA's words, the tape's, and what lies between them.
 *
 * A room's .cu file has its kernels, and functions of type vq_kernel that launch them on call->device's stream and return
 * without waiting. It ends with the record that kernels/cuda/rooms.h declares:
 *
 *     const vq_kernels vq_cuda_linear = {linear_forward_cuda, linear_backward_cuda, linear_scratch_cuda, linear_prepare_cuda};
 *
 * What changes from step to step stands in tensors, never in an argument: a step is captured once and run again. So nothing
 * here reads a tensor's values on the host. A kernel that finds values which its op refuses says so with vq_complain: the
 * host learns it, and fails, where it next waits or reads.
 */
#ifndef VQ_KERNELS_CUDA_CUDA_CUH
#define VQ_KERNELS_CUDA_CUDA_CUH

#include "base/bf16.h"
#include "kernels/cuda/portable.cuh"

extern "C" {
#include "kernels/check.h"
#include "kernels/cuda/rooms.h"
}

/* How a kernel's complaint is to be told: a code, and a text for vq_fail with one %lld, the number of what is wrong. */
struct vq_cuda_complaint {
  vq_status status;
  const char *text;
};

/* On the card: the complaint, its address on the host, 0 if there is none; and the least number that it was made of. */
struct vq_cuda_fault {
  unsigned long long what, which;
};

struct vq_libraries; /* product_library.cu */

/* The backend's own, device->state. */
struct vq_cuda_state {
  cudaStream_t stream;
  int ordinal;      /* CUDA's number of the card */
  int major, minor; /* its compute capability */
  int multiprocessors;
  vq_cuda_fault *fault;    /* on the card, for vq_complain */
  vq_libraries *libraries; /* owned: what is open of cuBLASLt and cuDNN */
};

static inline const vq_cuda_state *vq_cuda(const vq_call *call)
{
  return static_cast<const vq_cuda_state *>(call->device->state);
}

static inline cudaStream_t vq_stream(const vq_call *call)
{
  return vq_cuda(call)->stream;
}

/* VQ_OK, or VQ_ERR_DEVICE with CUDA's own words for what a launch or a call of the runtime gave. */
vq_status vq_cuda_status(int error, const char *what);

/* A complaint as an argument for a kernel. It lives as long as the program. */
static inline unsigned long long vq_complaint(const vq_cuda_complaint *complaint)
{
  return (unsigned long long)reinterpret_cast<uintptr_t>(complaint);
}

/* In a kernel: `which` is not as it must be. Kernels of one launch make one complaint, so what is told does not depend on
 * which thread came first: the first launch's that had one, and its least number. */
VQ_DEVICE void vq_complain(vq_cuda_fault *fault, unsigned long long what, int64_t which)
{
  unsigned long long before = atomicCAS(&fault->what, 0ull, what);
  if (before == 0 || before == what)
    atomicMin(&fault->which, (unsigned long long)which);
}

/* A tensor's values, or its gradient, as the type that it has. */
template <class T> static inline T *vq_values_as(const vq_tensor *x)
{
  return reinterpret_cast<T *>(vq_values(x));
}

template <class T> static inline T *vq_grad_as(const vq_tensor *x)
{
  return reinterpret_cast<T *>(vq_grad(x));
}

/* f(float()) or f(vq_bf16()), as the dtype says: for a generic lambda that launches a kernel's instance. */
template <class F> static inline vq_status vq_by_type(vq_dtype dtype, F f)
{
  return dtype == VQ_BF16 ? f(vq_bf16()) : f(float());
}

/* Blocks of `threads` for `count` threads; at least one, so that a launch is valid. */
static inline unsigned vq_blocks(int64_t count, int64_t threads)
{
  int64_t blocks = (count + threads - 1) / threads;
  return (unsigned)(blocks > 0 ? blocks : 1);
}

/* This thread's number among all of a one-dimensional launch, and how many there are. */
VQ_DEVICE int64_t vq_thread()
{
  return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

VQ_DEVICE int64_t vq_thread_count()
{
  return (int64_t)gridDim.x * blockDim.x;
}

#endif
