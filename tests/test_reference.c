/* test_reference.c -- the whole method against the published implementations' outputs.
 *
 * tests/data/reference holds two tiny networks of each kind with seeded weights, and what openai/CLIP's and
 * taming-transformers' own code makes of them in PyTorch 1.13, in float32: case A is a VQModel with CLIP A, case B a
 * GumbelVQ with CLIP B. The same loop in float64 differs from these arrays by up to 2.5e-6 (gradient, relative), 3e-7
 * (losses) and 2e-4 (an element of z), as meta.json says: the bounds here are that and as much again for our own
 * rounding, with a margin for the order of sums.
 */
#include "kernels/ops.h"
#include "loaders/npy.h"
#include "runtime/engine.h"
#include "runtime/perceive.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* On two threads of the CPU or, if $VQGEN_TEST_DEVICE says so, on a GPU, which the emulated card is too. */
static const vq_place *where(void)
{
  static vq_place place;
  const char *device = getenv("VQGEN_TEST_DEVICE");
  cr_assert(!vq_place_find(&place, device ? device : "cpu", VQ_PRECISION_FP32, 2, NULL), "%s", vq_error_message());
  return &place;
}

#define FOLDER VQ_SOURCE_ROOT "/tests/data/reference/"

/* ---- arrays ---- */

typedef struct array {
  int rank;
  int64_t dim[VQ_FILE_RANK], count;
  double *value;
} array;

static array load(const char *prefix, const char *name)
{
  char path[512];
  vq_npy file;
  array a;
  snprintf(path, sizeof path, "%s%s%s.npy", FOLDER, prefix, name);
  cr_assert(!vq_npy_read(&file, path), "%s", vq_error_message());
  a.rank = file.tensor.rank;
  memcpy(a.dim, file.tensor.dim, sizeof a.dim);
  a.count = (int64_t)vq_file_tensor_count(&file.tensor);
  a.value = malloc((size_t)a.count * sizeof *a.value);
  vq_file_tensor_read_f64(&file.tensor, a.value);
  vq_npy_free(&file);
  return a;
}

/* [n,C,h,w] to [n,h,w,C], in place: the engine's layout. */
static array channels_last(array a)
{
  int64_t n = a.dim[0], C = a.dim[1], area = a.dim[2] * a.dim[3];
  double *to = malloc((size_t)a.count * sizeof *to);
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < C; c++)
      for (int64_t p = 0; p < area; p++)
        to[(i * area + p) * C + c] = a.value[(i * C + c) * area + p];
  free(a.value);
  a.value = to;
  a.dim[1] = a.dim[2];
  a.dim[2] = a.dim[3];
  a.dim[3] = C;
  return a;
}

static vq_real *reals(const array *a)
{
  vq_real *x = malloc((size_t)a->count * sizeof *x);
  for (int64_t i = 0; i < a->count; i++)
    x[i] = (vq_real)a->value[i];
  return x;
}

/* Relative L2 error of x against the array; frees the array. */
static void expect_close(const char *what, const vq_real *x, array must, double tolerance)
{
  double off = 0, size = 0;
  for (int64_t i = 0; i < must.count; i++) {
    double d = (double)x[i] - must.value[i];
    off += d * d;
    size += must.value[i] * must.value[i];
  }
  double error = sqrt(off / size);
  cr_expect(error <= tolerance, "%s: relative error %.3g, at most %.0e is allowed", what, error, tolerance);
  free(must.value);
}

static void expect_equal(const char *what, const int32_t *x, array must)
{
  int64_t wrong = 0;
  for (int64_t i = 0; i < must.count; i++)
    wrong += (double)x[i] != must.value[i];
  cr_expect(!wrong, "%s: %lld of %lld differ", what, (long long)wrong, (long long)must.count);
  free(must.value);
}

/* ---- the two cases ---- */

typedef struct reference_case {
  char prefix[4];
  char vqgan[32], clip[32], texts[32];
} reference_case;

static const reference_case cases[2] = {
    {"A_", "vqgan_tiny.safetensors", "clip_tinyA.safetensors", "text_embeds_tinyA"},
    {"B_", "gumbel_tiny.safetensors", "clip_tinyB.safetensors", "text_embeds_tinyB"},
};

static struct criterion_test_params both(void)
{
  static int number[2] = {0, 1};
  return cr_make_param_array(int, number, 2);
}

static vq_network *open_network(const char *name, vq_network_kind kind)
{
  char path[512];
  vq_network *net;
  snprintf(path, sizeof path, "%s%s", FOLDER, name);
  cr_assert(!vq_network_open(&net, path, kind, NULL), "%s", vq_error_message());
  return net;
}

