/* bf16.h -- matrix products and convolutions by frozen weights of BF16 on the CPU, with sums in float.
 *
 * A weight [n, taps, c] is kept as panels, the form that the innermost loop reads: 16 of its rows side by side, and of each two
 * channels at a time, [n / 16, taps, c / 2, 16, 2]; n and c are rounded up and filled with zeros. What it is multiplied by is
 * float: it is rounded to BF16, to nearest and ties to even, as it is copied to scratch, once for a product. Products of two BF16
 * are exact in float.
 *
 * Where the processor has matrix tiles or dot products of BF16 pairs (base/processor.h) they are used: they take what is smaller than
 * the smallest normal float for zero. Elsewhere plain loops compute, which are right and slow: runtime/place.c does not offer them.
 */
#ifndef VQ_KERNELS_CPU_BF16_H
#define VQ_KERNELS_CPU_BF16_H

#include "kernels/cpu/conv.h"

#define VQ_BF16_PANEL 16

/* ---- weights ---- */

/* Makes w->prepared, for a frozen weight of BF16, [O, ..., I]: as [O, taps, I] for the way forward, and, if `back`, as
 * [I, taps, O] with the taps turned by half a turn, for the gradient (kernels/conv/gradients.h). The first stands in the
 * place of w's own values where its sizes leave no gaps, which is so in the published networks: they are kept once. */
vq_status vq_bf16_prepare(vq_device *device, vq_tensor *w, bool back);

/* The values of prepared[VQ_FORWARD], as reals in w's own layout. */
void vq_bf16_read(const vq_tensor *w, vq_real *to);

/* `from` [n, taps, c] of reals, rounded, as panels; their bytes. */
size_t vq_bf16_panels_bytes(int64_t n, int64_t taps, int64_t c);
void vq_bf16_lay_out(vq_threads *threads, const vq_real *from, int64_t n, int64_t taps, int64_t c,
                     uint16_t *panels);

/* ---- products ---- */

/* c[i,j] = sum over p < k of a[i,p] b[p,j], + bias[j] + skip[i,j], + c[i,j] if `add`; j < n. k is even, and b's panels lie `apart`
 * elements from each other. On the calling thread. */
typedef struct vq_bf16_block {
  int64_t m, n, k;
  const uint16_t *a;
  int64_t lda;
  const uint16_t *b;
  int64_t apart;
  const vq_real *bias, *skip; /* NULL: none; skip's rows lie as c's */
  bool add;
  vq_real *c;
  int64_t ldc;
} vq_bf16_block;

void vq_bf16_multiply(const vq_bf16_block *g);

/* The same by the processor's matrix tiles; only where vq_processor_has_tiles. */
void vq_bf16_multiply_tiles(const vq_bf16_block *g);

/* y [m,n] (+)= x [m,k] times panels of [n, 1, k], + bias + skip. */
typedef struct vq_bf16_linear {
  int64_t m, n, k;
  const vq_real *x;
  const uint16_t *panels;
  const vq_real *bias, *skip; /* NULL: none */
  bool add;                   /* y is added to; then bias and skip are NULL */
  vq_real *y;
} vq_bf16_linear;

size_t vq_bf16_linear_scratch(int64_t m, int64_t k);
void vq_bf16_linear_cpu(vq_device *device, const vq_bf16_linear *g, void *scratch);

/* vq_conv_wants_read and vq_conv_cpu's work for a->panels, [co, kh*kw, ci]. With `upsample` they are four weights of 2x2 in turn,
 * [2, 2, co, 4, ci]: those that even and odd rows and columns of y are made of x with. */
bool vq_bf16_conv_wants_read(const vq_conv_args *a);
size_t vq_bf16_conv_scratch(const vq_conv_args *a);
void vq_bf16_conv(vq_device *device, const vq_conv_args *a, void *scratch);

#endif
