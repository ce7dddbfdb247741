/* vqgan.c -- the two networks as lists of layers. vqgan.h says what they compute.
 *
 * The encoder and the decoder are built of four kinds of layers, in an order that the configuration fixes:
 *
 *   residual    y = skip(x) + conv2(silu(norm2(conv1(silu(norm1(x))))))     skip: x, or a 1x1 convolution of it
 *   attention   y = x + proj(attention(qkv(norm(x)))), one head, over all positions
 *   up, down    nearest x2 then 3x3; 3x3 with stride 2, padded on the right and below only
 */
#include "nets/vqgan.h"

#include "kernels/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS      32
#define EPS         1e-6
#define MOST_LAYERS 96

typedef enum layer_kind { RESIDUAL, ATTENTION, UP, DOWN } layer_kind;

typedef struct affine {
  vq_tensor *w, *b;
} affine;

typedef struct layer {
  layer_kind kind;
  affine norm1,
      conv1; /* of an attention: its norm, and q, k, v as one 1x1 convolution; of up and down: conv1 alone */
  affine norm2, conv2; /* of an attention: conv2 alone, the projection */
  affine shortcut;     /* w NULL: the skip is x itself */
} layer;

typedef struct half {
  affine conv_in, norm_out, conv_out;
  layer layer[MOST_LAYERS];
  int layers;
} half;

struct vq_vqgan {
  vq_vqgan_config config;
  vq_tensor *codebook;
  affine quant_conv, post_quant_conv, logits;
  half encoder, decoder;
};

/* ---- building: names and sizes ---- */

typedef struct builder {
  vq_weight_reader reader;
  half *half;
  int channels;   /* that the next layer takes */
  vq_dtype dtype; /* of the convolutions' weights, and so of what they give */
} builder;

/* A name of at most 127 characters from its parts, with ".weight" or ".bias" behind. */
typedef struct tensor_name {
  char text[144];
} tensor_name;

static tensor_name name_of(const char *what, const char *kind)
{
  tensor_name n;
  snprintf(n.text, sizeof n.text, "%.127s.%s", what, kind);
  return n;
}

static affine read_conv(builder *b, const char *what, int out, int in, int k)
{
  affine a;
  a.w = vq_read_conv(&b->reader, name_of(what, "weight").text, out, in, k, b->dtype);
  a.b = vq_read_vector(&b->reader, name_of(what, "bias").text, out);
  return a;
}

static affine read_conv1(builder *b, const char *what, int out, int in)
{
  affine a;
  a.w = vq_read_conv1(&b->reader, name_of(what, "weight").text, out, in, b->dtype);
  a.b = vq_read_vector(&b->reader, name_of(what, "bias").text, out);
  return a;
}

static affine read_norm(builder *b, const char *what, int channels)
{
  affine a;
  a.w = vq_read_vector(&b->reader, name_of(what, "weight").text, channels);
  a.b = vq_read_vector(&b->reader, name_of(what, "bias").text, channels);
  return a;
}

static const char *part(char *text, size_t bytes, const char *prefix, const char *name)
{
  snprintf(text, bytes, "%s.%s", prefix, name);
  return text;
}
#define PART(prefix, name) part((char[128]){0}, 128, prefix, name)

static layer *add_layer(builder *b, layer_kind kind)
{
  layer *l = &b->half->layer[b->half->layers++];
  memset(l, 0, sizeof *l);
  l->kind = kind;
  return l;
}

static void add_residual(builder *b, const char *prefix, int out)
{
  layer *l = add_layer(b, RESIDUAL);
  int in = b->channels;
  l->norm1 = read_norm(b, PART(prefix, "norm1"), in);
  l->conv1 = read_conv(b, PART(prefix, "conv1"), out, in, 3);
  l->norm2 = read_norm(b, PART(prefix, "norm2"), out);
  l->conv2 = read_conv(b, PART(prefix, "conv2"), out, out, 3);
  if (in != out)
    l->shortcut = read_conv1(b, PART(prefix, "nin_shortcut"), out, in);
  b->channels = out;
}

