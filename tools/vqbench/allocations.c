/* allocations.c -- malloc and its kin, counted. A program that defines these functions has every library's calls, too, come here; glibc
 * keeps its own under other names, and its free takes what they gave. The counter is the one global that counting cannot do without. */
#include "tools/vqbench/allocations.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTED 0
#elif defined(__GLIBC__)
#define COUNTED 1
#else
#define COUNTED 0
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#undef COUNTED
#define COUNTED 0
#endif
#endif

#if COUNTED
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

static atomic_llong calls;

static void count(void)
{
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

void *malloc(size_t bytes)
{
  count();
  return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes)
{
  count();
  return __libc_calloc(number, bytes);
}

void *realloc(void *memory, size_t bytes)
{
  count();
  return __libc_realloc(memory, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
  count();
  return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
  count();
  return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
  count();
  void *memory = __libc_memalign(alignment, bytes);
  if (!memory)
    return ENOMEM;
  *out = memory;
  return 0;
}

int64_t bench_allocations(void)
{
  return atomic_load(&calls);
}
#else
int64_t bench_allocations(void)
{
  return -1;
}
#endif