static json_t *settings(void)
{
  json_error_t error;
  json_t *meta = json_load_file(FOLDER "meta.json", 0, &error);
  cr_assert(meta != NULL, "%s", error.text);
  return meta;
}

static json_t *setting(json_t *meta, const reference_case *c, const char *name)
{
  char key[64];
  snprintf(key, sizeof key, "%s%s", c->prefix, name);
  json_t *value = json_object_get(meta, key);
  cr_assert(value != NULL, "meta.json has no %s", key);
  return value;
}

/* Text features of the 40 prompts: the tokeniser's ids are tested elsewhere, these are the published ones. */
ParameterizedTestParameters(reference, text_features)
{
  return both();
}

ParameterizedTest(int *number, reference, text_features)
{
  const reference_case *c = &cases[*number];
  vq_network *clip = open_network(c->clip, VQ_NETWORK_CLIP);
  array tokens = load("", "tokens_544");
  int count = (int)tokens.dim[0], width = vq_network_clip(clip)->embed_dim;
  int32_t *ids = malloc((size_t)tokens.count * sizeof *ids);
  vq_real *features = malloc((size_t)(count * width) * sizeof *features);
  for (int64_t i = 0; i < tokens.count; i++)
    ids[i] = (int32_t)tokens.value[i];
  cr_assert(tokens.dim[1] == vq_network_clip(clip)->context_length);
  cr_assert(!vq_text_features(clip, ids, count, where(), features), "%s", vq_error_message());
  expect_close("text features", features, load("", c->texts), 1e-5);
  free(tokens.value);
  free(ids);
  free(features);
  vq_network_close(clip);
}

/* ---- the loop ---- */

typedef struct run {
  vq_network *vqgan, *clip;
  vq_engine_config config;
  int32_t *boxes;
  int64_t steps;
  double lr;
} run;

static void read_prompts(run *r, json_t *prompts)
{
  json_t *entry;
  size_t i;
  json_array_foreach (prompts, i, entry) {
    json_t *stop = json_array_get(entry, 2);
    r->config.target_rows[i] = 1;
    r->config.weight[i] = json_number_value(json_array_get(entry, 1));
    r->config.stop[i] = json_is_number(stop) ? json_number_value(stop) : VQ_NO_STOP;
  }
  r->config.targets = (int)json_array_size(prompts);
}

static run prepare(const reference_case *c)
{
  run r = {open_network(c->vqgan, VQ_NETWORK_VQGAN),
           open_network(c->clip, VQ_NETWORK_CLIP),
           {.tv_weight = 0},
           NULL,
           0,
           0};
  json_t *meta = settings();
  array boxes = load(c->prefix, "boxes_xys"), z = load(c->prefix, "z0");
  r.config.vqgan = vq_network_vqgan(r.vqgan);
  r.config.clip = vq_network_clip(r.clip);
  r.config.vqgan_weights = vq_network_weights(r.vqgan);
  r.config.clip_weights = vq_network_weights(r.clip);
  r.config.h = (int)z.dim[2];
  r.config.w = (int)z.dim[3];
  r.config.cutouts = (int)boxes.dim[0];
  r.config.trap = true;
  r.boxes = malloc((size_t)boxes.count * sizeof *r.boxes);
  r.config.box_least = r.config.box_most = (int)boxes.value[2];
  for (int64_t i = 0; i < boxes.count; i++) {
    r.boxes[i] = (int32_t)boxes.value[i];
    if (i % 3 == 2 && r.boxes[i] < r.config.box_least)
      r.config.box_least = r.boxes[i];
    if (i % 3 == 2 && r.boxes[i] > r.config.box_most)
      r.config.box_most = r.boxes[i];
  }
  read_prompts(&r, setting(meta, c, "prompts"));
  r.lr = json_number_value(setting(meta, c, "lr"));
  r.steps = json_integer_value(setting(meta, c, "steps"));
  free(boxes.value);
  free(z.value);
  json_decref(meta);
  return r;
}

static vq_engine *start(const reference_case *c, const run *r)
{
  vq_engine *e;
  array z = channels_last(load(c->prefix, "z0")), texts = load(c->prefix, "text_embeds");
  vq_real *z0 = reals(&z), *features = reals(&texts);
  int width = vq_network_clip(r->clip)->embed_dim;
  cr_assert(!vq_engine_create(&e, &r->config, where()), "%s", vq_error_message());
  cr_assert(!vq_engine_set_z(e, z0), "%s", vq_error_message());
  json_t *meta = settings(), *prompts = setting(meta, c, "prompts");
  for (int i = 0; i < r->config.targets; i++) {
    int64_t row = json_integer_value(json_array_get(json_array_get(prompts, (size_t)i), 0));
    cr_assert(!vq_engine_set_target(e, i, features + row * width), "%s", vq_error_message());
  }
  json_decref(meta);
  free(z.value);
  free(texts.value);
  free(z0);
  free(features);
  return e;
}

