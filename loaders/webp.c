/* webp.c -- WebP through libwebp, from memory; written without loss, so that what is hidden in the lowest bits stays. */
#include "loaders/image_codec.h"

#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/encode.h>

#define XMP_FLAG 0x04 /* of VP8X: there is a chunk of XMP */

static int orientation_of(const vq_input *input)
{
  for (size_t at = 12; at + 8 <= input->bytes;) {
    const uint8_t *chunk = input->data + at;
    size_t length = (size_t)chunk[7] << 24 | (size_t)chunk[6] << 16 | (size_t)chunk[5] << 8 | chunk[4];
    if (length > input->bytes - at - 8)
      break;
    if (!memcmp(chunk, "EXIF", 4)) {
      size_t marked = length > 6 && !memcmp(chunk + 8, "Exif\0", 6) ? 6 : 0;
      return vq_exif_orientation(chunk + 8 + marked, length - marked);
    }
    at += 8 + length + (length & 1);
  }
  return 1;
}

vq_status vq_webp_read(vq_image *out, int *orientation, const vq_input *input, const char *path)
{
  WebPBitstreamFeatures found;
  VP8StatusCode code = WebPGetFeatures(input->data, input->bytes, &found);
  if (code == VP8_STATUS_UNSUPPORTED_FEATURE || (code == VP8_STATUS_OK && found.has_animation))
    return vq_fail(VQ_ERR_UNSUPPORTED, "'%s' is an animated WebP; convert one of its pictures to PNG", path);
  if (code != VP8_STATUS_OK)
    return vq_fail(VQ_ERR_FORMAT, "'%s' is a damaged or truncated WebP picture; get it again", path);
  VQ_TRY(vq_image_check_size(found.width, found.height, path));
  VQ_TRY(vq_image_create(out, found.width, found.height));
  *orientation = orientation_of(input);
  size_t row = (size_t)out->width * 3;
  if (WebPDecodeRGBInto(input->data, input->bytes, out->rgb, row * (size_t)out->height, (int)row))
    return VQ_OK;
  return vq_fail(VQ_ERR_FORMAT, "'%s' is a damaged or truncated WebP picture; get it again", path);
}

static void put_little(uint8_t *to, size_t value, int bytes)
{
  for (int i = 0; i < bytes; i++)
    to[i] = (uint8_t)(value >> 8 * i);
}

/* RIFF, the extended header, the picture's own chunks, and the packet. */
static void write_with_xmp(vq_output *out, const vq_image *image, const uint8_t *chunks, size_t bytes,
                           const char *xmp)
{
  size_t packet = strlen(xmp), odd = packet & 1;
  uint8_t head[12 + 18] = "RIFF....WEBPVP8X", xmp_head[8] = "XMP ";
  put_little(head + 4, 4 + 18 + bytes + 8 + packet + odd, 4);
  put_little(head + 16, 10, 4);
  put_little(head + 20, XMP_FLAG, 4);
  put_little(head + 24, (size_t)image->width - 1, 3);
  put_little(head + 27, (size_t)image->height - 1, 3);
  put_little(xmp_head + 4, packet, 4);
  vq_output_write(out, head, sizeof head);
  vq_output_write(out, chunks, bytes);
  vq_output_write(out, xmp_head, sizeof xmp_head);
  vq_output_write(out, xmp, packet);
  vq_output_write(out, "", odd);
}

vq_status vq_webp_write(vq_output *out, const vq_image *image, const vq_image_extras *extras)
{
  uint8_t *file = NULL;
  if (image->width > WEBP_MAX_DIMENSION || image->height > WEBP_MAX_DIMENSION)
    return vq_fail(VQ_ERR_ARGUMENT, "a WebP has at most %d pixels a side: name a .png", WEBP_MAX_DIMENSION);
  size_t bytes = WebPEncodeLosslessRGB(image->rgb, image->width, image->height, image->width * 3, &file);
  if (bytes < 12)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a WebP");
  if (extras->xmp)
    write_with_xmp(out, image, file + 12, bytes - 12, extras->xmp);
  else
    vq_output_write(out, file, bytes);
  WebPFree(file);
  return VQ_OK;
}

vq_status vq_webp_check(void)
{
  return VQ_OK;
}
