/* statistics.h -- group norm on the CPU, for the rooms that have one: its statistics, the map, the way back.
 *
 *   x [n,pixels,channels], groups of channels / groups neighbouring channels; for each sample and group
 *   mean = mean of x      rstd = 1 / sqrt(mean of (x - mean)^2 + eps)
 *   u = (x - mean) rstd   y = act(u g + b)
 *
 *   dv = dy act'(u g + b)       A = mean over the group of g dv       B = mean over the group of g dv u
 *   dx = rstd (g dv - A - u B)  dg = sum over samples and pixels of dv u     db = the same of dv
 *
 * A task is a slab: a run of one sample's pixels, as long as the sizes alone say. What a slab finds out about each
 * channel is merged in the slabs' order, in double.
 */
#ifndef VQ_KERNELS_GROUP_NORM_STATISTICS_H
#define VQ_KERNELS_GROUP_NORM_STATISTICS_H

#include "kernels/group_norm/group_norm.h"

typedef struct vq_norm {
  int64_t n, pixels, channels, groups;
  double eps;
  vq_act act;
  const vq_real *x, *g, *b;
  vq_real *statistics; /* [n,groups,2]: mean, rstd */
} vq_norm;

/* x's sizes; fails, in the name of `op`, unless x is [N,..,C] of rank 3 or 4, the groups share C out, and g and b are [C]. */
vq_status vq_norm_check(const char *op, const vq_tensor *x, const vq_tensor *g, const vq_tensor *b, int64_t groups,
                        double eps);
vq_norm vq_norm_sizes(const vq_tensor *x, int64_t groups, double eps, vq_act act);

/* The shape of `statistics`. */
vq_shape vq_norm_saved(const vq_tensor *x, int64_t groups);

size_t vq_norm_scratch(const vq_norm *a); /* bytes, for vq_norm_measure and for vq_norm_back */

/* Sets the statistics, and in scratch what the map reads of them: vq_norm_mapped_scratch bytes from its beginning. */
void vq_norm_measure(vq_threads *threads, const vq_norm *a, void *scratch);
size_t vq_norm_mapped_scratch(const vq_norm *a);

/* The map: of all of x, as tasks; or, on the calling thread, of `pixels` pixels from pixel `first` of n * pixels on, of one sample, into
 * y [pixels,channels]. */
void vq_norm_apply(vq_threads *threads, const vq_norm *a, void *scratch, vq_real *y);
void vq_norm_map(const vq_norm *a, const void *scratch, int64_t first, int64_t pixels, vq_real *y);

/* Reads x, the statistics, g, and b if there is an activation. dv: dy on the way in; where there is an activation it is
 * overwritten by dv. dx, dg, db: NULL where it is not wanted, else stored to or, with `adds`, added to. */
typedef struct vq_norm_gradients {
  vq_real *dv, *dx, *dg, *db;
  bool adds_dx, adds_dg, adds_db;
} vq_norm_gradients;
void vq_norm_back(vq_threads *threads, const vq_norm *a, const vq_norm_gradients *d, void *scratch);

#endif
