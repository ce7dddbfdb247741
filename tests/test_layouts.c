/* test_layouts.c -- networks as they were published: what we compute with files that other libraries wrote is what those compute
 * (tests/compare/make_layouts.py), before and after `convert`; and files that do not fit.
 */
#include "tests/cli.h"

#include "loaders/safetensors.h"
#include "loaders/xxh128.h"
#include "runtime/compute.h"
#include "runtime/convert.h"
#include "runtime/find_network.h"
#include "runtime/perceive.h"

#include <jansson.h>
#include <math.h>
#include <sys/stat.h>

#define LAYOUTS   VQ_SOURCE_ROOT "/tests/data/layouts/"
#define REFERENCE VQ_SOURCE_ROOT "/tests/data/reference/"
#define MERGES    VQ_SOURCE_ROOT "/tests/data/bpe_544_merges.txt"

static const struct published {
  const char *path, *expected, *family;
  bool exact_gelu;
} clips[] = {
    {LAYOUTS "hugging_face", LAYOUTS "hugging_face/expected.json", "CLIP as Hugging Face names it", false},
    {LAYOUTS "open_clip", LAYOUTS "open_clip/expected.json", "CLIP as OpenAI and open_clip name it", true},
    {LAYOUTS "openai/small.pt", LAYOUTS "openai/expected.json", "CLIP as OpenAI and open_clip name it", false},
};
#define CLIPS (sizeof clips / sizeof *clips)

static vq_network *open_clip(const char *path)
{
  vq_network *net;
  cr_assert(!vq_network_open(&net, path, VQ_NETWORK_CLIP, &(vq_network_hints){.vocab = MERGES}), "%s",
            vq_error_message());
  return net;
}

static void expect_features(const char *what, const vq_real *features, const json_t *want)
{
  double off = 0, square = 0;
  size_t i;
  json_t *value;
  json_array_foreach (want, i, value) {
    off += pow(features[i] - json_number_value(value), 2);
    square += pow(json_number_value(value), 2);
  }
  double error = sqrt(off / square);
  cr_expect(error <= 1e-5, "%s: off by %.2e", what, error);
}

/* Features of the picture and of the tokens that make_layouts.py has, [2,embed_dim]; the caller frees them. */
static vq_real *features_of(const vq_network *net, const json_t *expected)
{
  const vq_clip_config *c = vq_network_clip(net);
  int side = c->image_resolution;
  vq_image picture = {side, side, malloc((size_t)(side * side * 3))};
  int32_t ids[77] = {0};
  vq_real *out = malloc(2 * (size_t)c->embed_dim * sizeof *out);
  size_t i;
  json_t *token;
  for (int p = 0; p < side * side * 3; p++)
    picture.rgb[p] = (uint8_t)((7 * p * p + 13 * p) % 256);
  json_array_foreach (json_object_get(expected, "tokens"), i, token)
    ids[i] = (int32_t)json_integer_value(token);
  cr_assert(c->context_length == (int)i);
  cr_assert(!vq_image_features(net, &picture, 1, VQ_ON_CPU(2), out), "%s", vq_error_message());
  cr_assert(!vq_text_features(net, ids, 1, VQ_ON_CPU(2), out + c->embed_dim), "%s", vq_error_message());
  free(picture.rgb);
  return out;
}

Test(layouts, compute_what_their_libraries_do, .init = scratch_create, .fini = scratch_remove)
{
  for (size_t i = 0; i < CLIPS; i++) {
    const struct published *p = &clips[i];
    json_t *expected = json_load_file(p->expected, 0, NULL);
    vq_network *net = open_clip(p->path), *converted;
    const char *file = in_scratch("converted.safetensors");
    int width = vq_network_clip(net)->embed_dim;
    cr_assert(expected && !strcmp(vq_network_layout(net)->family, p->family));
    cr_expect(vq_network_clip(net)->exact_gelu == p->exact_gelu && !vq_network_is_ours(net));
    vq_real *before = features_of(net, expected), *after;
    expect_features(p->path, before, json_object_get(expected, "image"));
    expect_features(p->path, before + width, json_object_get(expected, "text"));
    /* Converted: the same bits, and nothing else is needed. */
    cr_assert(!vq_convert(net, file, VQ_CONVERT_AS_STORED, false, NULL), "%s", vq_error_message());
    cr_assert(!vq_network_open(&converted, file, VQ_NETWORK_CLIP, NULL), "%s", vq_error_message());
    after = features_of(converted, expected);
    cr_expect(vq_network_is_ours(converted) && !memcmp(before, after, 2 * (size_t)width * sizeof *after), "%s",
              p->path);
    vq_tokenizer *tokenizer;
    cr_expect(!vq_network_tokenizer(&tokenizer, converted), "%s", vq_error_message());
    vq_tokenizer_free(tokenizer);
    vq_network_close(net);
    vq_network_close(converted);
    json_decref(expected);
    free(before);
    free(after);
    remove(file);
  }
}

