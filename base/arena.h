/* arena.h -- many small things that live and end together: taken one by one, freed at once. */
#ifndef VQ_BASE_ARENA_H
#define VQ_BASE_ARENA_H

#include <stddef.h>

/* {0} is an empty one. */
typedef struct vq_arena {
  struct vq_arena_chunk *chunk;
} vq_arena;

/* Zeros, aligned for anything; NULL: no memory. Stays where it is until vq_arena_free. */
void *vq_arena_take(vq_arena *arena, size_t bytes);

/* The text of `bytes` bytes and a 0 after it; NULL: no memory. */
char *vq_arena_text(vq_arena *arena, const char *text, size_t bytes);

/* Leaves it empty. */
void vq_arena_free(vq_arena *arena);

#endif
