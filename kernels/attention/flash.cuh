/* flash.cuh -- attention of bf16 on the tensor cores, for heads of a multiple of 8 columns up to 512. Contract: attention.h.
 *
 * A block has a tile of queries, or in the second half of the way back of keys, and goes through the other tiles of its sequence with a
 * running maximum and sum: scores never leave the multiprocessor. P and dS are rounded to bf16 where they enter a product; everything
 * else, the softmax and all sums, is float. Needs compute capability 8.0.
 */
#ifndef VQ_KERNELS_ATTENTION_FLASH_CUH
#define VQ_KERNELS_ATTENTION_FLASH_CUH

#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/reduce.cuh"

/* Whether a call is of such a shape and type: heads of up to 128 columns, as CLIP's are. */
bool vq_flash_takes(const vq_call *c);

vq_status vq_flash_forward(const vq_call *c);

/* delta: scratch for the sums of dy y, [B,heads,T]. */
vq_status vq_flash_backward(const vq_call *c, float *delta);

/* The same for wider heads, as the VQGAN's one is. Scratch: from shapes alone. */
bool vq_flash_takes_wide(const vq_call *c);
size_t vq_flash_wide_scratch(const vq_call *c, bool backward);
vq_status vq_flash_wide_forward(const vq_call *c, void *scratch);
vq_status vq_flash_wide_backward(const vq_call *c, void *scratch);

/* ---- for the kernels: flash.cu, flash_wide.cu ---- */

#define VQ_LOG2_E 1.44269504f
#define VQ_LN_2   0.693147181f

struct vq_flash_sizes {
  int tokens, heads, width;
  int64_t stride; /* 3C */
  bool causal;
  float scale;
};

static inline vq_flash_sizes vq_flash_sizes_of(const vq_call *c)
{
  const vq_tensor *qkv = c->in[0];
  int64_t heads = c->attr->i[0], width = qkv->dim[2] / 3 / heads;
  return {(int)qkv->dim[1], (int)heads,         (int)width,
          qkv->dim[2],      c->attr->i[1] != 0, (float)(1 / sqrt((double)width))};
}

/* This block's head, and its tile of ROWS rows: in x, for a grid may have no more than 65535 blocks in y. The tiles of a head are neighbours,
 * because they read the same keys. */
struct vq_flash_place {
  const vq_bf16 *q, *k, *v;
  int64_t y, row; /* elements before the head's in y; in lse */
  int first;
};

/* Of each head. */
template <int ROWS> VQ_DEVICE unsigned vq_flash_tiles(const vq_flash_sizes &s)
{
  return (unsigned)(s.tokens + ROWS - 1) / ROWS;
}

template <int ROWS> VQ_DEVICE vq_flash_place vq_flash_here(const vq_bf16 *qkv, const vq_flash_sizes &s)
{
  vq_flash_place p;
  unsigned tiles = vq_flash_tiles<ROWS>(s), line = blockIdx.x / tiles; /* which head of all sequences */
  int64_t head = line % (unsigned)s.heads, b = line / (unsigned)s.heads, C = (int64_t)s.heads * s.width;
  p.q = qkv + b * s.tokens * s.stride + head * s.width;
  p.k = p.q + C;
  p.v = p.k + C;
  p.y = b * s.tokens * C + head * s.width;
  p.row = (int64_t)line * s.tokens;
  p.first = (int)(blockIdx.x % tiles) * ROWS;
  return p;
}

VQ_DEVICE bool vq_flash_seen(const vq_flash_sizes &s, int query, int key)
{
  return key < s.tokens && query < s.tokens && (!s.causal || key <= query);
}

VQ_DEVICE uint32_t vq_bf16_pair(float low, float high)
{
  return (uint32_t)vq_round<vq_bf16>(low).bits | (uint32_t)vq_round<vq_bf16>(high).bits << 16;
}

/* The four lanes that share a row of an accumulator. */
VQ_DEVICE float vq_quad_sum(float x)
{
  x += __shfl_xor_sync(VQ_WHOLE_WARP, x, 1);
  return x + __shfl_xor_sync(VQ_WHOLE_WARP, x, 2);
}

VQ_DEVICE float vq_quad_max(float x)
{
  x = fmaxf(x, __shfl_xor_sync(VQ_WHOLE_WARP, x, 1));
  return fmaxf(x, __shfl_xor_sync(VQ_WHOLE_WARP, x, 2));
}

#endif
