/* flash.cuh -- attention of bf16 on the tensor cores, for heads of a multiple of 8 columns up to 128. Contract: attention.h.
 *
 * A block has a tile of queries, or in the second half of the way back of keys, and goes through the other tiles of its sequence with a
 * running maximum and sum: scores never leave the registers. P and dS are rounded to bf16 where they enter a product; everything
 * else, the softmax and all sums, is float. Needs compute capability 8.0.
 */
#ifndef VQ_KERNELS_ATTENTION_FLASH_CUH
#define VQ_KERNELS_ATTENTION_FLASH_CUH

#include "kernels/cuda/cuda.cuh"

/* Whether a call is of such a shape and type. */
bool vq_flash_takes(const vq_call *c);

vq_status vq_flash_forward(const vq_call *c);

/* delta: scratch for the sums of dy y, [B,heads,T]. */
vq_status vq_flash_backward(const vq_call *c, float *delta);

#endif