/* ---- a VQGAN ---- */

typedef struct pass {
  const vq_network *net;
  bool decode;
  vq_real *out;
} pass;

/* The picture of 8x8 codes, or the latent of a picture, that make_layouts.py has. */
static vq_status run_vqgan(vq_device *device, vq_tape *t, void *user)
{
  const pass *p = user;
  vq_vqgan *net;
  vq_real z[64 * 8] = {0}, picture[64 * 3];
  VQ_TRY(vq_network_make_vqgan(&net, p->net, device, VQGAN_DECODER | VQGAN_ENCODER));
  if (!device->plan) {
    vq_real book[16 * 8];
    cr_assert(!vq_tensor_read(device, vq_vqgan_codebook(net), book));
    for (int i = 0; i < 64; i++)
      memcpy(z + 8 * i, book + 8 * (i * 7 % 16), 8 * sizeof *z);
  }
  for (int i = 0; i < 192; i++)
    picture[i] = (float)(i * 37 % 101) / 50 - 1;
  const vq_shape codes = vq_shape_make(VQ_REAL, 4, (int64_t[]){1, 8, 8, 8}),
                 pixels = vq_shape_make(VQ_REAL, 4, (int64_t[]){1, 8, 8, 3});
  vq_tensor *y = p->decode ? vq_vqgan_decode(t, net, vq_leaf(t, &codes, z, false))
                           : vq_vqgan_encode(t, net, vq_leaf(t, &pixels, picture, false));
  vq_vqgan_free(net);
  VQ_TRY(vq_tape_status(t));
  return device->plan ? VQ_OK : vq_tensor_read(device, y, p->out);
}

static void expect_round_trip(const vq_network *net, const json_t *expected)
{
  for (int i = 0; i < 2; i++) {
    vq_real out[64 * 8];
    const char *what = i ? "encode" : "decode";
    pass p = {net, !i, out};
    cr_assert(!vq_compute(run_vqgan, &p, VQ_ON_CPU(2)), "%s", vq_error_message());
    expect_features(what, out, json_object_get(expected, what));
  }
}

/* The first stage in a transformer's checkpoint, with its yaml: as it is, and converted. */
Test(layouts, a_first_stage_decodes_and_encodes, .init = scratch_create, .fini = scratch_remove)
{
  json_t *expected = json_load_file(LAYOUTS "taming/expected.json", 0, NULL);
  const char *file = in_scratch("converted.safetensors");
  vq_network *net;
  cr_assert(expected && !vq_network_open(&net, LAYOUTS "taming/coco.ckpt", VQ_NETWORK_VQGAN, NULL), "%s",
            vq_error_message());
  cr_expect_str_eq(vq_network_layout(net)->prefix, "state_dict.first_stage_model.");
#ifdef VQ_TEST_YAML
  cr_expect(vq_network_vqgan(net)->resolution == 8 && !*vq_network_assumed(net));
#endif
  cr_expect(!vq_network_layout(net)->superfluous_count, "the discriminator is known");
  expect_round_trip(net, expected);
  cr_assert(!vq_convert(net, file, VQ_CONVERT_AS_STORED, false, NULL), "%s", vq_error_message());
  vq_network_close(net);
  cr_assert(!vq_network_open(&net, file, VQ_NETWORK_VQGAN, NULL), "%s", vq_error_message());
  expect_round_trip(net, expected);
  vq_network_close(net);
  json_decref(expected);
}

/* ---- the tool ---- */

