/* geometry.c -- matrices for warp. geometry.h says what each is. */
#include "kernels/warp/geometry.h"

#include <math.h>
#include <string.h>

static const double radians = 3.14159265358979323846 / 180;

void vq_warp_identity(double M[9])
{
  for (int i = 0; i < 9; i++)
    M[i] = i % 4 == 0;
}

void vq_warp_mirror(double M[9], int W)
{
  vq_warp_identity(M);
  M[0] = -1;
  M[2] = W - 1;
}

/* C = A B; C may be either. */
static void product(double C[9], const double A[9], const double B[9])
{
  double sum[9] = {0};
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      for (int k = 0; k < 3; k++)
        sum[3 * i + j] += A[3 * i + k] * B[3 * k + j];
  memcpy(C, sum, sizeof sum);
}

static vq_status inverse(double C[9], const double A[9])
{
  double adjoint[9], determinant;
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) {
      const double *a = A + 3 * ((j + 1) % 3), *b = A + 3 * ((j + 2) % 3);
      int p = (i + 1) % 3, q = (i + 2) % 3;
      adjoint[3 * i + j] = a[p] * b[q] - a[q] * b[p];
    }
  determinant = A[0] * adjoint[0] + A[1] * adjoint[3] + A[2] * adjoint[6];
  if (!(fabs(determinant) > 1e-12))
    return vq_fail(VQ_ERR_ARGUMENT, "a warp that leaves no area of the picture: its determinant is %g",
                   determinant);
  for (int i = 0; i < 9; i++)
    C[i] = adjoint[i] / determinant;
  return VQ_OK;
}

/* The point that grid_sample takes for (u, v) of the ends' grid: a little further out. */
static void sampled(double T[9], int W, int H)
{
  vq_warp_identity(T);
  T[0] = (double)W / (W - 1);
  T[4] = (double)H / (H - 1);
  T[2] = T[5] = -0.5;
}

/* The point of the ends' grid that affine_grid has for pixel (q, r): a little further in. */
static void gridded(double T[9], int W, int H)
{
  vq_warp_identity(T);
  T[0] = (W - 1.0) / W;
  T[4] = (H - 1.0) / H;
  T[2] = T[0] / 2;
  T[5] = T[4] / 2;
}

static vq_status check_size(int W, int H)
{
  return W > 1 && H > 1 ? VQ_OK : vq_fail(VQ_ERR_ARGUMENT, "a picture of %dx%d cannot be warped", W, H);
}

vq_status vq_warp_by_affine(double M[9], int W, int H, const double A[9])
{
  const double last[3] = {0, 0, 1};
  double T[9];
  VQ_TRY(check_size(W, H));
  memmove(M, A, 6 * sizeof *M);
  memcpy(M + 6, last, sizeof last);
  VQ_TRY(inverse(M, M));
  gridded(T, W, H);
  product(M, M, T);
  sampled(T, W, H);
  product(M, T, M);
  return VQ_OK;
}

vq_status vq_warp_by_perspective(double M[9], int W, int H, const double A[9])
{
  double T[9];
  VQ_TRY(check_size(W, H));
  VQ_TRY(inverse(M, A));
  sampled(T, W, H);
  product(M, T, M);
  return VQ_OK;
}

vq_status vq_warp_affine(double M[9], int W, int H, const vq_warp_motion *a)
{
  double x = W / 2.0 - 0.5, y = H / 2.0 - 0.5;
  double c = cos(a->degrees * radians), s = sin(a->degrees * radians);
  double tan_x = tan(a->shear_x * radians), tan_y = tan(a->shear_y * radians);
  double along = c * a->scale_x, across = -s * a->scale_y;
  /* kornia keeps the middle where it is with `along` and `across` for both axes, whatever the scales */
  /* clang-format off */
  double turn[9] = {along, across, (1 - along) * x - across * y + a->right,
                    s * a->scale_x, c * a->scale_y, across * x + (1 - along) * y + a->down,
                    0, 0, 1};
  /* clang-format on */
  double shear[9] = {1, -tan_x, tan_x * y, -tan_y, 1 + tan_x * tan_y, tan_y * (tan_x * y + x), 0, 0, 1};
  product(M, turn, shear);
  return vq_warp_by_affine(M, W, H, M);
}

vq_status vq_warp_rotation(double M[9], int W, int H, double degrees)
{
  double x = W / 2.0 - 0.5, y = H / 2.0 - 0.5, c = cos(degrees * radians), s = sin(degrees * radians);
  const double back[9] = {c, -s, x - c * x + s * y, s, c, y - s * x - c * y, 0, 0, 1};
  VQ_TRY(check_size(W, H));
  memcpy(M, back, sizeof back);
  return VQ_OK;
}

vq_status vq_warp_crop(double M[9], int W, int H, double left, double top, double width, double height)
{
  VQ_TRY(check_size(W, H));
  vq_warp_identity(M);
  M[0] = (width - 1) / (W - 1);
  M[2] = left;
  M[4] = (height - 1) / (H - 1);
  M[5] = top;
  return VQ_OK;
}

/* Solves the eight equations, eliminating with the largest pivot of each column. a[8][9], the right side last. */
static vq_status solve(double a[8][9])
{
  for (int k = 0; k < 8; k++) {
    int best = k;
    for (int i = k + 1; i < 8; i++)
      best = fabs(a[i][k]) > fabs(a[best][k]) ? i : best;
    if (!(fabs(a[best][k]) > 1e-9))
      return vq_fail(VQ_ERR_ARGUMENT, "no perspective takes these four points to those: three are in a line");
    for (int j = 0; j < 9; j++) {
      double t = a[k][j];
      a[k][j] = a[best][j];
      a[best][j] = t;
    }
    for (int i = 0; i < 8; i++)
      for (int j = 8; i != k && j >= k; j--)
        a[i][j] -= a[i][k] / a[k][k] * a[k][j];
  }
  for (int k = 0; k < 8; k++)
    a[k][8] /= a[k][k];
  return VQ_OK;
}

vq_status vq_perspective_matrix(double M[9], const double from[8], const double to[8])
{
  double a[8][9];
  for (int i = 0; i < 4; i++) {
    double x = from[2 * i], y = from[2 * i + 1];
    for (int axis = 0; axis < 2; axis++) {
      double t = to[2 * i + axis], row[9] = {0, 0, 0, 0, 0, 0, -x * t, -y * t, t};
      row[3 * axis] = x;
      row[3 * axis + 1] = y;
      row[3 * axis + 2] = 1;
      memcpy(a[2 * i + axis], row, sizeof row);
    }
  }
  VQ_TRY(solve(a));
  for (int k = 0; k < 8; k++)
    M[k] = a[k][8];
  M[8] = 1;
  return VQ_OK;
}

vq_status vq_warp_perspective(double M[9], int W, int H, const double from[8], const double to[8])
{
  VQ_TRY(vq_perspective_matrix(M, from, to));
  return vq_warp_by_perspective(M, W, H, M);
}

void vq_warp_corners(double from[8], double to[8], int W, int H, double distortion, const double u[8])
{
  const double corner[8] = {0, 0, W - 1, 0, W - 1, H - 1, 0, H - 1};
  for (int i = 0; i < 8; i++) {
    double reach = distortion * (i % 2 ? H : W) / 2 * u[i];
    from[i] = corner[i];
    to[i] = corner[i] > 0 ? corner[i] - reach : corner[i] + reach;
  }
}
