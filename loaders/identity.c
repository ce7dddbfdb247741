/* identity.c -- name, size and checksum. */
#include "loaders/identity.h"

#include "loaders/input.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

vq_status vq_identity_add(vq_identity *identity, const char *path)
{
  vq_input input;
  VQ_TRY(vq_input_open(&input, path));
  identity->bytes += (int64_t)input.bytes;
  identity->crc = (uint32_t)crc32_z(identity->crc, input.data, input.bytes);
  vq_input_close(&input);
  return VQ_OK;
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
