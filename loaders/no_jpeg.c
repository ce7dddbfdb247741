/* no_jpeg.c -- stands in for jpeg.c where a build lacks libjpeg. */
#include "loaders/image_codec.h"

vq_status vq_jpeg_read(vq_image *out, int *orientation, const vq_input *input, const char *path)
{
  (void)out, (void)orientation, (void)input;
  return vq_fail(VQ_ERR_UNSUPPORTED,
                 "'%s' is a JPEG picture, which this build does not read; convert it to PNG, or build with libjpeg",
                 path);
}

vq_status vq_jpeg_check(void)
{
  return vq_fail(VQ_ERR_UNSUPPORTED, "this build does not write JPEG: name a .png, or build it with libjpeg");
}

vq_status vq_jpeg_write(vq_output *out, const vq_image *image, const vq_image_extras *extras)
{
  (void)out, (void)image, (void)extras;
  return vq_jpeg_check();
}
