/* networks.c -- settings, weights, and what is recorded of them. Contract: networks.h. */
#include "tools/vqbench/networks.h"

#include "kernels/ops.h"
#include "runtime/cutouts.h"
#include "tools/vqbench/data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define F16(codes)                                                                                     \
  {                                                                                                    \
    .ch = 128, .levels = 5, .ch_mult = {1, 1, 2, 2, 4}, .num_res_blocks = 2, .attn_count = 1,          \
    .attn_resolutions = {16}, .resolution = 256, .z_channels = 256, .embed_dim = 256, .n_embed = codes \
  }

static const vq_vqgan_config vqgans[] = {
    F16(1024),
    F16(16384),
    {.gumbel = true,
     .ch = 128,
     .levels = 4,
     .ch_mult = {1, 1, 2, 4},
     .num_res_blocks = 2,
     .attn_count = 1,
     .attn_resolutions = {32},
     .resolution = 256,
     .z_channels = 256,
     .embed_dim = 256,
     .n_embed = 8192},
    {.ch = 32,
     .levels = 3,
     .ch_mult = {1, 2, 2},
     .num_res_blocks = 1,
     .attn_count = 1,
     .attn_resolutions = {8},
     .resolution = 32,
     .z_channels = 16,
     .embed_dim = 16,
     .n_embed = 64},
};

#define VIT(embed, size, patch, wide, deep, heads, text, headings, words)                                        \
  {                                                                                                              \
    .embed_dim = embed, .image_resolution = size, .patch_size = patch, .vision_width = wide,                     \
    .vision_layers = deep, .vision_heads = heads, .context_length = 77, .vocab_size = words, .text_width = text, \
    .text_layers = 12, .text_heads = headings                                                                    \
  }

static const vq_clip_config clips[] = {
    VIT(512, 224, 32, 768, 12, 12, 512, 8, 49408),
    VIT(512, 224, 16, 768, 12, 12, 512, 8, 49408),
    VIT(768, 224, 14, 1024, 24, 16, 768, 12, 49408),
    VIT(32, 32, 8, 48, 2, 3, 32, 2, 320),
};

/* ---- weights ---- */

static uint64_t number_of(const char *name)
{
  uint64_t hash = 14695981039346656037u;
  for (; *name; name++)
    hash = (hash ^ (uint8_t)*name) * 1099511628211u;
  return hash;
}

/* Kept small enough for a picture with colours and a tower that does not run away: matrices by what they read, scales about 1. */
static vq_status invent(const void *user, const char *name, int rank, const int64_t *dim, vq_real *out)
{
  int64_t count = dim[0] * dim[1] * dim[2] * dim[3];
  bool scale = rank == 1 && strstr(name, "weight"), small = rank == 1 || strstr(name, "positional");
  float block[1024];
  (void)user;
  for (int64_t from = 0; from < count; from += 1024) {
    int64_t n = count - from < 1024 ? count - from : 1024;
    bench_normals(block, n, number_of(name) + (uint64_t)from, scale,
                  small ? 0.02 : 1 / sqrt((double)(count / dim[0])));
    for (int64_t i = 0; i < n; i++)
      out[from + i] = (vq_real)block[i];
  }
  return VQ_OK;
}

static const vq_weight_source made_up = {.invent = invent};

/* ---- a step ---- */

vq_status bench_step_check(bench_step *s)
{
  int f = vq_vqgan_factor(&vqgans[s->vqgan]);
  s->width -= s->width % f;
  s->height -= s->height % f;
  if (!s->width || !s->height)
    return vq_fail(VQ_ERR_ARGUMENT, "a picture of this VQGAN has %d pixels to a token: a side has at least as many",
                   f);
  return VQ_OK;
}

static const char *choice(char *text, size_t bytes, const char *list, int place)
{
  for (; place; place--)
    list = strchr(list, '|') + 1;
  snprintf(text, bytes, "%.*s", (int)strcspn(list, "|"), list);
  return text;
}

const char *bench_step_name(char *text, size_t bytes, const bench_step *s)
{
  char vqgan[16], clip[16];
  snprintf(text, bytes, "%s %dx%d %s", choice(vqgan, sizeof vqgan, BENCH_VQGANS, s->vqgan), s->width, s->height,
           choice(clip, sizeof clip, BENCH_CLIPS, s->clip));
  return text;
}

