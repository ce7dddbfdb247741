/* patchify.h -- pictures to the tokens of a vision transformer: patchify cuts and normalises, prepend puts the class
 * token in front and adds the places. Between them stands a linear.
 *
 * patchify
 *   x [n, S, S, 3]            S a multiple of the patch size P
 *   mean[3], std[3]           of each colour channel
 *   y [n, (S/P)^2, P*P*3]     = (x - mean) / std; patches by rows, within a patch (row, column, channel)
 *
 *   dx = dy / std, each element in its place. Keeps nothing. With weights permuted from [O,3,P,P] to [O,P,P,3], a linear
 *   of y equals torch.nn.functional.conv2d((x - mean) / std, w, stride=P) on channels-first x.
 *
 * prepend
 *   x     [n, T, C]
 *   first [C]
 *   pos   [T+1, C]
 *   y     [n, T+1, C]         y[i,0] = first + pos[0],  y[i,t+1] = x[i,t] + pos[t+1]
 *
 *   dx[i,t] = dy[i,t+1]      dfirst = sum over i of dy[i,0]      dpos = sum over i of dy[i]
 *
 *   Keeps nothing. Equals torch.cat([first.expand(n, 1, C), x], 1) + pos.
 */
#ifndef VQ_KERNELS_PATCHIFY_H
#define VQ_KERNELS_PATCHIFY_H

#include "autograd/tape.h"

extern const vq_op vq_op_patchify; /* attr.i[0] = patch; attr.f = mean[3], std[3] */
extern const vq_op vq_op_prepend;

vq_tensor *vq_patchify(vq_tape *tape, vq_tensor *x, int patch, const double mean[3], const double std[3]);
vq_tensor *vq_prepend(vq_tape *tape, vq_tensor *x, vq_tensor *first, vq_tensor *pos);

#endif
