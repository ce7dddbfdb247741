/* bands.h -- the tables by which resample makes cutouts: for each output position, which inputs count and how much.
 *
 * Cropping, adaptive average pooling, and Lanczos + bicubic are all separable and linear: along each axis, output i of a
 * cutout is a sum over a short run ("band") of input positions. The tables hold these runs, and, for the gradient, the
 * transposed ones: for each input position, the run of outputs that it goes into. Their sizes are fixed by the smallest
 * and the largest box of a run, so that boxes may change from step to step while shapes do not.
 *
 *   VQ_RESAMPLE_AVERAGE   output i is the mean of inputs floor(i n / S) ... ceil((i+1) n / S) - 1 of the box (n inputs, S
 *                         outputs; also for n < S): torch's adaptive_avg_pool2d
 *   VQ_RESAMPLE_LANCZOS   where n > S, a Lanczos-2 filter of 2 ceil(2 n / S + 1) - 3 taps with reflected borders; then
 *                         bicubic interpolation, a = -0.75, corners aligned, borders repeated: the notebooks' resample
 */
#ifndef VQ_KERNELS_RESAMPLE_BANDS_H
#define VQ_KERNELS_RESAMPLE_BANDS_H

#include "autograd/tensor.h"
#include "base/status.h"

typedef enum vq_resample_kind { VQ_RESAMPLE_AVERAGE, VQ_RESAMPLE_LANCZOS } vq_resample_kind;

typedef struct vq_bands {
  vq_resample_kind kind;
  int width, height; /* of the picture */
  int side;          /* S, of a cutout */
  int count;         /* cutouts in the tables */
  int least, most;   /* sizes that a box may have */
  int run, back;     /* longest run, and longest transposed run */
} vq_bands;

/* Fills in run and back from the rest. VQ_ERR_ARGUMENT for sizes that cannot be. */
vq_status vq_bands_measure(vq_bands *bands);

/* Shapes of one axis's tables, `length` the picture's width or height:
 *   index  i32 [count, side + length, 2]                 first position and length of each run, the transposed ones behind
 *   weight     [count, side * run + length * back]       their weights, in the same order */
vq_shape vq_bands_index(const vq_bands *bands, int length);
vq_shape vq_bands_weight(const vq_bands *bands, int length);

/* One axis's tables for boxes [count,3] = x, y, size; `axis` 0: across, from x; 1: down, from y. `mirror` [count]: the cutouts
 * that are turned about along this axis, to the same bits in the opposite order; NULL: none. VQ_ERR_ARGUMENT for a box that is not
 * inside the picture or not of a size from least to most. `room` [bands->most] is the caller's, for what is worked out meanwhile. */
vq_status vq_bands_fill(const vq_bands *bands, const int32_t *boxes, const bool *mirror, int axis, int32_t *index,
                        vq_real *weight, double *room);

#endif