static void add_attention(builder *b, const char *prefix)
{
  layer *l = add_layer(b, ATTENTION);
  const char *weights[3] = {PART(prefix, "q.weight"), PART(prefix, "k.weight"), PART(prefix, "v.weight")};
  const char *biases[3] = {PART(prefix, "q.bias"), PART(prefix, "k.bias"), PART(prefix, "v.bias")};
  l->norm1 = read_norm(b, PART(prefix, "norm"), b->channels);
  l->conv1.w = vq_read_conv1_stack(&b->reader, weights, 3, b->channels, b->channels);
  l->conv1.b = vq_read_vector_stack(&b->reader, biases, 3, b->channels);
  l->conv2 = read_conv1(b, PART(prefix, "proj_out"), b->channels, b->channels);
}

static void add_middle(builder *b, const char *prefix)
{
  add_residual(b, PART(prefix, "mid.block_1"), b->channels);
  add_attention(b, PART(prefix, "mid.attn_1"));
  add_residual(b, PART(prefix, "mid.block_2"), b->channels);
}

static bool has_attention(const vq_vqgan_config *c, int level)
{
  bool found = false;
  for (int i = 0; i < c->attn_count; i++)
    found = found || c->attn_resolutions[i] == c->resolution >> level;
  return found;
}

static void add_level(builder *b, const vq_vqgan_config *c, const char *prefix, int level, int blocks)
{
  for (int i = 0; i < blocks; i++) {
    char block[64], attn[64];
    snprintf(block, sizeof block, "%s.%d.block.%d", prefix, level, i);
    snprintf(attn, sizeof attn, "%s.%d.attn.%d", prefix, level, i);
    add_residual(b, block, c->ch * c->ch_mult[level]);
    if (has_attention(c, level))
      add_attention(b, attn);
  }
}

static void build_encoder(builder *b, const vq_vqgan_config *c)
{
  b->half->conv_in = read_conv(b, "encoder.conv_in", c->ch, 3, 3);
  b->channels = c->ch;
  for (int level = 0; level < c->levels; level++) {
    char down[64];
    add_level(b, c, "encoder.down", level, c->num_res_blocks);
    if (level == c->levels - 1)
      break;
    snprintf(down, sizeof down, "encoder.down.%d.downsample.conv", level);
    add_layer(b, DOWN)->conv1 = read_conv(b, down, b->channels, b->channels, 3);
  }
  add_middle(b, "encoder");
  b->half->norm_out = read_norm(b, "encoder.norm_out", b->channels);
  b->half->conv_out = read_conv(b, "encoder.conv_out", c->z_channels, b->channels, 3);
}

static void build_decoder(builder *b, const vq_vqgan_config *c)
{
  b->channels = c->ch * c->ch_mult[c->levels - 1];
  b->half->conv_in = read_conv(b, "decoder.conv_in", b->channels, c->z_channels, 3);
  add_middle(b, "decoder");
  for (int level = c->levels - 1; level >= 0; level--) {
    char up[64];
    add_level(b, c, "decoder.up", level, c->num_res_blocks + 1);
    if (level == 0)
      break;
    snprintf(up, sizeof up, "decoder.up.%d.upsample.conv", level);
    add_layer(b, UP)->conv1 = read_conv(b, up, b->channels, b->channels, 3);
  }
  b->half->norm_out = read_norm(b, "decoder.norm_out", b->channels);
  b->dtype = VQ_REAL; /* the picture */
  b->half->conv_out = read_conv(b, "decoder.conv_out", 3, b->channels, 3);
}

