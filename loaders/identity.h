/* identity.h -- which file it was: what a picture says of the files that it was made with, without saying where they lay. */
#ifndef VQ_LOADERS_IDENTITY_H
#define VQ_LOADERS_IDENTITY_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct vq_identity {
  char name[256]; /* the last part of its path */
  int64_t bytes;
  uint32_t crc; /* CRC-32 of it all, as zip and PNG have it: against mistakes, not against forgers */
} vq_identity;

/* Reads the whole file. VQ_ERR_FILE, VQ_ERR_FORMAT for an empty one. */
vq_status vq_identify(vq_identity *out, const char *path);

/* What comes after it: a network in several files is all of them, one after the other. */
vq_status vq_identity_add(vq_identity *identity, const char *path);

/* The same content; the name does not matter. */
bool vq_identity_same(const vq_identity *a, const vq_identity *b);

#endif
