/* portable.cuh -- what a .cu file uses so that nvcc and a C++ compiler of the host both take it: shared memory and launches
 * go through these macros; barriers, shuffles and the indices keep CUDA's names. Without nvcc, the folder of
 * cuda_on_cpu.h is on the include path. */
#ifndef VQ_KERNELS_CUDA_PORTABLE_CUH
#define VQ_KERNELS_CUDA_PORTABLE_CUH

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_runtime.h>

/* An array in shared memory, at a multiple of 16 bytes; uninitialised. */
#define VQ_SHARED(type, name, count) __shared__ __align__(16) type name[count]

/* The shared memory that the launch asked for, beyond that of the arrays. */
#define VQ_SHARED_OF_LAUNCH(name)                            \
  extern __shared__ __align__(128) char vq_launch_shared_[]; \
  char *name = vq_launch_shared_

/* kernel<<<blocks, threads, bytes of shared memory>>>(arguments); its value is 0 or CUDA's error. */
#define VQ_LAUNCH_SHARED(kernel, blocks, threads, bytes, stream, ...) \
  (kernel<<<(blocks), (threads), (bytes), (stream)>>>(__VA_ARGS__), cudaGetLastError())

/* More than 48 KiB of it must be allowed, once for a kernel and device. */
#define VQ_ALLOW_SHARED(kernel, bytes) \
  cudaFuncSetAttribute((const void *)(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, (int)(bytes))

#define VQ_DEVICE __device__ __forceinline__
#else
#include <cuda_on_cpu.h>
#endif

#define VQ_LAUNCH(kernel, blocks, threads, stream, ...) \
  VQ_LAUNCH_SHARED(kernel, blocks, threads, 0, stream, __VA_ARGS__)

/* ---- numbers: kernels are written once for float and for bf16, and compute in float ---- */

/* The upper half of a float; base/bf16.h. No arithmetic: what is read becomes a float, what is written is rounded. */
struct vq_bf16 {
  uint16_t bits;
};

VQ_DEVICE float vq_float(float x)
{
  return x;
}

VQ_DEVICE float vq_float(vq_bf16 x)
{
  uint32_t bits = (uint32_t)x.bits << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* To nearest, ties to even. */
template <class T> VQ_DEVICE T vq_round(float x);

template <> VQ_DEVICE float vq_round<float>(float x)
{
  return x;
}

template <> VQ_DEVICE vq_bf16 vq_round<vq_bf16>(float x)
{
#ifdef __CUDACC__
  __nv_bfloat16 half = __float2bfloat16_rn(x);
  vq_bf16 y;
  memcpy(&y, &half, sizeof y);
  return y;
#else
  return vq_bf16{vq_bf16_from_float(x)};
#endif
}

/* N neighbours in one load or store: p at a multiple of their bytes, 16 at most. */
template <class T, int N> struct alignas(sizeof(T) * N) vq_pack {
  T at[N];
};

template <int N, class T> VQ_DEVICE vq_pack<T, N> vq_load(const T *p)
{
  return *reinterpret_cast<const vq_pack<T, N> *>(p);
}

template <int N, class T> VQ_DEVICE void vq_store(T *p, const vq_pack<T, N> &x)
{
  *reinterpret_cast<vq_pack<T, N> *>(p) = x;
}

/* A gradient's element: stored or, where something is there already, added to it. */
template <class T> VQ_DEVICE void vq_put_gradient(T *to, bool add, float value)
{
  *to = vq_round<T>(add ? vq_float(*to) + value : value);
}

#endif
