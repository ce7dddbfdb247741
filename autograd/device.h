/* device.h -- where tensors live and who computes on them.
 *
 * A device has two kinds of memory: the weights arena, filled once and freed with the device, and the step pool, one
 * stretch that vq_device_reserve makes and that every step uses again. A device made with vq_plan_create has neither: it
 * hands out places, runs no kernel, and so learns what a step will need (vq_device_peak) before anything is allocated.
 */
#ifndef VQ_AUTOGRAD_DEVICE_H
#define VQ_AUTOGRAD_DEVICE_H

#include "autograd/tensor.h"
#include "base/pool.h"
#include "base/status.h"
#include "base/threads.h"

typedef struct vq_device vq_device;
typedef struct vq_op vq_op;
typedef struct vq_call vq_call;

/* Runs an op, forward or backward, on the memory that a call names (op.h). */
typedef vq_status (*vq_kernel)(const vq_call *call);

/* Bytes of scratch that the forward (backward = false) or the backward wants for this call. */
typedef size_t (*vq_scratch_fn)(const vq_call *call, bool backward);

/* Makes call->in[i]->prepared, from the weights arena, for those frozen weights that the kernels want in another form:
 * [VQ_FORWARD] and, if a gradient is wanted, [VQ_BACKWARD]. Called before a forward while any frozen
 * weight among the inputs lacks one of them: it leaves alone what is there, and what (a bias) needs none. */
typedef vq_status (*vq_prepare_fn)(const vq_call *call);

/* How one backend computes one op. */
typedef struct vq_kernels {
  vq_kernel forward;     /* NULL: this backend cannot do the op */
  vq_kernel backward;    /* NULL: it has no gradient */
  vq_scratch_fn scratch; /* NULL: none */
  vq_prepare_fn prepare; /* NULL: none */
} vq_kernels;

/* What a backend supplies. Sizes are in bytes. Work is queued in the order of the calls; download and wait return
 * when what was queued before them is done. */
typedef struct vq_backend {
  const char *name;    /* "cpu" */
  bool bf16;           /* has kernels for activations and weights of BF16 (vq_op.bf16) */
  bool bf16_weights;   /* has kernels for frozen weights of BF16 (vq_op.multiplies), and activations of VQ_REAL */
  bool in_host_memory; /* the process may read what alloc gave: then places are guarded under AddressSanitizer */
  vq_status (*alloc)(vq_device *device, void **out, size_t bytes);
  void (*free)(vq_device *device, void *memory);
  /* Nobody reads that part of what alloc gave any more: its whole pages go back to the system. NULL: they stay. */
  void (*drop)(vq_device *device, void *memory, size_t bytes);
  vq_status (*upload)(vq_device *device, void *to, const void *from_host, size_t bytes);
  vq_status (*download)(vq_device *device, void *to_host, const void *from, size_t bytes);
  vq_status (*copy)(vq_device *device, void *to, const void *from, size_t bytes);
  vq_status (*add)(vq_device *device, vq_dtype dtype, void *to, const void *from,
                   int64_t count); /* to += from, gradients */
  vq_status (*fill)(vq_device *device, vq_dtype dtype, void *to, double value,
                    int64_t count); /* to = value, gradients */
  vq_status (*look)(
      vq_device *device, const vq_tensor *x, bool of_gradient,
      void *to); /* a vq_real on the device: 0 if all of x's values, or its gradient's, are finite, else NaN */
  vq_status (*wait)(
      vq_device *device);           /* VQ_ERR_DEVICE if something queued has failed; NULL: nothing is ever queued */
  void (*close)(vq_device *device); /* gives back device->state; NULL: there is none */
  void (*find)(const vq_device *device, const vq_op *op, vq_kernels *out);
  /* Work that is done again whole (repeat.h); NULL: the backend does everything at once. */
  vq_status (*keep)(vq_device *device);            /* what is queued from now on is kept and not done */
  vq_status (*kept)(vq_device *device, bool good); /* that was all; if not `good`, it is forgotten */
  vq_status (*again)(vq_device *device);           /* queues what was kept */
} vq_backend;

/* What a device does with what is queued: repeat.h. */
typedef enum vq_mode { VQ_AT_ONCE, VQ_KEEPING, VQ_REPEATING } vq_mode;

