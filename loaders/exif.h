/* exif.h -- the two things that are wanted of a picture's Exif block, which begins with its TIFF header. */
#ifndef VQ_LOADERS_EXIF_H
#define VQ_LOADERS_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* 1 to 8; 1 where there is none. */
int vq_exif_orientation(const uint8_t *exif, size_t bytes);

/* The user's comment as UTF-8, in which some programs keep settings; the caller frees it. NULL: there is none. */
char *vq_exif_comment(const uint8_t *exif, size_t bytes);

#endif
