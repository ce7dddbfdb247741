/* no_xxh128.c -- stands in for xxh128.c where a build lacks libxxhash. */
#include "loaders/xxh128.h"

bool vq_xxh128_is_there(void)
{
  return false;
}

vq_status vq_xxh128_file(const char *path, char hex[VQ_XXH128_HEX])
{
  (void)hex;
  return vq_fail(VQ_ERR_UNSUPPORTED,
                 "'%s': this build has no XXH3-128; build it with libxxhash, or compare by xxh128sum", path);
}
