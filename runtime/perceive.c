/* perceive.c -- the networks one at a time. Each question is a job that runs on a device of its own (compute.h), so that
 * the text tower and the encoder are in memory no longer than they are asked. */
#include "runtime/perceive.h"

#include "base/rng.h"
#include "kernels/ops.h"
#include "loaders/safetensors.h"
#include "runtime/compute.h"
#include "runtime/resize.h"
#include "runtime/used_tokens.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

static bool blank(const char *text)
{
  while (isspace((unsigned char)*text))
    text++;
  return !*text;
}

vq_status vq_tokens(const vq_tokenizer *tokenizer, const char *text, bool strict, int32_t *ids, int *tokens)
{
  if (blank(text))
    return vq_fail(VQ_ERR_PROMPT, "the prompt is empty: say what the picture is to show");
  return vq_tokenizer_encode(tokenizer, ids, tokens, text, strlen(text),
                             strict ? VQ_TOO_LONG_FAIL : VQ_TOO_LONG_CUT);
}

typedef struct text_job {
  const vq_network *clip;
  const vq_used_tokens *used;
  int count;
  vq_real *features;
} text_job;

static vq_status read_texts(vq_device *device, vq_tape *t, void *user)
{
  const text_job *job = user;
  const vq_clip_config *c = vq_network_clip(job->clip);
  vq_clip *net;
  vq_status status = vq_clip_create(&net, device, &job->used->config, &job->used->source, CLIP_TEXT);
  VQ_TRY(status);
  /* One text at a time: its features then do not depend on what else is asked, to the last bit. */
  for (int i = 0; i < job->count && !status; i++) {
    vq_tensor *y = vq_clip_text(t, net, job->used->ids + (int64_t)i * c->context_length, 1);
    status = vq_tape_status(t);
    if (!status)
      status = vq_tensor_read(device, y, job->features + (int64_t)i * c->embed_dim);
    if (!status)
      vq_rewind(t, VQ_TAPE_START);
  }
  vq_clip_free(net);
  return status;
}

vq_status vq_text_features(const vq_network *clip, const int32_t *ids, int count, const vq_place *place,
                           vq_real *features)
{
  vq_used_tokens used;
  VQ_TRY(vq_used_tokens_create(&used, clip, ids, (int64_t)count * vq_network_clip(clip)->context_length));
  text_job job = {clip, &used, count, features};
  vq_status status = vq_compute(read_texts, &job, place);
  vq_used_tokens_free(&used);
  return status;
}

/* ---- pictures ---- */

typedef struct image_job {
  const vq_network *clip;
  const vq_real *pixels; /* [count,S,S,3] in [0,1] */
  int count;
  vq_real *features;
} image_job;

static vq_status see_images(vq_device *device, vq_tape *t, void *user)
{
  const image_job *job = user;
  const vq_clip_config *c = vq_network_clip(job->clip);
  int64_t side = c->image_resolution;
  vq_clip *net;
  vq_status status = vq_network_make_clip(&net, job->clip, device, CLIP_IMAGE);
  VQ_TRY(status);
  for (int i = 0; i < job->count && !status; i++) {
    vq_shape s = vq_shape_make(VQ_REAL, 4, (int64_t[]){1, side, side, 3});
    vq_tensor *y = vq_clip_image(t, net, vq_leaf(t, &s, job->pixels + i * side * side * 3, false));
    status = vq_tape_status(t);
    if (!status)
      status = vq_tensor_read(device, y, job->features + (int64_t)i * c->embed_dim);
    if (!status)
      vq_rewind(t, VQ_TAPE_START);
  }
  vq_clip_free(net);
  return status;
}

/* OpenAI's preprocessing: the shorter side to `side`, then the middle square; [side,side,3] in [0,1]. */
static vq_status prepare_image(const vq_image *image, int side, vq_real *pixels)
{
  int shorter = image->width < image->height ? image->width : image->height;
  int w = (int)((int64_t)image->width * side / shorter), h = (int)((int64_t)image->height * side / shorter);
  vq_image sized, middle;
  VQ_TRY(vq_image_resize(&sized, image, w, h, VQ_FILTER_BICUBIC));
  vq_status status = vq_image_crop(&middle, &sized, (w - side) / 2, (h - side) / 2, side, side);
  vq_image_free(&sized);
  VQ_TRY(status);
  for (int64_t i = 0; i < (int64_t)side * side * 3; i++)
    pixels[i] = (vq_real)(middle.rgb[i] / 255.0);
  vq_image_free(&middle);
  return VQ_OK;
}

