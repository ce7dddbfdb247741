/* stegano.c -- bits of pixels. */
#include "runtime/stegano.h"

#include "loaders/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_DIGITS 10 /* of a length: a picture holds less than 2^30 bits */

static size_t room(const vq_image *image)
{
  return (size_t)image->width * (size_t)image->height * 3;
}

vq_status vq_stegano_check(size_t bytes, int width, int height)
{
  size_t bits = (size_t)width * (size_t)height * 3, most = bits / 8;
  char prefix[32];
  if (8 * (bytes + (size_t)snprintf(prefix, sizeof prefix, "%zu:", bytes)) <= bits)
    return VQ_OK;
  most -= most < 2 ? most : (size_t)snprintf(prefix, sizeof prefix, "%zu:", most);
  return vq_fail(
      VQ_ERR_ARGUMENT,
      "the hidden message has %zu bytes and a picture of %dx%d holds %zu: make the picture larger or the "
      "prompts shorter, or leave stegano out of --metadata",
      bytes, width, height, most);
}

static void hide_bytes(vq_image *image, size_t *bit, const char *bytes, size_t count)
{
  for (size_t i = 0; i < count; i++)
    for (int k = 7; k >= 0; k--, (*bit)++)
      image->rgb[*bit] = (uint8_t)((image->rgb[*bit] & ~1) | ((uint8_t)bytes[i] >> k & 1));
}

vq_status vq_stegano_hide(vq_image *image, const char *text)
{
  char prefix[32];
  size_t bytes = strlen(text), bit = 0;
  VQ_TRY(vq_stegano_check(bytes, image->width, image->height));
  hide_bytes(image, &bit, prefix, (size_t)snprintf(prefix, sizeof prefix, "%zu:", bytes));
  hide_bytes(image, &bit, text, bytes);
  for (; bit % 3; bit++)
    image->rgb[bit] &= (uint8_t)~1;
  return VQ_OK;
}

static char byte_at(const vq_image *image, size_t bit)
{
  unsigned value = 0;
  for (int k = 0; k < 8; k++)
    value = value << 1 | (image->rgb[bit + (size_t)k] & 1u);
  return (char)value;
}

vq_status vq_stegano_reveal(char **out, const vq_image *image)
{
  size_t bits = room(image), at = 0, length = 0;
  int digits = 0;
  *out = NULL;
  for (; at + 8 <= bits && digits <= MOST_DIGITS; at += 8, digits++) {
    char c = byte_at(image, at);
    if (c == ':')
      break;
    if (c < '0' || c > '9')
      return VQ_OK;
    length = 10 * length + (size_t)(c - '0');
  }
  if (at + 8 > bits || digits == 0 || digits > MOST_DIGITS || length == 0 || length > (bits - at - 8) / 8)
    return VQ_OK;
  char *text = malloc(length + 1);
  if (!text)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a hidden message");
  for (size_t i = 0; i < length; i++)
    text[i] = byte_at(image, at + 8 + 8 * i);
  text[length] = 0;
  if (strlen(text) == length)
    *out = vq_utf8_of(text); /* stegano's first versions hid Latin-1 */
  free(text);
  return VQ_OK;
}
