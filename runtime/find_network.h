/* find_network.h -- networks by name: "imagenet_16384", "ViT-B/32". */
#ifndef VQ_RUNTIME_FIND_NETWORK_H
#define VQ_RUNTIME_FIND_NETWORK_H

#include "base/status.h"

/* The file that a name stands for, where it is a path as it is. A name is looked for, as converted and as published files are called, in
 * $VQGEN_MODELS, in the user's data folder (vqgen), in ./checkpoints and ./models, and in the caches of OpenAI's CLIP, DALLE-pytorch and Hugging Face, there also as
 * "OWNER/REPOSITORY". The caller frees *path.
 * VQ_ERR_FILE: there is none, with where it was looked for. */
vq_status vq_network_find(char **path, const char *name);

#endif
