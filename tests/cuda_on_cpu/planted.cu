/* planted.cu -- kernels as kernels are written, and the faults that the emulation must see. */
#include "kernels/cuda/portable.cuh"

enum Bug {
  NONE,
  NO_BARRIER_AFTER_LOAD,
  NO_BARRIER_BEFORE_REUSE,
  OUT_OF_BOUNDS,
  EARLY_RETURN,
  NOT_ATOMIC,
  BLOCKS_MEET,
  SHUFFLE_AS_BARRIER,
  PAST_THE_END,
  BUGS
};

/* y[i] = the sum of the block's x, then plus the sum of their squares, through one buffer. 64 threads. And *count, how many threads
 * there are; first[warp] is what the warp's first thread has written for all of it. */
__global__ void sums(float *y, int *count, const float *x, int bug)
{
  VQ_SHARED(float, buffer, 2);
  VQ_SHARED(float, first, 2);
  int t = (int)threadIdx.x, i = (int)(blockIdx.x * blockDim.x) + t;
  float total = 0;
  if (bug == EARLY_RETURN && t == 40)
    return;
  for (int power = 1; power <= 2; power++) {
    float v = power == 1 ? x[i] : x[i] * x[i];
    for (int bits = 16; bits; bits /= 2)
      v += __shfl_xor_sync(0xffffffffu, v, bits);
    if (power == 2 && bug != NO_BARRIER_BEFORE_REUSE)
      __syncthreads();
    if (t % 32 == 0)
      buffer[t / 32 + (bug == OUT_OF_BOUNDS)] = v;
    if (bug != NO_BARRIER_AFTER_LOAD)
      __syncthreads();
    total += buffer[0] + buffer[1];
  }
  if (t % 32 == 0)
    first[t / 32] = total;
  if (bug == SHUFFLE_AS_BARRIER)
    total = __shfl_sync(0xffffffffu, total, 0);
  else
    __syncwarp();
  y[i + (bug == PAST_THE_END)] = first[t / 32];
  if (bug == NOT_ATOMIC)
    *count += 1;
  else if (bug == BLOCKS_MEET && t == 0)
    *count += 64;
  else if (bug != BLOCKS_MEET)
    atomicAdd(count, 1);
}

int launch_sums(float *y, int *count, const float *x, int blocks, int bug)
{
  return VQ_LAUNCH(sums, (unsigned)blocks, 64u, 0, y, count, x, bug);
}
