/* take_row.h -- one row of each sequence: a class token, or the end of a text.
 *
 *   x   [B, T, C]
 *   row [B]         I32 in [0, T)
 *   y   [B, C]      = x[b, row[b]]
 *
 *   dx[b,t] = dy[b] where t = row[b], else 0
 *
 * A row outside x is VQ_ERR_ARGUMENT when the op runs. Keeps row. Equals x[torch.arange(B), row].
 */
#ifndef VQ_KERNELS_TAKE_ROW_H
#define VQ_KERNELS_TAKE_ROW_H

#include "autograd/tape.h"

extern const vq_op vq_op_take_row;

vq_tensor *vq_take_row(vq_tape *tape, vq_tensor *x, vq_tensor *row);

#endif
