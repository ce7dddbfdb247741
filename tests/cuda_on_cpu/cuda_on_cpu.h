/* cuda_on_cpu.h -- CUDA's words for a host compiler: a fiber for each CUDA thread, one block after the other. */
#ifndef VQ_TESTS_CUDA_ON_CPU_H
#define VQ_TESTS_CUDA_ON_CPU_H

#include <cstddef>
#include <cstring>
#include <functional>
#include <string>

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace cuda_on_cpu {

/* Which thread of a block goes on next, where more than one could. */
enum Schedule { IN_ORDER, REVERSED, SHUFFLED, WARP_GREEDY, SCHEDULES };
extern Schedule schedule;

/* What the last launch was caught at; empty if nothing. */
extern std::string fault;

extern dim3 thread, block, threads, blocks;

int launch(dim3 grid, dim3 size, const std::function<void()> &body);
void barrier(int line);
void *shared(const void *site, const char *name, size_t bytes);
void shuffle(const void *mine, void *theirs, size_t bytes, unsigned lane);
unsigned lane();

template <class T> T shuffle_from(T value, unsigned from)
{
  T other;
  shuffle(&value, &other, sizeof other, from);
  return other;
}

} // namespace cuda_on_cpu

#define __global__
#define __device__
#define __restrict__ __restrict
#define threadIdx cuda_on_cpu::thread
#define blockIdx  cuda_on_cpu::block
#define blockDim  cuda_on_cpu::threads
#define gridDim   cuda_on_cpu::blocks

#define __syncthreads() cuda_on_cpu::barrier(__LINE__)
#define __shfl_xor_sync(mask, value, bits) ((void)(mask), cuda_on_cpu::shuffle_from(value, cuda_on_cpu::lane() ^ (bits)))

#define VQ_SHARED(type, name, count) \
  static const char name##_site = 0; \
  type *name = static_cast<type *>(cuda_on_cpu::shared(&name##_site, #name, (count) * sizeof(type)))
#define VQ_LAUNCH(kernel, grid, size, stream, ...) \
  ((void)(stream), cuda_on_cpu::launch((grid), (size), [&] { kernel(__VA_ARGS__); }))

#endif