struct vq_device {
  const vq_backend *backend;
  void *state;       /* the backend's own */
  vq_dtype products; /* the type that networks make the weights of matrix products and convolutions in: VQ_REAL or,
                      * where the backend has it, VQ_BF16. Activations get theirs from it: vq_device_activations */
  int products_by;   /* who computes them, where a backend has several: its own numbers; 0: as it finds best */
  vq_threads *threads; /* owned; NULL runs on the caller alone */
  bool plan;           /* hands out places only: no memory, no kernels */
  bool one_by_one;     /* wait after everything that is queued, so that a failure is told of what has failed */
  vq_mode mode;
  bool warm, keeps;           /* work has been done once; has been kept */
  bool unguarded;             /* places that are given back are not guarded any more */
  uint64_t trail, kept_trail; /* hashes of what is queued, and of what was kept */
  vq_pool *pool;              /* places in the step pool; NULL before vq_device_reserve */
  char *memory;               /* the step pool's start */
  struct vq_chunk *weights;   /* the weights arena, newest chunk first */
  vq_tensor **weight;         /* the tensors made by vq_weight_create, to be freed with the device */
  int64_t weight_count;
  size_t weight_bytes;   /* taken from it so far */
  size_t weight_dropped; /* of those, gone back to the system: vq_weight_drop */
};

/* The type of what products make: device->products or, where only weights can be of BF16, VQ_REAL. */
static inline vq_dtype vq_device_activations(const vq_device *device)
{
  return device->backend->bf16 ? device->products : VQ_REAL;
}

/* The CPU with `threads` threads (0: one for each processor); the caller frees it, after its tapes. */
vq_status vq_cpu_create(vq_device **out, int threads);

/* A device of that backend which only plans. */
vq_status vq_plan_create(vq_device **out, const vq_backend *backend);

extern const vq_backend vq_cpu_backend;

void vq_device_free(vq_device *device);

/* Makes the step pool: once for a device, before its first tape. VQ_ERR_MEMORY if the system refuses. */
vq_status vq_device_reserve(vq_device *device, size_t bytes);

/* Makes one stretch for the weights that are about to be made, `bytes` of a plan's weight_bytes: what would be left over at the ends of
 * smaller stretches is then not taken. Without it, or beyond it, the arena grows by itself. VQ_ERR_MEMORY. */
vq_status vq_weights_reserve(vq_device *device, size_t bytes);

/* The most bytes of the step pool that have been in use together: what vq_device_reserve must be given. */
size_t vq_device_peak(const vq_device *device);

/* Memory that lives as long as the device. On a plan, a place without memory. */
vq_status vq_weights_take(vq_device *device, size_t bytes, void **out);

/* A tensor struct with its memory in the weights arena, filled from `host` (dtype and layout of `shape`) unless that
 * is NULL. `wants`: a parameter that is trained. Lives as long as the device. */
vq_status vq_weight_create(vq_tensor **out, vq_device *device, const vq_shape *shape, const void *host, bool wants);

/* The forms of a frozen weight (vq_op.prepare) stand beside its own values, which nobody reads any more: they go back to the system,
 * as far as they fill pages. w->data is the forward form from now on. */
void vq_weight_drop(vq_device *device, vq_tensor *w);

/* The bytes of the weights arena that are in use: what has been taken and not dropped. */
size_t vq_weights_kept(const vq_device *device);

/* Copies between a tensor's values and host memory of the tensor's own dtype and layout; waits for the device. */
vq_status vq_tensor_read(vq_device *device, const vq_tensor *x, void *host);
vq_status vq_tensor_write(vq_device *device, vq_tensor *x, const void *host);
vq_status vq_grad_read(vq_device *device, const vq_tensor *x, void *host); /* zeros where nothing was written */

/* Are all of x's values, or of its gradient's, finite? Waits for the device. */
vq_status vq_tensor_finite(vq_device *device, const vq_tensor *x, bool of_gradient, bool *yes);

/* Places in the step pool, for the tape. */
vq_status vq_device_take(vq_device *device, vq_pool_end end, size_t bytes, void **out);
void vq_device_give(vq_device *device, void *memory);

/* With device->one_by_one, waits for what has just been queued: a failure is then `what`'s. Else, and on a plan, nothing. */
vq_status vq_device_settle(vq_device *device, const char *what);

/* From now on AddressSanitizer does not guard places in the pool: work that is done again uses them when the host has given them back. */
void vq_device_unguard(vq_device *device);

#endif
