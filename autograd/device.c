/* device.c -- memory of a device: the weights arena, the step pool, and the plan that has neither. */
#include "autograd/device.h"

#include "autograd/op.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Under AddressSanitizer every place is followed by bytes that nobody may touch, and so is a place given back: a kernel
 * that writes past its tensor, or reads one after vq_done, is stopped at the line that does it. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define GUARD_BYTES VQ_POOL_ALIGN

static void forbid(const vq_device *device, void *at, size_t bytes)
{
  if (!device->plan && device->backend->in_host_memory && !device->unguarded)
    __asan_poison_memory_region(at, bytes);
}

static void allow(const vq_device *device, void *at, size_t bytes)
{
  if (!device->plan && device->backend->in_host_memory)
    __asan_unpoison_memory_region(at, bytes);
}
#else
#define GUARD_BYTES               0
#define forbid(device, at, bytes) (void)(bytes)
#define allow(device, at, bytes)  (void)(bytes)
#endif

/* The weights arena grows by chunks of this size, or of what one request needs if that is more. */
#define CHUNK_BYTES ((size_t)16 << 20)

/* What a dropped weight is thought to give back: its whole pages but one, for it seldom begins where a page does. */
#define PAGE_BYTES ((size_t)4096)

/* A plan's places are numbers, never addresses that anything reads: they start here, so that none is NULL. */
#define PLAN_BASE  ((uintptr_t)1 << 20)
#define PLAN_BYTES ((size_t)1 << 46)

typedef struct vq_chunk {
  struct vq_chunk *next;
  char *memory;
  size_t bytes, used;
} vq_chunk;

vq_status vq_plan_create(vq_device **out, const vq_backend *backend)
{
  *out = calloc(1, sizeof **out);
  if (!*out)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a plan");
  (*out)->backend = backend;
  (*out)->plan = true;
  (*out)->products = VQ_REAL;
  (*out)->memory = (char *)PLAN_BASE;
  vq_status status = vq_pool_create(&(*out)->pool, PLAN_BYTES);
  if (status) {
    free(*out);
    *out = NULL;
  }
  return status;
}

void vq_device_free(vq_device *device)
{
  if (!device)
    return;
  while (device->weights) {
    vq_chunk *chunk = device->weights;
    device->weights = chunk->next;
    device->backend->free(device, chunk->memory);
    free(chunk);
  }
  for (int64_t i = 0; i < device->weight_count; i++)
    free(device->weight[i]);
  free(device->weight);
  if (!device->plan && device->memory) {
    allow(device, device->memory, vq_pool_capacity(device->pool));
    device->backend->free(device, device->memory);
  }
  if (device->backend->close)
    device->backend->close(device);
  vq_pool_free(device->pool);
  vq_threads_free(device->threads);
  free(device);
}

vq_status vq_device_reserve(vq_device *device, size_t bytes)
{
  if (device->pool)
    return vq_fail(VQ_ERR_ARGUMENT, "the device's step pool has been made already");
  bytes = (bytes + VQ_POOL_ALIGN - 1) / VQ_POOL_ALIGN * VQ_POOL_ALIGN;
  VQ_TRY(vq_pool_create(&device->pool, bytes));
  void *memory = NULL;
  vq_status status = device->backend->alloc(device, &memory, bytes ? bytes : VQ_POOL_ALIGN);
  if (status) {
    vq_pool_free(device->pool);
    device->pool = NULL;
  }
  device->memory = memory;
  if (!status)
    forbid(device, device->memory, bytes);
  return status;
}

size_t vq_device_peak(const vq_device *device)
{
  return device->pool ? vq_pool_peak(device->pool) : 0;
}

vq_status vq_device_settle(vq_device *device, const char *what)
{
  if (!device->one_by_one || device->plan || !device->backend->wait)
    return VQ_OK;
  return vq_fail_in(device->backend->wait(device), "%s", what);
}

void vq_device_unguard(vq_device *device)
{
  device->unguarded = true;
  if (device->memory && !device->plan)
    allow(device, device->memory, vq_pool_capacity(device->pool));
}

vq_status vq_device_take(vq_device *device, vq_pool_end end, size_t bytes, void **out)
{
  size_t offset;
  *out = NULL;
  if (!device->pool)
    return vq_fail(VQ_ERR_MEMORY, "the device has no step pool: call vq_device_reserve first");
  VQ_TRY(vq_pool_take(device->pool, end, bytes + GUARD_BYTES, &offset));
  *out = (void *)((uintptr_t)device->memory + offset);
  allow(device, *out, bytes);
  return VQ_OK;
}

void vq_device_give(vq_device *device, void *memory)
{
  if (!memory)
    return;
  size_t bytes = vq_pool_give(device->pool, (uintptr_t)memory - (uintptr_t)device->memory);
  forbid(device, memory, bytes);
}

