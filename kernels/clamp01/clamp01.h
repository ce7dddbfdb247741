/* clamp01.h -- a decoder's output brought to the colours that there are, with a gradient that leads back to them.
 *
 *   x [...]   u = (x + 1) / 2   y = min(max(u, 0), 1)
 *
 *   du = dy if dy (u - y) >= 0, else 0      dx = du / 2
 *
 * That is not the derivative: where u lies outside, dy passes if a step against it brings u back inside. It is not linear in
 * dy, so what adds up to the whole gradient must be added up before it comes here. Keeps x. Equals ClampWithGrad of the
 * published notebooks on (x + 1) / 2.
 */
#ifndef VQ_KERNELS_CLAMP01_H
#define VQ_KERNELS_CLAMP01_H

#include "autograd/tape.h"

extern const vq_op vq_op_clamp01;

vq_tensor *vq_clamp01(vq_tape *tape, vq_tensor *x);

#endif