void bench_step_config(vq_engine_config *out, const bench_step *s)
{
  const vq_vqgan_config *g = &vqgans[s->vqgan];
  const vq_clip_config *c = &clips[s->clip];
  int f = vq_vqgan_factor(g), side = s->width < s->height ? s->width : s->height;
  *out = (vq_engine_config){
      .vqgan = g,
      .clip = c,
      .vqgan_weights = &made_up,
      .clip_weights = &made_up,
      .h = s->height / f,
      .w = s->width / f,
      .cutouts = s->cutouts,
      .chunk = s->chunk,
      .cut_method = VQ_CUT_POOL,
      .box_least = c->image_resolution < side ? c->image_resolution : side,
      .box_most = side,
      .targets = 1,
      .target_rows = {1},
      .weight = {1},
      .stop = {VQ_NO_STOP},
  };
}

/* The bands of the engine's own resamples: vq_cutouts_create's. */
static vq_status bands_of(vq_bands *b, const vq_engine_config *c)
{
  int f = vq_vqgan_factor(c->vqgan), see = c->clip->image_resolution;
  bool whole = c->cut_method == VQ_CUT_WHOLE;
  *b = (vq_bands){.kind = c->cut_method == VQ_CUT_LANCZOS ? VQ_RESAMPLE_LANCZOS : VQ_RESAMPLE_AVERAGE,
                  .width = whole ? see : c->w * f,
                  .height = whole ? see : c->h * f,
                  .side = see,
                  .least = whole ? see : c->box_least,
                  .most = whole ? see : c->box_most};
  b->count = vq_cutouts_chunk(c->cutouts, c->chunk);
  return vq_bands_measure(b);
}

/* What a step calls does not depend on what a device can: a plan runs no kernel, so one of a backend that has them all, by its own
 * account, is a plan for the backend that has some. */
typedef struct stage {
  vq_backend backend;
  vq_cuda_module module;
  vq_place place;
} stage;

static vq_status never(const vq_call *c)
{
  (void)c;
  return vq_fail(VQ_ERR_UNSUPPORTED, "a recording runs no kernels");
}

static void find_all(const vq_device *device, const vq_op *op, vq_kernels *out)
{
  (void)device;
  *out = (vq_kernels){never, op->backward ? never : NULL, NULL, NULL};
}

static const vq_place *set_stage(stage *s, const vq_place *place)
{
  if (!place->cuda)
    return place;
  *s = (stage){*place->cuda->backend, *place->cuda, *place};
  s->backend.find = find_all;
  s->module.backend = &s->backend;
  s->place.cuda = &s->module;
  return &s->place;
}

static vq_status record_step(bench_list *list, const vq_engine_config *c, const vq_place *place, const char *from,
                             bool counts)
{
  bench_recorder r = {.list = list, .from = from, .in_a_step = counts};
  VQ_TRY(bands_of(&r.bands, c));
  stage recording;
  VQ_TRY(vq_engine_record(c, set_stage(&recording, place), bench_record, &r));
  return r.status;
}

vq_status bench_list_step(bench_list *list, const bench_step *s, const vq_place *place)
{
  vq_engine_config c;
  char from[32];
  bench_step_config(&c, s);
  return record_step(list, &c, place, bench_step_name(from, sizeof from, s), true);
}

/* ---- what no step has ---- */

/* What extras are of, and where they go. */
typedef struct extras {
  bench_list *list;
  const bench_step *step;
  const vq_place *place;
} extras;

static vq_status record_cut(const extras *e, vq_cut_method method, const char *augment, const char *from)
{
  vq_engine_config c;
  bench_step_config(&c, e->step);
  c.cut_method = method;
  c.tv_weight = augment != NULL;
  c.pull = c.pull_to_start = augment != NULL;
  VQ_TRY(vq_augments_parse(c.augment, &c.augments, augment));
  return record_step(e->list, &c, e->place, from, false);
}

/* Every augmentation once, each for every cutout, and both ways to cut that the step has not. */
static vq_status record_cutouts(const extras *e)
{
  VQ_TRY(record_cut(e, VQ_CUT_LANCZOS, NULL, "cutouts by Lanczos"));
  return record_cut(e, VQ_CUT_WHOLE,
                    "sharpness:1:strength=0.3,affine:1:degrees=30:padding=border,affine:1:degrees=30:padding=zeros,"
                    "jitter:1:hue=0.1:colours=old,jitter:1:hue=0.1:colours=new,erase:1:area=0.1..0.4:ratio=0.5..2,"
                    "noise:1:noise=0..0.1,clamp",
                    "augmentations, losses");
}

typedef vq_status (*scene)(vq_device *plan, vq_tape *t, const bench_step *s);

static vq_tensor *leaf(vq_tape *t, bool wants, vq_dtype dtype, int rank, const int64_t *dim)
{
  vq_shape s = vq_shape_make(dtype, rank, dim);
  return vq_leaf(t, &s, NULL, wants);
}

