/* simd.h -- hot loops compiled for the processor that runs them, on a build that starts on any.
 *
 * A loop is written once, as name_body. VQ_LOOP makes of it a function for every processor of the architecture and, on
 * x86-64, one for those with AVX2 and FMA and one for those with AVX-512; and `name`, which calls the right one
 * (base/processor.h). Bits differ between them (a fused multiply-add rounds once), never from run to run on one processor.
 *
 *   static inline VQ_BODY void scale_body(vq_real *x, int64_t n) { for (...) x[i] *= 2; }
 *   VQ_LOOP(scale, (vq_real *x, int64_t n), (x, n))
 *
 * VQ_LOOP3 is for loops that are written once for vectors of 8 reals and once for vectors of 16: name_8 for the first two,
 * name_16 for AVX-512.
 */
#ifndef VQ_KERNELS_CPU_SIMD_H
#define VQ_KERNELS_CPU_SIMD_H

#include "base/processor.h"

#if defined(__GNUC__)
#define VQ_BODY __attribute__((always_inline))
#else
#define VQ_BODY
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(VQ_DOUBLE)
#define VQ_AVX2 __attribute__((target("avx2,fma")))
#ifdef __clang__
#define VQ_AVX512 __attribute__((target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")))
#else
#define VQ_AVX512 __attribute__((target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,prefer-vector-width=512")))
#endif

#define VQ_LOOP_OF(name, small, large, parameters, arguments) \
  VQ_AVX512 static void name##_avx512 parameters              \
  {                                                           \
    large arguments;                                          \
  }                                                           \
  VQ_AVX2 static void name##_avx2 parameters                  \
  {                                                           \
    small arguments;                                          \
  }                                                           \
  static void name##_any parameters                           \
  {                                                           \
    small arguments;                                          \
  }                                                           \
  static void name parameters                                 \
  {                                                           \
    switch (vq_processor_vectors()) {                         \
    case VQ_VECTORS_AVX512: name##_avx512 arguments; break;   \
    case VQ_VECTORS_AVX2: name##_avx2 arguments; break;       \
    case VQ_VECTORS_PLAIN: name##_any arguments; break;       \
    }                                                         \
  }
#else
#define VQ_LOOP_OF(name, small, large, parameters, arguments) \
  static void name parameters                                 \
  {                                                           \
    small arguments;                                          \
  }
#endif

#define VQ_LOOP(name, parameters, arguments)  VQ_LOOP_OF(name, name##_body, name##_body, parameters, arguments)
#define VQ_LOOP3(name, parameters, arguments) VQ_LOOP_OF(name, name##_8, name##_16, parameters, arguments)

#endif
