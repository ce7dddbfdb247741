/* encode.c -- a picture to the VQGAN's latent. */
#include "tools/vqgen/features.h"

static vq_status encode(const network_options *n, const char *from, const char *to)
{
  stream out;
  vq_image picture;
  vq_latent latent;
  vq_network *vqgan;
  vq_place place;
  VQ_TRY(tool_place(&place, n));
  VQ_TRY(stream_out(&out, to));
  vq_status status = tool_network(&vqgan, n, VQ_NETWORK_VQGAN);
  if (!status) {
    status = picture_read(&picture, from);
    if (!status)
      status = vq_encode_image(vqgan, &picture, &place, &latent);
    vq_image_free(&picture);
    vq_network_close(vqgan);
  }
  if (!status) {
    fprintf(stderr, "%dx%d tokens of %d channels\n", latent.w, latent.h, latent.channels);
    status = vq_latent_write(out.path, &latent);
    vq_latent_free(&latent);
  }
  return stream_finish(&out, status);
}

static int run(const command *c, int argc, char **argv)
{
  return tool_run_vqgan(c, argc, argv, "picture", "Z.safetensors", encode);
}

const command command_encode = {
    .name = "encode",
    .usage = "[options] IMAGE -o Z.safetensors",
    .summary = "turns a picture into the VQGAN's latent",
    .text =
        "Turns a picture into codebook rows: a safetensors file with z [1,C,h,w] and indices [h,w]. The sides are "
        "floored to whole tokens, the middle of the picture is taken. The result is also a start for `vqgen "
        "generate --init`.",
    .examples = "  vqgen encode photo.jpg -o photo.safetensors\n"
                "  vqgen encode photo.jpg -o - | vqgen decode - -o round-trip.png\n",
    .run = run,
};
