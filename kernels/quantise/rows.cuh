/* rows.cuh -- rows of a codebook by their numbers on CUDA, for the rooms that decode tokens. */
#ifndef VQ_KERNELS_QUANTISE_ROWS_CUH
#define VQ_KERNELS_QUANTISE_ROWS_CUH

#include "kernels/cuda/cuda.cuh"

/* c->out[m,C] = book[ids[m],C] for book [K,C], int32 ids [m] and c->out of fp32. An id that is no row of the book leaves NaN in its row and
 * makes `complaint` with the number of the token. `op` is for messages. */
vq_status vq_cuda_take_rows(const vq_call *c, const vq_tensor *book, const vq_tensor *ids,
                            const vq_cuda_complaint *complaint, const char *op);

#endif