static void finish(vq_engine *e, run *r)
{
  vq_engine_free(e);
  vq_network_close(r->vqgan);
  vq_network_close(r->clip);
  free(r->boxes);
}

static void *space(int64_t count, size_t bytes)
{
  void *memory = calloc((size_t)count, bytes);
  cr_assert(memory != NULL);
  return memory;
}

/* What CLIP sees: (x - mean) / deviation of the first three cutouts. */
static void expect_cutouts(const reference_case *c, const vq_real *cutouts)
{
  static const double mean[3] = {0.48145466, 0.4578275, 0.40821073},
                      deviation[3] = {0.26862954, 0.26130258, 0.27577711};
  array must = channels_last(load(c->prefix, "cutouts_normalized_first3"));
  vq_real *seen = space(must.count, sizeof *seen);
  for (int64_t i = 0; i < must.count; i++)
    seen[i] = (vq_real)(((double)cutouts[i] - mean[i % 3]) / deviation[i % 3]);
  expect_close("cutouts", seen, must, 1e-5);
  free(seen);
}

ParameterizedTestParameters(reference, first_step)
{
  return both();
}

/* Everything that one forward pass and its walk back find, at the given z. */
ParameterizedTest(int *number, reference, first_step)
{
  const reference_case *c = &cases[*number];
  run r = prepare(c);
  vq_engine *e = start(c, &r);
  int64_t f = vq_vqgan_factor(vq_network_vqgan(r.vqgan)), tokens = (int64_t)r.config.h * r.config.w,
          area = tokens * f * f;
  int64_t side = vq_network_clip(r.clip)->image_resolution, padded = vq_engine_padded_cutouts(e);
  vq_findings found = {
      .ids = space(tokens, sizeof(int32_t)),
      .decoded = space(area * 3, sizeof(vq_real)),
      .cutouts = space(padded * side * side * 3, sizeof(vq_real)),
      .features = space(padded * vq_network_clip(r.clip)->embed_dim, sizeof(vq_real)),
      .dz = space(tokens * vq_engine_channels(e), sizeof(vq_real)),
  };
  vq_real losses[VQ_MOST_PROMPTS];
  cr_assert(!vq_engine_gradient(e, r.boxes, &found), "%s", vq_error_message());
  for (int i = 0; i < r.config.targets; i++)
    losses[i] = (vq_real)found.losses[i];
  expect_equal("indices", found.ids, load(c->prefix, "indices"));
  expect_close("decode", found.decoded, channels_last(load(c->prefix, "decode")), 1e-5);
  expect_cutouts(c, found.cutouts);
  expect_close("image features", found.features, load(c->prefix, "image_embeds"), 1e-5);
  expect_close("losses", losses, load(c->prefix, "prompt_losses"), 1e-5);
  expect_close("gradient of z", found.dz, channels_last(load(c->prefix, "grad_z0")), 1e-5);
  free(found.ids);
  free(found.decoded);
  free(found.cutouts);
  free(found.features);
  free(found.dz);
  finish(e, &r);
}

static void expect_z(const reference_case *c, vq_engine *e, const char *name)
{
  array must = channels_last(load(c->prefix, name));
  vq_real *z = space(must.count, sizeof *z);
  double most = 0, sum = 0;
  cr_assert(!vq_engine_get_z(e, z));
  for (int64_t i = 0; i < must.count; i++) {
    double d = fabs((double)z[i] - must.value[i]);
    sum += d;
    most = d <= most ? most : d; /* a NaN becomes the most, and fails */
  }
  cr_expect(most <= 2e-3, "%s: an element is off by %.3g", name, most);
  cr_expect(sum / (double)must.count <= 1e-5, "%s: off by %.3g on average", name, sum / (double)must.count);
  free(z);
  free(must.value);
}

ParameterizedTestParameters(reference, fifty_steps)
{
  return both();
}

/* Of 50 steps, as many as $VQGEN_TEST_STEPS says: three do all that a run does on a GPU, the first as it comes, the second recorded, and the
 * third as the second was recorded. */
static int64_t steps_of(const run *r)
{
  const char *text = getenv("VQGEN_TEST_STEPS");
  int64_t steps = text ? atoi(text) : r->steps;
  cr_assert(steps > 0 && steps <= r->steps, "$VQGEN_TEST_STEPS is %s", text);
  return steps;
}

