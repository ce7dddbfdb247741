/* runtime.cpp -- the calls of CUDA's runtime that the backend makes, on host memory. */
#include "cuda_on_cpu.h"
#include "races.h"

#include <cstdlib>
#include <map>
#include <vector>

/* What a captured stream would have done; its instance is a copy. */
struct cuda_on_cpu_graph {
  std::vector<std::function<int()>> work;
};

static cuda_on_cpu_graph *captured; /* NULL: everything is done at once */

int cuda_on_cpu::queue(std::function<int()> work)
{
  if (!captured)
    return work();
  captured->work.push_back(std::move(work));
  return cudaSuccess;
}

static cudaStreamCaptureMode mode_of_thread = cudaStreamCaptureModeGlobal;

/* What is no part of the step (to load a kernel, to take memory) is an error while a stream is captured, unless the thread has said so. */
static bool may_load(void)
{
  return !captured || mode_of_thread == cudaStreamCaptureModeRelaxed;
}

static cuda_on_cpu_stream the_stream = {CUDA_ON_CPU_MAGIC, cuda_on_cpu::queue, may_load};

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode *mode)
{
  cudaStreamCaptureMode before = mode_of_thread;
  mode_of_thread = *mode;
  *mode = before;
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode)
{
  captured = new cuda_on_cpu_graph;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *out)
{
  *out = captured;
  captured = nullptr;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long)
{
  *out = new cuda_on_cpu_graph(*graph);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph)
{
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t)
{
  int error = cudaSuccess;
  for (size_t i = 0; i < graph->work.size() && error == cudaSuccess; i++)
    error = graph->work[i]();
  return error;
}

/* The card's memory in MiB, and what others have taken of it: $CUDA_ON_CPU_MEMORY and $CUDA_ON_CPU_TAKEN. */
static size_t megabytes(const char *name, size_t otherwise)
{
  const char *text = getenv(name);
  return (text ? strtoul(text, nullptr, 10) : otherwise) << 20;
}

static std::map<void *, size_t> taken; /* what cudaMalloc has given, in bytes */
static size_t taken_bytes;

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
  size_t used = megabytes("CUDA_ON_CPU_TAKEN", 0) + taken_bytes;
  *total = megabytes("CUDA_ON_CPU_MEMORY", 1024);
  *free = used < *total ? *total - used : 0;
  return cudaSuccess;
}

#define POISON 0xff /* fresh memory holds NaNs */

cudaError_t cudaMalloc(void **out, size_t bytes)
{
  cuda_on_cpu::Unseen unseen;
  if (!may_load())
    return cudaErrorStreamCaptureUnsupported;
  size_t left, total;
  cudaMemGetInfo(&left, &total);
  if (bytes > left ||
      posix_memalign(out, 256, bytes)) /* not one byte more: AddressSanitizer sees one past the end */
    return cudaErrorMemoryAllocation;
  taken[*out] = bytes;
  taken_bytes += bytes;
  memset(*out, POISON, bytes);
  return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
  auto found = taken.find(memory);
  if (found != taken.end()) {
    taken_bytes -= found->second;
    taken.erase(found);
  }
  free(memory);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void **out, size_t bytes)
{
  *out = malloc(bytes);
  return *out ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *memory)
{
  return cudaFree(memory);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t)
{
  return cuda_on_cpu::queue([=] {
    if (bytes)
      memcpy(to, from, bytes);
    return (int)cudaSuccess;
  });
}

/* For programs that know nothing of the emulation: the schedule's number is in the environment. */
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned)
{
  const char *number = getenv("CUDA_ON_CPU_SCHEDULE");
  if (number)
    cuda_on_cpu::schedule = (cuda_on_cpu::Schedule)(atoi(number) % cuda_on_cpu::SCHEDULES);
  *out = &the_stream;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t)
{
  return cudaSuccess;
}

/* Waiting for what is only kept is an error, as in CUDA. */
cudaError_t cudaStreamSynchronize(cudaStream_t)
{
  if (captured)
    return cudaErrorStreamCaptureUnsupported;
  return cuda_on_cpu::failed ? cudaErrorIllegalAddress : cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned)
{
  *out = nullptr;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t)
{
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t)
{
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t)
{
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int ordinal)
{
  return ordinal ? cudaErrorNoDevice : cudaSuccess;
}

/* A card of compute capability 8.0, whose kernels are the most. */
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int ordinal)
{
  *out = cudaDeviceProp{"CUDA on the CPU", 8, 0, 4, megabytes("CUDA_ON_CPU_MEMORY", 1024)};
  return cudaSetDevice(ordinal);
}

cudaError_t cudaGetLastError(void)
{
  return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t error)
{
  switch (error) {
  case cudaSuccess: return "no error";
  case cudaErrorInvalidValue: return "invalid argument";
  case cudaErrorMemoryAllocation: return "out of memory";
  case cudaErrorStreamCaptureUnsupported: return "a stream that is captured was waited for";
  case cudaErrorNoDevice: return "no such device";
  case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
  default: return cuda_on_cpu::fault.c_str();
  }
}
