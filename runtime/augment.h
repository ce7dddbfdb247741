/* augment.h -- which augmentation meets which cutout, and by how much: drawn on the host, handed to the rooms as data.
 *
 * A recipe is a list of augmentations, done in its order. Each is chosen for each cutout with its probability, as kornia does; what is not
 * chosen passes through to the bit. Every number is a pure function of (seed, step, place in the list, cutout): how many cutouts go through
 * at once, and a resumed run, change nothing. Laws, u uniform in [0,1), of what kornia 0.5.4 draws:
 *
 *   VQ_AUGMENT_FLIP          left and right change places; first in a list, where it costs nothing (vq_augment_mirrors)
 *   VQ_AUGMENT_SHARPNESS     a factor in [0, strength)
 *   VQ_AUGMENT_AFFINE        turned by [-degrees, degrees), moved by [-right, right) and [-down, down) of a side, x-sheared by
 *                            [-shear, shear) degrees. (kornia reads translate=0.1 as right 0, down 0.1.)
 *   VQ_AUGMENT_ROTATION      turned by [-degrees, degrees)
 *   VQ_AUGMENT_PERSPECTIVE   corners moved inwards by up to half of strength's share of a side, each by itself
 *   VQ_AUGMENT_JITTER        brightness, contrast and saturation in [1 - x, 1 + x), not below 0, hue in [-hue, hue) turns; one order of the
 *                            four for all cutouts of a step
 *   VQ_AUGMENT_ERASE         a black rectangle of area [area[0], area[1]) of the cutout, whose height is ratio times its width; ratio in
 *                            [ratio[0], 1) or [1, ratio[1]) by a coin if 1 is between them, else in [ratio[0], ratio[1])
 *   VQ_AUGMENT_NOISE         normal noise by a factor in [noise[0], noise[1])
 *   VQ_AUGMENT_CLAMP         draws nothing: all cutouts to [0,1], with the notebooks' gradient (vq_clamp)
 */
#ifndef VQ_RUNTIME_AUGMENT_H
#define VQ_RUNTIME_AUGMENT_H

#include "kernels/ops.h"

typedef enum vq_augment_kind {
  VQ_AUGMENT_FLIP,
  VQ_AUGMENT_SHARPNESS,
  VQ_AUGMENT_AFFINE,
  VQ_AUGMENT_ROTATION,
  VQ_AUGMENT_PERSPECTIVE,
  VQ_AUGMENT_JITTER,
  VQ_AUGMENT_ERASE,
  VQ_AUGMENT_NOISE,
  VQ_AUGMENT_CLAMP
} vq_augment_kind;

typedef struct vq_augment {
  vq_augment_kind kind;
  double p;      /* for each cutout */
  bool together; /* one draw for all cutouts of a step (kornia's same_on_batch), the choice among it */
  double strength;
  double degrees, right, down, shear;
  double brightness, contrast, saturation, hue;
  double area[2], ratio[2], noise[2];
  vq_warp_padding padding;   /* of VQ_AUGMENT_AFFINE */
  vq_jitter_meaning meaning; /* of VQ_AUGMENT_JITTER */
} vq_augment;

/* Whose draws: cutout number `cutout` of a step, by the augmentation at `place` in the list. */
typedef struct vq_augment_key {
  uint64_t seed;
  uint32_t step;
  int place, cutout;
} vq_augment_key;

/* VQ_ERR_ARGUMENT for a probability, range or order that cannot be, naming the augmentation by its place. */
vq_status vq_augment_check(const vq_augment *list, int count);

/* The n cutouts from number `first` on that a flip at the head of the list turns about: mirror[n], for vq_bands_fill. */
void vq_augment_mirrors(bool *mirror, const vq_augment *list, int count, uint64_t seed, uint32_t step, int first,
                        int n);

/* Cutouts [n,S,S,3], the first of them number `first`, through the list but for a flip at its head. */
vq_tensor *vq_augment_cutouts(vq_tape *t, vq_tensor *cutouts, const vq_augment *list, int count, uint64_t seed,
                              uint32_t step, int first);

/* --- one cutout's draws, for a picture of side x side --- */

bool vq_augment_chosen(const vq_augment *a, const vq_augment_key *key);
double vq_augment_factor(const vq_augment *a, const vq_augment_key *key); /* sharpness: 1, noise: 0 if not chosen */
void vq_augment_motion(vq_warp_motion *motion, const vq_augment *a, const vq_augment_key *key, int side);
vq_status vq_augment_matrix(double M[9], const vq_augment *a, const vq_augment_key *key, int side);
void vq_augment_colours(double factor[4], int order[4], const vq_augment *a, const vq_augment_key *key);
void vq_augment_box(int32_t box[4], const vq_augment *a, const vq_augment_key *key,
                    int side); /* empty if not chosen */

/* All of it in one row, for comparison with another implementation: 1 if it is chosen, else 0; then what it is called with, 0 if not
 * chosen. Sharpness, noise: the factor. Affine: vq_warp_motion's seven. Rotation: degrees. Perspective: the four points that the corners go
 * to. Jitter: the four factors, the order. Erase: the box. */
#define VQ_AUGMENT_ROW 9
void vq_augment_row(double row[VQ_AUGMENT_ROW], const vq_augment *a, const vq_augment_key *key, int side);

#endif
