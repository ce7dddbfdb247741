/* trace.h -- exact steps on given numbers, for comparison with another implementation.
 *
 * In, a safetensors file with PyTorch's layouts: `z` [1,C,h,w] f32; `boxes` i32 [n,3] = x, y, size (brought to CLIP's
 * size by adaptive average pooling); optionally `text_features` [m,D]; metadata `prompts` (JSON list of
 * [text, weight, stop], stop null or "-inf" for none), `lr`, `steps`, `keep` (JSON list of the steps after which z is
 * written). And optionally, as the options of `generate` have them, `cut_method` and `augment`, whose draws are those of `seed` at
 * step `step`, in every step.
 *
 * Out: `indices` [1,h,w], `decode` [1,3,H,W], `image` (the same clamped to [0,1]), `cutouts` [n,3,S,S] in [0,1], `image_features` [n,D], `text_features` [m,D], `losses` [m], `grad_z`, all of the given z; `z_after_K`,
 * of each augmentation K, from 0, `draws_K` [n,VQ_AUGMENT_ROW] f64 (augment.h: vq_augment_row);
 * `trajectory` [steps,m] (each step's losses before its update), `image_final` (of the last z).
 */
#ifndef VQ_RUNTIME_TRACE_H
#define VQ_RUNTIME_TRACE_H

#include "base/status.h"
#include "runtime/network.h"
#include "runtime/place.h"

vq_status vq_trace(const vq_network *vqgan, const vq_network *clip, const char *given, const char *out,
                   const vq_place *place);

#endif
