/* published.h -- the settings of a network as it was published: worked out from the names and shapes of its tensors, and compared
 * with the file of settings that came with it, if there is one.
 *
 * Shapes tell nearly all. What they do not tell comes from the file; without one it is assumed, and said.
 */
#ifndef VQ_RUNTIME_PUBLISHED_H
#define VQ_RUNTIME_PUBLISHED_H

#include "loaders/document.h"
#include "nets/clip.h"
#include "nets/vqgan.h"
#include "runtime/layout.h"

/* What was assumed, in sentences. */
typedef struct vq_assumed {
  char text[512]; /* "" for nothing */
} vq_assumed;

/* Does the document hold settings of such a network at all? */
bool vq_published_is_of(const vq_document *document, vq_network_kind kind);

/* `document`: taming's yaml, of the VQGAN or of a transformer that has one as its first stage; NULL: none. VQ_ERR_NETWORK: tensors that are
 * missing or of a shape that no such network has; or a setting that the shapes contradict, with its key and the tensor. */
vq_status vq_published_vqgan(vq_vqgan_config *out, const vq_layout *layout, const vq_document *document,
                             vq_assumed *assumed);

/* `document`: Hugging Face's config.json, open_clip's open_clip_config.json or a file of its model_configs; NULL: none. `by_openai`: the
 * file is one that OpenAI wrote, or whose name tells that its activation is OpenAI's. */
vq_status vq_published_clip(vq_clip_config *out, const vq_layout *layout, const vq_document *document,
                            bool by_openai, vq_assumed *assumed);

#endif