static vq_status encode(vq_device *plan, vq_tape *t, const bench_step *s)
{
  vq_vqgan *net;
  VQ_TRY(vq_vqgan_create(&net, plan, &vqgans[s->vqgan], &made_up, VQGAN_ENCODER));
  vq_tensor *h = vq_vqgan_encode(t, net, leaf(t, false, VQ_REAL, 4, (int64_t[]){1, s->height, s->width, 3}));
  if (vqgans[s->vqgan].gumbel)
    vq_vqgan_logits(t, net, h);
  vq_vqgan_free(net);
  return vq_tape_status(t);
}

static vq_status read_text(vq_device *plan, vq_tape *t, const bench_step *s)
{
  int32_t ids[77] = {1, 2, 3};
  vq_clip *net;
  VQ_TRY(vq_clip_create(&net, plan, &clips[s->clip], &made_up, CLIP_TEXT));
  vq_clip_text(t, net, ids, 1);
  vq_clip_free(net);
  return vq_tape_status(t);
}

static vq_tensor *weight(vq_device *plan, vq_tape *t, int rank, const int64_t *dim)
{
  vq_shape s = vq_shape_make(VQ_REAL, rank, dim);
  vq_tensor *w;
  vq_status status = vq_weight_create(&w, plan, &s, NULL, false);
  return status ? vq_tape_fail(t, status) : w;
}

/* A decoder's middle level: its rows, its columns and its channels. */
static void middle(int64_t dim[4], const bench_step *s)
{
  int64_t h = s->height / 4, w = s->width / 4;
  memcpy(dim, (int64_t[]){1, h ? h : 1, w ? w : 1, 2 * vqgans[s->vqgan].ch}, 4 * sizeof *dim);
}

/* Ops that no network here is made of, or not by themselves. */
static vq_status stand_alone(vq_device *plan, vq_tape *t, const bench_step *s)
{
  int64_t dim[4];
  middle(dim, s);
  vq_tensor *g = weight(plan, t, 1, &dim[3]), *b = weight(plan, t, 1, &dim[3]);
  vq_tensor *x = leaf(t, true, VQ_REAL, 4, dim), *other = leaf(t, true, VQ_REAL, 4, dim);
  vq_tensor *y = vq_add(t, vq_mul(t, vq_silu(t, x), vq_tanh(t, other)), vq_gelu(t, x, VQ_GELU_EXACT));
  y = vq_cast(t, vq_cast(t, vq_group_norm(t, y, g, b, 32, 1e-6), VQ_BF16), VQ_REAL);
  vq_seed(t, vq_sum(t, y), 1);
  return vq_backward(t, NULL, VQ_TAPE_START);
}

/* What trains networks: gradients of weights. */
static vq_status train(vq_device *plan, vq_tape *t, const bench_step *s)
{
  int64_t dim[4], rows = 32, words = 1000;
  (void)plan;
  middle(dim, s);
  const int64_t C = dim[3], wide[2] = {4 * C, C}, kernel[4] = {C, 3, 3, C}, table[2] = {words, C},
                places[2] = {rows, C}, two[2] = {2, rows}, logits[2] = {rows, words};
  vq_tensor *x = leaf(t, true, VQ_REAL, 4, dim);
  vq_tensor *u = vq_linear(t, x, leaf(t, true, VQ_REAL, 2, wide), leaf(t, true, VQ_REAL, 1, wide), NULL);
  u = vq_layer_norm(t, u, leaf(t, true, VQ_REAL, 1, wide), leaf(t, true, VQ_REAL, 1, wide), 1e-5);
  vq_tensor *v =
      vq_conv(t, x, leaf(t, true, VQ_REAL, 4, kernel), leaf(t, true, VQ_REAL, 1, &C), 1, (int[]){1, 1, 1, 1});
  vq_tensor *e = vq_embed(t, leaf(t, false, VQ_I32, 2, two), leaf(t, true, VQ_REAL, 2, table),
                          leaf(t, true, VQ_REAL, 2, places));
  vq_tensor *l = vq_cross_entropy(t, leaf(t, true, VQ_REAL, 2, logits), leaf(t, false, VQ_I32, 1, &rows));
  vq_seed(t, vq_sum(t, u), 1);
  vq_seed(t, vq_sum(t, v), 1);
  vq_seed(t, vq_sum(t, e), 1);
  vq_seed(t, l, 1);
  return vq_backward(t, NULL, VQ_TAPE_START);
}

/* A code for each token by logits, one for each of the VQGAN's. */
static vq_status by_logits(vq_device *plan, vq_tape *t, const bench_step *s)
{
  const vq_vqgan_config *g = &vqgans[s->vqgan];
  int64_t f = vq_vqgan_factor(g);
  const int64_t tokens[4] = {1, s->height / f, s->width / f, g->n_embed}, codes[2] = {g->n_embed, g->embed_dim};
  vq_tensor *logits = leaf(t, true, VQ_REAL, 4, tokens);
  vq_choose(t, logits, NULL);
  vq_tensor *ids = vq_choose(t, logits, leaf(t, false, VQ_REAL, 3, tokens));
  vq_seed(t, vq_sum(t, vq_soft_quantise(t, logits, weight(plan, t, 2, codes), ids)), 1);
  return vq_backward(t, NULL, VQ_TAPE_START);
}

