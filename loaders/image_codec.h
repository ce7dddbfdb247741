/* image_codec.h -- what image.c asks of a format: png.c, jpeg.c and webp.c, or their stand-ins no_png.c, no_jpeg.c and
 * no_webp.c where a build lacks the library. Of each pair one is compiled.
 */
#ifndef VQ_LOADERS_IMAGE_CODEC_H
#define VQ_LOADERS_IMAGE_CODEC_H

#include "loaders/exif.h"
#include "loaders/image.h"
#include "loaders/input.h"
#include "loaders/output.h"

/* Decodes the picture as it lies in the file and says how to turn it: 1 to 8, Exif's orientation. `path` is for
 * messages. On an error *out may hold a picture, which the caller frees. */
vq_status vq_png_read(vq_image *out, int *orientation, const vq_input *input, const char *path);
vq_status vq_jpeg_read(vq_image *out, int *orientation, const vq_input *input, const char *path);

vq_status vq_webp_read(vq_image *out, int *orientation, const vq_input *input, const char *path);

vq_status vq_png_write(vq_output *out, const vq_image *image, const vq_image_extras *extras);
vq_status vq_jpeg_write(vq_output *out, const vq_image *image, const vq_image_extras *extras);
vq_status vq_webp_write(vq_output *out, const vq_image *image, const vq_image_extras *extras);
vq_status vq_png_check(void);
vq_status vq_jpeg_check(void);
vq_status vq_webp_check(void);
vq_status vq_png_text(const vq_input *input, const char *path, vq_image_text_fn fn, void *user);

/* What stands before a packet of XMP in a JPEG's segment, its NUL included. */
#define VQ_JPEG_XMP "http://ns.adobe.com/xap/1.0/"

/* VQ_ERR_UNSUPPORTED for more than VQ_IMAGE_PIXELS. To ask before a pixel is allocated. */
vq_status vq_image_check_size(int64_t width, int64_t height, const char *path);

#endif
