/* compute.h -- runs something on a device whose memory was planned by a dry run of the same thing.
 *
 * A job builds what it needs (networks, tensors) on the device it is given and runs its steps on a tape. It is run
 * twice: on a plan, where nothing is computed and nothing is allocated, to learn how much memory it takes; then, if the
 * machine has that much, for real, with a pool of exactly that size.
 */
#ifndef VQ_RUNTIME_COMPUTE_H
#define VQ_RUNTIME_COMPUTE_H

#include "autograd/tape.h"
#include "runtime/place.h"

typedef struct vq_footprint {
  size_t weights; /* bytes: networks, in the form that the kernels want, and the state that lives as long */
  size_t step;    /* bytes: the step pool at its fullest */
  size_t arena;   /* bytes: the addresses that weights take, with those whose memory is dropped (vq_weight_drop) */
} vq_footprint;

/* Must make the same requests of memory on a plan as on the real device. On a plan the values that it reads are not set. */
typedef vq_status (*vq_job_fn)(vq_device *device, vq_tape *tape, void *user);

/* Runs the job once on a plan. */
vq_status vq_compute_plan(vq_job_fn job, void *user, const vq_place *place, vq_footprint *out);

/* Plans, asks the machine for the memory (VQ_ERR_MEMORY if it has less), then runs the job for real. */
vq_status vq_compute(vq_job_fn job, void *user, const vq_place *place);

/* VQ_ERR_MEMORY, saying what for, unless the place has that much memory available now, and allows it. */
vq_status vq_memory_check(const vq_footprint *need, const vq_place *place, const char *what);

/* Gives what has been freed back to the system: networks are read through rooms of some MiB, which the C library would keep for later, so
 * that more would be resident than was planned. */
void vq_memory_return(void);

/* The machine's bytes: those that programs can have without others being pushed out to the disk, and all; 0 when the system does not
 * tell. */
void vq_memory(size_t *free, size_t *all);

#endif
