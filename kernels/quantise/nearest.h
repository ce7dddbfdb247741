/* nearest.h -- of a few tokens at a time, the nearest rows of a book. */
#ifndef VQ_KERNELS_QUANTISE_NEAREST_H
#define VQ_KERNELS_QUANTISE_NEAREST_H

#include "autograd/tensor.h"

#define VQ_NEAREST_TOKENS 16

/* z [C, VQ_NEAREST_TOKENS]; ids [VQ_NEAREST_TOKENS]. A distance is added up as vq_distance does it (kernels/cpu/reduce.h), product and sum
 * rounded apart on every processor, so that the ids are the same on all of them and on CUDA. One that is no number is never less: the
 * id stays a row's. */
void vq_nearest_rows(const vq_real *z, const vq_real *book, int64_t K, int64_t C, int32_t *ids);

#endif
