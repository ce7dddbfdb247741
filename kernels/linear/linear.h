/* linear.h -- y = x w^T + b + skip: the matrix product of every layer that has one.
 *
 *   x    [..., I]   rows of any number; seen as [M, I]
 *   w    [O, I]
 *   b    [O]        or NULL
 *   skip [..., O]   or NULL: added to the product (a residual connection)
 *   y    [..., O]
 *
 *   dx = dy w      dw = dy^T x      db[o] = sum over m of dy[m,o]      dskip = dy
 *
 * Keeps x only if w wants a gradient, and w only if x does. Equals torch.nn.functional.linear(x, w, b) + skip.
 */
#ifndef VQ_KERNELS_LINEAR_H
#define VQ_KERNELS_LINEAR_H

#include "autograd/tape.h"

extern const vq_op vq_op_linear;

vq_tensor *vq_linear(vq_tape *tape, vq_tensor *x, vq_tensor *w, vq_tensor *b, vq_tensor *skip);

#endif
