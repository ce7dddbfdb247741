/* sha256.h -- SHA-256 (FIPS 180-4), by which published checkpoints are known.
 *
 * Its own code and not a library's: the standard is a page long and will not change, OpenSSL would be the largest thing that
 * vqgen links, and a file of a gigabyte wants the processor's own instructions, which are used where there are any.
 */
#ifndef VQ_LOADERS_SHA256_H
#define VQ_LOADERS_SHA256_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VQ_SHA256_HEX 65 /* 64 digits and the 0 after them */

typedef struct vq_sha256 {
  uint32_t state[8];
  uint64_t bytes; /* so far */
  uint8_t block[64];
  bool plain; /* set after `begin`: without the processor's own instructions, for the tests */
} vq_sha256;

void vq_sha256_begin(vq_sha256 *hash);
void vq_sha256_add(vq_sha256 *hash, const void *data, size_t bytes);
void vq_sha256_end(vq_sha256 *hash, char hex[VQ_SHA256_HEX]);

/* Of a whole file. As vq_input_each fails. */
vq_status vq_sha256_file(const char *path, char hex[VQ_SHA256_HEX]);

#endif
