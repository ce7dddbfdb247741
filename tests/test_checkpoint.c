/* test_checkpoint.c -- every container by the program that writes it, against what that program reads from it; and the hash
 * by which files are known. tests/compare/make_checkpoints.py has made the files.
 */
#include "tests/scratch.h"

#include "loaders/checkpoint.h"
#include "loaders/safetensors.h"
#include "loaders/sha256.h"
#include "loaders/xxh128.h"

#include <jansson.h>

TestSuite(checkpoint, .init = scratch_create, .fini = scratch_remove);

#define REFERENCE VQ_SOURCE_ROOT "/tests/data/reference/"

#define MADE     VQ_SOURCE_ROOT "/tests/data/checkpoints/"
#define CALLBACK "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"

/* What a file must give: the tensors of another, and its values; what it must say. NULL: nothing. */
static const struct {
  const char *path;
  vq_container container;
  const char *tensors, *values, *note;
} files[] = {
    {"zip-new.ckpt", VQ_CONTAINER_TORCH_ZIP, "dict", "values", "'" CALLBACK "'"},
    {"zip-1.13.ckpt", VQ_CONTAINER_TORCH_ZIP, "dict", "values", "'" CALLBACK "'"},
    {"protocol4.ckpt", VQ_CONTAINER_TORCH_ZIP, "dict", "values", "'" CALLBACK "'"},
    {"deflated.ckpt", VQ_CONTAINER_TORCH_ZIP, "dict", "values", "'" CALLBACK "'"},
    {"streamed.ckpt", VQ_CONTAINER_TORCH_ZIP, "dict", "values", "'" CALLBACK "'"},
    {"reordered.ckpt", VQ_CONTAINER_TORCH_ZIP, "dict", "values", "'" CALLBACK "'"},
    {"legacy-new.ckpt", VQ_CONTAINER_TORCH_LEGACY, "dict", "values", "'" CALLBACK "'"},
    {"legacy-1.13.ckpt", VQ_CONTAINER_TORCH_LEGACY, "dict", "values", "'" CALLBACK "'"},
    {"dict.safetensors", VQ_CONTAINER_SAFETENSORS, "dict", NULL, NULL},
    {"module.pt", VQ_CONTAINER_TORCH_ZIP, "model", NULL, "calls of '__main__.Block', '__main__.Heads', "},
    {"scripted-new.pt", VQ_CONTAINER_TORCHSCRIPT, "model", NULL, NULL},
    {"scripted-1.13.pt", VQ_CONTAINER_TORCHSCRIPT, "model", NULL, NULL},
    {"traced-new.pt", VQ_CONTAINER_TORCHSCRIPT, "model", NULL, NULL},
    {"traced-1.13.pt", VQ_CONTAINER_TORCHSCRIPT, "model", NULL, NULL},
    {"shards", VQ_CONTAINER_SAFETENSORS, "model", NULL, NULL},
    {"shards/model.safetensors.index.json", VQ_CONTAINER_SAFETENSORS, "model", NULL, NULL},
};

/* One after the other, by what the strides say. */
static bool lies_dense(const vq_checkpoint *c, int i)
{
  const vq_file_tensor *t = vq_checkpoint_at(c, i);
  int64_t step = 1;
  for (int k = t->rank - 1; k >= 0; step *= t->dim[k--])
    if (t->dim[k] != 1 && vq_checkpoint_strides(c, i)[k] != step)
      return false;
  return true;
}

/* Names, types, shapes and every bit of `got` are those of `want`, a safetensors file; returns how many do not lie as wanted. */
static int expect_tensors(const vq_checkpoint *got, const char *path, const vq_safetensors *want)
{
  int turned = 0;
  cr_assert_eq(vq_checkpoint_count(got), vq_safetensors_count(want), "%s: %d tensors, not %d", path,
               vq_checkpoint_count(got), vq_safetensors_count(want));
  for (int i = 0; i < vq_checkpoint_count(got); i++) {
    const vq_file_tensor *a = vq_safetensors_at(want, i), *b = vq_checkpoint_at(got, i);
    uint8_t *out = malloc(a->bytes + 1);
    cr_assert_str_eq(a->name, b->name, "%s", path);
    cr_assert(a->dtype == b->dtype && a->rank == b->rank && a->bytes == b->bytes, "%s: %s", path, a->name);
    cr_expect(!memcmp(a->dim, b->dim, sizeof a->dim), "%s: %s", path, a->name);
    out[a->bytes] = 0x5a;
    expect_ok(vq_checkpoint_read(got, i, out));
    cr_expect(!memcmp(a->data, out, a->bytes), "%s: %s has other numbers", path, a->name);
    cr_expect_eq(out[a->bytes], 0x5a, "%s: %s is written past its end", path, a->name);
    cr_expect(!b->data || !a->bytes || !memcmp(a->data, b->data, a->bytes),
              "%s: %s has other numbers where it lies", path, a->name);
    if (a->bytes && !lies_dense(got, i)) {
      cr_expect(!b->data, "%s: %s", path, a->name);
      turned++;
    }
    cr_expect_eq(vq_checkpoint_find(got, a->name), i);
    free(out);
  }
  return turned;
}

