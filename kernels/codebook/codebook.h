/* codebook.h -- a code for each token by its logits, one for each row of the codebook: the largest, or one drawn by chance.
 *
 *   logits  [..., K]
 *   uniform [...]      draws in [0,1), or left out
 *   book    [K,C]
 *   ids     i32 [...]
 *
 *   vq_choose          p = softmax(logits); ids[m] = the least k with p[m,0] + ... + p[m,k] > uniform[m]; without uniform the k of the
 *                      largest logit, the lowest of equals. No gradient: logits may want one all the same, and get nothing from here.
 *   vq_soft_quantise   y [..., C] = book[ids]     its gradient as if y were p book (straight-through):
 *                      dp = dy book^T      dlogits = p (dp - sum over k of p dp);      book may not want one
 *
 * Keeps the logits. Equal F.one_hot(p.multinomial(1)) @ book, one_hot by replace_grad(one_hot, p), as Crowson's codebook sampling
 * does it; multinomial in law, not in numbers.
 */
#ifndef VQ_KERNELS_CODEBOOK_H
#define VQ_KERNELS_CODEBOOK_H

#include "autograd/tape.h"

extern const vq_op vq_op_choose, vq_op_soft_quantise;

/* uniform may be NULL. */
vq_tensor *vq_choose(vq_tape *tape, vq_tensor *logits, vq_tensor *uniform);

/* An id that is no row of the book: VQ_ERR_ARGUMENT. */
vq_tensor *vq_soft_quantise(vq_tape *tape, vq_tensor *logits, vq_tensor *book, vq_tensor *ids);

#endif
