/* zip.h -- finds and unpacks the entries of zip archives, zip64 ones too, in a mapped file.
 *
 *     for each entry   a local header: name, sizes, and extra bytes by which PyTorch aligns what follows
 *                      its bytes, stored as they are or deflated; after them perhaps a descriptor with the sizes
 *     the directory    for each entry its name, sizes, CRC and where its local header is
 *     the end          where the directory is; for zip64 the same in 64 bits before it
 *
 * The directory is believed, the local headers only as to where the bytes begin: written in one pass, they have no sizes.
 */
#ifndef VQ_LOADERS_ZIP_H
#define VQ_LOADERS_ZIP_H

#include "base/arena.h"
#include "loaders/input.h"

typedef struct vq_zip_entry {
  const char *name; /* UTF-8 */
  uint64_t bytes;   /* unpacked */
  const uint8_t *data;
  uint64_t packed; /* bytes at `data` */
  uint32_t crc;    /* of the unpacked bytes. PyTorch can be told not to compute it: wrong ones are about */
  uint16_t method; /* 0: `data` is the content; 8: deflated */
} vq_zip_entry;

typedef struct vq_zip {
  int count;
  vq_zip_entry *entry; /* by name */
  vq_arena arena;
} vq_zip;

/* The caller puts the file's name before the message; `input` must stay. VQ_ERR_FORMAT: no archive, truncated, damaged;
 * entries that overlap, or claim to unpack to more than deflate can make of them. VQ_ERR_UNSUPPORTED: encrypted, in parts. */
vq_status vq_zip_open(vq_zip *out, const vq_input *input);
void vq_zip_close(vq_zip *zip);

/* Does it have an end? A truncated one has none. */
bool vq_zip_is_whole(const vq_input *input);

/* The bytes of the first entry, without the directory: out of a truncated archive. Their number is not known: *bytes goes to
 * the end of the file. NULL: it is not stored, or not called NAME or FOLDER/NAME. */
const uint8_t *vq_zip_first(const vq_input *input, const char *name, size_t *bytes);

/* NULL when there is none of that name. */
const vq_zip_entry *vq_zip_find(const vq_zip *zip, const char *name);

/* `bytes` bytes of what it unpacks to, from `offset` on, to out. VQ_ERR_FORMAT: damaged, or it has fewer;
 * VQ_ERR_UNSUPPORTED: packed by another method. Deflated ones are checked against their CRC where they are read to the end. */
vq_status vq_zip_read(const vq_zip_entry *entry, uint64_t offset, size_t bytes, void *out);

#endif
