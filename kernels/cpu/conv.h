/* conv.h -- convolutions on the CPU: strips as matrix products, or Winograd's filtering.
 *
 *   y[n,r,q,o] = bias[o] + skip[n,r,q,o]
 *              + sum over u, v, i of weight[o,u,v,i] * p[n, r*stride - top + u, q*stride - left + v, i]
 *
 * where the picture p is x [n,h,w,ci], or, with `upsample`, x with every pixel repeated twice both ways [n,2h,2w,ci], and
 * is zero outside. Only a correlation forward stands behind the seam: the gradient with regard to x is one too, of dy
 * with other weights (kernels/conv/gradients.h).
 */
#ifndef VQ_KERNELS_CPU_CONV_H
#define VQ_KERNELS_CPU_CONV_H

#include "autograd/device.h"

/* Makes pixels [from, to) of line `row` of picture n of x: pixels [to - from, ci]. */
typedef void (*vq_conv_read)(const void *source, int64_t n, int64_t row, int64_t from, int64_t to, vq_real *pixels);

typedef struct vq_conv_args {
  int64_t n, h, w, ci; /* x */
  int64_t kh, kw, co;  /* weight [co,kh,kw,ci] */
  int64_t stride;
  int64_t top, left; /* zeros above and left of p, 0 <= top < kh; those below and right follow from oh and ow */
  int64_t oh, ow;    /* y [n,oh,ow,co] */
  bool upsample;
  const vq_real *x, *weight;
  /* Not NULL: there is no x, it is made as it is read, by read(source, ...). Without `upsample` and `halve`. */
  vq_conv_read read;
  const void *source;
  /* Forms of the weight in whose place one computes; NULL: none. */
  const vq_real *form;        /* for vq_winograd_conv: kernels/cpu/winograd.h */
  const uint16_t *panels;     /* of BF16, for vq_bf16_conv: kernels/cpu/bf16.h */
  const uint16_t *filtered;   /* of BF16, for vq_winograd_bf16_conv: kernels/cpu/winograd.h */
  const vq_real *bias, *skip; /* NULL: none */
  bool add;                   /* y is added to; then bias and skip are NULL */
  bool halve; /* y [n,oh/2,ow/2,co] gets the sums of 2x2 pixels: back through `upsample`; only with a form */
  vq_real *y;
} vq_conv_args;

/* Whether it is faster to give `read` than an x that was made beforehand: from the sizes and the forms alone. */
bool vq_conv_wants_read(const vq_conv_args *a);

/* Bytes of scratch for it: from the sizes alone, whatever the number of threads. */
size_t vq_conv_cpu_scratch(const vq_conv_args *a);

/* As tasks on the device's threads whose cut depends on the sizes alone. */
vq_status vq_conv_cpu(vq_device *device, const vq_conv_args *a, void *scratch);

#endif
