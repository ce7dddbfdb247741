/* clip.c -- CLIP's two towers. clip.h says what they compute. */
#include "nets/clip.h"

#include "nets/transformer.h"

#include <stdlib.h>

/* openai/CLIP's preprocessing: the statistics of its training pictures, by channel. */
static const double mean[3] = {0.48145466, 0.4578275, 0.40821073};
static const double deviation[3] = {0.26862954, 0.26130258, 0.27577711};

struct vq_clip {
  vq_clip_config config;
  struct {
    vq_tensor *patches; /* conv1 as the matrix [width, P*P*3] */
    vq_tensor *class_token, *positions;
    vq_affine ln_pre, ln_post;
    vq_transformer *transformer;
    vq_tensor *proj; /* [embed_dim, width] */
  } image;
  struct {
    vq_tensor *tokens, *positions;
    vq_affine ln_final;
    vq_transformer *transformer;
    vq_tensor *proj;
  } text;
};

static vq_status check_config(const vq_clip_config *c)
{
  bool vision = c->embed_dim > 0 && c->image_resolution > 0 && c->patch_size > 0 &&
                c->image_resolution % c->patch_size == 0 && c->vision_width > 0 && c->vision_layers > 0 &&
                c->vision_layers <= 1024 && c->vision_heads > 0 && c->vision_width % c->vision_heads == 0;
  bool text = c->context_length > 1 && c->vocab_size > 2 && c->text_width > 0 && c->text_layers > 0 &&
              c->text_layers <= 1024 && c->text_heads > 0 && c->text_width % c->text_heads == 0;
  if (vision && text)
    return VQ_OK;
  return vq_fail(
      VQ_ERR_NETWORK,
      "the CLIP's settings are out of range: embed_dim %d, pictures of %d in patches of %d, vision width %d, "
      "%d layers, %d heads; %d tokens of %d, text width %d, %d layers, %d heads",
      c->embed_dim, c->image_resolution, c->patch_size, c->vision_width, c->vision_layers, c->vision_heads,
      c->context_length, c->vocab_size, c->text_width, c->text_layers, c->text_heads);
}

static void build_image(vq_clip *net, vq_weight_reader *r)
{
  const vq_clip_config *c = &net->config;
  int64_t side = c->image_resolution / c->patch_size, width = c->vision_width;
  vq_transformer_config blocks = {c->vision_layers, c->vision_width, c->vision_heads, false,
                                  c->exact_gelu ? VQ_GELU_EXACT : VQ_GELU_QUICK};
  net->image.patches = vq_read_patches(r, "visual.conv1.weight", width, 3, c->patch_size);
  net->image.class_token = vq_read_vector(r, "visual.class_embedding", width);
  net->image.positions = vq_read_matrix(r, "visual.positional_embedding", side * side + 1, width, VQ_REAL);
  net->image.ln_pre = vq_read_norm(r, "visual.ln_pre", width);
  net->image.transformer = vq_transformer_create(r, "visual.transformer", &blocks);
  net->image.ln_post = vq_read_norm(r, "visual.ln_post", width);
  net->image.proj = vq_read_transposed(r, "visual.proj", width, c->embed_dim);
}

static void build_text(vq_clip *net, vq_weight_reader *r)
{
  const vq_clip_config *c = &net->config;
  int64_t width = c->text_width;
  vq_transformer_config blocks = {c->text_layers, c->text_width, c->text_heads, true,
                                  c->exact_gelu ? VQ_GELU_EXACT : VQ_GELU_QUICK};
  net->text.tokens =
      vq_read_matrix(r, "token_embedding.weight", c->vocab_size, width, vq_device_activations(r->device));
  net->text.positions = vq_read_matrix(r, "positional_embedding", c->context_length, width, VQ_REAL);
  net->text.transformer = vq_transformer_create(r, "transformer", &blocks);
  net->text.ln_final = vq_read_norm(r, "ln_final", width);
  net->text.proj = vq_read_transposed(r, "text_projection", width, c->embed_dim);
}

