/* geometry.h -- the matrices of vq_warp, from the parameters that kornia's augmentations draw.
 *
 * kornia, up to 0.6 at least, takes its grid's ends for the middles of the first and last pixels and then samples as if they were
 * their outer edges (align_corners=False): its warps are a little wider than what the parameters say, by W / (W - 1). These matrices are
 * that, exactly, for it is what the notebooks' pictures were made with; kornia 0.9 has mended it. Pictures are of W x H pixels, the first
 * one's middle at (0, 0). Everything is in double.
 */
#ifndef VQ_KERNELS_WARP_GEOMETRY_H
#define VQ_KERNELS_WARP_GEOMETRY_H

#include "base/status.h"

void vq_warp_identity(double M[9]);

/* The mirror image, exactly: column q of W is taken from W - 1 - q. */
void vq_warp_mirror(double M[9], int W);

typedef struct vq_warp_motion {
  double degrees;          /* clockwise */
  double right, down;      /* moved by so many pixels */
  double scale_x, scale_y; /* 1: as it is */
  double shear_x, shear_y; /* degrees */
} vq_warp_motion;

/* The matrix of kornia's warp_affine with A, whose first two rows it takes, and of its warp_perspective with A, both with
 * align_corners=False. A is from a pixel of the picture to where it goes. VQ_ERR_ARGUMENT if A leaves no area of the picture. M may be A. */
vq_status vq_warp_by_affine(double M[9], int W, int H, const double A[9]);
vq_status vq_warp_by_perspective(double M[9], int W, int H, const double A[9]);

/* kornia's RandomAffine: warp_affine with get_affine_matrix2d about the middle. */
vq_status vq_warp_affine(double M[9], int W, int H, const vq_warp_motion *a);

/* kornia's RandomPerspective: `from` goes to `to`, four points x, y each; warp_perspective with get_perspective_transform.
 * VQ_ERR_ARGUMENT if no matrix does it: three of four points in a line. */
vq_status vq_warp_perspective(double M[9], int W, int H, const double from[8], const double to[8]);

/* The points of RandomPerspective(distortion): from the corners, clockwise from the left upper one, each moved inwards by up to half
 * of distortion's share of the sides: u[8] in [0,1], x and y of each corner. */
void vq_warp_corners(double from[8], double to[8], int W, int H, double distortion, const double u[8]);

/* kornia's RandomRotation, counter-clockwise about the middle, and its RandomResizedCrop(cropping_mode="resample") of a box to the whole
 * picture. These two ask for align_corners=True, and are no wider than what they say. */
vq_status vq_warp_rotation(double M[9], int W, int H, double degrees);
vq_status vq_warp_crop(double M[9], int W, int H, double left, double top, double width, double height);

/* M = the matrix that takes `from` to `to`, M[8] = 1 (get_perspective_transform, without its warp). */
vq_status vq_perspective_matrix(double M[9], const double from[8], const double to[8]);

#endif
