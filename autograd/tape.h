/* tape.h -- reverse-mode automatic differentiation, eager, in one append-only list.
 *
 *     vq_tape_create(&t, device);
 *     vq_tensor *y = vq_mul(t, x, w);               an op runs at once and, if w wants a gradient, leaves a node
 *     vq_tensor *loss = vq_sum(t, y);
 *     vq_backward(t, loss, VQ_TAPE_START);          w->grad = d loss / d w
 *
 * Errors: an op that cannot be done returns NULL, an op that is given NULL returns NULL, and the tape keeps the first
 * error: look at vq_tape_status once, at the end.
 *
 * Lifetimes: tensors made on a tape live in the device's step pool. An op's output has one reference, the caller's; the
 * caller says vq_done(t, x) when it passes x on no further. A node keeps what its backward will read, nothing more. Values
 * go when the last reference goes; structs and gradients go when the walk passes the node that made the tensor, or when
 * vq_rewind cuts the tape back to a mark.
 */
#ifndef VQ_AUTOGRAD_TAPE_H
#define VQ_AUTOGRAD_TAPE_H

#include "autograd/op.h"

typedef struct vq_tape vq_tape;

/* A place on the tape to come back to. */
typedef struct vq_mark {
  int64_t nodes, tensors;
} vq_mark;
#define VQ_TAPE_START ((vq_mark){0, 0})

vq_status vq_tape_create(vq_tape **out, vq_device *device); /* the device must outlive the tape */
void vq_tape_free(vq_tape *tape);

vq_device *vq_tape_device(const vq_tape *tape);
vq_status
vq_tape_status(const vq_tape *tape); /* the first error since the last vq_rewind to the start; its message is set */

/* For code between ops: makes `status` the tape's error, if it has none yet. Returns NULL. */
vq_tensor *vq_tape_fail(vq_tape *tape, vq_status status);

/* A leaf in the step pool, filled from `host` (NULL: not filled). `wants`: it wants a gradient, which then stays until
 * vq_grad_drop, or until the tape is cut back past the leaf. */
vq_tensor *vq_leaf(vq_tape *tape, const vq_shape *shape, const void *host, bool wants);

/* Room on the host for at least that many bytes, for numbers that are about to be written to tensors: zeros, good until the next call. It
 * is kept, so that steps that repeat ask the system for no memory. NULL, and the tape's error, when there is none. */
void *vq_tape_room(vq_tape *tape, size_t bytes);

/* x with another shape of as many elements: shares x's values and gradient. x itself may then be done with. */
vq_tensor *vq_view(vq_tape *tape, vq_tensor *x, int rank, const int64_t *dim);

/* Records one op; the typed functions of kernels/ops.h call it. `in` has `count` tensors, NULL for one left out. */
vq_tensor *vq_record(vq_tape *tape, const vq_op *op, vq_tensor *const *in, int count, const vq_attr *attr);

/* What is recorded from now on is `part` rows of a batch of `whole`, the rest of which comes before or after: a kernel may let the order of
 * its sums follow from the size of the whole, never from how much of it comes at once. 1 of 1 until something is said, and after
 * vq_rewind to the start. */
void vq_tape_batch(vq_tape *tape, int64_t part, int64_t whole);

/* Drops the caller's reference. Does nothing for NULL and for weights. */
void vq_done(vq_tape *tape, vq_tensor *x);

vq_mark vq_tape_mark(const vq_tape *tape);

/* Adds `value` to every element of x's gradient: where a backward starts. Does nothing for what wants no gradient. */
vq_status vq_seed(vq_tape *tape, vq_tensor *x, double value);

/* The same with a value for each element: `host` has x's dtype and layout. */
vq_status vq_seed_with(vq_tape *tape, vq_tensor *x, const void *host);

/* Walks from the last node down to `mark` and adds every gradient up, starting from d loss / d loss = 1 (loss a scalar;
 * NULL: from what vq_seed and earlier walks have left). The tape is then as it was at the mark: what was made since is
 * gone. Walks from above a mark down to it may follow each other; what they leave in tensors below it adds up. */
vq_status vq_backward(vq_tape *tape, vq_tensor *loss, vq_mark mark);

/* Cuts the tape back to the mark without a walk. Back to the start, the first error is forgotten too. */
void vq_rewind(vq_tape *tape, vq_mark mark);

/* Gives the gradient's memory back; the next walk starts it afresh. */
void vq_grad_drop(vq_tape *tape, vq_tensor *x);

/* --- looking inside --- */

/* After every forward and backward, look for values that are not finite and fail with VQ_ERR_NAN, naming the op. */
void vq_tape_trap(vq_tape *tape, bool on);

/* Called after each kernel, with its wall time. `backward` tells the direction. NULL: no clock is read. */
typedef void (*vq_watch_fn)(void *user, const vq_op *op, const vq_call *call, bool backward, double seconds);
void vq_tape_watch(vq_tape *tape, vq_watch_fn watch, void *user);

#endif
