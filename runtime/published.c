/* published.c -- settings from shapes and from files of settings. Contract: published.h. */
#include "runtime/published.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assume(vq_assumed *assumed, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void assume(vq_assumed *assumed, const char *format, ...)
{
  size_t used = strlen(assumed->text);
  va_list arguments;
  if (used && used + 3 < sizeof assumed->text) {
    strcpy(assumed->text + used, "; ");
    used += 2;
  }
  va_start(arguments, format);
  vsnprintf(assumed->text + used, sizeof assumed->text - used, format, arguments);
  va_end(arguments);
}

/* ---- shapes ---- */

/* Dimension `axis` of a tensor of `rank` dimensions; sets *status where it is missing, of another rank or out of all bounds. */
static int dim_of(const vq_layout *l, const char *name, int rank, int axis, vq_status *status)
{
  const vq_layout_weight *w = vq_layout_weight_of(l, name);
  if (*status)
    return 0;
  if (!w)
    *status = vq_fail(VQ_ERR_NETWORK, "%s%s is missing: it is not whole, or no such network", l->prefix, name);
  else if (w->rank != rank || w->dim[axis] < 1 || w->dim[axis] > 1 << 20)
    *status = vq_fail(VQ_ERR_NETWORK, "%s%s has a shape that no such network has", l->prefix, name);
  return *status ? 0 : (int)w->dim[axis];
}