/* z after 1, 10 and 50 updates, every step's losses, and the last picture. */
ParameterizedTest(int *number, reference, fifty_steps)
{
  const reference_case *c = &cases[*number];
  run r = prepare(c);
  vq_engine *e = start(c, &r);
  int targets = r.config.targets;
  int64_t steps = steps_of(&r);
  vq_real *trajectory = space(r.steps * targets, sizeof *trajectory);
  for (int64_t step = 1; step <= steps; step++) {
    vq_findings found = {.tv_loss = 0};
    char name[32];
    cr_assert(!vq_engine_step(e, r.boxes, r.lr, &found), "%s", vq_error_message());
    for (int i = 0; i < targets; i++)
      trajectory[(step - 1) * targets + i] = (vq_real)found.losses[i];
    snprintf(name, sizeof name, "z_after_%lld", (long long)step);
    if (step == 1 || step == 10 || step == 50)
      expect_z(c, e, name);
  }
  array final = channels_last(load(c->prefix, "image_final")), losses = load(c->prefix, "loss_trajectory");
  cr_assert(losses.count == r.steps * targets, "%lld losses for %lld steps", (long long)losses.count,
            (long long)r.steps);
  losses.count = steps * targets;
  vq_real *picture = space(final.count, sizeof *picture);
  cr_assert(!vq_engine_picture(e, picture), "%s", vq_error_message());
  expect_close("trajectory", trajectory, losses, 1e-5);
  if (steps == r.steps)
    expect_close("the last picture", picture, final, 1e-5);
  else
    free(final.value);
  free(trajectory);
  free(picture);
  finish(e, &r);
}

/* ---- the encoder ---- */

typedef struct encoder_job {
  const reference_case *c;
  const vq_network *vqgan;
  const array *pixels;
} encoder_job;

static void expect_logits(vq_device *device, const vq_tensor *logits)
{
  array must = channels_last(load("B_", "encode_logits_first32")); /* the first row of positions */
  vq_real *x = space(vq_count(logits), sizeof *x);
  cr_assert(!vq_tensor_read(device, logits, x));
  expect_close("logits", x, must, 1e-5);
  free(x);
}

static vq_status encode(vq_device *device, vq_tape *t, void *user)
{
  const encoder_job *job = user;
  vq_vqgan *net;
  vq_shape s = vq_shape_make(VQ_REAL, 4, job->pixels->dim);
  vq_real *pixels = reals(job->pixels);
  VQ_TRY(
      vq_vqgan_create(&net, device, vq_network_vqgan(job->vqgan), vq_network_weights(job->vqgan), VQGAN_ENCODER));
  vq_tensor *h = vq_vqgan_encode(t, net, vq_leaf(t, &s, pixels, false));
  vq_tensor *logits = vq_vqgan_settings(net)->gumbel ? vq_vqgan_logits(t, net, h) : NULL;
  VQ_TRY(vq_tape_status(t));
  if (!device->plan) {
    vq_real *x = space(vq_count(h), sizeof *x);
    cr_assert(!vq_tensor_read(device, h, x));
    expect_close("the encoder's output", x, channels_last(load(job->c->prefix, "encode_prequant")), 1e-5);
    free(x);
    if (logits)
      expect_logits(device, logits);
  }
  free(pixels);
  vq_vqgan_free(net);
  return VQ_OK;
}

ParameterizedTestParameters(reference, encoder)
{
  return both();
}

/* The published arrays encode the picture of z0, which is the decoder's output clamped to [-1,1]. */
ParameterizedTest(int *number, reference, encoder)
{
  const reference_case *c = &cases[*number];
  array pixels = channels_last(load(c->prefix, "decode"));
  vq_network *vqgan = open_network(c->vqgan, VQ_NETWORK_VQGAN);
  encoder_job job = {c, vqgan, &pixels};
  vq_latent latent;
  for (int64_t i = 0; i < pixels.count; i++)
    pixels.value[i] = pixels.value[i] < -1 ? -1 : pixels.value[i] > 1 ? 1 : pixels.value[i];
  cr_assert(!vq_compute(encode, &job, where()), "%s", vq_error_message());
  vq_real *x = reals(&pixels);
  cr_assert(!vq_encode_pixels(vqgan, x, (int)pixels.dim[2], (int)pixels.dim[1], NULL, where(), &latent), "%s",
            vq_error_message());
  expect_equal("tokens", latent.ids, load(c->prefix, *number ? "encode_argmax_nonoise" : "encode_indices"));
  if (!*number)
    expect_close("the quantised output", latent.z, load(c->prefix, "encode_quant"), 1e-5);
  vq_latent_free(&latent);
  free(x);
  free(pixels.value);
  vq_network_close(vqgan);
}
