/* reduce.cuh -- sums and maxima of a warp and of a block, in an order that the block's size fixes. */
#ifndef VQ_KERNELS_CUDA_REDUCE_CUH
#define VQ_KERNELS_CUDA_REDUCE_CUH

#include "kernels/cuda/portable.cuh"

#define VQ_WARP       32
#define VQ_WHOLE_WARP 0xffffffffu

/* Every lane gets the warp's sum. All 32 must come here. */
template <class T> VQ_DEVICE T vq_warp_sum(T x)
{
  for (int bits = VQ_WARP / 2; bits; bits /= 2)
    x += __shfl_xor_sync(VQ_WHOLE_WARP, x, bits);
  return x;
}

VQ_DEVICE float vq_warp_max(float x)
{
  for (int bits = VQ_WARP / 2; bits; bits /= 2)
    x = fmaxf(x, __shfl_xor_sync(VQ_WHOLE_WARP, x, bits));
  return x;
}

/* Every thread of a block of THREADS (a multiple of 32, one-dimensional) gets the block's sum. `room`: THREADS / 32 floats of
 * shared memory, which may be used again after it. In double just so. */
template <int THREADS, class T> VQ_DEVICE T vq_block_sum(T x, T *room)
{
  T sum = 0;
  x = vq_warp_sum(x);
  if (threadIdx.x % VQ_WARP == 0)
    room[threadIdx.x / VQ_WARP] = x;
  __syncthreads();
  for (int i = 0; i < THREADS / VQ_WARP; i++)
    sum += room[i];
  __syncthreads();
  return sum;
}

template <int THREADS> VQ_DEVICE float vq_block_max(float x, float *room)
{
  x = vq_warp_max(x);
  if (threadIdx.x % VQ_WARP == 0)
    room[threadIdx.x / VQ_WARP] = x;
  __syncthreads();
  x = room[0];
  for (int i = 1; i < THREADS / VQ_WARP; i++)
    x = fmaxf(x, room[i]);
  __syncthreads();
  return x;
}

#endif