static void expect_values(const vq_checkpoint *got, const char *path, const char *json)
{
  json_error_t error;
  json_t *all = json_load_file(json, 0, &error), *want;
  const char *name;
  cr_assert(all, "%s: %s", json, error.text);
  cr_expect_eq(vq_checkpoint_values(got), (int)json_object_size(all), "%s", path);
  json_object_foreach (all, name, want) {
    const vq_checkpoint_value *v = vq_checkpoint_value_find(got, name);
    cr_assert(v, "%s has no %s", path, name);
    cr_expect(json_is_string(want) ? v->kind == VQ_VALUE_TEXT && !strcmp(v->text, json_string_value(want)) &&
                                         v->length == strlen(v->text)
              : json_is_boolean(want) ? v->kind == VQ_VALUE_BOOL && v->integer == json_is_true(want)
              : json_is_integer(want) ? v->kind == VQ_VALUE_INT && v->integer == json_integer_value(want)
              : json_is_real(want)    ? v->kind == VQ_VALUE_FLOAT && v->number == json_real_value(want)
                                      : v->kind == VQ_VALUE_NONE && json_is_null(want),
              "%s: %s", path, name);
  }
  json_decref(all);
}

Test(checkpoint, every_writer)
{
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[PATH_MAX], tensors[PATH_MAX], values[PATH_MAX];
    vq_safetensors *want;
    vq_checkpoint *got;
    snprintf(path, sizeof path, "%s%s", MADE, files[i].path);
    snprintf(tensors, sizeof tensors, "%s%s.safetensors", MADE, files[i].tensors);
    expect_ok(vq_safetensors_open(&want, tensors));
    expect_ok(vq_checkpoint_open(&got, path));
    cr_expect_eq(vq_checkpoint_container(got), files[i].container, "%s is taken for %s", path,
                 vq_container_name(vq_checkpoint_container(got)));
    int turned = expect_tensors(got, path, want);
    cr_expect_eq(turned, files[i].values ? 9 : 0, "%s: %d", path, turned);
    if (files[i].values) {
      snprintf(values, sizeof values, "%s%s.json", MADE, files[i].values);
      expect_values(got, path, values);
    }
    cr_expect_eq(vq_checkpoint_notes(got), files[i].note != NULL, "%s", path);
    if (files[i].note && vq_checkpoint_notes(got))
      cr_expect(strstr(vq_checkpoint_note(got, 0), files[i].note), "%s: %s", path, vq_checkpoint_note(got, 0));
    vq_checkpoint_close(got);
    vq_safetensors_close(want);
  }
}

/* A storage that is a part of another, as PyTorch before 0.4 wrote them: (key, begin, elements). */
Test(checkpoint, storages_that_are_views)
{
  vq_checkpoint *c;
  float part[5], whole[12];
  expect_ok(vq_checkpoint_open(&c, MADE "legacy-views.pt"));
  cr_assert_eq(vq_checkpoint_count(c), 2);
  expect_ok(vq_checkpoint_read(c, vq_checkpoint_find(c, "whole"), whole));
  expect_ok(vq_checkpoint_read(c, vq_checkpoint_find(c, "part"), part));
  cr_expect_eq(whole[0], -2);
  cr_expect(!memcmp(part, whole + 5, sizeof part));
  vq_checkpoint_close(c);
}

/* Tensors of types that are not read do not keep the others from being read. */
Test(checkpoint, what_is_left_out)
{
  static const char *const words[] = {
      "tensor 'unsigned' is left out: its type", "tensor 'complex' is left out: its type",
      "tensor 'ranks' is left out: it has more dimensions", "'torch._utils._rebuild_sparse_tensor'"};
  vq_checkpoint *c;
  expect_ok(vq_checkpoint_open(&c, MADE "left-out.pt"));
  cr_expect_eq(vq_checkpoint_count(c), 1);
  cr_expect_eq(vq_checkpoint_find(c, "kept"), 0);
  cr_assert_geq(vq_checkpoint_notes(c), 4);
  for (int i = 0; i < 4; i++)
    cr_expect(strstr(vq_checkpoint_note(c, i), words[i]), "%s", vq_checkpoint_note(c, i));
  vq_checkpoint_close(c);
}