/* A file whose writer cut its embeddings is used, and that is said wherever it is looked at or, as it was published, opened. */
static void said_everywhere(const char *half)
{
  vq_safetensors *file;
  said s = TOOL_OK("inspect", half);
  cr_expect(strstr(s.out, "precision    all of it, embeddings and norms too, was cut to F16"), "%s", s.out);
  forget(&s);
  expect_ok(vq_safetensors_open(&file, in_scratch(half)));
  int count = vq_safetensors_count(file);
  vq_file_tensor *all = calloc((size_t)count, sizeof *all);
  for (int i = 0; i < count; i++)
    all[i] = *vq_safetensors_at(file, i);
  expect_ok(vq_safetensors_write(in_scratch("published-half.safetensors"), all, count, NULL, 0));
  free(all);
  vq_safetensors_close(file);
  s = TOOL_OK("embed", "--clip", "published-half.safetensors", "--vocab", MERGES, "--text", "a star");
  cr_expect(strstr(s.err, "vqgen convert 'published-half.safetensors' --vocab '" MERGES "' -o"), "as it works: %s",
            s.err);
  cr_expect(strstr(s.err, "was cut to F16") && strstr(s.err, "get a file in which embeddings have 32 bits"), "%s",
            s.err);
  forget(&s);
  remove(in_scratch("published-half.safetensors"));
}

Test(layouts, inspect_tells_and_convert_makes, .init = scratch_create, .fini = scratch_remove)
{
  said s = TOOL_OK("inspect", LAYOUTS "hugging_face", "--json", "--verify");
  json_t *d = json_loads(s.out, 0, NULL);
  cr_assert(d, "%s", s.out);
  cr_expect_str_eq(json_string_value(json_object_get(d, "kind")), "clip");
  cr_expect_str_eq(json_string_value(json_object_get(d, "missing")), "");
  cr_expect(json_integer_value(json_object_get(json_object_get(d, "config"), "vision_heads")) == 2);
  const json_t *file = json_array_get(json_object_get(d, "files"), 0);
  cr_expect(strstr(json_string_value(json_object_get(file, "verdict")), "none recorded"), "nothing is invented");
  cr_expect_str_eq(json_string_value(json_object_get(d, "assumed")), "");
  json_decref(d);
  forget(&s);
  /* Cut to 16 bits: half the size, and it is said when that is converted again. */
  s = TOOL_OK("convert", LAYOUTS "openai/small.pt", "--vocab", MERGES, "--dtype", "f16", "-o", "half.safetensors");
  cr_expect(strstr(s.out, "half.safetensors") && !strstr(s.err, "was cut"), "%s", s.err);
  forget(&s);
  said_everywhere("half.safetensors");
  s = TOOL_OK("inspect", LAYOUTS "openai/small.pt", "--vocab", MERGES);
  cr_expect(!strstr(s.out, "was cut"), "%s", s.out);
  forget(&s);
  s = TOOL_OK("convert", "half.safetensors", "-o", "again.safetensors", "--dtype", "f32");
  cr_expect(strstr(s.err, "was cut to F16"), "%s", s.err);
  forget(&s);
  s = TOOL_OK("inspect", "again.safetensors", "--tensors");
  cr_expect(strstr(s.out, "F32   [64,3,8,8] visual.conv1.weight"), "%s", s.out);
  cr_expect(strstr(s.out, "made from    half.safetensors"), "%s", s.out);
  forget(&s);
  remove(in_scratch("half.safetensors"));
  remove(in_scratch("again.safetensors"));
}

/* Every number of a network whose tensors are in pieces and turned, kept in another type: what that type has nearest to it. */
Test(layouts, convert_to_other_types, .init = scratch_create, .fini = scratch_remove)
{
  static const char *const names[] = {"f32", "f16", "bf16"};
  vq_safetensors *stored, *file;
  said s = TOOL_OK("convert", LAYOUTS "hugging_face", "--vocab", MERGES, "-o", "stored.safetensors");
  forget(&s);
  expect_ok(vq_safetensors_open(&stored, in_scratch("stored.safetensors")));
  for (int d = 0; d < 3; d++) {
    s = TOOL_OK("convert", LAYOUTS "hugging_face", "--vocab", MERGES, "--dtype", names[d], "-o",
                "other.safetensors");
    forget(&s);
    expect_ok(vq_safetensors_open(&file, in_scratch("other.safetensors")));
    cr_assert_eq(vq_safetensors_count(file), vq_safetensors_count(stored));
    for (int i = 0; i < vq_safetensors_count(file); i++) {
      const vq_file_tensor *from = vq_safetensors_at(stored, i), *to = vq_safetensors_at(file, i);
      size_t count = vq_file_tensor_count(from), differ = 0;
      cr_assert(from->dtype == VQ_FILE_F32 &&
                to->dtype == (d == 0   ? VQ_FILE_F32
                              : d == 1 ? VQ_FILE_F16
                                       : VQ_FILE_BF16) &&
                vq_file_tensor_count(to) == count);
      const float *want = from->data;
      const uint16_t *half = to->data;
      for (size_t k = 0; k < count; k++)
        differ += d == 0 ? memcmp((const float *)to->data + k, want + k, sizeof *want) != 0
                         : half[k] != (d == 1 ? vq_f32_to_f16(want[k]) : vq_f32_to_bf16(want[k]));
      cr_expect(!differ, "%s, %s: %zu of %zu differ", names[d], from->name, differ, count);
    }
    vq_safetensors_close(file);
  }
  /* A number that F16 does not have: nothing is written. */
  int count = vq_safetensors_count(stored);
  vq_file_tensor *all = calloc((size_t)count, sizeof *all);
  for (int i = 0; i < count; i++)
    all[i] = *vq_safetensors_at(stored, i);
  vq_file_tensor *last = &all[count - 1];
  float *changed = malloc(last->bytes);
  memcpy(changed, last->data, last->bytes);
  changed[vq_file_tensor_count(last) - 1] = -70000;
  last->data = changed;
  int pairs;
  const char *const *pair = vq_safetensors_metadata_pairs(stored, &pairs);
  expect_ok(vq_safetensors_write(in_scratch("large.safetensors"), all, count, pair, pairs));
  s = TOOL("convert", "large.safetensors", "--dtype", "f16", "-o", "none.safetensors");
  cr_expect(s.status == 1 && strstr(s.err, "-70000, that does not fit F16") && strstr(s.err, last->name), "%d %s",
            s.status, s.err);
  cr_expect(access(in_scratch("none.safetensors"), F_OK));
  forget(&s);
  s = TOOL_OK("convert", "large.safetensors", "--dtype", "bf16", "-o", "large-bf16.safetensors");
  forget(&s);
  free(changed);
  free(all);
  vq_safetensors_close(stored);
}