vq_status vq_image_features(const vq_network *clip, const vq_image *images, int count, const vq_place *place,
                            vq_real *features)
{
  int side = vq_network_clip(clip)->image_resolution;
  size_t each = (size_t)side * (size_t)side * 3;
  vq_real *pixels = malloc((size_t)count * each * sizeof *pixels + 1);
  vq_status status = pixels ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for %d pictures", count);
  for (int i = 0; i < count && !status; i++)
    status = prepare_image(&images[i], side, pixels + (size_t)i * each);
  image_job job = {clip, pixels, count, features};
  if (!status)
    status = vq_compute(see_images, &job, place);
  free(pixels);
  return status;
}

/* ---- the VQGAN's round trip ---- */

void vq_levels(uint8_t *levels, const vq_real *values, size_t count)
{
  for (size_t i = 0; i < count; i++)
    levels[i] = (uint8_t)(values[i] * 255);
}

void vq_latent_free(vq_latent *latent)
{
  free(latent->z);
  free(latent->ids);
  *latent = (vq_latent){.z = NULL};
}

static vq_status latent_create(vq_latent *out, int channels, int h, int w, bool ids)
{
  size_t area = (size_t)h * (size_t)w;
  *out = (vq_latent){channels, h, w, calloc((size_t)channels * area, sizeof(vq_real)),
                     ids ? calloc(area, sizeof(int32_t)) : NULL};
  if (out->z && (out->ids || !ids))
    return VQ_OK;
  vq_latent_free(out);
  return vq_fail(VQ_ERR_MEMORY, "no memory for a latent of %d channels, %dx%d", channels, w, h);
}

typedef struct encode_job {
  const vq_network *vqgan;
  const vq_real *pixels;
  const uint64_t *gumbel;
  vq_latent *latent;
} encode_job;

/* GumbelVQ's tokens: the largest logit of each position, the first of equals; with a seed, after Gumbel noise, so that a
 * token is drawn with its softmax's probability, as the published encoder does even where it is not trained. */
static vq_status largest(vq_device *device, vq_tape *t, const vq_vqgan *net, vq_tensor *h, const uint64_t *seed,
                         int32_t *ids)
{
  vq_tensor *logits = vq_vqgan_logits(t, net, h);
  VQ_TRY(vq_tape_status(t));
  int64_t K = vq_last(logits), rows = vq_rows(logits);
  vq_real *values = calloc((size_t)(K * rows), sizeof *values);
  vq_status status =
      values ? vq_tensor_read(device, logits, values) : vq_fail(VQ_ERR_MEMORY, "no memory for logits");
  for (int64_t e = 0; seed && e < K * rows && !status; e++)
    values[e] -= (vq_real)log(-log((double)vq_rng_uniform(*seed, VQ_RNG_GUMBEL, 0, (uint64_t)e)));
  for (int64_t r = 0; r < rows && !status; r++) {
    ids[r] = 0;
    for (int32_t k = 1; k < K; k++)
      if (values[r * K + k] > values[r * K + ids[r]])
        ids[r] = k;
  }
  free(values);
  return status;
}

/* Codebook rows by number, in PyTorch's layout. */
static vq_status look_up(vq_device *device, const vq_vqgan *net, vq_latent *latent)
{
  const vq_tensor *book = vq_vqgan_codebook(net);
  int64_t area = (int64_t)latent->h * latent->w, C = latent->channels;
  vq_real *rows = calloc((size_t)vq_count(book), sizeof *rows);
  vq_status status = rows ? vq_tensor_read(device, book, rows) : vq_fail(VQ_ERR_MEMORY, "no memory for a codebook");
  for (int64_t p = 0; p < area && !status; p++)
    for (int64_t c = 0; c < C; c++)
      latent->z[c * area + p] = rows[latent->ids[p] * C + c];
  free(rows);
  return status;
}

