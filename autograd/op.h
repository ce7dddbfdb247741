/* op.h -- what the tape knows of an operation: one constant record that the op's room fills in.
 *
 * The tape does the same for every op: check, take the output from the pool, run the forward, append a node if
 * anything wants a gradient; later, walk the nodes from the end and run the backward. All that differs stands here.
 */
#ifndef VQ_AUTOGRAD_OP_H
#define VQ_AUTOGRAD_OP_H

#include "autograd/device.h"

#define VQ_IN 7 /* most inputs of an op */

enum { VQ_FORWARD, VQ_BACKWARD }; /* vq_tensor.prepared */

/* Bits of vq_op.reads: which tensors the gradient of one input is computed from. */
#define VQ_READS_IN(i) (1u << (i))
#define VQ_READS_OUT   (1u << VQ_IN)
#define VQ_READS_SAVED (1u << (VQ_IN + 1))

/* Numbers that an op is called with and that are not tensors; each room names its slots in its header. They are fixed
 * while a run lasts: what changes from step to step travels in tensors. */
typedef struct vq_attr {
  int64_t i[10];
  double f[6];
} vq_attr;

/* What a kernel is given. Forward: in, out->data, saved->data, scratch. Backward: what `reads` names, out's gradient,
 * and for each wanted input i a gradient buffer vq_grad(in[i]) of its shape, to be stored into or, where bit i of `add`
 * is set, added to. An op may name one tensor as two inputs: gradients are written in the order of the inputs. */
struct vq_call {
  vq_device *device;
  const vq_attr *attr;
  vq_tensor *in[VQ_IN]; /* NULL: left out */
  vq_tensor *out;
  vq_tensor *saved;    /* what forward leaves for backward (statistics, an argmax); NULL if the op saves nothing */
  void *scratch;       /* as many bytes as vq_op.scratch asked for, uninitialised */
  unsigned wants, add; /* backward: bit i for in[i] */
  int64_t part, whole; /* vq_tape_batch; 0, outside of a tape: 1 of 1 */
};

/* How many rows a tensor of this call with so many would have if its whole batch came at once. */
static inline int64_t vq_whole_rows(const vq_call *call, int64_t rows)
{
  return call->part ? rows * call->whole / call->part : rows;
}

/* Checks shapes, types and attributes; sets *out and, if the op saves something, *saved (else leaves its rank at -1).
 * Fails with VQ_ERR_SHAPE and a message that starts with the op's name. */
typedef vq_status (*vq_shape_fn)(const vq_call *call, vq_shape *out, vq_shape *saved);

struct vq_op {
  const char *name;
  unsigned reads[VQ_IN]; /* what d(in[i]) is computed from: VQ_READS_ bits */
  unsigned passes;   /* bit i: d(in[i]) is dy itself (add, a skip); the tape does it and the kernel is not asked */
  unsigned gives;    /* bit i: the backward computes d(in[i]) (or it passes): any other input cannot want one */
  unsigned optional; /* bit i: in[i] may be NULL */
  unsigned
      bf16; /* bit i: in[i] may be BF16 on a backend that computes in it (vq_backend.bf16); else all are VQ_REAL */
  /* Bit i: of those, in[i] is the weight of a product: if it is frozen it may be BF16 on a backend that has such
   * weights alone (vq_backend.bf16_weights). */
  unsigned multiplies;
  vq_shape_fn shape;
  /* On the CPU; another backend finds its own by the record (vq_backend.find). */
  vq_scratch_fn scratch; /* NULL: none */
  vq_prepare_fn prepare; /* NULL: none */
  vq_kernel forward;
  vq_kernel backward; /* NULL: the op has no gradient */
};

#endif