/* A file that has a published file's name and not its bytes. */
Test(layouts, a_wrong_hash_is_told, .init = scratch_create, .fini = scratch_remove)
{
  size_t bytes;
  uint8_t *data = get_file(LAYOUTS "openai/small.pt", &bytes);
  put_file(in_scratch("ViT-B-32.pt"), data, bytes);
  free(data);
  said s = TOOL("inspect", "ViT-B-32.pt", "--verify");
  cr_expect(s.status == 1 && strstr(s.out, "wrong: ") && strstr(s.err, "SHA-256"), "%d %s%s", s.status, s.out,
            s.err);
  forget(&s);
  /* What it was made from is remembered, and compared too. */
  s = TOOL_OK("convert", "ViT-B-32.pt", "--vocab", MERGES, "-o", "made.safetensors");
  forget(&s);
  s = TOOL("inspect", "made.safetensors", "--verify");
  cr_expect(s.status == 1 && strstr(s.out, "made from    ViT-B-32.pt") && strstr(s.out, "wrong: "), "%d %s",
            s.status, s.out);
  cr_expect(strstr(s.out, "right: "), "the file beside it is the one: %s", s.out);
  forget(&s);
  cr_expect_str_eq(vq_known_name("40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
                   "ViT-B-32.pt");
  cr_expect_null(vq_known_name("0"));
}

/* What a converted file was made from is known by its hash, of several files by each. */
Test(layouts, what_it_was_made_from_is_verified, .init = scratch_create, .fini = scratch_remove)
{
  static const char shards[] = VQ_SOURCE_ROOT "/tests/data/layouts/hugging_face";
  said s = TOOL_OK("convert", shards, "--vocab", MERGES, "-o", "made.safetensors");
  forget(&s);
  s = TOOL_OK("inspect", "made.safetensors", "--verify");
  cr_expect(!strstr(s.out, "right: ") && !strstr(s.out, "wrong: "), "it is not there: %s", s.out);
  forget(&s);
  s = TOOL_OK("inspect", "made.safetensors", "--verify", "--source", shards);
  cr_expect(strstr(s.out, "right: "), "%s", s.out);
  forget(&s);
  s = TOOL("inspect", "made.safetensors", "--verify", "--source", LAYOUTS "openai/small.pt");
  cr_expect(s.status == 1 && strstr(s.out, "wrong: " LAYOUTS "openai/small.pt is another file"), "%d %s", s.status,
            s.out);
  forget(&s);
  s = TOOL("inspect", "made.safetensors", "--verify", "--source", "none.pt");
  cr_expect(s.status == 1 && strstr(s.err, "none.pt"), "%d %s", s.status, s.err);
  forget(&s);
  s = TOOL("inspect", "made.safetensors", "--source", shards);
  cr_expect(s.status == 2 && strstr(s.err, "--verify"), "%d %s", s.status, s.err);
  forget(&s);
}

/* Which hash: SHA-256 where there is one to compare with, or where it is asked for; never both. */
Test(layouts, a_source_is_remembered_by_one_hash, .init = scratch_create, .fini = scratch_remove)
{
  static const char tiny[] = REFERENCE "vqgan_tiny.safetensors";
  const char *plain = vq_xxh128_is_there() ? "XXH3-128" : "SHA-256";
  const struct {
    const char *source, *option, *hash;
    bool list; /* there is a names.txt */
  } cases[] = {
      {tiny, "--dtype=stored", plain, false},
      {tiny, "--sha256", "SHA-256", false},
      {tiny, "--dtype=stored", "SHA-256", true},
      {LAYOUTS "hugging_face", "--dtype=stored", plain, true},
      {LAYOUTS "hugging_face", "--sha256", "SHA-256", true},
      {LAYOUTS "openai/small.pt", "--dtype=stored", "SHA-256", false},
  };
  unsetenv("VQGEN_MODELS");
  setenv("XDG_DATA_HOME", in_scratch("none"), 1);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    if (cases[i].list)
      put_file(in_scratch("names.txt"), "\n", 1);
    else
      remove(in_scratch("names.txt"));
    said s = TOOL_OK("convert", cases[i].source, cases[i].option, "--vocab", MERGES, "-o", "made.safetensors");
    forget(&s);
    s = TOOL_OK("inspect", "made.safetensors", "--verify", "--source", cases[i].source);
    const char *made_from = strstr(s.out, "made from");
    cr_assert(made_from, "%s", s.out);
    cr_expect(strstr(made_from, cases[i].hash), "case %zu: %s", i, made_from);
    cr_expect(!strstr(made_from, strcmp(cases[i].hash, "SHA-256") ? "SHA-256 " : "XXH3-128 "), "case %zu: %s", i,
              made_from);
    cr_expect(strstr(made_from, "right: "), "case %zu: %s", i, made_from);
    forget(&s);
  }
}

