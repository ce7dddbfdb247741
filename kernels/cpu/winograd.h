/* winograd.h -- 3x3 convolutions with stride 1 and frozen weights on the CPU, by Winograd's minimal filtering.
 *
 * A tile of m x m outputs reads (m + 2) x (m + 2) inputs d. With g the 3x3 weights of one pair of channels,
 *
 *     y = A' [ (G g G') . (B' d B) ] A          . element by element, summed over the input channels
 *
 * (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015), so that what is summed over channels is
 * (m + 2)^2 matrix products instead of 9 m^2: 2.25 times fewer multiplications for m = 2, 4 times fewer for m = 4. The
 * columns of A, G and B belong to points at which polynomials are evaluated: 0, 1, -1 and infinity for m = 2; for m = 4
 * 0, 3/4, -3/4, 3/2, -3/2 and infinity, all exact in binary. The usual 0, 1, -1, 2, -2 would double the rounding error (of a
 * convolution of 256 channels, relative: 3.3e-6; here 1.5e-6; of adding 2304 products in turn 0.85e-6; m = 2: 0.5e-6).
 *
 * Through pixels that are repeated twice both ways (`upsample`), y's rows of one parity read two rows of x, by weights of which two
 * have been added up: y is four 2x2 convolutions of x. Their tiles of m x m outputs read (m + 1) x (m + 1) inputs, at the points 1, -1 and
 * infinity for m = 2, 1/2, -1/2, 5/4, -5/4 and infinity for m = 4. A pixel of y then costs 2.25 or 1.56 products, where of the repeated
 * pixels it would cost 4 or 2.25, and the error is smaller (for m = 4 0.6 of it). The way back (`halve`) is the sum of four 2x2
 * convolutions, of dy's pixels of a parity each.
 *
 * G g G' is made once. It takes (m + 2)^2 / 9 times the memory of g, or 4 (m + 1)^2 / 9 times through repeated pixels: weights of many
 * channels, which belong to small pictures, get m = 2.
 */
#ifndef VQ_KERNELS_CPU_WINOGRAD_H
#define VQ_KERNELS_CPU_WINOGRAD_H

#include "kernels/cpu/conv.h"

/* Whether 3x3 weights [co,.,.,ci] are convolved this way, and the bytes of their form for it. Of the sizes alone. */
bool vq_winograd_fits(int64_t co, int64_t ci);
size_t vq_winograd_bytes(int64_t co, int64_t ci);

/* w [co,3,3,ci] -> form. `turned`: w is [ci,3,3,co] of the forward convolution whose gradient this one computes; it is read
 * turned by half a turn and transposed (kernels/conv/gradients.h). */
void vq_winograd_prepare(vq_threads *threads, const vq_real *w, bool turned, int64_t co, int64_t ci, vq_real *form);

/* The same for a convolution with `upsample`, or `turned` for one with `halve`. */
size_t vq_winograd_repeated_bytes(int64_t co, int64_t ci);
void vq_winograd_prepare_repeated(vq_threads *threads, const vq_real *w, bool turned, int64_t co, int64_t ci,
                                  vq_real *form);

/* vq_conv_wants_read and vq_conv_cpu's work for a->form; with `upsample` or `halve`, top and left are 1 and p and y have the same size. */
bool vq_winograd_wants_read(const vq_conv_args *a);
size_t vq_winograd_scratch(const vq_conv_args *a);
void vq_winograd_conv(vq_device *device, const vq_conv_args *a, void *scratch);

/* ---- the same with weights of BF16 ---- */

/* With m = 2 alone: rounding what the transforms make to BF16 then errs 1.7 times as much as rounding x and w does, with m = 4 five
 * times. For weights that are not large, on processors with dot products of BF16; the others are convolved as they are (kernels/cpu/bf16.h). */
bool vq_winograd_bf16_fits(int64_t co, int64_t ci);
size_t vq_winograd_bf16_bytes(int64_t co, int64_t ci);

/* As vq_winograd_prepare. VQ_ERR_MEMORY. */
vq_status vq_winograd_bf16_prepare(vq_threads *threads, const vq_real *w, bool turned, int64_t co, int64_t ci,
                                   uint16_t *form);

/* vq_conv_wants_read and vq_conv_cpu's work for a->filtered: neither `upsample` nor `halve`. */
bool vq_winograd_bf16_wants_read(const vq_conv_args *a);
size_t vq_winograd_bf16_scratch(const vq_conv_args *a);
void vq_winograd_bf16_conv(vq_device *device, const vq_conv_args *a, void *scratch);

#endif
