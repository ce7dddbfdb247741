/* machine.h -- what computes: two runs with the same settings end in the same bits where these texts are the same. */
#ifndef VQ_RUNTIME_MACHINE_H
#define VQ_RUNTIME_MACHINE_H

#include <stddef.h>

/* The processor's own name; "unknown" where the system does not tell it. */
void vq_machine_cpu(char *text, size_t bytes);

/* "cpu, Intel(R) Xeon(R) ..., AVX-512": the device and the instructions that its loops use. */
void vq_machine_device(char *text, size_t bytes);

/* "sse4.2 avx avx2 fma": those that the processor has of the instruction sets that kernels look for. */
void vq_machine_instructions(char *text, size_t bytes);

/* "0.1.0 float 0123abcd...": the version, and the build's own mark where the linker left one. */
void vq_machine_build(char *text, size_t bytes);

#endif
