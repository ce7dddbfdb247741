/* no_png.c -- stands in for png.c where a build lacks libpng. */
#include "loaders/image_codec.h"

static vq_status refuse(void)
{
  return vq_fail(VQ_ERR_UNSUPPORTED, "this build does neither read nor write PNG; build it with libpng");
}

vq_status vq_png_check(void)
{
  return refuse();
}

vq_status vq_png_read(vq_image *out, int *orientation, const vq_input *input, const char *path)
{
  (void)out, (void)orientation, (void)input;
  return vq_fail_in(refuse(), "'%s'", path);
}

vq_status vq_png_write(vq_output *out, const vq_image *image, const vq_image_extras *extras)
{
  (void)out, (void)image, (void)extras;
  return refuse();
}

vq_status vq_png_text(const vq_input *input, const char *path, vq_image_text_fn fn, void *user)
{
  (void)input, (void)fn, (void)user;
  return vq_fail_in(refuse(), "'%s'", path);
}
