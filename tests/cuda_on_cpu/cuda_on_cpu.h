/* cuda_on_cpu.h -- CUDA's words for a host compiler: a fiber for each CUDA thread, one block after the other.
 *
 * What is here is what kernels/ uses: indices, barriers, shuffles, the tensor cores' product, matrix loads, asynchronous copies (done
 * as late as CUDA may do them, when their group is waited for, or earlier), integer atomics, and the few calls of the runtime that the backend
 * makes. Streams are no more than names: everything is done when it is called. */
#ifndef VQ_TESTS_CUDA_ON_CPU_H
#define VQ_TESTS_CUDA_ON_CPU_H

#include "base/bf16.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <tuple>

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
  {
  }
};

namespace cuda_on_cpu
{

/* Which thread of a block goes on next, where more than one could. In order, all go on by turns; shuffled, anyone. Else a warp goes on as far
 * as it can before another does: WARP_GREEDY the first, REVERSED the last. So whichever of two warps must not be first, is. */
enum Schedule { IN_ORDER, REVERSED, SHUFFLED, WARP_GREEDY, SCHEDULES };
extern Schedule schedule;

extern bool failed; /* a kernel has failed in the card's own time: nothing runs any more, and who waits is told */

/* What the last launch was caught at; empty if nothing. */
extern std::string fault;

/* Kernels launched since the program began. */
extern long launches;

/* Blocks that a grid may have in y, and in z: 65535, unless a test wants to see what comes of more with few. */
extern unsigned most_in_y;

extern dim3 thread, block, threads, blocks;

/* name: the kernel's address, by which it has been allowed shared memory. */
int launch(dim3 grid, dim3 size, size_t bytes, const void *name, const std::function<void()> &body);

/* A kernel may ask for that much from now on. As on the smallest card with tensor cores' bf16: what more than 48 KiB it and its arrays
 * together take must have been allowed, and it is 99 KiB at most. */
int allow_shared(const void *name, size_t bytes);

/* Does it now or, while a stream is captured, when its graph is launched. */
int queue(std::function<int()> work);

/* The arguments become the kernel's parameters now, as at a launch. */
template <class... P, class... A> int start(dim3 grid, dim3 size, size_t bytes, void (*kernel)(P...), A &&...a)
{
  std::tuple<P...> parameters(static_cast<P>(a)...);
  return queue([=] {
    return launch(grid, size, bytes, reinterpret_cast<const void *>(kernel),
                  [&] { std::apply(kernel, parameters); });
  });
}

/* Where in a kernel threads wait for something. Nobody does at the one that $CUDA_ON_CPU_WITHOUT names, FILE:LINE: mutate_barriers.py. */
struct Site {
  const char *file;
  int line;
};

void barrier(Site site);
void warp_barrier(Site site);
unsigned lane();

/* An array of the block's in shared memory; `site` tells it from the others. */
void *shared(const void *site, const char *name, size_t bytes);
void *shared_of_launch();

/* What all lanes of a warp do together: when the last has come, work(what) is called, what[lane] being that lane's
 * argument or NULL where the warp has no such lane. */
void together(void *mine, void (*work)(void *const what[32]), int line);

struct Shuffle {
  const void *mine;
  void *theirs;
  unsigned from;
  size_t bytes;
};
void shuffle(void *const what[32]);

template <class T> T shuffle_from(T value, unsigned from, int line)
{
  T other = value;
  Shuffle s = {&value, &other, from, sizeof value};
  together(&s, shuffle, line);
  return other;
}

unsigned ballot(bool yes, int line);
void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2], int line);
void load_matrices(uint32_t out[4], const void *row, bool transposed, int line);
void copy_async(void *to, const void *from, bool there);
void copy_commit();
void copy_wait(int later, Site site);

} // namespace cuda_on_cpu

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define VQ_DEVICE inline
#define threadIdx cuda_on_cpu::thread
#define blockIdx  cuda_on_cpu::block
#define blockDim  cuda_on_cpu::threads
#define gridDim   cuda_on_cpu::blocks

#define __syncthreads()                cuda_on_cpu::barrier({__FILE__, __LINE__})
#define __syncwarp()                   cuda_on_cpu::warp_barrier({__FILE__, __LINE__})
#define __shfl_sync(mask, value, from) ((void)(mask), cuda_on_cpu::shuffle_from(value, (unsigned)(from), __LINE__))
#define __shfl_xor_sync(mask, value, bits) \
  ((void)(mask), cuda_on_cpu::shuffle_from(value, cuda_on_cpu::lane() ^ (unsigned)(bits), __LINE__))
