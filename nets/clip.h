/* clip.h -- CLIP (Radford et al. 2021) with a vision transformer: the image tower and the text tower.
 *
 * Both end in one vector of `embed_dim` numbers, not normalised. Compared with openai/CLIP's own code in
 * tests/test_reference.c.
 */
#ifndef VQ_NETS_CLIP_H
#define VQ_NETS_CLIP_H

#include "autograd/tape.h"
#include "nets/weights.h"

typedef struct vq_clip_config {
  int embed_dim;
  int image_resolution, patch_size, vision_width, vision_layers, vision_heads;
  int context_length, vocab_size, text_width, text_layers, text_heads;
  bool exact_gelu; /* erf; else x sigmoid(1.702 x), as OpenAI's weights want */
} vq_clip_config;

typedef struct vq_clip vq_clip;
typedef enum vq_clip_parts { CLIP_IMAGE = 1, CLIP_TEXT = 2 } vq_clip_parts;

vq_status vq_clip_create(vq_clip **out, vq_device *device, const vq_clip_config *config,
                         const vq_weight_source *source, unsigned parts);
void vq_clip_free(vq_clip *net); /* the weights stay with the device */

const vq_clip_config *vq_clip_settings(const vq_clip *net);

/* x [n,S,S,3] in [0,1], S = image_resolution, to [n,embed_dim]; subtracts CLIP's mean and divides by its deviation first.
 * Ends the caller's reference on x. */
vq_tensor *vq_clip_image(vq_tape *t, const vq_clip *net, vq_tensor *x);

/* ids: B rows of context_length token ids in host memory, each with an end-of-text token (the largest id; the first one
 * counts), to [B,embed_dim]. */
vq_tensor *vq_clip_text(vq_tape *t, const vq_clip *net, const int32_t *ids, int64_t B);

#endif
