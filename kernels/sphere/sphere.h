/* sphere.h -- how far features lie from prompts on the unit sphere: the loss of one prompt, by rows.
 *
 *   f [n,D]   features, of which the first `rows` count; the others are padding
 *   e [m,D]   the prompt's embeddings: 1 of a text, several of a picture
 *
 *   u = f / max(|f|, 1e-12)     v = e / max(|e|, 1e-12)
 *   d_ij = sign(weight) 2 asin(|u_i - v_j| / 2)^2        half the angle squared, 0 to pi^2/2
 *   y[i] = |weight| / (total m) sum over j of d_ij, 0 for padding     [n]; `total`: rows of the whole step, over all its calls
 *
 *   d y_i/d d_ij is |weight| / (total m) where d_ij > stop, half of that where they are equal, 0 below
 *   d d_ij / d u_i = sign(weight) (u_i - v_j) asin(h) / (h sqrt(1 - h^2)), h = |u_i - v_j| / 2; v_j with the opposite sign
 *
 * Where u_i = v_j that is 0, the limit, and PyTorch's too; where they are opposite the direction is not defined, PyTorch gives
 * NaN and this 0. A row shorter than 1e-12 counts as f / 1e-12, a linear map. All in double, whatever vq_real is. Keeps f and e if either
 * wants a gradient. Equals the published Prompt:
 *
 *   d = F.normalize(f[:,None], dim=2).sub(F.normalize(e[None], dim=2)).norm(dim=2).div(2).arcsin().pow(2).mul(2) * sign(weight)
 *   |weight| * replace_grad(d, torch.maximum(d, stop)).mean()     by rows: their sum over the step is this
 */
#ifndef VQ_KERNELS_SPHERE_H
#define VQ_KERNELS_SPHERE_H

#include "autograd/tape.h"

extern const vq_op vq_op_sphere;

/* stop: -INFINITY for none. 0 <= rows <= n, rows <= total, 0 < total. */
vq_tensor *vq_sphere(vq_tape *tape, vq_tensor *f, vq_tensor *e, double weight, double stop, int64_t rows,
                     int64_t total);

#endif
