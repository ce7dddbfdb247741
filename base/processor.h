/* processor.h -- which of a processor's vector instructions the hot loops may use.
 *
 * The build starts on any processor of its architecture; loops that pay for it are compiled for several sets of
 * instructions, and the set is chosen once, when the program starts. VQGEN_CPU=plain|avx2|avx512|amx in the environment holds it
 * down: for tests, and for a picture that must come out as it does on a smaller processor.
 */
#ifndef VQ_BASE_PROCESSOR_H
#define VQ_BASE_PROCESSOR_H

#include "base/status.h"

#include <stdbool.h>

typedef enum vq_vectors {
  VQ_VECTORS_PLAIN,  /* what every processor of the architecture has */
  VQ_VECTORS_AVX2,   /* AVX2 and FMA */
  VQ_VECTORS_AVX512, /* AVX-512 F, VL, BW and DQ */
} vq_vectors;

/* What loops use in this process. */
vq_vectors vq_processor_vectors(void);

/* "AVX-512", "AVX2", "plain vectors" */
const char *vq_vectors_name(vq_vectors vectors);

/* Whether there are dot products of bfloat16 pairs (AVX512_BF16) and they may be used. */
bool vq_processor_has_bf16(void);

/* Whether, beyond those, there are matrix tiles of bfloat16 (AMX_BF16), this build knows them, and the system lets this
 * process use them. */
bool vq_processor_has_tiles(void);

/* Whether the compiler knows them, and the system is one that is asked for them in the way that processor.c does. */
#if defined(__x86_64__) && defined(__linux__) && \
    (defined(__clang__) ? __clang_major__ >= 12 : defined(__GNUC__) && __GNUC__ >= 11)
#define VQ_TILES_COMPILE 1
#else
#define VQ_TILES_COMPILE 0
#endif

/* VQ_ERR_ARGUMENT if VQGEN_CPU names no set, VQ_ERR_UNSUPPORTED if it names one that the processor lacks. */
vq_status vq_processor_check(void);

#endif