static vq_status add_chunk(vq_device *device, size_t bytes)
{
  vq_chunk *made = calloc(1, sizeof *made);
  void *memory = NULL;
  if (!made)
    return vq_fail(VQ_ERR_MEMORY, "no memory for weights");
  vq_status status = device->backend->alloc(device, &memory, bytes);
  if (status) {
    free(made);
    return status;
  }
  *made = (vq_chunk){.next = device->weights, .memory = memory, .bytes = bytes};
  device->weights = made;
  return VQ_OK;
}

vq_status vq_weights_reserve(vq_device *device, size_t bytes)
{
  return device->plan || !bytes ? VQ_OK : add_chunk(device, bytes);
}

vq_status vq_weights_take(vq_device *device, size_t bytes, void **out)
{
  size_t padded = (bytes + VQ_POOL_ALIGN - 1) / VQ_POOL_ALIGN * VQ_POOL_ALIGN;
  *out = NULL;
  if (device->plan) {
    *out = (void *)(PLAN_BASE + device->weight_bytes);
    device->weight_bytes += padded;
    return VQ_OK;
  }
  vq_chunk *chunk = device->weights;
  if (!chunk || chunk->bytes - chunk->used < padded) {
    VQ_TRY(add_chunk(device, padded > CHUNK_BYTES ? padded : CHUNK_BYTES));
    chunk = device->weights;
  }
  *out = chunk->memory + chunk->used;
  chunk->used += padded;
  device->weight_bytes += padded;
  return VQ_OK;
}

vq_status vq_weight_create(vq_tensor **out, vq_device *device, const vq_shape *shape, const void *host, bool wants)
{
  vq_tensor *x = NULL;
  void *data;
  *out = NULL;
  VQ_TRY(vq_weights_take(device, vq_shape_bytes(shape), &data));
  vq_tensor **list = realloc(device->weight, (size_t)(device->weight_count + 1) * sizeof *list);
  if (list)
    device->weight = list;
  x = calloc(1, sizeof *x);
  if (!list || !x) {
    free(x);
    return vq_fail(VQ_ERR_MEMORY, "no memory for a weight");
  }
  list[device->weight_count++] = x;
  x->dtype = shape->dtype;
  x->rank = shape->rank;
  memcpy(x->dim, shape->dim, sizeof x->dim);
  x->data = data;
  x->refs = 1;
  x->wants = wants;
  x->weight = true;
  *out = x;
  return host ? vq_tensor_write(device, x, host) : VQ_OK;
}

void vq_weight_drop(vq_device *device, vq_tensor *w)
{
  vq_shape s = vq_shape_of(w);
  size_t bytes = vq_shape_bytes(&s), pages = bytes / PAGE_BYTES;
  if (!device->backend->drop)
    return;
  if (!device->plan) {
    device->backend->drop(device, w->data, bytes);
    forbid(device, w->data, bytes);
  }
  device->weight_dropped += pages > 1 ? (pages - 1) * PAGE_BYTES : 0;
  w->data = w->prepared[VQ_FORWARD];
}

size_t vq_weights_kept(const vq_device *device)
{
  return device->weight_bytes - device->weight_dropped;
}

vq_status vq_tensor_read(vq_device *device, const vq_tensor *x, void *host)
{
  vq_shape s = vq_shape_of(x);
  const void *data = x->base ? x->base->data : x->data;
  if (!data)
    return vq_fail(VQ_ERR_ARGUMENT, "a tensor is read after its values were given back");
  return device->plan ? VQ_OK : device->backend->download(device, host, data, vq_shape_bytes(&s));
}

vq_status vq_tensor_write(vq_device *device, vq_tensor *x, const void *host)
{
  vq_shape s = vq_shape_of(x);
  return device->plan ? VQ_OK : device->backend->upload(device, vq_root(x)->data, host, vq_shape_bytes(&s));
}

vq_status vq_grad_read(vq_device *device, const vq_tensor *x, void *host)
{
  vq_shape s = vq_shape_of(x);
  const void *grad = x->base ? x->base->grad : x->grad;
  if (!grad) {
    memset(host, 0, vq_shape_bytes(&s));
    return VQ_OK;
  }
  return device->plan ? VQ_OK : device->backend->download(device, host, grad, vq_shape_bytes(&s));
}

vq_status vq_tensor_finite(vq_device *device, const vq_tensor *x, bool of_gradient, bool *yes)
{
  vq_real verdict = 0;
  void *place;
  *yes = true;
  VQ_TRY(vq_device_take(device, VQ_POOL_HIGH, sizeof verdict, &place));
  vq_status status = device->plan ? VQ_OK : device->backend->look(device, x, of_gradient, place);
  if (!status && !device->plan)
    status = device->backend->download(device, &verdict, place, sizeof verdict);
  vq_device_give(device, place);
  *yes = verdict == 0;
  return status;
}
