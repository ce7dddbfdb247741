/* network.h -- a network's file, opened: what it is, its settings, its weights by name.
 *
 * The project's own form is a safetensors file with PyTorch's names and layouts and these metadata keys:
 *   kind      "vqgan", "gumbel" or "clip"
 *   config    JSON, the published settings by their published names (vq_vqgan_config, vq_clip_config)
 *   merges    for a CLIP: the vocabulary's merges, one a line in the order of their ranks
 *   defaults  optional JSON: the settings that suit a run with this network (vq_settings)
 *   name      optional: what a person calls it
 *   pair      optional: what two networks that were trained for each other, and for no other, have in common
 */
#ifndef VQ_RUNTIME_NETWORK_H
#define VQ_RUNTIME_NETWORK_H

#include "base/log.h"
#include "nets/clip.h"
#include "nets/tokenizer.h"
#include "nets/vqgan.h"
#include "runtime/layout.h"

typedef struct vq_network vq_network;

/* How a checkpoint that is not in the project's own form is to be read. */
typedef struct vq_network_hints {
  const char *config; /* its file of settings (published.h); NULL: what lies beside it, or none */
  const char *vocab;  /* a CLIP's vocabulary (vocabulary.h); NULL: what lies beside it, or where Python keeps it */
  const vq_log *log;  /* what was assumed, and how to convert it once; NULL: nothing is said */
} vq_network_hints;

/* Opens and checks a file (or folder, checkpoint.h) that must hold a network of this kind, in the project's own form or as it was published.
 * `hints`: NULL for none. Errors name the file: VQ_ERR_FILE, VQ_ERR_FORMAT, VQ_ERR_NETWORK for another kind or for settings that are
 * missing or wrong. Weights are checked when they are read. */
vq_status vq_network_open(vq_network **out, const char *path, vq_network_kind kind, const vq_network_hints *hints);

/* The same for a network of any kind. */
vq_status vq_network_open_any(vq_network **out, const char *path, const vq_network_hints *hints);
void vq_network_close(vq_network *net);

vq_network_kind vq_network_kind_of(const vq_network *net);
bool vq_network_is_ours(const vq_network *net);            /* in the project's own form */
const char *vq_network_assumed(const vq_network *net);     /* what no file told, in words; "" for nothing */
const char *vq_network_config_file(const vq_network *net); /* the file of settings that was read; NULL: none */
/* What to say of a CLIP whose writer has cut all of it to 16 bits, embeddings and norms too, which OpenAI keeps in 32; NULL: it is not so. What was
 * cut cannot be made whole again. */
const char *vq_network_cut(const vq_network *net);
const vq_layout *vq_network_layout(const vq_network *net);
const vq_checkpoint *vq_network_checkpoint(const vq_network *net);

/* The settings as the project's form has them: JSON, to be freed by the caller; NULL without memory. */
char *vq_network_config_json(const vq_network *net);

/* A CLIP's merges, one a line: of the project's form, or of the vocabulary that was found. The caller frees *merges. VQ_ERR_NETWORK: there is no vocabulary. */
vq_status vq_network_merges(char **merges, size_t *bytes, const vq_network *net);

const char *vq_network_path(const vq_network *net);
const char *vq_network_name(const vq_network *net);     /* the metadata's name, else the path's last part */
const char *vq_network_defaults(const vq_network *net); /* JSON text, or NULL */
const char *vq_network_pair(const vq_network *net);     /* or NULL */

const vq_vqgan_config *vq_network_vqgan(const vq_network *net); /* of a VQGAN's file */
const vq_clip_config *vq_network_clip(const vq_network *net);   /* of a CLIP's file */

/* Are all tensors there that the network needs, in the shapes that its settings want? VQ_ERR_NETWORK names those that are not. */
vq_status vq_network_whole(const vq_network *net);

/* The weights, for vq_vqgan_create and vq_clip_create; borrowed from the network. */
const vq_weight_source *vq_network_weights(const vq_network *net);

/* What is exchanged in the weights from now on, for a counter-check (doctor.h): the attention's queries and keys of one tower. A network
 * that is better so has them the wrong way round in its file. */
typedef enum vq_exchange {
  VQ_EXCHANGE_NOTHING,
  VQ_EXCHANGE_ENCODER,
  VQ_EXCHANGE_DECODER,
  VQ_EXCHANGE_IMAGE,
  VQ_EXCHANGE_TEXT
} vq_exchange;
void vq_network_exchange(vq_network *net, vq_exchange what);

/* The network itself, its parts read into the device. Errors name the file; VQ_ERR_NETWORK names all that is missing. */
vq_status vq_network_make_vqgan(vq_vqgan **out, const vq_network *net, vq_device *device, unsigned parts);
vq_status vq_network_make_clip(vq_clip **out, const vq_network *net, vq_device *device, unsigned parts);

/* The CLIP's tokeniser; the caller frees it. VQ_ERR_NETWORK if there is no vocabulary. */
vq_status vq_network_tokenizer(vq_tokenizer **out, const vq_network *net);

#endif
