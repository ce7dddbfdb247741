/* quantise.h -- each token's nearest codebook row, straight through.
 *
 *   z    [..., C]
 *   book [K,C]
 *   ids  i32 [...]
 *
 *   vq_nearest    ids[m] = the k with the least sum over c of (z[m,c] - book[k,c])^2, the lowest of equals; in 0 .. K-1 even where z is
 *                 not finite. No gradient: z may want one all the same, and gets nothing from here.
 *   vq_quantise   y [..., C] = book[ids]      dz = dy, as if y were z (straight-through); book may not want a gradient
 *
 * Keeps nothing. Equal torch.cdist(z, book).argmin(-1), computed from differences and not as |z|^2 + |b|^2 - 2 z b, which loses
 * half of the digits for near neighbours; and z + (book[ids] - z).detach() without its rounding.
 */
#ifndef VQ_KERNELS_QUANTISE_H
#define VQ_KERNELS_QUANTISE_H

#include "autograd/tape.h"

extern const vq_op vq_op_nearest, vq_op_quantise;

vq_tensor *vq_nearest(vq_tape *tape, vq_tensor *z, vq_tensor *book);

/* An id that is no row of the book: VQ_ERR_ARGUMENT. */
vq_tensor *vq_quantise(vq_tape *tape, vq_tensor *z, vq_tensor *book, vq_tensor *ids);

#endif