static vq_status encode_with(vq_device *device, vq_tape *t, const encode_job *job, const vq_vqgan *net)
{
  int f = vq_vqgan_factor(vq_vqgan_settings(net));
  vq_shape s = vq_shape_make(VQ_REAL, 4, (int64_t[]){1, job->latent->h * f, job->latent->w * f, 3});
  vq_tensor *h = vq_vqgan_encode(t, net, vq_leaf(t, &s, job->pixels, false));
  if (vq_vqgan_settings(net)->gumbel) {
    VQ_TRY(largest(device, t, net, h, job->gumbel, job->latent->ids));
  } else {
    vq_tensor *ids = vq_vqgan_nearest(t, net, h);
    VQ_TRY(vq_tape_status(t));
    VQ_TRY(vq_tensor_read(device, ids, job->latent->ids));
  }
  return look_up(device, net, job->latent);
}

static vq_status encode(vq_device *device, vq_tape *t, void *user)
{
  const encode_job *job = user;
  vq_vqgan *net;
  VQ_TRY(vq_network_make_vqgan(&net, job->vqgan, device, VQGAN_ENCODER));
  vq_status status = encode_with(device, t, job, net);
  vq_vqgan_free(net);
  return status;
}

vq_status vq_encode_pixels(const vq_network *vqgan, const vq_real *pixels, int width, int height,
                           const uint64_t *gumbel, const vq_place *place, vq_latent *out)
{
  const vq_vqgan_config *c = vq_network_vqgan(vqgan);
  int f = vq_vqgan_factor(c);
  encode_job job = {vqgan, pixels, gumbel, out};
  VQ_TRY(latent_create(out, c->embed_dim, height / f, width / f, true));
  vq_status status = vq_compute(encode, &job, place);
  if (status)
    vq_latent_free(out);
  return status;
}

vq_status vq_encode_image(const vq_network *vqgan, const vq_image *image, const vq_place *place, vq_latent *out)
{
  int f = vq_vqgan_factor(vq_network_vqgan(vqgan));
  int width = image->width / f * f, height = image->height / f * f;
  vq_image middle;
  if (!width || !height)
    return vq_fail(VQ_ERR_ARGUMENT, "a picture of %dx%d is smaller than one token of this VQGAN, which is %dx%d",
                   image->width, image->height, f, f);
  VQ_TRY(vq_image_crop(&middle, image, (image->width - width) / 2, (image->height - height) / 2, width, height));
  size_t count = (size_t)width * (size_t)height * 3;
  vq_real *pixels = malloc(count * sizeof *pixels);
  for (size_t i = 0; pixels && i < count; i++)
    pixels[i] = (vq_real)(middle.rgb[i] / 127.5 - 1);
  vq_image_free(&middle);
  vq_status status = pixels ? vq_encode_pixels(vqgan, pixels, width, height, NULL, place, out)
                            : vq_fail(VQ_ERR_MEMORY, "no memory for a picture");
  free(pixels);
  return status;
}

typedef struct decode_job {
  const vq_network *vqgan;
  const vq_real *z; /* [h,w,C] */
  int h, w;
  vq_real *picture; /* [H,W,3] in [0,1] */
} decode_job;

static vq_status decode_with(vq_device *device, vq_tape *t, const decode_job *job, const vq_vqgan *net)
{
  vq_shape s = vq_shape_make(VQ_REAL, 4, (int64_t[]){1, job->h, job->w, vq_vqgan_settings(net)->embed_dim});
  vq_tensor *z = vq_leaf(t, &s, job->z, false);
  vq_tensor *ids = vq_vqgan_nearest(t, net, z), *z_q = vq_vqgan_quantise(t, net, z, ids);
  vq_tensor *decoded = vq_vqgan_decode(t, net, z_q), *picture = vq_clamp01(t, decoded);
  VQ_TRY(vq_tape_status(t));
  return vq_tensor_read(device, picture, job->picture);
}

static vq_status decode(vq_device *device, vq_tape *t, void *user)
{
  const decode_job *job = user;
  vq_vqgan *net;
  VQ_TRY(vq_network_make_vqgan(&net, job->vqgan, device, VQGAN_DECODER));
  vq_status status = decode_with(device, t, job, net);
  vq_vqgan_free(net);
  return status;
}

