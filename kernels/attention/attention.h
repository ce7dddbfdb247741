/* attention.h -- softmax attention of every token to the tokens of its own sequence, in `heads` parts.
 *
 *   qkv  [B, T, 3C]   q, k, v side by side, C columns each; head h owns columns [h D, (h+1) D) of each, D = C / heads
 *   y    [B, T, C]
 *
 * For each sequence and head, with q, k, v [T, D]:
 *
 *   S = q k^T / sqrt(D)      P = softmax of each row of S      y = P v
 *   causal: row i sees keys 0 .. i, the others' P is 0
 *
 *   dv = P^T dy      dP = dy v^T      dS = P (dP - row sum of dy y)      dq = dS k / sqrt(D)      dk = dS^T q / sqrt(D)
 *
 * P is never kept: it is made in blocks of query rows, and made again for backward from S and the saved log-sum-exp of each
 * row of S, [B, heads, T]: in blocks of query rows for dq, of keys for dk and dv, so that every element has one writer.
 * Keeps qkv and y. Equals softmax(q @ k.transpose(-2, -1) * D**-0.5, -1) @ v in PyTorch, its heads split and joined by view
 * and transpose; torch.nn.MultiheadAttention between its in_proj and its out_proj.
 */
#ifndef VQ_KERNELS_ATTENTION_H
#define VQ_KERNELS_ATTENTION_H

#include "autograd/tape.h"

extern const vq_op vq_op_attention; /* attr.i = heads, causal */

vq_tensor *vq_attention(vq_tape *tape, vq_tensor *qkv, int heads, bool causal);

#endif