static vq_status check_config(const vq_vqgan_config *c)
{
  bool sane = c->ch > 0 && c->ch % GROUPS == 0 && c->levels > 0 && c->levels <= VQGAN_MOST_LEVELS &&
              c->num_res_blocks > 0 && c->z_channels > 0 && c->embed_dim > 0 && c->n_embed > 0 && c->resolution > 0;
  for (int i = 0; sane && i < c->levels; i++)
    sane = c->ch_mult[i] > 0 && c->ch_mult[i] <= 64;
  /* A level is at most blocks + 1 residuals, each with an attention, and one change of size; the middle is three. */
  if (!sane || c->ch > 4096 || 3 + c->levels * (2 * (c->num_res_blocks + 1) + 1) > MOST_LAYERS)
    return vq_fail(
        VQ_ERR_NETWORK,
        "the VQGAN's settings are out of range: ch %d (a multiple of %d), %d levels, %d residual blocks, "
        "z_channels %d, embed_dim %d, n_embed %d, resolution %d",
        c->ch, GROUPS, c->levels, c->num_res_blocks, c->z_channels, c->embed_dim, c->n_embed, c->resolution);
  return VQ_OK;
}

vq_status vq_vqgan_create(vq_vqgan **out, vq_device *device, const vq_vqgan_config *c,
                          const vq_weight_source *source, unsigned parts)
{
  builder b = {.reader = {.device = device, .source = source, .prefix = ""}};
  *out = NULL;
  VQ_TRY(vq_source_error(source, check_config(c)));
  vq_vqgan *net = calloc(1, sizeof *net);
  if (!net)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a VQGAN");
  net->config = *c;
  net->codebook = vq_read_matrix(&b.reader, c->gumbel ? "quantize.embed.weight" : "quantize.embedding.weight",
                                 c->n_embed, c->embed_dim, VQ_REAL);
  if (parts & VQGAN_DECODER) {
    b.dtype = device->products;
    b.half = &net->decoder;
    net->post_quant_conv = read_conv1(&b, "post_quant_conv", c->z_channels, c->embed_dim);
    build_decoder(&b, c);
  }
  if (parts & VQGAN_ENCODER) {
    b.dtype = device->products;
    b.half = &net->encoder;
    build_encoder(&b, c);
    b.dtype = VQ_REAL; /* what is compared with the codebook */
    net->quant_conv = read_conv1(&b, "quant_conv", c->embed_dim, c->z_channels);
    if (c->gumbel)
      net->logits = read_conv1(&b, "quantize.proj", c->n_embed, c->embed_dim);
  }
  vq_status status = vq_reader_finish(&b.reader, "VQGAN");
  if (status)
    free(net);
  else
    *out = net;
  return status;
}

void vq_vqgan_free(vq_vqgan *net)
{
  free(net);
}

const vq_vqgan_config *vq_vqgan_settings(const vq_vqgan *net)
{
  return &net->config;
}

int vq_vqgan_factor(const vq_vqgan_config *c)
{
  return 1 << (c->levels - 1);
}

vq_tensor *vq_vqgan_codebook(const vq_vqgan *net)
{
  return net->codebook;
}

/* ---- running ---- */

static vq_tensor *run_residual(vq_tape *t, const layer *l, vq_tensor *x)
{
  vq_tensor *h =
      vq_norm_act_conv(t, x, l->norm1.w, l->norm1.b, GROUPS, EPS, VQ_ACT_SILU, l->conv1.w, l->conv1.b, NULL);
  vq_tensor *skip = l->shortcut.w ? vq_linear(t, x, l->shortcut.w, l->shortcut.b, NULL) : x;
  if (skip != x)
    vq_done(t, x);
  vq_tensor *y =
      vq_norm_act_conv(t, h, l->norm2.w, l->norm2.b, GROUPS, EPS, VQ_ACT_SILU, l->conv2.w, l->conv2.b, skip);
  vq_done(t, h);
  vq_done(t, skip);
  return y;
}

