/* target.h -- what a picture prompt wants: the features of its own cutouts.
 *
 * The picture is brought to the run's area at most, its shape kept, and seen once through as many cutouts as the run has, cut and
 * augmented by the same settings: one row of features for each. The loss is then the mean over all pairs of cutouts.
 */
#ifndef VQ_RUNTIME_TARGET_H
#define VQ_RUNTIME_TARGET_H

#include "runtime/network.h"
#include "vqgen.h"

typedef struct vq_target_picture {
  const vq_network *clip;
  const vq_settings *settings;
  const char *path;
  int width, height; /* of the run's picture */
  int number;        /* of the prompt: its draws are its own */
} vq_target_picture;

/* features[cutouts * embed_dim]. VQ_ERR_FILE, VQ_ERR_FORMAT, VQ_ERR_MEMORY */
vq_status vq_target_features(const vq_target_picture *picture, vq_real *features);

#endif
