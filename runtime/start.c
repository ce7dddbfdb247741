/* start.c -- where z begins: random tokens, gray, random pixels, gradients, blotches, a picture, a saved z. */
#include "runtime/start.h"

#include "base/rng.h"
#include "loaders/image.h"
#include "runtime/perceive.h"
#include "runtime/perlin.h"
#include "runtime/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GRAY_NOISE   0.02 /* deviation in [-1,1]: enough that no two positions begin alike */
#define PERLIN_NOISE 0.4  /* and enough that something is already there which may become the thing */

static bool is_latent(const char *path)
{
  size_t n = strlen(path), m = strlen(".safetensors");
  return n > m && !strcmp(path + n - m, ".safetensors");
}

bool vq_start_is_encoded(const vq_settings *s)
{
  return s->latent != VQ_LATENT_LOGITS && s->start != VQ_START_RANDOM &&
         !(s->start == VQ_START_FILE && is_latent(s->start_file));
}

bool vq_start_is_drawn(const vq_settings *s)
{
  return s->latent == VQ_LATENT_LOGITS || s->start != VQ_START_FILE || s->gumbel_noise;
}

static vq_status read_latent(vq_latent *out, const char *path, const vq_network *vqgan, int h, int w)
{
  int C = vq_network_vqgan(vqgan)->embed_dim;
  VQ_TRY(vq_latent_read(out, path));
  if (out->channels == C && out->h == h && out->w == w)
    return VQ_OK;
  vq_status status = vq_fail(VQ_ERR_ARGUMENT, "%s: its z is %d channels of %dx%d and this run's is %d of %dx%d",
                             path, out->channels, out->w, out->h, C, w, h);
  vq_latent_free(out);
  return status;
}

static vq_status read_picture(vq_image *out, const vq_settings *s, int width, int height)
{
  vq_image image;
  VQ_TRY(vq_image_read(&image, s->start_file));
  vq_status status = vq_image_fit(out, &image, width, height, s->fit);
  vq_image_free(&image);
  return status;
}

vq_status vq_start_check(const vq_settings *s, const vq_network *vqgan, int h, int w)
{
  bool encoded = s->start != VQ_START_RANDOM && !(s->start == VQ_START_FILE && is_latent(s->start_file));
  if (s->gumbel_noise && (!encoded || !vq_network_vqgan(vqgan)->gumbel))
    return vq_fail(VQ_ERR_ARGUMENT, "there is no Gumbel noise to draw (--gumbel-noise): %s",
                   encoded ? "only a GumbelVQ's encoder has it, and this VQGAN takes the nearest code"
                           : "this start is not encoded");
  if (s->start != VQ_START_FILE)
    return VQ_OK;
  if (is_latent(s->start_file)) {
    vq_latent latent;
    VQ_TRY(read_latent(&latent, s->start_file, vqgan, h, w));
    vq_latent_free(&latent);
    return VQ_OK;
  }
  vq_image image;
  VQ_TRY(vq_image_read(&image, s->start_file));
  vq_image_free(&image);
  return VQ_OK;
}

static vq_status random_tokens(const vq_settings *s, const vq_network *vqgan, int64_t count, vq_real *z)
{
  const vq_vqgan_config *c = vq_network_vqgan(vqgan);
  const vq_weight_source *weights = vq_network_weights(vqgan);
  const char *name = c->gumbel ? "quantize.embed.weight" : "quantize.embedding.weight";
  int64_t dim[VQ_RANK], width = c->embed_dim;
  int rank;
  if (!weights->shape(weights->user, name, &rank, dim) || rank != 2 || dim[0] != c->n_embed || dim[1] != width)
    return vq_fail(VQ_ERR_NETWORK, "%s: %s is missing or of another shape", vq_network_path(vqgan), name);
  vq_real *book = malloc((size_t)(c->n_embed * width) * sizeof *book);
  vq_status status =
      book ? weights->read(weights->user, name, book) : vq_fail(VQ_ERR_MEMORY, "no memory for a codebook");
  for (int64_t i = 0; i < count && !status; i++) {
    uint32_t row = vq_rng_below(s->seed, VQ_RNG_TOKENS, 0, (uint64_t)i, (uint32_t)c->n_embed);
    memcpy(z + i * width, book + (int64_t)row * width, (size_t)width * sizeof *z);
  }
  free(book);
  return status;
}

