/* source_hash.c -- the two hashes as one. Contract: source_hash.h. */
#include "runtime/source_hash.h"

#include "loaders/sha256.h"
#include "loaders/xxh128.h"

#include <stdlib.h>
#include <string.h>

static const struct {
  const char *key, *name;
  size_t room; /* of one file's digits and what stands behind them */
  vq_status (*take)(const char *path, char *hex);
} hashes[] = {
    [VQ_SOURCE_SHA256] = {"source_sha256", "SHA-256", VQ_SHA256_HEX, vq_sha256_file},
    [VQ_SOURCE_XXH128] = {"source_xxh128", "XXH3-128", VQ_XXH128_HEX, vq_xxh128_file},
};

const char *vq_source_hash_key(vq_source_hash hash)
{
  return hashes[hash].key;
}

const char *vq_source_hash_name(vq_source_hash hash)
{
  return hashes[hash].name;
}

char *vq_source_hash_room(vq_source_hash hash, const vq_checkpoint *file)
{
  const size_t one = hashes[hash].room, all = one * (size_t)vq_checkpoint_files(file);
  char *text = malloc(all);
  if (!text)
    return NULL;
  for (size_t i = 0; i < all; i++)
    text[i] = (i + 1) % one ? '0' : ' ';
  text[all - 1] = 0;
  return text;
}

vq_status vq_source_hash_take(char *text, vq_source_hash hash, const vq_checkpoint *file)
{
  const int files = vq_checkpoint_files(file);
  for (int i = 0; i < files; i++, text += hashes[hash].room) {
    VQ_TRY(hashes[hash].take(vq_checkpoint_file(file, i, NULL), text));
    if (i + 1 < files)
      text[hashes[hash].room - 1] = ' ';
  }
  return VQ_OK;
}

const char *vq_source_hash_recorded(vq_source_hash *hash, const vq_checkpoint *converted)
{
  for (int i = 0; i < VQ_SOURCE_HASHES; i++) {
    const vq_checkpoint_value *value = vq_checkpoint_value_find(converted, hashes[i].key);
    if (value && value->kind == VQ_VALUE_TEXT) {
      *hash = (vq_source_hash)i;
      return value->text;
    }
  }
  return NULL;
}
