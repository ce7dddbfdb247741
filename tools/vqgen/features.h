/* features.h -- CLIP's features of words and of pictures in files, for embed and score. */
#ifndef VQGEN_TOOLS_FEATURES_H
#define VQGEN_TOOLS_FEATURES_H

#include "runtime/perceive.h"
#include "tools/vqgen/tool.h"

/* features[count * embed_dim], not normalised, in the list's order; the caller frees them. A text that is too long is cut
 * with a warning; a picture may be "-". */
vq_status features_of_texts(const vq_network *clip, const words *texts, const vq_place *place, vq_real **features);
vq_status features_of_pictures(const vq_network *clip, const words *files, const vq_place *place,
                               vq_real **features);

/* A picture from a file or, for "-", standard input. The caller frees it. */
vq_status picture_read(vq_image *out, const char *path);

#endif