static bool there(const vq_layout *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool there(const vq_layout *l, const char *format, ...)
{
  char name[128];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  return vq_layout_weight_of(l, name) != NULL;
}

/* ---- files of settings ---- */

/* A whole number; -1: not there. */
static int64_t number(const vq_document *d, const char *base, const char *key)
{
  const char *text = d ? vq_document_find(d, base, key) : NULL;
  char *end;
  long long value = text && *text ? strtoll(text, &end, 10) : -1;
  return text && *text && !*end ? value : -1;
}

/* Does the file say what the tensor says? */
static vq_status agree(const vq_document *d, const char *base, const char *key, int is, const char *tensor)
{
  int64_t says = number(d, base, key);
  if (says < 0 || says == is)
    return VQ_OK;
  return vq_fail(VQ_ERR_NETWORK, "its settings do not belong to it: they have %s %lld, and its %s has %d", key,
                 (long long)says, tensor, is);
}

/* ---- VQGAN ---- */

/* Where the VQGAN's settings begin: the way to what holds ddconfig, embed_dim and n_embed. */
static void find_base(const vq_document *d, char *base, size_t bytes)
{
  static const char key[] = ".ddconfig.ch";
  *base = 0;
  for (int i = 0; d && i < vq_document_count(d); i++) {
    const char *way = vq_document_way(d, i);
    size_t n = strlen(way), m = sizeof key - 1;
    bool at_root = !strcmp(way, key + 1);
    if (!at_root && (n <= m || strcmp(way + n - m, key) || strstr(way, "cond_stage")))
      continue;
    snprintf(base, bytes, "%s", way);
    if (at_root || n - m < bytes)
      base[at_root ? 0 : n - m] = 0;
    if (strstr(way, "first_stage"))
      return;
  }
}

static vq_status vqgan_shapes(vq_vqgan_config *c, const vq_layout *l, bool attention[VQGAN_MOST_LEVELS])
{
  vq_status status = VQ_OK;
  char name[64];
  c->gumbel = there(l, "quantize.embed.weight");
  const char *book = c->gumbel ? "quantize.embed.weight" : "quantize.embedding.weight";
  c->n_embed = dim_of(l, book, 2, 0, &status);
  c->embed_dim = dim_of(l, book, 2, 1, &status);
  c->z_channels = dim_of(l, "decoder.conv_in.weight", 4, 1, &status);
  while (c->levels < VQGAN_MOST_LEVELS && there(l, "decoder.up.%d.block.0.conv1.weight", c->levels))
    c->levels++;
  while (there(l, "decoder.up.0.block.%d.conv1.weight", c->num_res_blocks + 1))
    c->num_res_blocks++;
  /* The encoder's first layer has ch channels; without an encoder, the decoder's last ch_mult[0], which is 1 everywhere. */
  c->ch = there(l, "encoder.conv_in.weight") ? dim_of(l, "encoder.conv_in.weight", 4, 0, &status)
                                             : dim_of(l, "decoder.conv_out.weight", 4, 1, &status);
  VQ_TRY(status);
  for (int i = 0; i < c->levels; i++) {
    snprintf(name, sizeof name, "decoder.up.%d.block.0.conv2.weight", i);
    int channels = dim_of(l, name, 4, 0, &status);
    VQ_TRY(status);
    if (channels % c->ch)
      return vq_fail(VQ_ERR_NETWORK, "%s%s has %d channels, which is no multiple of the first level's %d",
                     l->prefix, name, channels, c->ch);
    c->ch_mult[i] = channels / c->ch;
    attention[i] = there(l, "decoder.up.%d.attn.0.norm.weight", i);
  }
  return c->levels ? VQ_OK : vq_fail(VQ_ERR_NETWORK, "%sdecoder.up.0.block.0.conv1.weight is missing", l->prefix);
}

static bool listed(const vq_document *d, const char *base, int resolution)
{
  for (int i = 0; i < VQGAN_MOST_LEVELS; i++) {
    char key[48];
    snprintf(key, sizeof key, "ddconfig.attn_resolutions.%d", i);
    if (number(d, base, key) == resolution)
      return true;
  }
  return false;
}

static vq_status vqgan_agrees(const vq_vqgan_config *c, const vq_document *d, const char *base,
                              const bool attention[VQGAN_MOST_LEVELS])
{
  const char *book = c->gumbel ? "quantize.embed.weight" : "quantize.embedding.weight";
  VQ_TRY(agree(d, base, "ddconfig.ch", c->ch, "encoder.conv_in.weight"));
  VQ_TRY(agree(d, base, "ddconfig.z_channels", c->z_channels, "decoder.conv_in.weight"));
  VQ_TRY(agree(d, base, "ddconfig.num_res_blocks", c->num_res_blocks, "decoder.up.0.block"));
  VQ_TRY(agree(d, base, "embed_dim", c->embed_dim, book));
  VQ_TRY(agree(d, base, "n_embed", c->n_embed, book));
  for (int i = 0; i < c->levels; i++) {
    char key[48], tensor[64];
    snprintf(key, sizeof key, "ddconfig.ch_mult.%d", i);
    snprintf(tensor, sizeof tensor, "decoder.up.%d.block.0.conv2.weight", i);
    int64_t says = number(d, base, key);
    if (says >= 0 && says != c->ch_mult[i])
      return vq_fail(VQ_ERR_NETWORK,
                     "its settings do not belong to it: they have %s %lld, and its %s has %d times ch channels",
                     key, (long long)says, tensor, c->ch_mult[i]);
    if (listed(d, base, c->resolution >> i) != attention[i])
      return vq_fail(VQ_ERR_NETWORK,
                     "its settings do not belong to it: by their ddconfig.attn_resolutions level %d has %s, and "
                     "decoder.up.%d.attn.0.norm.weight is %s",
                     i, attention[i] ? "no attention" : "attention", i, attention[i] ? "there" : "missing");
  }
  char key[48];
  snprintf(key, sizeof key, "ddconfig.ch_mult.%d", c->levels);
  if (number(d, base, key) >= 0)
    return vq_fail(VQ_ERR_NETWORK, "its settings do not belong to it: they have %s, and decoder.up.%d is missing",
                   key, c->levels);
  return VQ_OK;
}

vq_status vq_published_vqgan(vq_vqgan_config *out, const vq_layout *layout, const vq_document *document,
                             vq_assumed *assumed)
{
  bool attention[VQGAN_MOST_LEVELS] = {false};
  char base[512];
  *out = (vq_vqgan_config){.num_res_blocks = 0};
  *assumed = (vq_assumed){""};
  VQ_TRY(vqgan_shapes(out, layout, attention));
  find_base(document, base, sizeof base);
  if (document && !vq_published_is_of(document, VQ_NETWORK_VQGAN))
    return vq_fail(VQ_ERR_NETWORK, "its settings have no ddconfig with a ch: they are not those of a VQGAN");
  int64_t resolution = number(document, base, "ddconfig.resolution");
  out->resolution = resolution > 0 && resolution < 1 << 16 ? (int)resolution : 256;
  if (resolution < 0)
    assume(assumed, "trained at 256x256, which names the levels with attention and changes nothing else");
  for (int i = 0; i < out->levels; i++)
    if (attention[i])
      out->attn_resolutions[out->attn_count++] = out->resolution >> i;
  return document ? vqgan_agrees(out, document, base, attention) : VQ_OK;
}

/* ---- CLIP ---- */

static int blocks(const vq_layout *l, const char *prefix)
{
  int count = 0;
  while (count < 1024 && there(l, "%stransformer.resblocks.%d.ln_1.weight", prefix, count))
    count++;
  return count;
}

/* The widths whose heads are not 64 wide: ViT-H/14, g/14 and bigG/14 have 16. */
static int heads_of(int width)
{
  return width == 1280 || width == 1408 || width == 1664 ? 16 : width / 64;
}

static vq_status clip_shapes(vq_clip_config *c, const vq_layout *l)
{
  vq_status status = VQ_OK;
  if (there(l, "visual.layer1.0.conv1.weight"))
    return vq_fail(VQ_ERR_UNSUPPORTED, "it is a CLIP with a ResNet (RN50 or the like), which vqgen has no network "
                                       "for: take one whose name begins with ViT, such as ViT-B/32");
  if (!there(l, "token_embedding.weight"))
    return vq_fail(VQ_ERR_NETWORK,
                   "it is the image tower of a CLIP alone: it has no %stoken_embedding.weight; get the file that "
                   "has both towers",
                   l->prefix);
  c->vision_width = dim_of(l, "visual.conv1.weight", 4, 0, &status);
  c->patch_size = dim_of(l, "visual.conv1.weight", 4, 2, &status);
  int positions = dim_of(l, "visual.positional_embedding", 2, 0, &status);
  c->embed_dim = dim_of(l, "visual.proj", 2, 1, &status);
  c->context_length = dim_of(l, "positional_embedding", 2, 0, &status);
  c->vocab_size = dim_of(l, "token_embedding.weight", 2, 0, &status);
  c->text_width = dim_of(l, "token_embedding.weight", 2, 1, &status);
  VQ_TRY(status);
  int side = (int)lround(sqrt(positions - 1));
  if (side < 1 || side * side != positions - 1)
    return vq_fail(VQ_ERR_NETWORK, "%svisual.positional_embedding has %d rows, which is not 1 more than a square",
                   l->prefix, positions);
  c->image_resolution = side * c->patch_size;
  c->vision_layers = blocks(l, "visual.");
  c->text_layers = blocks(l, "");
  if (!c->vision_layers || !c->text_layers)
    return vq_fail(VQ_ERR_NETWORK, "its %s tower has no layers: %s%stransformer.resblocks.0.ln_1.weight is missing",
                   c->vision_layers ? "text" : "image", l->prefix, c->vision_layers ? "" : "visual.");
  return VQ_OK;
}

/* The way to open_clip's settings, which on Hugging Face have others around them; NULL: they are not open_clip's. */
static const char *open_clip_base(const vq_document *d)
{
  return number(d, "model_cfg", "embed_dim") >= 0 ? "model_cfg" : number(d, "", "embed_dim") >= 0 ? "" : NULL;
}

/* What a file of settings says about CLIP, by Hugging Face's keys and by open_clip's. */
static vq_status clip_agrees(const vq_clip_config *c, const vq_document *d)
{
  const char *ours = open_clip_base(d);
  VQ_TRY(agree(d, "", "projection_dim", c->embed_dim, "visual.proj"));
  VQ_TRY(agree(d, "vision_config", "hidden_size", c->vision_width, "visual.conv1.weight"));
  VQ_TRY(agree(d, "vision_config", "patch_size", c->patch_size, "visual.conv1.weight"));
  VQ_TRY(agree(d, "vision_config", "num_hidden_layers", c->vision_layers, "visual.transformer.resblocks"));
  VQ_TRY(agree(d, "vision_config", "image_size", c->image_resolution, "visual.positional_embedding"));
  VQ_TRY(agree(d, "text_config", "hidden_size", c->text_width, "token_embedding.weight"));
  VQ_TRY(agree(d, "text_config", "num_hidden_layers", c->text_layers, "transformer.resblocks"));
  VQ_TRY(agree(d, "text_config", "vocab_size", c->vocab_size, "token_embedding.weight"));
  if (!ours)
    return VQ_OK;
  VQ_TRY(agree(d, ours, "embed_dim", c->embed_dim, "visual.proj"));
  VQ_TRY(agree(d, ours, "vision_cfg.width", c->vision_width, "visual.conv1.weight"));
  VQ_TRY(agree(d, ours, "vision_cfg.layers", c->vision_layers, "visual.transformer.resblocks"));
  VQ_TRY(agree(d, ours, "vision_cfg.patch_size", c->patch_size, "visual.conv1.weight"));
  VQ_TRY(agree(d, ours, "vision_cfg.image_size", c->image_resolution, "visual.positional_embedding"));
  VQ_TRY(agree(d, ours, "text_cfg.width", c->text_width, "token_embedding.weight"));
  return agree(d, ours, "text_cfg.layers", c->text_layers, "transformer.resblocks");
}

static void choose_heads(vq_clip_config *c, const vq_document *d, vq_assumed *assumed)
{
  int64_t vision = number(d, "vision_config", "num_attention_heads"),
          text = number(d, "text_config", "num_attention_heads");
  const char *open = open_clip_base(d);
  if (open) { /* open_clip's own default is a width of 64 */
    int64_t wide = number(d, open, "vision_cfg.head_width");
    vision = c->vision_width / (wide > 0 ? wide : 64);
    text = number(d, open, "text_cfg.heads");
  }
  c->vision_heads = vision > 0 ? (int)vision : heads_of(c->vision_width);
  c->text_heads = text > 0 ? (int)text : c->text_width / 64;
  if (vision <= 0 && (c->vision_width % 64 || c->vision_width == 1280))
    assume(assumed, "%d heads in the image tower", c->vision_heads);
}

/* The activation cannot be seen: with the wrong one, pictures become worse and nothing fails. */
static void choose_activation(vq_clip_config *c, const vq_document *d, const vq_layout *l, bool by_openai,
                              vq_assumed *assumed)
{
  const char *open = open_clip_base(d);
  if (open) { /* open_clip's own default is the exact one */
    const char *quick = vq_document_find(d, open, "quick_gelu");
    c->exact_gelu = !(quick && !strcmp(quick, "true"));
    return;
  }
  if (d) { /* Hugging Face's own default is quick_gelu */
    const char *hidden = vq_document_find(d, "vision_config", "hidden_act");
    c->exact_gelu = hidden && strcmp(hidden, "quick_gelu");
    return;
  }
  c->exact_gelu = !by_openai && (*l->prefix || there(l, "logit_bias") || c->vision_width >= 1280);
  if (!by_openai)
    assume(assumed, "the activation %s (name the config.json by --config if it is %s)",
           c->exact_gelu ? "GELU" : "QuickGELU, as OpenAI's weights want",
           c->exact_gelu ? "QuickGELU" : "GELU, as with LAION's weights");
}

bool vq_published_is_of(const vq_document *document, vq_network_kind kind)
{
  char base[512];
  find_base(document, base, sizeof base);
  if (kind == VQ_NETWORK_VQGAN)
    return number(document, base, "ddconfig.ch") >= 0;
  bool hugging_face = false;
  for (int i = 0; i < vq_document_count(document); i++)
    hugging_face = hugging_face || !strncmp(vq_document_way(document, i), "vision_config.", 14);
  return hugging_face || open_clip_base(document);
}

vq_status vq_published_clip(vq_clip_config *out, const vq_layout *layout, const vq_document *document,
                            bool by_openai, vq_assumed *assumed)
{
  *out = (vq_clip_config){.embed_dim = 0};
  *assumed = (vq_assumed){""};
  VQ_TRY(clip_shapes(out, layout));
  if (document && !vq_published_is_of(document, VQ_NETWORK_CLIP))
    return vq_fail(
        VQ_ERR_NETWORK,
        "its settings have neither a vision_config nor open_clip's embed_dim: they are not those of a CLIP");
  if (document)
    VQ_TRY(clip_agrees(out, document));
  choose_heads(out, document, assumed);
  choose_activation(out, document, layout, by_openai, assumed);
  return VQ_OK;
}