#define __shfl_down_sync(mask, value, by) \
  ((void)(mask),                          \
   cuda_on_cpu::shuffle_from(             \
       value, cuda_on_cpu::lane() + (by) < 32 ? cuda_on_cpu::lane() + (by) : cuda_on_cpu::lane(), __LINE__))
#define __ballot_sync(mask, yes) ((void)(mask), cuda_on_cpu::ballot(yes, __LINE__))

#define VQ_SHARED(type, name, count) \
  static const char name##_site = 0; \
  type *name = static_cast<type *>(cuda_on_cpu::shared(&name##_site, #name, (count) * sizeof(type)))
#define VQ_SHARED_OF_LAUNCH(name) char *name = static_cast<char *>(cuda_on_cpu::shared_of_launch())
#define VQ_LAUNCH_SHARED(kernel, grid, size, bytes, stream, ...) \
  ((void)(stream), cuda_on_cpu::start((grid), (size), (bytes), kernel, __VA_ARGS__))
#define VQ_ALLOW_SHARED(kernel, bytes) \
  cuda_on_cpu::allow_shared(reinterpret_cast<const void *>(kernel), (size_t)(bytes))

#define vq_mma_bf16(d, a, b)                  cuda_on_cpu::mma_bf16(d, a, b, __LINE__)
#define vq_load_matrices(out, row)            cuda_on_cpu::load_matrices(out, row, false, __LINE__)
#define vq_load_matrices_transposed(out, row) cuda_on_cpu::load_matrices(out, row, true, __LINE__)
#define vq_copy_async(to, from, there)        cuda_on_cpu::copy_async(to, from, there)
#define vq_copy_commit()                      cuda_on_cpu::copy_commit()
template <int LATER>
static inline void vq_copy_wait(const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
  cuda_on_cpu::copy_wait(LATER, {file, line});
}

/* ---- arithmetic ---- */

using std::isfinite;
using std::isnan;
#define __expf(x) expf(x)
static inline float rsqrtf(float x)
{
  return 1 / sqrtf(x);
}
static inline float __fdividef(float x, float y)
{
  return x / y;
}
template <class T> static inline T __ldg(const T *p)
{
  return *p;
}
template <class T> static inline T min(T a, T b)
{
  return b < a ? b : a;
}
template <class T> static inline T max(T a, T b)
{
  return a < b ? b : a;
}
/* Product and sum rounded apart, where a compiler could make one instruction of both. */
static inline float __fmul_rn(float x, float y)
{
  return x * y;
}
static inline float __fadd_rn(float x, float y)
{
  return x + y;
}
static inline int atomicAdd(int *p, int x)
{
  return __atomic_fetch_add(p, x, __ATOMIC_RELAXED);
}
static inline unsigned atomicOr(unsigned *p, unsigned x)
{
  return __atomic_fetch_or(p, x, __ATOMIC_RELAXED);
}
static inline unsigned long long atomicAdd(unsigned long long *p, unsigned long long x)
{
  return __atomic_fetch_add(p, x, __ATOMIC_RELAXED);
}
static inline unsigned long long atomicCAS(unsigned long long *p, unsigned long long expected, unsigned long long x)
{
  __atomic_compare_exchange_n(p, &expected, x, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
static inline unsigned long long atomicMin(unsigned long long *p, unsigned long long x)
{
  unsigned long long was = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (x < was && !__atomic_compare_exchange_n(p, &was, x, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
  return was;
}

/* ---- the runtime: host memory, and streams on which everything is done at once ---- */

/* A stream is the same for all; libraries that stand in for NVIDIA's (stand_in.h) queue their work by it, and ask it what they may do. */
struct cuda_on_cpu_stream {
  unsigned magic;
  int (*queue)(std::function<int()> work);
  bool (*may_load)(void); /* nothing is captured, or it is allowed in the meantime */
};
#define CUDA_ON_CPU_MAGIC 0x57a3u

typedef int cudaError_t;
typedef struct cuda_on_cpu_stream *cudaStream_t;
typedef struct cuda_on_cpu_event *cudaEvent_t;
enum {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNoDevice = 100,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2 };
struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount;
  size_t totalGlobalMem;
};

cudaError_t cudaMalloc(void **out, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMallocHost(void **out, size_t bytes);
cudaError_t cudaFreeHost(void *memory);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
typedef struct cuda_on_cpu_graph *cudaGraph_t;
typedef cudaGraph_t cudaGraphExec_t;
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal,
  cudaStreamCaptureModeThreadLocal,
  cudaStreamCaptureModeRelaxed
};
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode *mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph);
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int ordinal);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int ordinal);
cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
cudaError_t cudaGetLastError(void);
const char *cudaGetErrorString(cudaError_t error);

#endif
