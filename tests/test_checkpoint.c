/* test_checkpoint.c -- what every container gives, and the hash by which files are known. */
#include "tests/scratch.h"

#include "loaders/checkpoint.h"
#include "loaders/safetensors.h"
#include "loaders/sha256.h"

TestSuite(checkpoint, .init = scratch_create, .fini = scratch_remove);

#define REFERENCE VQ_SOURCE_ROOT "/tests/data/reference/"

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
  cr_assert_eq(vq_checkpoint_count(got), vq_safetensors_count(want));
  for (int i = 0; i < vq_checkpoint_count(got); i++) {
    const vq_file_tensor *a = vq_safetensors_at(want, i), *b = vq_checkpoint_at(got, i);
    uint8_t *out = malloc(a->bytes + 1);
    cr_expect_str_eq(a->name, b->name);
    cr_expect(a->dtype == b->dtype && a->rank == b->rank && a->bytes == b->bytes && b->data, "%s", a->name);
    cr_expect(!memcmp(a->dim, b->dim, sizeof a->dim), "%s", a->name);
    for (int64_t k = a->rank - 1, step = 1; k >= 0; step *= a->dim[k--])
      cr_expect_eq(vq_checkpoint_strides(got, i)[k], step, "%s", a->name);
    expect_ok(vq_checkpoint_read(got, i, out));
    cr_expect(!memcmp(a->data, out, a->bytes), "%s", a->name);
    cr_expect_eq(vq_checkpoint_find(got, a->name), i);
    free(out);
  }
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