vq_status vq_decode_latent(const vq_network *vqgan, const vq_latent *latent, const vq_place *place, vq_image *out)
{
  const vq_vqgan_config *c = vq_network_vqgan(vqgan);
  int f = vq_vqgan_factor(c);
  int64_t area = (int64_t)latent->h * latent->w;
  if (latent->channels != c->embed_dim)
    return vq_fail(VQ_ERR_ARGUMENT,
                   "the latent has %d channels and this VQGAN's have %d: was it made by another one?",
                   latent->channels, c->embed_dim);
  VQ_TRY(vq_image_create(out, (int64_t)latent->w * f, (int64_t)latent->h * f));
  size_t count = (size_t)out->width * (size_t)out->height * 3;
  vq_real *z = malloc((size_t)area * (size_t)c->embed_dim * sizeof *z), *picture = malloc(count * sizeof *picture);
  vq_status status = z && picture ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a picture");
  for (int64_t p = 0; p < area && !status; p++)
    for (int64_t i = 0; i < c->embed_dim; i++)
      z[p * c->embed_dim + i] = latent->z[i * area + p];
  decode_job job = {vqgan, z, latent->h, latent->w, picture};
  if (!status)
    status = vq_compute(decode, &job, place);
  if (!status)
    vq_levels(out->rgb, picture, count);
  free(z);
  free(picture);
  if (status)
    vq_image_free(out);
  return status;
}

/* ---- latents as files ---- */

static vq_status read_z(vq_latent *out, const vq_safetensors *file)
{
  const vq_file_tensor *z = vq_safetensors_find(file, "z"), *ids = vq_safetensors_find(file, "indices");
  bool good = z && z->rank == 4 && z->dim[0] == 1;
  for (int i = 1; good && i < 4; i++)
    good = z->dim[i] > 0 && z->dim[i] < 1 << 16;
  if (!good)
    return vq_fail(VQ_ERR_FORMAT, "it has no tensor \"z\" of shape [1,C,h,w]: write one with vqgen encode");
  VQ_TRY(latent_create(out, (int)z->dim[1], (int)z->dim[2], (int)z->dim[3], ids != NULL));
#ifdef VQ_DOUBLE
  vq_file_tensor_read_f64(z, out->z);
#else
  vq_file_tensor_read_f32(z, out->z);
#endif
  vq_status status = VQ_OK;
  if (ids && vq_file_tensor_count(ids) != (size_t)out->h * (size_t)out->w)
    status = vq_fail(VQ_ERR_FORMAT, "its \"indices\" are not [h,w] as its z has them");
  if (ids && !status)
    status = vq_file_tensor_read_i32(ids, out->ids);
  if (status)
    vq_latent_free(out);
  return status;
}

vq_status vq_latent_read(vq_latent *out, const char *path)
{
  vq_safetensors *file;
  VQ_TRY(vq_safetensors_open(&file, path));
  vq_status status = vq_fail_in(read_z(out, file), "%s", path);
  vq_safetensors_close(file);
  return status;
}

void vq_planes_of_rows(vq_real *planes, const vq_real *rows, int64_t area, int channels)
{
  for (int64_t p = 0; p < area; p++)
    for (int c = 0; c < channels; c++)
      planes[c * area + p] = rows[p * channels + c];
}

void vq_rows_of_planes(vq_real *rows, const vq_real *planes, int64_t area, int channels)
{
  for (int64_t p = 0; p < area; p++)
    for (int c = 0; c < channels; c++)
      rows[p * channels + c] = planes[c * area + p];
}

vq_status vq_latent_write(const char *path, const vq_latent *latent)
{
  size_t area = (size_t)latent->h * (size_t)latent->w, count = area * (size_t)latent->channels;
  vq_file_tensor tensors[2] = {
      {"z",
       sizeof(vq_real) == 4 ? VQ_FILE_F32 : VQ_FILE_F64,
       4,
       {1, latent->channels, latent->h, latent->w},
       latent->z,
       count * sizeof(vq_real)},
      {"indices", VQ_FILE_I32, 2, {latent->h, latent->w}, latent->ids, area * sizeof(int32_t)},
  };
  return vq_safetensors_write(path, tensors, latent->ids ? 2 : 1, NULL, 0);
}
