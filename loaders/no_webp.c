/* no_webp.c -- stands in for webp.c where a build lacks libwebp. */
#include "loaders/image_codec.h"

vq_status vq_webp_read(vq_image *out, int *orientation, const vq_input *input, const char *path)
{
  (void)out, (void)orientation, (void)input;
  return vq_fail(VQ_ERR_UNSUPPORTED,
                 "'%s' is a WebP picture, which this build does not read; convert it to PNG, or build with libwebp",
                 path);
}

vq_status vq_webp_check(void)
{
  return vq_fail(VQ_ERR_UNSUPPORTED, "this build does not write WebP: name a .png, or build it with libwebp");
}

vq_status vq_webp_write(vq_output *out, const vq_image *image, const vq_image_extras *extras)
{
  (void)out, (void)image, (void)extras;
  return vq_webp_check();
}