vq_status vq_clip_create(vq_clip **out, vq_device *device, const vq_clip_config *c, const vq_weight_source *source,
                         unsigned parts)
{
  vq_weight_reader r = {.device = device, .source = source, .prefix = ""};
  *out = NULL;
  VQ_TRY(vq_source_error(source, check_config(c)));
  vq_clip *net = calloc(1, sizeof *net);
  if (!net)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a CLIP");
  net->config = *c;
  if (parts & CLIP_IMAGE)
    build_image(net, &r);
  if (parts & CLIP_TEXT)
    build_text(net, &r);
  vq_status status = vq_reader_finish(&r, "CLIP");
  if (!status && ((parts & CLIP_IMAGE && !net->image.transformer) || (parts & CLIP_TEXT && !net->text.transformer)))
    status = vq_fail(VQ_ERR_MEMORY, "no memory for a CLIP");
  if (status)
    vq_clip_free(net);
  else
    *out = net;
  return status;
}

void vq_clip_free(vq_clip *net)
{
  if (!net)
    return;
  vq_transformer_free(net->image.transformer);
  vq_transformer_free(net->text.transformer);
  free(net);
}

const vq_clip_config *vq_clip_settings(const vq_clip *net)
{
  return &net->config;
}

/* Where the text ends: the first of the largest ids, which is the end-of-text token. */
static int32_t end_of_text(const int32_t *ids, int64_t length)
{
  int32_t end = 0;
  for (int32_t i = 1; i < length; i++)
    if (ids[i] > ids[end])
      end = i;
  return end;
}

/* The row that a tower ends in, for each of B sequences: where its text ends, or, without ids, the first. */
static vq_tensor *row_numbers(vq_tape *t, const int32_t *ids, int64_t B, int64_t T)
{
  vq_shape s = vq_shape_make(VQ_I32, 1, &B);
  int32_t *row = vq_tape_room(t, (size_t)B * sizeof *row);
  if (!row)
    return NULL;
  for (int64_t b = 0; ids && b < B; b++)
    row[b] = end_of_text(ids + b * T, T);
  return vq_leaf(t, &s, row, false);
}

/* Norm and projection of the rows that a tower ends in. Ends the reference on x. */
static vq_tensor *project(vq_tape *t, vq_tensor *x, vq_affine norm, vq_tensor *proj)
{
  vq_tensor *h = vq_layer_norm(t, x, norm.w, norm.b, VQ_CLIP_EPS);
  vq_done(t, x);
  vq_tensor *y = vq_linear(t, h, proj, NULL, NULL);
  vq_done(t, h);
  return y;
}

vq_tensor *vq_clip_image(vq_tape *t, const vq_clip *net, vq_tensor *x)
{
  if (!x)
    return NULL;
  vq_tensor *row = row_numbers(t, NULL, x->dim[0], 0);
  vq_tensor *patches = vq_patchify(t, x, net->config.patch_size, mean, deviation);
  vq_done(t, x);
  vq_tensor *tokens = vq_linear(t, patches, net->image.patches, NULL, NULL);
  vq_done(t, patches);
  vq_tensor *all = vq_prepend(t, tokens, net->image.class_token, net->image.positions);
  vq_done(t, tokens);
  vq_tensor *h = vq_layer_norm(t, all, net->image.ln_pre.w, net->image.ln_pre.b, VQ_CLIP_EPS);
  vq_done(t, all);
  h = vq_transformer_rows(t, net->image.transformer, h, row);
  vq_done(t, row);
  return project(t, h, net->image.ln_post, net->image.proj);
}

vq_tensor *vq_clip_text(vq_tape *t, const vq_clip *net, const int32_t *ids, int64_t B)
{
  int64_t T = net->config.context_length;
  vq_shape s = vq_shape_make(VQ_I32, 2, (int64_t[]){B, T});
  vq_tensor *tokens = vq_leaf(t, &s, ids, false), *row = row_numbers(t, ids, B, T);
  vq_tensor *h = vq_embed(t, tokens, net->text.tokens, net->text.positions);
  vq_done(t, tokens);
  h = vq_transformer_rows(t, net->text.transformer, h, row);
  vq_done(t, row);
  return project(t, h, net->text.ln_final, net->text.proj);
}
