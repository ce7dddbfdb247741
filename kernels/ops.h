/* ops.h -- the operations that networks are written with: one line a room, each with its contract in its header.
 *
 * Layouts: pictures [N,H,W,C], tokens [B,T,C], matrices [M,C]; the last dim is contiguous. Every function records on a
 * tape, returns a tensor with one reference (the caller's) and returns NULL if an argument is NULL or the tape has failed.
 * "Which inputs may want a gradient" and "what is kept for it" stand in the room's header.
 */
#ifndef VQ_KERNELS_OPS_H
#define VQ_KERNELS_OPS_H

#include "autograd/tape.h"

#include "kernels/activation/activation.h"
#include "kernels/adam/adam.h"
#include "kernels/attention/attention.h"
#include "kernels/clamp01/clamp01.h"
#include "kernels/codebook/codebook.h"
#include "kernels/conv/conv.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/embed/embed.h"
#include "kernels/erase/erase.h"
#include "kernels/group_norm/group_norm.h"
#include "kernels/jitter/jitter.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/linear/linear.h"
#include "kernels/max_pool/max_pool.h"
#include "kernels/mse/mse.h"
#include "kernels/noise/noise.h"
#include "kernels/norm_act_conv/norm_act_conv.h"
#include "kernels/optimiser/optimiser.h"
#include "kernels/patchify/patchify.h"
#include "kernels/quantise/quantise.h"
#include "kernels/resample/resample.h"
#include "kernels/sharpen/sharpen.h"
#include "kernels/sphere/sphere.h"
#include "kernels/take_row/take_row.h"
#include "kernels/total_variation/total_variation.h"
#include "kernels/upsample_conv/upsample_conv.h"
#include "kernels/warp/warp.h"

/* Every record, for tests, benchmarks and backends; ends with NULL. */
extern const vq_op *const vq_ops[];

#endif
