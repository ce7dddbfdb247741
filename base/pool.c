/* pool.c -- each end is an array of taken places in order of their distance from that end. */
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

typedef struct place {
  size_t from, to; /* distances from the end, in bytes */
} place;

typedef struct end {
  place *places; /* ascending, never overlapping */
  size_t count, room;
} end;

struct vq_pool {
  size_t capacity, used, peak;
  end end[2]; /* by vq_pool_end */
};

vq_status vq_pool_create(vq_pool **out, size_t capacity)
{
  *out = calloc(1, sizeof **out);
  if (!*out)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a pool");
  (*out)->capacity = capacity - capacity % VQ_POOL_ALIGN;
  return VQ_OK;
}

void vq_pool_free(vq_pool *pool)
{
  if (!pool)
    return;
  free(pool->end[VQ_POOL_LOW].places);
  free(pool->end[VQ_POOL_HIGH].places);
  free(pool);
}

static size_t reach(const end *e)
{
  return e->count ? e->places[e->count - 1].to : 0;
}

/* The number of the first place that leaves `bytes` free before it; count when only the room behind the last does. */
static size_t first_fit(const end *e, size_t bytes, size_t *from)
{
  size_t at = 0;
  for (size_t i = 0; i < e->count; i++) {
    if (e->places[i].from - at >= bytes) {
      *from = at;
      return i;
    }
    at = e->places[i].to;
  }
  *from = at;
  return e->count;
}

vq_status vq_pool_take(vq_pool *pool, vq_pool_end which, size_t bytes, size_t *offset)
{
  end *e = &pool->end[which];
  const end *other = &pool->end[!which];
  size_t from, unit = VQ_POOL_ALIGN;
  if (bytes > pool->capacity)
    return vq_fail(VQ_ERR_MEMORY, "a request of %zu bytes is larger than the pool of %zu", bytes, pool->capacity);
  bytes = bytes ? (bytes + unit - 1) / unit * unit : unit;
  size_t i = first_fit(e, bytes, &from);
  size_t extent = from + bytes > reach(e) ? from + bytes : reach(e);
  if (extent > pool->capacity || reach(other) > pool->capacity - extent)
    return vq_fail(VQ_ERR_MEMORY, "the pool of %zu bytes is full: %zu are taken and %zu more were asked for",
                   pool->capacity, pool->used, bytes);
  if (e->count == e->room) {
    size_t room = e->room ? 2 * e->room : 64;
    place *grown = realloc(e->places, room * sizeof *grown);
    if (!grown)
      return vq_fail(VQ_ERR_MEMORY, "no memory for a pool's list");
    e->places = grown;
    e->room = room;
  }
  memmove(e->places + i + 1, e->places + i, (e->count - i) * sizeof *e->places);
  e->places[i] = (place){from, from + bytes};
  e->count++;
  pool->used += bytes;
  if (extent + reach(other) > pool->peak)
    pool->peak = extent + reach(other);
  *offset = which == VQ_POOL_LOW ? from : pool->capacity - (from + bytes);
  return VQ_OK;
}

size_t vq_pool_give(vq_pool *pool, size_t offset)
{
  for (int which = VQ_POOL_LOW; which <= VQ_POOL_HIGH; which++) {
    end *e = &pool->end[which];
    for (size_t low = 0, high = e->count; low < high;) {
      size_t i = low + (high - low) / 2;
      size_t start = which == VQ_POOL_LOW ? e->places[i].from : pool->capacity - e->places[i].to;
      if (start == offset) {
        size_t bytes = e->places[i].to - e->places[i].from;
        pool->used -= bytes;
        memmove(e->places + i, e->places + i + 1, (e->count - i - 1) * sizeof *e->places);
        e->count--;
        return bytes;
      }
      if ((start < offset) == (which == VQ_POOL_LOW))
        low = i + 1;
      else
        high = i;
    }
  }
  return 0;
}

size_t vq_pool_capacity(const vq_pool *pool)
{
  return pool->capacity;
}

size_t vq_pool_used(const vq_pool *pool)
{
  return pool->used;
}

size_t vq_pool_peak(const vq_pool *pool)
{
  return pool->peak;
}

void vq_pool_reset_peak(vq_pool *pool)
{
  pool->peak = reach(&pool->end[VQ_POOL_LOW]) + reach(&pool->end[VQ_POOL_HIGH]);
}