/* A bit that is another, also where the conversion reads nothing: in the transformer that is left out, between entries. */
Test(layouts, a_changed_byte_of_the_source_is_found, .init = scratch_create, .fini = scratch_remove)
{
  static const char *const options[] = {"--dtype=stored", "--sha256"};
  size_t bytes;
  uint8_t *data = get_file(LAYOUTS "taming/coco.ckpt", &bytes);
  unsetenv("VQGEN_MODELS");
  setenv("XDG_DATA_HOME", in_scratch("none"), 1);
  for (int i = 0; i < 2; i++) {
    put_file(in_scratch("coco.ckpt"), data, bytes);
    said s = TOOL_OK("convert", "coco.ckpt", "--config", LAYOUTS "taming/coco.yaml", options[i], "-o",
                     "made.safetensors");
    forget(&s);
    s = TOOL_OK("inspect", "made.safetensors", "--verify");
    cr_expect(strstr(s.out, "right: "), "%s", s.out);
    forget(&s);
    int wrong = 0;
    for (size_t part = 0; part < 24; part++) {
      const size_t at = part < 23 ? bytes * part / 23 + part % 5 : bytes - 1;
      data[at] ^= 4;
      put_file(in_scratch("coco.ckpt"), data, bytes);
      data[at] ^= 4;
      s = TOOL("inspect", "made.safetensors", "--verify"); /* 1 as well where it is no checkpoint any more */
      cr_expect(s.status == 1 && !strstr(s.out, "right: "), "byte %zu: %d %s%s", at, s.status, s.out, s.err);
      wrong += strstr(s.out, "wrong: ") != NULL;
      forget(&s);
    }
    cr_expect(wrong > 12, "%d", wrong);
  }
  free(data);
}

/* ---- what does not fit ---- */

static void expect_refusal(const char *path, const char *config, vq_status code, const char *const *words)
{
  vq_network *net = NULL;
  vq_status status = vq_network_open_any(&net, path, &(vq_network_hints){.config = config});
  cr_expect(status == code, "%s: status %d", path, status);
  for (; *words && status; words++)
    cr_expect(strstr(vq_error_message(), *words), "no \"%s\" in: %s", *words, vq_error_message());
  vq_network_close(net);
}
#define REFUSED(path, config, code, ...) \
  expect_refusal(path, config, code, (const char *const[]){__VA_ARGS__, NULL})

