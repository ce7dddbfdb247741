/* transformer.c -- CLIP's residual attention blocks. transformer.h has the formula. */
#include "nets/transformer.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct block {
  vq_affine ln_1, in_proj, out_proj, ln_2, fc, proj;
} block;

struct vq_transformer {
  vq_transformer_config config;
  block block[];
};

static vq_affine read_linear(vq_weight_reader *r, const char *weight, const char *bias, int64_t out, int64_t in)
{
  return (vq_affine){vq_read_matrix(r, weight, out, in, r->device->products), vq_read_vector(r, bias, out)};
}

vq_affine vq_read_norm(vq_weight_reader *r, const char *name, int64_t n)
{
  char weight[160], bias[160];
  snprintf(weight, sizeof weight, "%s.weight", name);
  snprintf(bias, sizeof bias, "%s.bias", name);
  return (vq_affine){vq_read_vector(r, weight, n), vq_read_vector(r, bias, n)};
}

static const char *key(char *text, size_t bytes, const char *prefix, int number, const char *name)
{
  snprintf(text, bytes, "%s.resblocks.%d.%s", prefix, number, name);
  return text;
}
#define KEY(name) key((char[160]){0}, 160, prefix, i, name)

vq_transformer *vq_transformer_create(vq_weight_reader *r, const char *prefix, const vq_transformer_config *config)
{
  vq_transformer *net = calloc(1, sizeof *net + (size_t)config->layers * sizeof net->block[0]);
  int64_t C = config->width;
  if (!net)
    return NULL;
  net->config = *config;
  for (int i = 0; i < config->layers; i++) {
    block *b = &net->block[i];
    b->ln_1 = vq_read_norm(r, KEY("ln_1"), C);
    b->in_proj = read_linear(r, KEY("attn.in_proj_weight"), KEY("attn.in_proj_bias"), 3 * C, C);
    b->out_proj = read_linear(r, KEY("attn.out_proj.weight"), KEY("attn.out_proj.bias"), C, C);
    b->ln_2 = vq_read_norm(r, KEY("ln_2"), C);
    b->fc = read_linear(r, KEY("mlp.c_fc.weight"), KEY("mlp.c_fc.bias"), 4 * C, C);
    b->proj = read_linear(r, KEY("mlp.c_proj.weight"), KEY("mlp.c_proj.bias"), C, 4 * C);
  }
  return net;
}

void vq_transformer_free(vq_transformer *net)
{
  free(net);
}

/* What attention sees from each position of x. */
static vq_tensor *look_around(vq_tape *t, const vq_transformer *net, const block *b, vq_tensor *x)
{
  vq_tensor *h = vq_layer_norm(t, x, b->ln_1.w, b->ln_1.b, VQ_CLIP_EPS);
  vq_tensor *qkv = vq_linear(t, h, b->in_proj.w, b->in_proj.b, NULL);
  vq_done(t, h);
  vq_tensor *seen = vq_attention(t, qkv, net->config.heads, net->config.causal);
  vq_done(t, qkv);
  return seen;
}

/* The rest of the block, which takes every position for itself. Ends the references on x and seen. */
static vq_tensor *think(vq_tape *t, const vq_transformer *net, const block *b, vq_tensor *x, vq_tensor *seen)
{
  vq_tensor *y = vq_linear(t, seen, b->out_proj.w, b->out_proj.b, x);
  vq_done(t, seen);
  vq_done(t, x);
  vq_tensor *h = vq_layer_norm(t, y, b->ln_2.w, b->ln_2.b, VQ_CLIP_EPS);
  vq_tensor *wide = vq_linear(t, h, b->fc.w, b->fc.b, NULL);
  vq_done(t, h);
  vq_tensor *act = vq_gelu(t, wide, net->config.gelu);
  vq_done(t, wide);
  vq_tensor *z = vq_linear(t, act, b->proj.w, b->proj.b, y);
  vq_done(t, act);
  vq_done(t, y);
  return z;
}

vq_tensor *vq_transformer_rows(vq_tape *t, const vq_transformer *net, vq_tensor *x, vq_tensor *row)
{
  for (int i = 0; i < net->config.layers; i++) {
    const block *b = &net->block[i];
    vq_tensor *seen = look_around(t, net, b, x);
    if (i == net->config.layers - 1) {
      vq_tensor *x_row = vq_take_row(t, x, row), *seen_row = vq_take_row(t, seen, row);
      vq_done(t, x);
      vq_done(t, seen);
      x = x_row;
      seen = seen_row;
    }
    x = think(t, net, b, x, seen);
  }
  return x;
}
