/* identity.c -- name, size and checksum. */
#include "loaders/identity.h"

#include "loaders/input.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

static void add_block(void *user, const void *block, size_t bytes)
{
  vq_identity *identity = user;
  identity->bytes += (int64_t)bytes;
  identity->crc = (uint32_t)crc32_z(identity->crc, block, bytes);
}

vq_status vq_identity_add(vq_identity *identity, const char *path)
{
  return vq_input_each(path, add_block, identity);
}

vq_status vq_identify(vq_identity *out, const char *path)
{
  const char *slash = strrchr(path, '/');
  *out = (vq_identity){.bytes = 0};
  snprintf(out->name, sizeof out->name, "%s", slash ? slash + 1 : path);
  return vq_identity_add(out, path);
}

bool vq_identity_same(const vq_identity *a, const vq_identity *b)
{
  return a->bytes == b->bytes && a->crc == b->crc;
}
