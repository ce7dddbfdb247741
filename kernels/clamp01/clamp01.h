/* clamp01.h -- values brought to the colours that there are, with a gradient that leads back to them.
 *
 *   x [...]   u = scale x + shift   y = min(max(u, 0), 1)      vq_clamp01: a decoder's output, u = (x + 1) / 2; vq_clamp: colours, u = x
 *
 *   du = dy if dy (u - y) >= 0, else 0      dx = scale du
 *
 * That is not the derivative: where u lies outside, dy passes if a step against it brings u back inside. It is not linear in
 * dy, so what adds up to the whole gradient must be added up before it comes here. Keeps x. Equals ClampWithGrad of the
 * published notebooks on u.
 */
#ifndef VQ_KERNELS_CLAMP01_H
#define VQ_KERNELS_CLAMP01_H

#include "autograd/tape.h"

extern const vq_op vq_op_clamp01;

vq_tensor *vq_clamp01(vq_tape *tape, vq_tensor *x);
vq_tensor *vq_clamp(vq_tape *tape, vq_tensor *x);

#endif
