/* cpu.c -- the CPU as a device: memory is the process's own, kernels are the ones in the ops' records. */
#define _DEFAULT_SOURCE /* madvise */
#include "autograd/op.h"
#include "base/processor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE_PAGE ((size_t)2 << 20)

/* Large stretches in large pages, where the system has them for those who ask: they come 512 times less often, and a step that reads all
 * over its memory looks fewer of them up. */
static vq_status cpu_alloc(vq_device *device, void **out, size_t bytes)
{
  size_t align = bytes >= 2 * LARGE_PAGE ? LARGE_PAGE : VQ_POOL_ALIGN;
  (void)device;
  *out = aligned_alloc(align, (bytes + align - 1) / align * align);
  if (!*out)
    return vq_fail(VQ_ERR_MEMORY,
                   "the system has no %.1f MiB left: close other programs, or ask for a smaller picture",
                   (double)bytes / (1 << 20));
#ifdef MADV_HUGEPAGE
  if (align == LARGE_PAGE)
    (void)madvise(*out, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#endif
  return VQ_OK;
}

static void cpu_free(vq_device *device, void *memory)
{
  (void)device;
  free(memory);
}

/* Not to be made one large page with its neighbours again either. */
static void cpu_drop(vq_device *device, void *memory, size_t bytes)
{
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)memory + page - 1) / page * page;
  uintptr_t to = ((uintptr_t)memory + bytes) / page * page;
  (void)device;
  if (to <= from)
    return;
#ifdef MADV_NOHUGEPAGE
  (void)madvise((void *)from, to - from, MADV_NOHUGEPAGE);
#endif
  (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

static vq_status cpu_copy(vq_device *device, void *to, const void *from, size_t bytes)
{
  (void)device;
  memcpy(to, from, bytes);
  return VQ_OK;
}

/* The CPU computes gradients in vq_real alone; a gradient of another type is an op's own affair (cast). */
static vq_status check_gradient_type(vq_dtype dtype)
{
  return dtype == VQ_REAL ? VQ_OK
                          : vq_fail(VQ_ERR_UNSUPPORTED, "the cpu device adds up gradients of %s only, not of %s",
                                    vq_dtype_name(VQ_REAL), vq_dtype_name(dtype));
}

static vq_status cpu_add(vq_device *device, vq_dtype dtype, void *to, const void *from, int64_t count)
{
  vq_real *y = to;
  const vq_real *x = from;
  (void)device;
  VQ_TRY(check_gradient_type(dtype));
  for (int64_t i = 0; i < count; i++)
    y[i] += x[i];
  return VQ_OK;
}

static vq_status cpu_fill(vq_device *device, vq_dtype dtype, void *to, double value, int64_t count)
{
  vq_real *y = to;
  (void)device;
  VQ_TRY(check_gradient_type(dtype));
  for (int64_t i = 0; i < count; i++)
    y[i] = (vq_real)value;
  return VQ_OK;
}

static vq_status cpu_look(vq_device *device, const vq_tensor *x, bool of_gradient, void *to)
{
  const vq_real *v = of_gradient ? vq_grad(x) : vq_values(x);
  int64_t count = vq_count(x);
  vq_real verdict = 0;
  (void)device;
  if (x->dtype == VQ_REAL)
    for (int64_t i = 0; i < count && verdict == 0; i++)
      verdict = isfinite(v[i]) ? 0 : (vq_real)NAN;
  memcpy(to, &verdict, sizeof verdict);
  return VQ_OK;
}

static void cpu_find(const vq_device *device, const vq_op *op, vq_kernels *out)
{
  (void)device;
  *out = (vq_kernels){op->forward, op->backward, op->scratch, op->prepare};
}

const vq_backend vq_cpu_backend = {
    .name = "cpu",
#ifndef VQ_DOUBLE
    .bf16_weights = true,
#endif
    .in_host_memory = true,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .drop = cpu_drop,
    .upload = cpu_copy,
    .download = cpu_copy,
    .copy = cpu_copy,
    .add = cpu_add,
    .fill = cpu_fill,
    .look = cpu_look,
    .find = cpu_find,
};

vq_status vq_cpu_create(vq_device **out, int threads)
{
  vq_device *device = calloc(1, sizeof *device);
  *out = NULL;
  if (!device)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a device");
  device->backend = &vq_cpu_backend;
  device->products = VQ_REAL;
  vq_status status = vq_processor_check();
  if (!status)
    status = vq_threads_create(&device->threads, threads, NULL);
  if (status) {
    free(device);
    return status;
  }
  *out = device;
  return VQ_OK;
}