/* nerdyrodent's: red from 0 to a level of 1 ... 254, green from 0 to one of 2 ... 254 downwards, blue from one of 0 ... 254 to one
 * of 3 ... 127, whole levels. */
static void gradients(const vq_settings *s, int width, int height, vq_real *pixels)
{
  double from[3] = {0, 0, (double)vq_rng_below(s->seed, VQ_RNG_START, 0, 0, 255)};
  double to[3] = {1 + (double)vq_rng_below(s->seed, VQ_RNG_START, 0, 1, 254),
                  2 + (double)vq_rng_below(s->seed, VQ_RNG_START, 0, 2, 253),
                  3 + (double)vq_rng_below(s->seed, VQ_RNG_START, 0, 3, 125)};
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < 3; c++) {
        double t = c == 0 ? (width > 1 ? (double)x / (width - 1) : 0) : height > 1 ? (double)y / (height - 1) : 0;
        pixels[(y * width + x) * 3 + c] = (vq_real)(floor(from[c] + (to[c] - from[c]) * t) / 127.5 - 1);
      }
}

/* The picture that is to be encoded, [H,W,3] in [-1,1]. */
static vq_status paint(const vq_settings *s, int width, int height, vq_real *pixels)
{
  size_t count = (size_t)width * (size_t)height * 3;
  vq_image image;
  switch (s->start) {
  case VQ_START_GRAY:
  case VQ_START_PERLIN:
    for (size_t i = 0; i < count; i++)
      pixels[i] = (vq_real)(GRAY_NOISE * vq_rng_normal(s->seed, VQ_RNG_START, 0, i));
    return s->start == VQ_START_GRAY ? VQ_OK : vq_perlin_add(pixels, width, height, PERLIN_NOISE, s->seed);
  case VQ_START_PIXELS:
    for (size_t i = 0; i < count; i++)
      pixels[i] = (vq_real)(vq_rng_below(s->seed, VQ_RNG_START, 0, i, 256) / 127.5 - 1);
    return VQ_OK;
  case VQ_START_GRADIENT: gradients(s, width, height, pixels); return VQ_OK;
  case VQ_START_FILE:
    VQ_TRY(read_picture(&image, s, width, height));
    for (size_t i = 0; i < count; i++)
      pixels[i] = (vq_real)(image.rgb[i] / 127.5 - 1);
    vq_image_free(&image);
    return VQ_OK;
  case VQ_START_RANDOM: break;
  }
  return vq_fail(VQ_ERR_ARGUMENT, "there is no start number %d", (int)s->start);
}

/* Crowson's torch.randn. */
static void random_logits(const vq_settings *s, const vq_network *vqgan, int64_t tokens, vq_real *z)
{
  int64_t count = tokens * vq_network_vqgan(vqgan)->n_embed;
  for (int64_t i = 0; i < count; i++)
    z[i] = (vq_real)vq_rng_normal(s->seed, VQ_RNG_CODES, UINT32_MAX, (uint64_t)i);
}

vq_status vq_start_make(const vq_settings *s, const vq_network *vqgan, int h, int w, vq_real *z)
{
  int f = vq_vqgan_factor(vq_network_vqgan(vqgan)), width = w * f, height = h * f;
  vq_latent latent;
  vq_status status;
  if (s->latent == VQ_LATENT_LOGITS) {
    random_logits(s, vqgan, (int64_t)h * w, z);
    return VQ_OK;
  }
  if (s->start == VQ_START_RANDOM)
    return random_tokens(s, vqgan, (int64_t)h * w, z);
  if (s->start == VQ_START_FILE && is_latent(s->start_file)) {
    VQ_TRY(read_latent(&latent, s->start_file, vqgan, h, w));
  } else {
    vq_place place;
    VQ_TRY(vq_place_of(&place, s));
    vq_real *pixels = malloc((size_t)width * (size_t)height * 3 * sizeof *pixels);
    status = pixels ? paint(s, width, height, pixels) : vq_fail(VQ_ERR_MEMORY, "no memory for a starting picture");
    if (!status)
      status = vq_encode_pixels(vqgan, pixels, width, height, s->gumbel_noise ? &s->seed : NULL, &place, &latent);
    free(pixels);
    VQ_TRY(status);
  }
  vq_rows_of_planes(z, latent.z, (int64_t)latent.h * latent.w, latent.channels);
  vq_latent_free(&latent);
  return VQ_OK;
}
