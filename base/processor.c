/* processor.c -- asks the processor, and the environment, once. Contract: processor.h. */
#include "base/processor.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)

static vq_vectors most_vectors(void)
{
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
  return avx512 ? VQ_VECTORS_AVX512 : avx2 ? VQ_VECTORS_AVX2 : VQ_VECTORS_PLAIN;
}

static bool most_bf16(void)
{
  return __builtin_cpu_supports("avx512bf16");
}

#else

static vq_vectors most_vectors(void)
{
  return VQ_VECTORS_PLAIN;
}

static bool most_bf16(void)
{
  return false;
}

#endif

static const char *const words[] = {"plain", "avx2", "avx512"};
#define WORDS (int)(sizeof words / sizeof *words)

/* The set that VQGEN_CPU asks for; WORDS: it does not ask; -1: it names none. */
static int asked(void)
{
  const char *text = getenv("VQGEN_CPU");
  if (!text || !*text)
    return WORDS;
  for (int i = 0; i < WORDS; i++)
    if (!strcmp(text, words[i]))
      return i;
  return -1;
}

/* A property of the machine and the process, like what the compiler's own __builtin_cpu_supports reads: set before main, then
 * only read. */
static struct {
  vq_vectors vectors;
  bool bf16;
} found;

#ifdef __GNUC__
__attribute__((constructor)) static void look(void)
{
#ifdef __x86_64__
  __builtin_cpu_init();
#endif
  int most = (int)most_vectors(), wanted = asked();
  found.vectors = (vq_vectors)(wanted >= 0 && wanted < most ? wanted : most);
  found.bf16 = found.vectors == VQ_VECTORS_AVX512 && most_bf16();
}
#endif

vq_vectors vq_processor_vectors(void)
{
  return found.vectors;
}

bool vq_processor_has_bf16(void)
{
  return found.bf16;
}

const char *vq_vectors_name(vq_vectors vectors)
{
  return vectors == VQ_VECTORS_AVX512 ? "AVX-512" : vectors == VQ_VECTORS_AVX2 ? "AVX2" : "plain vectors";
}

vq_status vq_processor_check(void)
{
  int wanted = asked();
  if (wanted < 0)
    return vq_fail(VQ_ERR_ARGUMENT, "VQGEN_CPU is \"%s\" in the environment: it can be plain, avx2 or avx512",
                   getenv("VQGEN_CPU"));
  if (wanted != WORDS && wanted > (int)most_vectors())
    return vq_fail(VQ_ERR_UNSUPPORTED, "VQGEN_CPU asks for %s, which this processor lacks: unset it, or say %s",
                   vq_vectors_name((vq_vectors)wanted), words[most_vectors()]);
  return VQ_OK;
}
