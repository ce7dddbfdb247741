/* codepoints.h -- a growing array of Unicode code points, the form in which text is cleaned.
 *
 * Memory that runs out is remembered in `failed` and later pushes do nothing, so that a chain of steps is checked once,
 * at its end. All zero is an empty array.
 */
#ifndef VQ_NETS_CODEPOINTS_H
#define VQ_NETS_CODEPOINTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct vq_codes {
  uint32_t *at;
  size_t n, room;
  bool failed;
} vq_codes;

static inline void vq_codes_push(vq_codes *codes, uint32_t c)
{
  if (codes->n == codes->room) {
    size_t room = codes->room ? 2 * codes->room : 64;
    uint32_t *grown = codes->failed ? NULL : realloc(codes->at, room * sizeof *grown);
    if (!grown) {
      codes->failed = true;
      return;
    }
    codes->at = grown;
    codes->room = room;
  }
  codes->at[codes->n++] = c;
}

static inline void vq_codes_append(vq_codes *codes, const uint32_t *c, size_t n)
{
  for (size_t i = 0; i < n; i++)
    vq_codes_push(codes, c[i]);
}

static inline void vq_codes_free(vq_codes *codes)
{
  free(codes->at);
  *codes = (vq_codes){0};
}

static inline bool vq_codes_equal(const vq_codes *a, const vq_codes *b)
{
  return a->n == b->n && (!a->n || !memcmp(a->at, b->at, a->n * sizeof *a->at));
}

/* `codes` becomes `fresh`, which it owns from now on; a failure of either is kept. Returns whether the text changed. */
static inline bool vq_codes_replace(vq_codes *codes, vq_codes *fresh)
{
  bool changed = !vq_codes_equal(codes, fresh);
  fresh->failed |= codes->failed;
  free(codes->at);
  *codes = *fresh;
  return changed;
}

#endif
