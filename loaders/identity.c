/* identity.c -- name, size and checksum. */
#include "loaders/identity.h"

#include "loaders/input.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

vq_status vq_identify(vq_identity *out, const char *path)
{
  vq_input input;
  const char *slash;
  *out = (vq_identity){.bytes = 0};
  VQ_TRY(vq_input_open(&input, path));
  slash = strrchr(path, '/');
  snprintf(out->name, sizeof out->name, "%s", slash ? slash + 1 : path);
  out->bytes = (int64_t)input.bytes;
  out->crc = (uint32_t)crc32_z(crc32_z(0, NULL, 0), input.data, input.bytes);
  vq_input_close(&input);
  return VQ_OK;
}

bool vq_identity_same(const vq_identity *a, const vq_identity *b)
{
  return a->bytes == b->bytes && a->crc == b->crc;
}
