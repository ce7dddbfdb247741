/* noise.cu -- noise on CUDA. Contract: noise.h. A thread for each Philox block, whose four normals it adds: base/rng.h's words, and
 * the CPU's polynomials in double. */
#include "kernels/cuda/cuda.cuh"

extern "C" {
#include "base/rng.h"
}

#define VQ_NORMAL VQ_DEVICE
#include "kernels/noise/box_muller.h"

namespace
{

#define THREADS 256

enum { X, FACTOR, KEY };

/* vq_philox on one counter, in place. */
VQ_DEVICE void philox(uint32_t c[4], uint32_t k0, uint32_t k1)
{
#pragma unroll
  for (int round = 0; round < 10; round++) {
    uint32_t high0, low0, high1, low1;
    vq_multiply_words(&high0, &low0, 0xD2511F53u, c[0]);
    vq_multiply_words(&high1, &low1, 0xCD9E8D57u, c[2]);
    c[0] = high1 ^ c[1] ^ k0;
    c[1] = low1;
    c[2] = high0 ^ c[3] ^ k1;
    c[3] = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

/* normal[i] = vq_rng_normal(seed, VQ_RNG_NOISE, step, first + i); `first` is a multiple of 4. */
VQ_DEVICE void draw_four(float normal[4], const uint32_t *key, uint64_t first)
{
  uint64_t block = first / 4;
  uint32_t word[4] = {(uint32_t)block, (uint32_t)(block >> 32), key[2], VQ_RNG_NOISE};
  philox(word, key[0], key[1]);
#pragma unroll
  for (int k = 0; k < 4; k += 2) {
    double radius = vq_radius((vq_double_of_word(word[k]) + 1) * 0x1p-32), cosine, sine;
    vq_circle(word[k + 1], &cosine, &sine);
    normal[k] = (float)(radius * cosine);
    normal[k + 1] = (float)(radius * sine);
  }
}

/* Blocks `across` for each cutout. A cutout's first element need not be the first of four draws: the first draws may belong to the
 * cutout before. */
__global__ void noise_kernel(float *y, const float *x, const float *factor, const uint32_t *key, int64_t each,
                             int64_t across)
{
  int64_t j = blockIdx.x / across;
  uint64_t start = (uint64_t)key[4 * j + 3] * (uint64_t)each;
  int64_t at = (blockIdx.x % across * THREADS + threadIdx.x) * 4 - (int64_t)(start % 4), place = j * each + at;
  float normal[4] = {}, f = factor[j];
  if (at >= each)
    return;
  if (f != 0)
    draw_four(normal, key + 4 * j, start + (uint64_t)at);
  if (at >= 0 && at + 4 <= each && place % 4 == 0) {
    vq_pack<float, 4> four = vq_load<4>(x + place);
    for (int k = 0; k < 4; k++)
      four.at[k] = f != 0 ? four.at[k] + f * normal[k] : four.at[k];
    vq_store(y + place, four);
    return;
  }
  for (int k = 0; k < 4; k++)
    if (at + k >= 0 && at + k < each)
      y[place + k] = f != 0 ? x[place + k] + f * normal[k] : x[place + k];
}

vq_status noise_forward_cuda(const vq_call *c)
{
  int64_t n = c->in[X]->dim[0], each = vq_count(c->in[X]) / n;
  int64_t across = vq_blocks((each + 3 + 3) / 4, THREADS); /* up to three draws before the first element */
  return vq_cuda_status(VQ_LAUNCH(noise_kernel, (unsigned)(n * across), THREADS, vq_stream(c), vq_values(c->out),
                                  vq_values(c->in[X]), vq_values(c->in[FACTOR]), vq_values_as<uint32_t>(c->in[KEY]),
                                  each, across),
                        "noise");
}

} // namespace

const vq_kernels vq_cuda_noise = {noise_forward_cuda, NULL, NULL, NULL};
