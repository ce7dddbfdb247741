/* norm.cuh -- group norm on CUDA, for the rooms that have one: its statistics, the map, the way back. The arithmetic is that of
 * kernels/group_norm/statistics.h; x, y and dv are float or bf16, everything else is float.
 *
 * A slab is a run of one sample's pixels, as long as the sizes alone say. What it finds out about each channel is merged, slab by slab, in
 * double.
 */
#ifndef VQ_KERNELS_GROUP_NORM_NORM_CUH
#define VQ_KERNELS_GROUP_NORM_NORM_CUH

#include "kernels/cuda/cuda.cuh"

extern "C" {
#include "kernels/group_norm/group_norm.h"
}

struct vq_cuda_norm {
  int64_t n, pixels, channels, groups;
  double eps;
  vq_act act;
  vq_dtype x_type;
  const void *x;      /* [n,pixels,channels] */
  const float *g, *b; /* [channels] */
  float *statistics;  /* [n,groups,2]: mean, rstd */
};

/* x's sizes and type; the pointers are the caller's to set. */
vq_cuda_norm vq_cuda_norm_of(const vq_tensor *x, int64_t groups, double eps, vq_act act);

/* Bytes, for vq_cuda_norm_measure and for vq_cuda_norm_back. */
size_t vq_cuda_norm_scratch(const vq_cuda_norm *a);

/* Sets the statistics. `op` is for messages. */
vq_status vq_cuda_norm_measure(const vq_call *c, const vq_cuda_norm *a, void *scratch, const char *op);

/* y = act((x - mean) rstd g + b), of that type. */
vq_status vq_cuda_norm_apply(const vq_call *c, const vq_cuda_norm *a, void *y, vq_dtype y_type, const char *op);

/* What the way back is given and gives. dy: the gradient of y; dx of x's type; dx, dg, db: NULL where it is not wanted, else stored to or, with
 * `adds`, added to. */
struct vq_cuda_norm_gradients {
  const void *dy;
  vq_dtype dy_type;
  void *dx;
  float *dg, *db;
  bool adds_dx, adds_dg, adds_db;
};
vq_status vq_cuda_norm_back(const vq_call *c, const vq_cuda_norm *a, const vq_cuda_norm_gradients *d, void *scratch,
                            const char *op);

#endif
