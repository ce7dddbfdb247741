/* rooms.h -- the ops that have CUDA kernels, and their records. A line for each; the name is the op's. */
#ifndef VQ_KERNELS_CUDA_ROOMS_H
#define VQ_KERNELS_CUDA_ROOMS_H

#include "autograd/op.h"

#define VQ_CUDA_ROOMS(X) \
  X(adam_clamp)          \
  X(add)                 \
  X(attention)           \
  X(cast)                \
  X(choose)              \
  X(clamp01)             \
  X(conv)                \
  X(cross_entropy)       \
  X(embed)               \
  X(erase)               \
  X(gelu)                \
  X(group_norm)          \
  X(jitter)              \
  X(layer_norm)          \
  X(linear)              \
  X(max_pool)            \
  X(mse)                 \
  X(mul)                 \
  X(nearest)             \
  X(noise)               \
  X(norm_act_conv)       \
  X(optimise)            \
  X(patchify)            \
  X(prepend)             \
  X(quantise)            \
  X(resample)            \
  X(sharpen)             \
  X(silu)                \
  X(soft_quantise)       \
  X(sphere)              \
  X(sum)                 \
  X(take_row)            \
  X(tanh)                \
  X(total_variation)     \
  X(upsample_conv)       \
  X(warp)

#define VQ_CUDA_ROOM(name) extern const vq_kernels vq_cuda_##name;
VQ_CUDA_ROOMS(VQ_CUDA_ROOM)
#undef VQ_CUDA_ROOM

#endif
