/* resize.h -- pictures brought to another size on the host, as PIL's Image.resize does it: separable, with a kernel that
 * widens as the picture shrinks (antialiasing), rows of 8-bit values after each pass.
 */
#ifndef VQ_RUNTIME_RESIZE_H
#define VQ_RUNTIME_RESIZE_H

#include "loaders/image.h"
#include "vqgen.h"

typedef enum vq_filter { VQ_FILTER_BICUBIC, VQ_FILTER_LANCZOS } vq_filter; /* a = -1/2, support 2; support 3 */

/* A new picture of width x height; the caller frees it. VQ_ERR_MEMORY. */
vq_status vq_image_resize(vq_image *out, const vq_image *in, int width, int height, vq_filter filter);

/* The part of `in` with this top left corner and size, which must lie inside. */
vq_status vq_image_crop(vq_image *out, const vq_image *in, int x, int y, int width, int height);

/* Exactly width x height by Lanczos: the middle of what covers it (crop), all of it on gray (pad), or distorted. */
vq_status vq_image_fit(vq_image *out, const vq_image *in, int width, int height, vq_fit fit);

#endif
