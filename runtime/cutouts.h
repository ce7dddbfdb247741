/* cutouts.h -- which squares of the picture CLIP is shown, and how they become pictures of CLIP's size. */
#ifndef VQ_RUNTIME_CUTOUTS_H
#define VQ_RUNTIME_CUTOUTS_H

#include "runtime/augment_text.h"
#include "vqgen.h"

/* Cutouts come in so many quanta of *quantum, at most 8: sizes that depend on their number alone. */
int vq_cutouts_quanta(int cutouts, int *quantum);

/* The cutouts of as many whole quanta, 1 at least, as `at_once` holds, which counts up to 1024: more fill no device better. */
int vq_cutouts_chunk(int cutouts, int at_once);

/* Sides of the smallest and the largest cutout, in pixels, of a picture of that size seen by a CLIP of input size `see`. */
void vq_boxes_range(int *least, int *most, const vq_settings *settings, int width, int height, int see);

/* Draws `count` boxes, x, y, size, as the notebooks' MakeCutouts does, from the run's seed and the step:
 * size = floor(u^power (most - least) + least), u uniform in [0,1); its place uniform inside the picture. */
void vq_boxes_draw(int32_t *boxes, int count, int width, int height, int least, int most, double power,
                   uint64_t seed, uint32_t step);

typedef struct vq_cutouts_config {
  vq_cut_method method;
  int width, height, side; /* of the picture, and of what CLIP sees */
  int least, most;         /* sizes that boxes can have: they fix the tables' sizes for the whole run */
  int most_count;          /* cutouts taken at once */
} vq_cutouts_config;

typedef struct vq_cutouts vq_cutouts;
vq_status vq_cutouts_create(vq_cutouts **out, const vq_cutouts_config *config);
void vq_cutouts_free(vq_cutouts *cutouts);

/* What cutouts are taken of: the picture [1,H,W,3], or, by VQ_CUT_WHOLE, what it is pooled to, [1,side,side,3]. Once a step. */
vq_tensor *vq_cutouts_source(vq_tape *t, const vq_cutouts *cutouts, vq_tensor *picture);

/* Where the cutouts of a step are, and what is done to them. */
typedef struct vq_cutouts_draws {
  const int32_t *boxes; /* [cutouts,3] = x, y, size; VQ_CUT_WHOLE does not look at them */
  const vq_augment *augment;
  int augments;
  uint64_t seed;
  uint32_t step;
} vq_cutouts_draws;

/* Cutouts number `first` to `first` + `rows` - 1, augmented, [count,side,side,3]; beyond `rows` the last is repeated. */
vq_tensor *vq_cutouts_draw(vq_tape *t, vq_cutouts *cutouts, vq_tensor *source, const vq_cutouts_draws *draws,
                           int first, int rows, int count);

#endif
