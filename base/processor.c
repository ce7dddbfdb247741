/* processor.c -- asks the processor, and the environment, once. Contract: processor.h. */
#define _DEFAULT_SOURCE /* syscall */
#include "base/processor.h"

#include <stdlib.h>
#include <string.h>

#if VQ_TILES_COMPILE

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TILES_WITH_BF16 (1u << 24 | 1u << 22) /* AMX-TILE, AMX-BF16, in edx of the processor's leaf 7 */

/* The numbers of Linux's <asm/prctl.h>, which may be older than the system. */
#define REQUEST_PERMISSION 0x1023
#define TILE_DATA          18

/* The processor's, and the system's: the registers are 8 KiB more that it keeps of a thread, for a process that has asked. */
static bool has_tiles(void)
{
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & TILES_WITH_BF16) == TILES_WITH_BF16 &&
         !syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA);
}

#else

static bool has_tiles(void)
{
  return false;
}

#endif

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

/* What VQGEN_CPU can be: the vectors, and above them all that this program knows. */
#define TILES ((int)VQ_VECTORS_AVX512 + 1)

static const struct {
  const char *word, *name;
} levels[] = {
    [VQ_VECTORS_PLAIN] = {"plain", "plain vectors"},
    [VQ_VECTORS_AVX2] = {"avx2", "AVX2"},
    [VQ_VECTORS_AVX512] = {"avx512", "AVX-512"},
    [TILES] = {"amx", "AMX"},
};
#define LEVELS (int)(sizeof levels / sizeof *levels)

static int most(void)
{
  vq_vectors vectors = most_vectors();
  return vectors == VQ_VECTORS_AVX512 && most_bf16() && has_tiles() ? TILES : (int)vectors;
}

/* The level that VQGEN_CPU asks for; LEVELS: it does not ask; -1: it names none. */
static int asked(void)
{
  const char *text = getenv("VQGEN_CPU");
  if (!text || !*text)
    return LEVELS;
  for (int i = 0; i < LEVELS; i++)
    if (!strcmp(text, levels[i].word))
      return i;
  return -1;
}

/* A property of the machine and the process, like what the compiler's own __builtin_cpu_supports reads: set before main, then
 * only read. */
static struct {
  vq_vectors vectors;
  bool bf16, tiles;
} found;

#ifdef __GNUC__
__attribute__((constructor)) static void look(void)
{
#ifdef __x86_64__
  __builtin_cpu_init();
#endif
  int wanted = asked(), level = most();
  if (wanted >= 0 && wanted < level)
    level = wanted;
  found.tiles = level == TILES;
  found.vectors = level == TILES ? VQ_VECTORS_AVX512 : (vq_vectors)level;
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

bool vq_processor_has_tiles(void)
{
  return found.tiles;
}

const char *vq_vectors_name(vq_vectors vectors)
{
  return levels[vectors].name;
}

vq_status vq_processor_check(void)
{
  int wanted = asked();
  if (wanted < 0)
    return vq_fail(VQ_ERR_ARGUMENT, "VQGEN_CPU is \"%s\" in the environment: it can be plain, avx2, avx512 or amx",
                   getenv("VQGEN_CPU"));
  if (wanted != LEVELS && wanted > most())
    return vq_fail(VQ_ERR_UNSUPPORTED, "VQGEN_CPU asks for %s, which this machine lacks: unset it, or say %s",
                   levels[wanted].name, levels[most()].word);
  return VQ_OK;
}
