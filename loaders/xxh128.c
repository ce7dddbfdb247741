/* xxh128.c -- libxxhash, given a file block by block. */
#include "loaders/xxh128.h"

#include "loaders/input.h"

#include <stdio.h>
#include <xxhash.h>

bool vq_xxh128_is_there(void)
{
  return true;
}

static void add_block(void *user, const void *block, size_t bytes)
{
  XXH3_128bits_update(user, block, bytes);
}

vq_status vq_xxh128_file(const char *path, char hex[VQ_XXH128_HEX])
{
  XXH3_state_t *state = XXH3_createState();
  if (!state)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a hash");
  XXH3_128bits_reset(state);
  vq_status status = vq_input_each(path, add_block, state);
  const XXH128_hash_t hash = XXH3_128bits_digest(state);
  XXH3_freeState(state);
  snprintf(hex, VQ_XXH128_HEX, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
  return status;
}
