/* portable.cuh -- what a .cu file uses so that nvcc and a C++ compiler of the host both take it: shared memory and launches
 * go through these macros; barriers, shuffles and the indices keep CUDA's names. Without nvcc, the folder of
 * cuda_on_cpu.h is on the include path. */
#ifndef VQ_KERNELS_CUDA_PORTABLE_CUH
#define VQ_KERNELS_CUDA_PORTABLE_CUH

#ifdef __CUDACC__
#include <cuda_runtime.h>

/* An array in shared memory; uninitialised. */
#define VQ_SHARED(type, name, count) __shared__ type name[count]

/* kernel<<<blocks, threads>>>(arguments); its value is 0 or CUDA's error. */
#define VQ_LAUNCH(kernel, blocks, threads, stream, ...) \
  (kernel<<<(blocks), (threads), 0, (stream)>>>(__VA_ARGS__), cudaGetLastError())
#else
#include <cuda_on_cpu.h>
#endif

#endif
