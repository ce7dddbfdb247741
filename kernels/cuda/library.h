/* library.h -- somebody else's shared library, opened when it is first used: the program and the module start without it.
 *
 * Nothing of its headers is needed to build: what we call of it is declared by hand, in the file that calls it, and
 * tests/cuda_on_cpu/test_headers.cpp compares that with the headers where there are any. */
#ifndef VQ_KERNELS_CUDA_LIBRARY_H
#define VQ_KERNELS_CUDA_LIBRARY_H

#include "base/status.h"

#include <stddef.h>

/* A function of it, and where its address goes in a struct of pointers to functions. */
typedef struct vq_symbol {
  const char *name;
  size_t offset;
} vq_symbol;

#define VQ_LIBRARY_NAME 256

/* The first error of several calls, each of which is made only if there was none before. */
#define VQ_LIBRARY_STEP(error, call) ((error) = (error) ? (error) : (call))

/* Opens the file that the environment variable names or, where it is not set, the first of `files` (ends with NULL) that the system finds;
 * fills in all of table's functions, and the name of what was opened. The library stays open. VQ_ERR_DEVICE: it is not there,
 * or has not all of the functions. */
vq_status vq_library_open(const char *variable, const char *const *files, const vq_symbol *symbol, int symbols,
                          void *table, char name[VQ_LIBRARY_NAME]);

#endif
