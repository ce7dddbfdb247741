/* image_codec.h -- what image.c asks of a format: png.c and jpeg.c, or their stand-ins no_png.c and no_jpeg.c where a
 * build lacks the library. Of each pair one is compiled.
 */
#ifndef VQ_LOADERS_IMAGE_CODEC_H
#define VQ_LOADERS_IMAGE_CODEC_H

#include "loaders/image.h"
#include "loaders/input.h"
#include "loaders/output.h"

/* Decodes the picture as it lies in the file and says how to turn it: 1 to 8, Exif's orientation. `path` is for
 * messages. On an error *out may hold a picture, which the caller frees. */
vq_status vq_png_read(vq_image *out, int *orientation, const vq_input *input, const char *path);
vq_status vq_jpeg_read(vq_image *out, int *orientation, const vq_input *input, const char *path);

vq_status vq_png_write(vq_output *out, const vq_image *image, const char *const *text_pairs, int pairs);
vq_status vq_png_text(const vq_input *input, const char *path, vq_image_text_fn fn, void *user);

/* The orientation in an Exif block, which begins with its TIFF header; 1 where there is none. */
int vq_exif_orientation(const uint8_t *exif, size_t bytes);

/* VQ_ERR_UNSUPPORTED for more than VQ_IMAGE_PIXELS. To ask before a pixel is allocated. */
vq_status vq_image_check_size(int64_t width, int64_t height, const char *path);

/* No overlong forms, no surrogates, nothing above U+10FFFF. */
bool vq_is_utf8(const char *text);

#endif