/* TorchScript's mixture: what CLIP computes with in half precision is stored so, layer norms are not. */
Test(checkpoint, torchscript_types)
{
  vq_checkpoint *c;
  expect_ok(vq_checkpoint_open(&c, MADE "traced-1.13.pt"));
  cr_expect_eq(vq_checkpoint_at(c, vq_checkpoint_find(c, "visual.proj"))->dtype, VQ_FILE_F16);
  cr_expect_eq(vq_checkpoint_at(c, vq_checkpoint_find(c, "visual.ln_pre.weight"))->dtype, VQ_FILE_F32);
  cr_expect_eq(vq_checkpoint_at(c, vq_checkpoint_find(c, "context_length"))->dtype, VQ_FILE_I64);
  vq_checkpoint_close(c);
}

Test(checkpoint, files_of_a_folder)
{
  const char *const names[] = {"model.safetensors.index.json", "model-00001-of-00002.safetensors",
                               "model-00002-of-00002.safetensors"};
  vq_checkpoint *c;
  uint64_t bytes;
  expect_ok(vq_checkpoint_open(&c, MADE "shards"));
  cr_assert_eq(vq_checkpoint_files(c), 3);
  for (int i = 0; i < 3; i++) {
    cr_expect(strstr(vq_checkpoint_file(c, i, &bytes), names[i]), "%s", vq_checkpoint_file(c, i, NULL));
    cr_expect(bytes > 1000);
  }
  vq_checkpoint_close(c);
}

/* Everything that safetensors.h hands out is there, under the other interface. */
Test(checkpoint, safetensors)
{
  const char *path = REFERENCE "gumbel_tiny.safetensors";
  const char *const *pair;
  vq_safetensors *want;
  vq_checkpoint *got;
  uint64_t bytes;
  size_t size;
  int pairs;
  expect_ok(vq_safetensors_open(&want, path));
  expect_ok(vq_checkpoint_open(&got, path));
  cr_expect_eq(vq_checkpoint_container(got), VQ_CONTAINER_SAFETENSORS);
  cr_expect_eq(expect_tensors(got, path, want), 0);
  cr_expect_eq(vq_checkpoint_find(got, "none"), -1);

  pair = vq_safetensors_metadata_pairs(want, &pairs);
  cr_assert(pairs > 0);
  cr_assert_eq(vq_checkpoint_values(got), pairs);
  for (int i = 0; i < pairs; i++) {
    const vq_checkpoint_value *v = vq_checkpoint_value_find(got, pair[2 * i]);
    cr_assert(v && v->kind == VQ_VALUE_TEXT && v->length == strlen(pair[2 * i + 1]), "%s", pair[2 * i]);
    cr_expect_str_eq(v->text, pair[2 * i + 1]);
  }
  cr_expect_null(vq_checkpoint_value_find(got, "none"));
  cr_expect_eq(vq_checkpoint_notes(got), 0);
  cr_expect_eq(vq_checkpoint_files(got), 1);
  cr_expect_str_eq(vq_checkpoint_file(got, 0, &bytes), path);
  free(get_file(path, &size));
  cr_expect_eq(bytes, size);
  vq_checkpoint_close(got);
  vq_safetensors_close(want);
}

/* ---- SHA-256 ---- */

static void expect_hash(const void *data, size_t bytes, bool plain, const char *want)
{
  char hex[VQ_SHA256_HEX];
  vq_sha256 hash;
  vq_sha256_begin(&hash);
  hash.plain |= plain;
  vq_sha256_add(&hash, data, bytes);
  vq_sha256_end(&hash, hex);
  cr_expect_str_eq(hex, want, "%zu bytes%s: %s", bytes, plain ? ", plain" : "", hex);
}

