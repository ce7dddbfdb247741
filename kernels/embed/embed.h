/* embed.h -- the row of a table for each token, plus the row of another for its place.
 *
 *   ids   [B, T]      I32 in [0, V)
 *   table [V, C]
 *   pos   [P, C]      P >= T, or NULL
 *   y     [B, T, C]   = table[ids[b,t]] + pos[t]
 *
 *   dtable[v] = sum of dy[b,t] where ids[b,t] = v, in the order of the tokens      dpos[t] = sum over b of dy[b,t]
 *
 * An id outside the table is VQ_ERR_ARGUMENT when the op runs. Keeps ids if table wants a gradient. Equals
 * torch.nn.functional.embedding(ids, table) + pos[:T].
 */
#ifndef VQ_KERNELS_EMBED_H
#define VQ_KERNELS_EMBED_H

#include "autograd/tape.h"

extern const vq_op vq_op_embed;

vq_tensor *vq_embed(vq_tape *tape, vq_tensor *ids, vq_tensor *table, vq_tensor *pos);

#endif
