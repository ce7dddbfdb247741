/* simd.h -- hot loops compiled for the processor that runs them, on a build that starts on any.
 *
 * A loop is written once, as name_body. VQ_LOOP makes of it two functions: one for every processor of the architecture,
 * and on x86-64 one for those with AVX2 and FMA; and `name`, which calls the right one. Bits differ between the two (a
 * fused multiply-add rounds once), never from run to run on one processor.
 *
 *   static inline VQ_BODY void scale_body(vq_real *x, int64_t n) { for (...) x[i] *= 2; }
 *   VQ_LOOP(scale, (vq_real *x, int64_t n), (x, n))
 */
#ifndef VQ_KERNELS_CPU_SIMD_H
#define VQ_KERNELS_CPU_SIMD_H

#include <stdbool.h>

#if defined(__GNUC__)
#define VQ_BODY __attribute__((always_inline))
#else
#define VQ_BODY
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(VQ_DOUBLE)
#define VQ_AVX2 __attribute__((target("avx2,fma")))

static inline bool vq_cpu_has_avx2(void)
{
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#define VQ_LOOP(name, parameters, arguments)  \
  VQ_AVX2 static void name##_avx2 parameters  \
  {                                           \
    name##_body arguments;                    \
  }                                           \
  static void name##_any parameters           \
  {                                           \
    name##_body arguments;                    \
  }                                           \
  static void name parameters                 \
  {                                           \
    if (vq_cpu_has_avx2())                    \
      name##_avx2 arguments;                  \
    else                                      \
      name##_any arguments;                   \
  }
#else
static inline bool vq_cpu_has_avx2(void)
{
  return false;
}

#define VQ_LOOP(name, parameters, arguments) \
  static void name parameters                \
  {                                          \
    name##_body arguments;                   \
  }
#endif

#endif