/* The standard's own examples. */
Test(checkpoint, sha256_of_the_standard)
{
  const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  char *million = malloc(1000000);
  memset(million, 'a', 1000000);
  for (int plain = 0; plain < 2; plain++) {
    expect_hash("", 0, plain, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_hash("abc", 3, plain, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_hash(two, 56, plain, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_hash(million, 1000000, plain, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
  free(million);
}

/* Every length around two blocks, in pieces of every size, with and without the processor's instructions: one hash. */
Test(checkpoint, sha256_in_pieces)
{
  uint8_t data[150];
  for (int i = 0; i < 150; i++)
    data[i] = (uint8_t)vq_rng_bits(1, VQ_RNG_WEIGHTS, 0, (uint64_t)i);
  for (size_t n = 0; n <= sizeof data; n++) {
    char whole[VQ_SHA256_HEX], hex[VQ_SHA256_HEX];
    vq_sha256 hash;
    vq_sha256_begin(&hash);
    vq_sha256_add(&hash, data, n);
    vq_sha256_end(&hash, whole);
    for (size_t piece = 1; piece <= 130; piece += 1 + piece / 8) {
      vq_sha256_begin(&hash);
      hash.plain |= piece % 2;
      for (size_t at = 0; at < n; at += piece)
        vq_sha256_add(&hash, data + at, n - at < piece ? n - at : piece);
      vq_sha256_end(&hash, hex);
      cr_expect_str_eq(hex, whole, "%zu bytes in pieces of %zu", n, piece);
    }
  }
}

/* sha256sum says the same of a real file. */
Test(checkpoint, sha256_of_a_file)
{
  const char *path = REFERENCE "gumbel_tiny.safetensors";
  char hex[VQ_SHA256_HEX], theirs[VQ_SHA256_HEX] = "", line[PATH_MAX + 32];
  expect_ok(vq_sha256_file(path, hex));
  snprintf(line, sizeof line, "sha256sum '%s' 2>/dev/null", path);
  FILE *pipe = popen(line, "r");
  cr_assert(pipe);
  size_t got = fread(theirs, 1, VQ_SHA256_HEX - 1, pipe);
  pclose(pipe);
  if (got != VQ_SHA256_HEX - 1)
    skip_test("no sha256sum: not compared");
  cr_expect_str_eq(hex, theirs);
  expect_error(vq_sha256_file(in_scratch("none"), hex), VQ_ERR_FILE, "none");
}

/* ---- XXH3-128 ---- */

/* By Python's xxhash 0.8.4, at the lengths where the function takes another way, and about the block that is read at a time. */
Test(checkpoint, xxh128_of_python)
{
  static const struct {
    size_t bytes;
    const char *hash;
  } known[] = {
      {1, "a6cd5e9392000f6ac44bdff4074eecdb"},      {3, "f21da334f2869f1beb5d658bb22f286b"},
      {4, "02bcd88141b236e81a1bbef6cc144a75"},      {8, "b9294eb533e669c7c819d75bc4dbfb34"},
      {9, "4b25a756ef53e944f2353ea3c4cb81d6"},      {16, "a8075b5d1800fbea1d9b37dc2c15579b"},
      {17, "1f5a02746056b673aabe63e38d07b8d9"},     {128, "ae7cb0a73c4faafa8ce64a8cab71ba09"},
      {129, "5ea024707f101f99e6f71e7b0d8d5cf9"},    {240, "66ee7057f6ce5e49b93f7730465ad09c"},
      {241, "cbe61049dced72d5f56317f96d46b5b0"},    {1024, "3a4018bc7058c557fe3cd84c9e97a5ad"},
      {262143, "daa4f2e30175f9ee69d4b97a1bf4ac84"}, {262144, "91811e855f4b3d16a9a178d3950e3f2b"},
      {262145, "12b5733db08d4a3e7eba9e15cf97263a"}, {786439, "3cea8febacd1b9cba04f2f53e783e305"},
  };
  static uint8_t data[786439];
  char hex[VQ_XXH128_HEX];
  if (!vq_xxh128_is_there())
    skip_test("no libxxhash");
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (uint8_t)(i * i >> 3);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    put_file(in_scratch("data"), data, known[i].bytes);
    expect_ok(vq_xxh128_file(in_scratch("data"), hex));
    cr_expect_str_eq(hex, known[i].hash, "%zu bytes: %s", known[i].bytes, hex);
  }
  expect_error(vq_xxh128_file(in_scratch("none"), hex), VQ_ERR_FILE, "none");
}

/* One bit, in the first, some or the last byte of each block that is read. */
Test(checkpoint, every_part_of_a_file_is_hashed)
{
  enum { BLOCK = 256 << 10, BYTES = 3 * BLOCK + 5 };
  static uint8_t data[BYTES];
  char hex[VQ_SHA256_HEX], whole[2][VQ_SHA256_HEX];
  vq_status (*const take[2])(const char *path, char *hex) = {vq_sha256_file, vq_xxh128_file};
  const int hashes = vq_xxh128_is_there() ? 2 : 1;
  for (size_t i = 0; i < BYTES; i++)
    data[i] = (uint8_t)vq_rng_bits(2, VQ_RNG_WEIGHTS, 0, (uint64_t)i);
  put_file(in_scratch("data"), data, BYTES);
  for (int h = 0; h < hashes; h++)
    expect_ok(take[h](in_scratch("data"), whole[h]));
  for (size_t block = 0; block * BLOCK < BYTES; block++) {
    const size_t first = block * BLOCK, last = first + BLOCK < BYTES ? first + BLOCK - 1 : BYTES - 1;
    const size_t at[] = {first, first + (last - first) / 3, last};
    for (int i = 0; i < 3; i++) {
      data[at[i]] ^= (uint8_t)(1 << i);
      put_file(in_scratch("data"), data, BYTES);
      data[at[i]] ^= (uint8_t)(1 << i);
      for (int h = 0; h < hashes; h++) {
        expect_ok(take[h](in_scratch("data"), hex));
        cr_expect_str_neq(hex, whole[h], "byte %zu is not in hash %d", at[i], h);
      }
    }
  }
}