static vq_tensor *run_attention(vq_tape *t, const layer *l, vq_tensor *x)
{
  if (!x)
    return NULL;
  int64_t N = x->dim[0], T = x->dim[1] * x->dim[2], C = x->dim[3];
  vq_tensor *qkv =
      vq_norm_act_conv(t, x, l->norm1.w, l->norm1.b, GROUPS, EPS, VQ_ACT_NONE, l->conv1.w, l->conv1.b, NULL);
  vq_tensor *rows = vq_view(t, qkv, 3, (int64_t[]){N, T, 3 * C});
  vq_done(t, qkv);
  vq_tensor *seen = vq_attention(t, rows, 1, false);
  vq_done(t, rows);
  vq_tensor *picture = vq_view(t, seen, 4, x->dim);
  vq_done(t, seen);
  vq_tensor *y = vq_linear(t, picture, l->conv2.w, l->conv2.b, x);
  vq_done(t, picture);
  vq_done(t, x);
  return y;
}

static vq_tensor *run_layer(vq_tape *t, const layer *l, vq_tensor *x)
{
  static const int below_right[4] = {0, 0, 1, 1}; /* top, left, bottom, right */
  vq_tensor *y = NULL;
  switch (l->kind) {
  case RESIDUAL: return run_residual(t, l, x);
  case ATTENTION: return run_attention(t, l, x);
  case UP: y = vq_upsample_conv(t, x, l->conv1.w, l->conv1.b); break;
  case DOWN: y = vq_conv(t, x, l->conv1.w, l->conv1.b, 2, below_right); break;
  }
  vq_done(t, x);
  return y;
}

/* conv_in, the layers, then norm, SiLU and conv_out. Ends the caller's reference on x. */
static vq_tensor *run_half(vq_tape *t, const half *net, vq_tensor *x)
{
  static const int pad[4] = {1, 1, 1, 1};
  vq_tensor *h = vq_conv(t, x, net->conv_in.w, net->conv_in.b, 1, pad);
  vq_done(t, x);
  for (int i = 0; i < net->layers; i++)
    h = run_layer(t, &net->layer[i], h);
  vq_tensor *y = vq_norm_act_conv(t, h, net->norm_out.w, net->norm_out.b, GROUPS, EPS, VQ_ACT_SILU, net->conv_out.w,
                                  net->conv_out.b, NULL);
  vq_done(t, h);
  return y;
}

vq_tensor *vq_vqgan_nearest(vq_tape *t, const vq_vqgan *net, vq_tensor *z)
{
  return vq_nearest(t, z, net->codebook);
}

vq_tensor *vq_vqgan_quantise(vq_tape *t, const vq_vqgan *net, vq_tensor *z, vq_tensor *ids)
{
  return vq_quantise(t, z, net->codebook, ids);
}

vq_tensor *vq_vqgan_soft_quantise(vq_tape *t, const vq_vqgan *net, vq_tensor *logits, vq_tensor *ids)
{
  return vq_soft_quantise(t, logits, net->codebook, ids);
}

vq_tensor *vq_vqgan_decode(vq_tape *t, const vq_vqgan *net, vq_tensor *z_q)
{
  vq_tensor *h = vq_linear(t, z_q, net->post_quant_conv.w, net->post_quant_conv.b, NULL);
  vq_done(t, z_q);
  return run_half(t, &net->decoder, h);
}

vq_tensor *vq_vqgan_encode(vq_tape *t, const vq_vqgan *net, vq_tensor *x)
{
  vq_tensor *h = run_half(t, &net->encoder, x);
  vq_tensor *y = vq_linear(t, h, net->quant_conv.w, net->quant_conv.b, NULL);
  vq_done(t, h);
  return y;
}

vq_tensor *vq_vqgan_logits(vq_tape *t, const vq_vqgan *net, vq_tensor *h)
{
  return vq_linear(t, h, net->logits.w, net->logits.b, NULL);
}
