/* ops.h -- the operations that networks are written with: one line a room, each with its contract in its header.
 *
 * Layouts: pictures [N,H,W,C], tokens [B,T,C], matrices [M,C]; the last dim is contiguous. Every function records on a
 * tape, returns a tensor with one reference (the caller's) and returns NULL if an argument is NULL or the tape has failed.
 * "Which inputs may want a gradient" and "what is kept for it" stand in the room's header.
 */
#ifndef VQ_KERNELS_OPS_H
#define VQ_KERNELS_OPS_H

#include "autograd/tape.h"

#include "kernels/linear/linear.h"

/* Every record, for tests, benchmarks and backends; ends with NULL. */
extern const vq_op *const vq_ops[];

#endif
