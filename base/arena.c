/* arena.c -- chunks in a list, each twice as large as the one before it, up to a limit. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN _Alignof(max_align_t)

/* With AddressSanitizer everything has a chunk of its own, so that what is written past it is seen. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
enum { FIRST = 1, MOST = 1 };
#else
enum { FIRST = 1 << 12, MOST = 1 << 20 };
#endif

struct vq_arena_chunk {
  struct vq_arena_chunk *before;
  size_t size, used;
  _Alignas(max_align_t) char data[];
};

void *vq_arena_take(vq_arena *arena, size_t bytes)
{
  struct vq_arena_chunk *chunk = arena->chunk;
  size_t padded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
  if (bytes > SIZE_MAX / 2)
    return NULL;
  if (!chunk || chunk->size - chunk->used < padded) {
    size_t size = !chunk ? FIRST : chunk->size <= MOST / 2 ? 2 * chunk->size : MOST;
    if (size < padded)
      size = padded;
    chunk = calloc(1, sizeof *chunk + size);
    if (!chunk)
      return NULL;
    *chunk = (struct vq_arena_chunk){arena->chunk, size, 0};
    arena->chunk = chunk;
  }
  chunk->used += padded;
  return chunk->data + chunk->used - padded;
}

char *vq_arena_text(vq_arena *arena, const char *text, size_t bytes)
{
  char *copy = vq_arena_take(arena, bytes + 1);
  if (copy && bytes)
    memcpy(copy, text, bytes);
  return copy;
}

void vq_arena_free(vq_arena *arena)
{
  for (struct vq_arena_chunk *chunk = arena->chunk, *before; chunk; chunk = before) {
    before = chunk->before;
    free(chunk);
  }
  arena->chunk = NULL;
}
