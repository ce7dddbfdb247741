/* decode.c -- the VQGAN's latent to a picture. */
#include "tools/vqgen/features.h"

static vq_status read_latent(vq_latent *out, const char *path)
{
  stream in;
  VQ_TRY(stream_in(&in, path));
  vq_status status = vq_latent_read(out, in.path);
  stream_close(&in);
  return status;
}

static vq_status decode(const network_options *n, const char *from, const char *to)
{
  stream out;
  vq_image picture = {.rgb = NULL};
  vq_latent latent;
  vq_network *vqgan;
  vq_place place;
  VQ_TRY(vq_image_check_format(VQ_IMAGE_PNG));
  VQ_TRY(tool_place(&place, n));
  VQ_TRY(stream_out(&out, to));
  vq_status status = tool_network(&vqgan, n, VQ_NETWORK_VQGAN);
  if (!status) {
    status = read_latent(&latent, from);
    if (!status) {
      status = vq_decode_latent(vqgan, &latent, &place, &picture);
      vq_latent_free(&latent);
    }
    vq_network_close(vqgan);
  }
  if (!status) {
    fprintf(stderr, "%dx%d pixels\n", picture.width, picture.height);
    status = vq_image_write_png(out.path, &picture, NULL, 0);
    vq_image_free(&picture);
  }
  return stream_finish(&out, status);
}

static int run(const command *c, int argc, char **argv)
{
  return tool_run_vqgan(c, argc, argv, "latent", "IMAGE.png", decode);
}

const command command_decode = {
    .name = "decode",
    .usage = "[options] Z.safetensors -o IMAGE.png",
    .summary = "turns the VQGAN's latent into a picture",
    .text = "Turns a latent into its picture. Its z, [1,C,h,w], is replaced by the nearest codebook rows first.",
    .examples = "  vqgen decode photo.safetensors -o round-trip.png\n"
                "  vqgen decode - -o - < photo.safetensors > round-trip.png\n",
    .run = run,
};
