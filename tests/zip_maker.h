/* zip_maker.h -- writes zip archives as tests want them: right, wrong, and larger than the disk. */
#ifndef VQ_TESTS_ZIP_MAKER_H
#define VQ_TESTS_ZIP_MAKER_H

#include "tests/scratch.h"

#include <zlib.h>

typedef struct made_entry {
  char name[64];
  uint64_t local, packed, bytes; /* what the directory says: may be changed before zip_end */
  uint32_t crc;
  uint16_t method, flags;
} made_entry;

typedef struct zip_maker {
  FILE *file;
  made_entry entry[16];
  int count;
} zip_maker;

static inline void put_le(FILE *f, uint64_t value, int bytes)
{
  for (; bytes > 0; bytes--, value >>= 8)
    fputc((int)(value & 0xff), f);
}

static inline void zip_begin(zip_maker *z, const char *path)
{
  *z = (zip_maker){.file = fopen(path, "wb")};
  cr_assert(z->file, "cannot write %s", path);
}

/* A local header; what follows it is the caller's to write. */
static inline made_entry *zip_header(zip_maker *z, const char *name, uint64_t bytes)
{
  made_entry *e = &z->entry[z->count++];
  cr_assert(z->count <= 16 && strlen(name) < sizeof e->name);
  *e = (made_entry){.local = (uint64_t)ftello(z->file), .packed = bytes, .bytes = bytes};
  strcpy(e->name, name);
  fputs("PK\3\4", z->file);
  put_le(z->file, 0, 22); /* all that stands in the directory too */
  put_le(z->file, strlen(name), 2);
  put_le(z->file, 3, 2); /* as PyTorch, which aligns by such extra bytes */
  fputs(name, z->file);
  fputs("abc", z->file);
  return e;
}

static inline made_entry *zip_stored(zip_maker *z, const char *name, const void *data, size_t bytes)
{
  made_entry *e = zip_header(z, name, bytes);
  fwrite(data, 1, bytes, z->file);
  return e;
}

static inline made_entry *zip_deflated(zip_maker *z, const char *name, const void *data, size_t bytes)
{
  made_entry *e = zip_header(z, name, bytes);
  z_stream s = {.next_in = (Bytef *)data, .avail_in = (uInt)bytes};
  size_t room = bytes + bytes / 100 + 100;
  uint8_t *out = malloc(room);
  cr_assert(out && deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  s.next_out = out, s.avail_out = (uInt)room;
  cr_assert(deflate(&s, Z_FINISH) == Z_STREAM_END);
  e->packed = s.total_out, e->method = 8, e->crc = (uint32_t)crc32(0, data, (uInt)bytes);
  fwrite(out, 1, s.total_out, z->file);
  deflateEnd(&s);
  free(out);
  return e;
}

static inline void zip_end(zip_maker *z, bool zip64)
{
  uint64_t start = (uint64_t)ftello(z->file), end;
  FILE *f = z->file;
  for (int i = 0; i < z->count; i++) {
    const made_entry *e = &z->entry[i];
    fputs("PK\1\2", f);
    put_le(f, 0, 4);
    put_le(f, e->flags, 2);
    put_le(f, e->method, 2);
    put_le(f, 0, 4);
    put_le(f, e->crc, 4);
    put_le(f, zip64 ? UINT32_MAX : e->packed, 4);
    put_le(f, zip64 ? UINT32_MAX : e->bytes, 4);
    put_le(f, strlen(e->name), 2);
    put_le(f, zip64 ? 6 + 28 : 0, 2);
    put_le(f, 0, 10);
    put_le(f, zip64 ? UINT32_MAX : e->local, 4);
    fputs(e->name, f);
    if (zip64) { /* after another extra field */
      put_le(f, 0xcafe | 2 << 16, 6);
      put_le(f, 1 | 24 << 16, 4);
      put_le(f, e->bytes, 8);
      put_le(f, e->packed, 8);
      put_le(f, e->local, 8);
    }
  }
  end = (uint64_t)ftello(f);
  if (zip64) {
    fputs("PK\6\6", f);
    put_le(f, 44, 8);
    put_le(f, 0, 12);
    put_le(f, (uint64_t)z->count, 8);
    put_le(f, (uint64_t)z->count, 8);
    put_le(f, end - start, 8);
    put_le(f, start, 8);
    fputs("PK\6\7", f);
    put_le(f, 0, 4);
    put_le(f, end, 8);
    put_le(f, 1, 4);
  }
  fputs("PK\5\6", f);
  put_le(f, 0, 4);
  put_le(f, zip64 ? UINT16_MAX : (uint64_t)z->count, 2);
  put_le(f, zip64 ? UINT16_MAX : (uint64_t)z->count, 2);
  put_le(f, zip64 ? UINT32_MAX : end - start, 4);
  put_le(f, zip64 ? UINT32_MAX : start, 4);
  put_le(f, 0, 2);
  cr_assert(fclose(f) == 0);
}

/* ---- pickles ---- */

typedef struct made_pickle {
  char data[4096];
  size_t bytes;
} made_pickle;

static inline void pickle_put(made_pickle *p, const char *data, size_t bytes)
{
  cr_assert(p->bytes + bytes <= sizeof p->data);
  memcpy(p->data + p->bytes, data, bytes);
  p->bytes += bytes;
}

#define PICKLE(p, literal) pickle_put(p, literal, sizeof(literal) - 1)

static inline void pickle_number(made_pickle *p, int64_t value)
{
  PICKLE(p, "\x8a\x08");
  pickle_put(p, (const char *)&value, 8);
}

/* A vector out of storage "0" of that many floats. */
static inline void pickle_vector(made_pickle *p, int64_t stored, int64_t first, int64_t elements, int64_t stride)
{
  PICKLE(p, "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
            "0X\3\0\0\0cpu");
  pickle_number(p, stored);
  PICKLE(p, "tQ");
  pickle_number(p, first);
  pickle_number(p, elements);
  PICKLE(p, "\x85");
  pickle_number(p, stride);
  PICKLE(p, "\x85\x89NtR");
}

#endif
