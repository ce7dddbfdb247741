/* image.h -- pictures in files: PNG and JPEG are read, PNG is written.
 *
 * What a file is, its content says and not its name. Read pictures are what PIL's convert('RGB') gives (alpha and
 * colour profiles are dropped, 16 bits scaled to 8), turned upright as their Exif orientation asks.
 * A build without libpng or libjpeg refuses that kind by name with VQ_ERR_UNSUPPORTED.
 */
#ifndef VQ_LOADERS_IMAGE_H
#define VQ_LOADERS_IMAGE_H

#include "base/status.h"

#include <stdint.h>

#define VQ_IMAGE_PIXELS (INT64_C(1) << 28) /* at most so many are read or written */

typedef struct vq_image {
  int width, height; /* pixels, each >= 1 */
  uint8_t *rgb;      /* [height, width, 3], rows from the top; owned, freed by vq_image_free */
} vq_image;

/* VQ_ERR_FILE; VQ_ERR_FORMAT: damaged, truncated or no picture; VQ_ERR_UNSUPPORTED: a picture of another kind (WebP,
 * GIF, ...), or one with too many pixels. On an error *out is empty. */
vq_status vq_image_read(vq_image *out, const char *path);

/* An empty picture of that size, its pixels not set. VQ_ERR_ARGUMENT, VQ_ERR_MEMORY. */
vq_status vq_image_create(vq_image *out, int64_t width, int64_t height);
void vq_image_free(vq_image *image);

/* Writes an 8-bit RGB PNG as vq_output does, whole or not at all, with `pairs` texts: key, text, key, text ... in
 * UTF-8. ASCII becomes tEXt, all else iTXt. A key is 1 to 79 printable ASCII characters, with no space at its ends and
 * no two together. VQ_ERR_ARGUMENT, VQ_ERR_WRITE */
vq_status vq_image_write_png(const char *path, const vq_image *image, const char *const *text_pairs, int pairs);

/* VQ_ERR_UNSUPPORTED where this build cannot write PNG. To ask before a long run. */
vq_status vq_image_check_png(void);

/* Called for each text of a PNG in the file's order; both are UTF-8 and borrowed for the call. */
typedef void (*vq_image_text_fn)(void *user, const char *key, const char *text);

/* The texts (tEXt, zTXt, iTXt) of a PNG. Errors as vq_image_read's; VQ_ERR_UNSUPPORTED for another kind of picture. */
vq_status vq_image_read_png_text(const char *path, vq_image_text_fn fn, void *user);

#endif
