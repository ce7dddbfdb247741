/* image.h -- pictures in files: PNG, JPEG and WebP, and the texts in them.
 *
 * What a file is, its content says and not its name. Read pictures are what PIL's convert('RGB') gives (alpha and
 * colour profiles are dropped, 16 bits scaled to 8), turned upright as their Exif orientation asks.
 * A build without libpng, libjpeg or libwebp refuses that kind by name with VQ_ERR_UNSUPPORTED.
 */
#ifndef VQ_LOADERS_IMAGE_H
#define VQ_LOADERS_IMAGE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define VQ_IMAGE_PIXELS (INT64_C(1) << 28) /* at most so many are read or written */

typedef struct vq_image {
  int width, height; /* pixels, each >= 1 */
  uint8_t *rgb;      /* [height, width, 3], rows from the top; owned, freed by vq_image_free */
} vq_image;

/* VQ_ERR_FILE; VQ_ERR_FORMAT: damaged, truncated or no picture; VQ_ERR_UNSUPPORTED: a picture of another kind (GIF,
 * TIFF, ...), or one with too many pixels. On an error *out is empty. */
vq_status vq_image_read(vq_image *out, const char *path);

/* Is it a picture of a kind that is known here, whether this build reads it or not? By its content. */
bool vq_image_is(const char *path);

/* An empty picture of that size, its pixels not set. VQ_ERR_ARGUMENT, VQ_ERR_MEMORY. */
vq_status vq_image_create(vq_image *out, int64_t width, int64_t height);
void vq_image_free(vq_image *image);

/* ---- writing ---- */

typedef enum vq_image_format { VQ_IMAGE_PNG, VQ_IMAGE_JPEG, VQ_IMAGE_WEBP /* lossless */ } vq_image_format;

/* By the ending of a path; false for one that names none. */
bool vq_image_format_of(vq_image_format *out, const char *path);

typedef struct vq_image_extras {
  /* Of a PNG: key, text, key, text ... in UTF-8. ASCII becomes tEXt, all else iTXt. A key is 1 to 79 printable ASCII
   * characters, with no space at its ends and no two together. */
  const char *const *text_pairs;
  int pairs;
  const char *xmp; /* a packet, which all formats take; NULL: none */
  int quality;     /* of a JPEG, 1 to 100; 0: 95 */
} vq_image_extras;

/* Writes 8 bits of RGB as vq_output does, whole or not at all; extras may be NULL. VQ_ERR_ARGUMENT, VQ_ERR_WRITE;
 * VQ_ERR_UNSUPPORTED where this build lacks the format's library. */
vq_status vq_image_write(const char *path, vq_image_format format, const vq_image *image,
                         const vq_image_extras *extras);
vq_status vq_image_write_png(const char *path, const vq_image *image, const char *const *text_pairs, int pairs);

/* Can this build write it? To ask before a long run. VQ_ERR_UNSUPPORTED */
vq_status vq_image_check_format(vq_image_format format);

/* ---- what is written in them ---- */

/* Called for each text in the file's order; both are UTF-8 and borrowed for the call. */
typedef void (*vq_image_text_fn)(void *user, const char *key, const char *text);

/* The keys of texts that have no name of their own in a file. XMP's is that of PNG. */
#define VQ_TEXT_XMP          "XML:com.adobe.xmp"
#define VQ_TEXT_EXIF_COMMENT "Exif UserComment"
#define VQ_TEXT_COMMENT      "JPEG comment"

/* The texts of a PNG (tEXt, zTXt, iTXt), a JPEG or a WebP (XMP, Exif's comment, comments). Errors as vq_image_read's. */
vq_status vq_image_read_texts(const char *path, vq_image_text_fn fn, void *user);

#endif
