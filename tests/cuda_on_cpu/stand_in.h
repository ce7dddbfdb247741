/* stand_in.h -- for the libraries that stand in for NVIDIA's on the emulated card: how their work is queued, and how they are told to fail.
 *
 * They have the functions that kernels/cuda calls and no others, compute with plain loops, and refuse, with a word on stderr, whatever the real ones
 * would not be sure to take. */
#ifndef VQ_TESTS_STAND_IN_H
#define VQ_TESTS_STAND_IN_H

#include "cuda_on_cpu.h"

#include <cstdio>
#include <cstdlib>

#define STAND_IN(result) extern "C" __attribute__((visibility("default"))) result

/* $STAND_IN_FAULT has the word. */
static inline bool stand_in_fault(const char *word)
{
  const char *fault = getenv("STAND_IN_FAULT");
  return fault && !strcmp(fault, word);
}

static inline bool stand_in_refuse(const char *library, const char *why)
{
  fprintf(stderr, "stand-in for %s: %s\n", library, why);
  return false;
}

static inline bool stand_in_stream(const void *stream)
{
  return stream && static_cast<const cuda_on_cpu_stream *>(stream)->magic == CUDA_ON_CPU_MAGIC;
}

static inline bool stand_in_aligned(const void *p, uint64_t align)
{
  return p && align && reinterpret_cast<uintptr_t>(p) % align == 0;
}

/* Element i of numbers that are bf16 or float. */
static inline float stand_in_read(const void *p, bool bf16, int64_t i)
{
  return bf16 ? vq_bf16_to_float(static_cast<const uint16_t *>(p)[i]) : static_cast<const float *>(p)[i];
}

static inline void stand_in_write(void *p, bool bf16, int64_t i, double value)
{
  if (bf16)
    static_cast<uint16_t *>(p)[i] = vq_bf16_from_float((float)value);
  else
    static_cast<float *>(p)[i] = (float)value;
}

/* To 10 digits after the first, ties to even: what the tensor cores read of a float. */
static inline float stand_in_tf32(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
  memcpy(&x, &bits, sizeof x);
  return x;
}

#endif
