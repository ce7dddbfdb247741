/* pool.h -- hands out places in one stretch of memory from both of its ends, first-fit.
 *
 * What a step keeps for its backward pass goes to the low end, what lives for a moment (gradients, scratch) to the
 * high end, so that the two do not break each other's order. A place is an offset: the pool never touches the memory,
 * which may be a device's or, when a run is only planned, not there at all. The same requests in the same order get the
 * same places, whatever the capacity, so the peak of a dry run is exactly what the real one needs.
 */
#ifndef VQ_BASE_POOL_H
#define VQ_BASE_POOL_H

#include "base/status.h"

#include <stddef.h>

#define VQ_POOL_ALIGN 64 /* every place starts at a multiple of this, in bytes */

typedef struct vq_pool vq_pool;
typedef enum vq_pool_end { VQ_POOL_LOW, VQ_POOL_HIGH } vq_pool_end;

vq_status vq_pool_create(vq_pool **out, size_t capacity);
void vq_pool_free(vq_pool *pool);

/* *offset: where `bytes` bytes may live, counted from the start of the memory. 0 bytes take one aligned unit, so that
 * every place is its own. VQ_ERR_MEMORY when the ends would meet. */
vq_status vq_pool_take(vq_pool *pool, vq_pool_end end, size_t bytes, size_t *offset);

/* Gives a place back; `offset` is one that vq_pool_take returned and that is still taken. Returns the bytes that
 * it held, 0 for an offset that is not taken. */
size_t vq_pool_give(vq_pool *pool, size_t offset);

size_t vq_pool_capacity(const vq_pool *pool);
size_t vq_pool_used(const vq_pool *pool); /* bytes taken now */
size_t
vq_pool_peak(const vq_pool *pool); /* the most that both ends have reached together: the capacity that is needed */
void vq_pool_reset_peak(vq_pool *pool);

#endif
