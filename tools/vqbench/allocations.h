/* allocations.h -- how often the program asks for memory. */
#ifndef VQBENCH_ALLOCATIONS_H
#define VQBENCH_ALLOCATIONS_H

#include <stdint.h>

/* Calls of malloc and its kin so far, by all threads, libraries' too; -1 where they cannot be counted: with another C library than
 * glibc, and under a sanitizer, whose malloc is its own. */
int64_t bench_allocations(void);

#endif
