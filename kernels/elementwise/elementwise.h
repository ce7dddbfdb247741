/* elementwise.h -- sums, products and conversions of tensors of equal shape.
 *
 *   add(a, b)    y = a + b              da = dy, db = dy
 *   mul(a, b)    y = a b                da = dy b, db = dy a
 *   sum(x)       y = sum of all x       dx = dy everywhere; y is a scalar (rank 0)
 *   cast(x, t)   y = x as t             dx = dy as x's type
 *
 * a and b have one shape; a may be b. cast goes between the real type and BF16: to nearest, ties to even, what is too
 * large to infinity, a NaN stays one (doubles by way of float); a gradient has its tensor's own type, so that of a BF16 y is
 * BF16. A cast to the type that x has is a view of x. add, sum and cast keep nothing; mul keeps b if a wants a gradient and
 * a if b does. Equal torch.add, mul, sum and Tensor.to.
 */
#ifndef VQ_KERNELS_ELEMENTWISE_H
#define VQ_KERNELS_ELEMENTWISE_H

#include "autograd/tape.h"

extern const vq_op vq_op_add, vq_op_mul, vq_op_sum;
extern const vq_op vq_op_cast; /* attr.i[0] = dtype */

vq_tensor *vq_add(vq_tape *tape, vq_tensor *a, vq_tensor *b);
vq_tensor *vq_mul(vq_tape *tape, vq_tensor *a, vq_tensor *b);
vq_tensor *vq_sum(vq_tape *tape, vq_tensor *x);
vq_tensor *vq_cast(vq_tape *tape, vq_tensor *x, vq_dtype dtype);

#endif
