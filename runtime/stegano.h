/* stegano.h -- a text in the lowest bits of a picture, bit for bit as Python's `stegano` package has it (its module lsb):
 * the length in bytes as decimal digits, a colon, the text in UTF-8, each byte from its highest bit, filled up with zeros
 * to whole pixels; one bit to each of red, green, blue, pixels in the order of reading.
 */
#ifndef VQ_RUNTIME_STEGANO_H
#define VQ_RUNTIME_STEGANO_H

#include "loaders/image.h"

#include <stddef.h>

/* Does a text of so many bytes fit? VQ_ERR_ARGUMENT: says how many do. */
vq_status vq_stegano_check(size_t bytes, int width, int height);

/* VQ_ERR_ARGUMENT where it does not fit; then nothing is changed. */
vq_status vq_stegano_hide(vq_image *image, const char *text);

/* The text, which the caller frees; *out NULL: there is none. VQ_ERR_MEMORY */
vq_status vq_stegano_reveal(char **out, const vq_image *image);

#endif