/* The optimisers besides Adam, which no tape has. */
static void record_optimisers(bench_recorder *r, vq_device *plan, vq_tape *t, const bench_step *s)
{
  const vq_vqgan_config *g = &vqgans[s->vqgan];
  int64_t f = vq_vqgan_factor(g), C = g->embed_dim, three = 3;
  const int64_t dim[4] = {1, s->height / f, s->width / f, C};
  vq_call call = {.device = plan};
  for (int i = 0; i < 3; i++)
    call.in[i] = leaf(t, false, VQ_REAL, 4, dim);
  call.in[3] = leaf(t, false, VQ_REAL, 1, &three);
  call.in[4] = weight(plan, t, 1, &C);
  call.in[5] = weight(plan, t, 1, &C);
  call.out = call.in[0];
  vq_tensor *past = leaf(t, false, VQ_REAL, 4, dim);
  for (int kind = 0; kind < VQ_OPTIMISERS && !vq_tape_status(t); kind++) {
    const vq_attr attr = {.i = {kind}};
    call.attr = &attr;
    call.in[6] = kind == VQ_OPTIMISER_DIFFGRAD ? past : NULL;
    bench_record(r, &vq_op_optimise, &call, false, 0);
  }
}

static vq_status record_scene(const extras *e, scene play, const char *from)
{
  bench_recorder r = {.list = e->list, .from = from};
  vq_device *plan;
  vq_tape *t = NULL;
  stage recording;
  VQ_TRY(vq_place_plan(&plan, set_stage(&recording, e->place)));
  vq_status status = vq_tape_create(&t, plan);
  if (!status) {
    vq_tape_watch(t, bench_record, &r);
    status = play ? play(plan, t, e->step) : VQ_OK;
    if (!play)
      record_optimisers(&r, plan, t, e->step);
  }
  vq_tape_free(t);
  vq_device_free(plan);
  return status ? status : r.status;
}

static vq_status record_towers(const extras *e)
{
  char name[48], from[64];
  snprintf(from, sizeof from, "encoder %s", bench_step_name(name, sizeof name, e->step));
  VQ_TRY(record_scene(e, encode, from));
  snprintf(from, sizeof from, "text tower %s", choice(name, sizeof name, BENCH_CLIPS, e->step->clip));
  return record_scene(e, read_text, from);
}

vq_status bench_list_extras(bench_list *list, const bench_step *s, const vq_place *place)
{
  const extras e = {list, s, place};
  VQ_TRY(record_cutouts(&e));
  VQ_TRY(record_towers(&e));
  VQ_TRY(record_scene(&e, stand_alone, "alone"));
  VQ_TRY(record_scene(&e, by_logits, "codes by logits"));
  VQ_TRY(record_scene(&e, train, "training"));
  return record_scene(&e, NULL, "optimisers");
}

vq_status bench_list_everything(bench_list *list, const vq_place *place)
{
  enum { F, BIG_F, GUMBEL };
  static const bench_step steps[] = {
      {F, 0, 256, 256, 32},      {F, 0, 512, 512, 32},      {BIG_F, 0, 256, 256, 32}, {BIG_F, 0, 512, 512, 32},
      {GUMBEL, 0, 256, 256, 32}, {GUMBEL, 0, 512, 512, 32}, {F, 1, 256, 256, 32},     {F, 2, 256, 256, 32},
  };
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    VQ_TRY(bench_list_step(list, &steps[i], place));
    VQ_TRY(record_towers(&(extras){list, &steps[i], place}));
  }
  return bench_list_extras(list, &steps[0], place);
}

vq_status bench_set_state(vq_engine *e, const vq_engine_config *c)
{
  int64_t reals = (int64_t)c->h * c->w * c->vqgan->embed_dim, width = c->clip->embed_dim,
          most = reals > width ? reals : width;
  float *host = malloc((size_t)most * sizeof *host);
  vq_real *values = malloc((size_t)most * sizeof *values);
  vq_status status = host && values ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a start");
  for (int target = 0; !status && target < 2; target++) {
    bench_normals(host, target ? width : reals, 7, 0, 0.05);
    for (int64_t i = 0; i < (target ? width : reals); i++)
      values[i] = (vq_real)host[i];
    status = target ? vq_engine_set_target(e, 0, values) : vq_engine_set_z(e, values);
  }
  free(host);
  free(values);
  return status;
}