/* `count` tensors of [2,2] with these names, as a file. */
static const char *named(const char *const *names, int count)
{
  static const float values[16] = {0};
  vq_file_tensor tensor[8];
  const char *path = in_scratch("named.safetensors");
  for (int i = 0; i < count; i++)
    tensor[i] = (vq_file_tensor){names[i], VQ_FILE_F32, 4, {1, 1, 2, 2}, values, 16};
  cr_assert(!vq_safetensors_write(path, tensor, count, NULL, 0), "%s", vq_error_message());
  return path;
}
#define NAMED(...) \
  named((const char *const[]){__VA_ARGS__}, (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

Test(layouts, what_is_no_network_of_ours_is_named, .init = scratch_create, .fini = scratch_remove)
{
  REFUSED(NAMED("visual.conv1.weight", "visual.layer1.0.conv1.weight"), NULL, VQ_ERR_UNSUPPORTED, "ResNet",
          "ViT-B/32");
  REFUSED(NAMED("model.diffusion_model.input_blocks.0.0.weight"), NULL, VQ_ERR_NETWORK, "diffusion");
  REFUSED(NAMED("some.thing"), NULL, VQ_ERR_NETWORK, "some.thing", "decoder.conv_in.weight");
  REFUSED(NAMED("visual.conv1.weight", "visual.proj"), NULL, VQ_ERR_NETWORK, "image tower of a CLIP alone",
          "token_embedding.weight");
  REFUSED(NAMED("token_embedding.weight", "ln_final.weight"), NULL, VQ_ERR_NETWORK, "text tower of a CLIP alone");
  REFUSED(NAMED("text_model.embeddings.token_embedding.weight"), NULL, VQ_ERR_NETWORK,
          "text tower of a CLIP alone");
  REFUSED(NAMED("decoder.conv_in.weight"), NULL, VQ_ERR_NETWORK, "quantize.embedding.weight", "missing");
  REFUSED(NAMED("vision_model.embeddings.patch_embedding.weight",
                "vision_model.encoder.layers.0.self_attn.q_proj.weight"),
          NULL, VQ_ERR_NETWORK, "part 2 of 3", "in_proj_weight");
}

/* The tiny VQGAN as if it had been published without settings: a transformer's first stage. */
static const char *first_stage(void)
{
  static char path[PATH_MAX]; /* longer than in_scratch keeps it */
  vq_safetensors *file;
  snprintf(path, sizeof path, "%s", in_scratch("transformer.safetensors"));
  cr_assert(!vq_safetensors_open(&file, REFERENCE "vqgan_tiny.safetensors"));
  int count = vq_safetensors_count(file);
  vq_file_tensor *tensor = malloc((size_t)(count + 1) * sizeof *tensor);
  char(*name)[128] = malloc((size_t)(count + 1) * sizeof *name);
  for (int i = 0; i < count; i++) {
    tensor[i] = *vq_safetensors_at(file, i);
    snprintf(name[i], sizeof *name, "first_stage_model.%s", tensor[i].name);
    tensor[i].name = name[i];
  }
  /* Another network of the same kind, which the transformer was conditioned on, is not the one. */
  tensor[count] = tensor[vq_safetensors_find(file, "decoder.conv_in.weight") - vq_safetensors_at(file, 0)];
  tensor[count].name = "cond_stage_model.decoder.conv_in.weight";
  cr_assert(!vq_safetensors_write(path, tensor, count + 1, NULL, 0), "%s", vq_error_message());
  free(tensor);
  free(name);
  vq_safetensors_close(file);
  return path;
}

#define YAML(ch, mult, more)                                                                                 \
  "model:\n  target: taming.models.cond_transformer.Net2NetTransformer\n  params:\n    cond_stage_config:\n" \
  "      params: {n_embed: 7, ddconfig: {ch: 99}}\n    first_stage_config:\n      params:\n"                 \
  "        embed_dim: 16\n"                                                                                  \
  "        n_embed: 64\n        ddconfig:\n          ch: " ch                                                \
  "\n          z_channels: 16\n          num_res_blocks: 1\n"                                                \
  "          resolution: 32\n          ch_mult: " mult "\n          attn_resolutions:\n          - 16\n" more

Test(layouts, settings_are_compared_with_the_shapes, .init = scratch_create, .fini = scratch_remove)
{
  const char *path = first_stage();
  vq_network *net;
  cr_assert(!vq_network_open(&net, path, VQ_NETWORK_VQGAN, NULL), "%s", vq_error_message());
  cr_expect_str_eq(vq_network_layout(net)->prefix, "first_stage_model.");
  cr_expect(strstr(vq_network_assumed(net), "256"), "what no file told is said");
  cr_expect(!vq_network_whole(net), "%s", vq_error_message());
  vq_network_close(net);
#ifdef VQ_TEST_YAML
  cr_assert(!vq_network_open(&net, path, VQ_NETWORK_VQGAN,
                             &(vq_network_hints){text_file("good.yaml", YAML("32", "[2, 1]", ""))}),
            "%s", vq_error_message());
  cr_expect(vq_network_vqgan(net)->resolution == 32 && vq_network_vqgan(net)->attn_resolutions[0] == 16);
  cr_expect_str_eq(vq_network_assumed(net), "");
  vq_network_close(net);
  const char *flow =
      text_file("flow.yaml",
                "{model: {params: {embed_dim: 16, n_embed: 64, ddconfig: {ch: 32, resolution: 32, z_channels: 16,\n"
                "  num_res_blocks: 1, ch_mult: [2, 1], attn_resolutions: [16]}}}}\n");
  cr_assert(!vq_network_open(&net, path, VQ_NETWORK_VQGAN, &(vq_network_hints){flow}), "%s", vq_error_message());
  cr_expect(vq_network_vqgan(net)->resolution == 32 && !*vq_network_assumed(net), "%s", vq_network_assumed(net));
  vq_network_close(net);
  REFUSED(path, text_file("a.yaml", YAML("64", "[2, 1]", "")), VQ_ERR_NETWORK, "a.yaml", "ddconfig.ch 64",
          "encoder.conv_in.weight");
  REFUSED(path, text_file("b.yaml", YAML("32", "\n          - 1\n          - 2", "")), VQ_ERR_NETWORK,
          "ddconfig.ch_mult.0 1");
  REFUSED(path, text_file("c.yaml", YAML("32", "[2, 1, 4]", "")), VQ_ERR_NETWORK, "ddconfig.ch_mult.2",
          "decoder.up.2");
  REFUSED(path, text_file("d.yaml", YAML("32", "[2, 1]", "          - 32\n")), VQ_ERR_NETWORK, "attn_resolutions");
  REFUSED(path, text_file("e.yaml", "model: [1, 2"), VQ_ERR_FORMAT, "e.yaml", "line");
  REFUSED(path, text_file("f.yaml", "just words"), VQ_ERR_NETWORK, "ddconfig");
#endif
  REFUSED(path, text_file("g.json", "{\"ddconfig\": {\"ch\": 48}}"), VQ_ERR_NETWORK, "ddconfig.ch 48");
  REFUSED(path, text_file("h.json", "{\"ddconfig\": "), VQ_ERR_FORMAT, "h.json", "JSON");
  REFUSED(path, "nowhere.yaml", VQ_ERR_FILE, "nowhere.yaml");
  REFUSED(LAYOUTS "open_clip", text_file("i.json", "{\"vision_config\": {\"hidden_size\": 768}}"), VQ_ERR_NETWORK,
          "hidden_size 768", "visual.conv1.weight");
}

/* The tiny CLIP as if it had been published without settings, and with one tensor `more`. */
static const char *clip_with(const char *name, const char *more)
{
  static char path[PATH_MAX];
  static const float ones[64] = {0};
  vq_safetensors *file;
  snprintf(path, sizeof path, "%s", in_scratch(name));
  cr_assert(!vq_safetensors_open(&file, REFERENCE "clip_tinyA.safetensors"), "%s", vq_error_message());
  int count = vq_safetensors_count(file);
  vq_file_tensor *tensor = malloc((size_t)(count + 1) * sizeof *tensor);
  for (int i = 0; i < count; i++)
    tensor[i] = *vq_safetensors_at(file, i);
  tensor[count] = (vq_file_tensor){more, VQ_FILE_F32, 1, {64}, ones, sizeof ones};
  cr_assert(!vq_safetensors_write(path, tensor, count + 1, NULL, 0), "%s", vq_error_message());
  free(tensor);
  vq_safetensors_close(file);
  return path;
}

/* Names that begin as a tower's do, of a thing that our tower does not compute: said, and left out. */
Test(layouts, what_the_network_does_not_use_is_superfluous, .init = scratch_create, .fini = scratch_remove)
{
  clip_with("scaled.safetensors", "visual.transformer.resblocks.0.ls_1.gamma");
  said s = TOOL_OK("convert", "scaled.safetensors", "--vocab", MERGES, "-o", "out.safetensors");
  cr_expect(strstr(s.err, "ls_1.gamma"), "%s", s.err);
  forget(&s);
  s = TOOL_OK("inspect", "scaled.safetensors");
  cr_expect(strstr(s.out, "superfluous  visual.transformer.resblocks.0.ls_1.gamma"), "%s", s.out);
  forget(&s);
  s = TOOL_OK("inspect", "out.safetensors", "--tensors");
  cr_expect(!strstr(s.out, "ls_1") && strstr(s.out, "logit_scale"), "%s", s.out);
  forget(&s);
  s = TOOL_OK("embed", "--clip", "scaled.safetensors", "--vocab", MERGES, "--text", "a");
  cr_expect(strstr(s.err, "ls_1.gamma") && strstr(s.err, "not used"), "%s", s.err);
  forget(&s);
}

/* Settings that lie beside a checkpoint by chance are not asked; by --config they must be a CLIP's. */
Test(layouts, settings_of_another_network, .init = scratch_create, .fini = scratch_remove)
{
  const char *path = clip_with("clip.safetensors", "logit_bias");
  vq_network *net;
  text_file("config.json", "{\"ddconfig\": {\"ch\": 48}, \"n_embed\": 7}");
  cr_assert(!vq_network_open(&net, path, VQ_NETWORK_CLIP, NULL), "%s", vq_error_message());
  cr_expect_null(vq_network_config_file(net));
  cr_expect(strstr(vq_network_assumed(net), "activation"), "%s", vq_network_assumed(net));
  int width = vq_network_clip(net)->embed_dim;
  vq_network_close(net);
  REFUSED(path, in_scratch("config.json"), VQ_ERR_NETWORK, "config.json", "not those of a CLIP");
  /* open_clip's own files have their settings at the root. */
  char text[256];
  snprintf(text, sizeof text, "{\"embed_dim\": %d, \"vision_cfg\": {}, \"text_cfg\": {}, \"quick_gelu\": true}",
           width);
  text_file("config.json", text);
  cr_assert(!vq_network_open(&net, path, VQ_NETWORK_CLIP, NULL), "%s", vq_error_message());
  cr_expect(vq_network_config_file(net) && !vq_network_clip(net)->exact_gelu && !*vq_network_assumed(net));
  vq_network_close(net);
  snprintf(text, sizeof text, "{\"embed_dim\": %d, \"vision_cfg\": {}, \"text_cfg\": {}}", width + 1);
  REFUSED(path, text_file("config.json", text), VQ_ERR_NETWORK, "embed_dim", "visual.proj");
}

/* ---- where they are ---- */

/* As Hugging Face's tools keep what they have downloaded. */
Test(layouts, found_by_name_and_by_its_files, .init = scratch_create, .fini = scratch_remove)
{
  static const char *const folders[] = {"models--openai--clip-vit-base-patch32",
                                        "models--openai--clip-vit-base-patch32/snapshots",
                                        "models--openai--clip-vit-base-patch32/snapshots/3d74"};
  char file[PATH_MAX];
  char *path;
  for (int i = 0; i < 3; i++)
    cr_assert(!mkdir(in_scratch(folders[i]), 0700));
  snprintf(file, sizeof file, "%s/model.safetensors", in_scratch(folders[2]));
  cr_assert(!symlink(LAYOUTS "hugging_face/model.safetensors", file) && !setenv("HF_HUB_CACHE", scratch, 1));
  for (int i = 0; i < 2; i++) {
    cr_assert(!vq_network_find(&path, i ? "openai/clip-vit-base-patch32" : "ViT-B/32"), "%s", vq_error_message());
    cr_expect_str_eq(path, file);
    free(path);
  }
  cr_expect(vq_network_find(&path, "ViT-B/16") == VQ_ERR_FILE && strstr(vq_error_message(), "ViT-B/16"));
  remove(file);
  for (int i = 3; i-- > 0;)
    rmdir(in_scratch(folders[i]));
  /* The files of one network, in any order. */
  said s = TOOL_OK("convert", LAYOUTS "hugging_face/config.json", LAYOUTS "hugging_face/model.safetensors", MERGES,
                   "-o", "a.safetensors");
  cr_expect(strstr(s.err, "hugging_face/config.json"), "%s", s.err);
  forget(&s);
  s = TOOL("convert", LAYOUTS "openai/small.pt", LAYOUTS "hugging_face/model.safetensors", "-o", "a.safetensors");
  cr_expect(s.status == 2 && strstr(s.err, "both checkpoints"), "%d %s", s.status, s.err);
  forget(&s);
  s = TOOL("convert", MERGES, "-o", "a.safetensors");
  cr_expect(s.status == 2 && strstr(s.err, "no checkpoint"), "%d %s", s.status, s.err);
  forget(&s);
}
