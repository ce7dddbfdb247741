/* planted.cu -- a kernel as kernels are written, and the faults that the emulation must see. */
#include "kernels/cuda/portable.cuh"

enum Bug { NONE, NO_BARRIER_AFTER_LOAD, NO_BARRIER_BEFORE_REUSE, OUT_OF_BOUNDS, EARLY_RETURN };

/* y[i] = the sum of the block's x, then plus the sum of their squares, through one buffer. 64 threads. */
__global__ void sums(float *y, const float *x, int bug)
{
  VQ_SHARED(float, buffer, 2);
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
  y[i] = total;
}

int launch_sums(float *y, const float *x, int blocks, int bug)
{
  return VQ_LAUNCH(sums, (unsigned)blocks, 64u, 0, y, x, bug);
}
