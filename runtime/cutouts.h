/* cutouts.h -- which squares of the picture CLIP is shown, and how they become pictures of CLIP's size. */
#ifndef VQ_RUNTIME_CUTOUTS_H
#define VQ_RUNTIME_CUTOUTS_H

#include "autograd/tape.h"
#include "vqgen.h"

/* Draws `count` boxes, x, y, size, as the notebooks' MakeCutouts does, from the run's seed and the step:
 * size = floor(u^power (most - least) + least), u uniform in [0,1); its place uniform inside the picture. */
void vq_boxes_draw(int32_t *boxes, int count, int width, int height, int least, int most, double power,
                   uint64_t seed, uint32_t step);

typedef struct vq_cutouts_config {
  vq_cut_method method;
  int width, height, side; /* of the picture, and of what CLIP sees */
  int least, most;         /* sizes that boxes can have: they fix the tables' sizes for the whole run */
  int count;               /* cutouts taken at once */
} vq_cutouts_config;

typedef struct vq_cutouts vq_cutouts;
vq_status vq_cutouts_create(vq_cutouts **out, const vq_cutouts_config *config);
void vq_cutouts_free(vq_cutouts *cutouts);

/* What cutouts are taken of: the picture [1,H,W,3], or, by VQ_CUT_WHOLE, what it is pooled to, [1,side,side,3]. Once a step. */
vq_tensor *vq_cutouts_source(vq_tape *t, const vq_cutouts *cutouts, vq_tensor *picture);

/* source to [count,side,side,3]; the first `rows` are those of `boxes`, any others repeat the last. mirror[rows], or NULL: those whose left and right
 * change places. VQ_CUT_WHOLE does not look at boxes. */
vq_tensor *vq_cutouts_take(vq_tape *t, vq_cutouts *cutouts, vq_tensor *source, const int32_t *boxes, const bool *mirror,
                           int rows);

#endif
