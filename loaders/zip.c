/* zip.c -- the directory, checked before anything is believed; inflate through zlib. */
#include "loaders/zip.h"

#include "loaders/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LOCAL = 30, CENTRAL = 46, END = 22, END64 = 56, LOCATOR64 = 20 }; /* bytes, without what varies */
enum { STORED = 0, DEFLATED = 8 };
#define MOST_COMMENT  65535
#define DEFLATE_RATIO 1032 /* 258 bytes from two bits: no deflated byte makes more */
#define IN_64         0xffffffffu

static uint64_t number(const uint8_t *at, int bytes)
{
  uint64_t value = 0;
  while (bytes-- > 0)
    value = value << 8 | at[bytes];
  return value;
}

static bool is(const uint8_t *at, const char *signature)
{
  return !memcmp(at, signature, 4);
}

/* ---- where the directory is ---- */

typedef struct directory {
  uint64_t offset, bytes, entries;
} directory;

/* The last record that is an end and whose comment reaches the end of the file; NULL: none. */
static const uint8_t *find_end(const vq_input *in)
{
  size_t least = in->bytes > END + MOST_COMMENT ? in->bytes - END - MOST_COMMENT : 0;
  for (size_t at = in->bytes; at >= least + END; at--) {
    const uint8_t *end = in->data + at - END;
    if (end[0] == 'P' && is(end, "PK\5\6") && number(end + 20, 2) == in->bytes - at)
      return end;
  }
  return NULL;
}

bool vq_zip_is_whole(const vq_input *input)
{
  return find_end(input) != NULL;
}

static vq_status find_directory(directory *out, const vq_input *in)
{
  const uint8_t *end = find_end(in);
  uint64_t limit; /* the directory ends before it */
  if (!end)
    return vq_fail(VQ_ERR_FORMAT, "its end is missing: the file is truncated; get it again");
  limit = (uint64_t)(end - in->data);
  *out = (directory){number(end + 16, 4), number(end + 12, 4), number(end + 10, 2)};
  if (out->offset == IN_64 || out->bytes == IN_64 || out->entries == 0xffff) {
    const uint8_t *locator = end - LOCATOR64, *end64;
    uint64_t at;
    if (limit < LOCATOR64 + END64 || !is(locator, "PK\6\7"))
      return vq_fail(VQ_ERR_FORMAT, "it has no zip64 end: the file is damaged");
    at = number(locator + 8, 8);
    if (at > limit - LOCATOR64 - END64 || !is(in->data + at, "PK\6\6"))
      return vq_fail(VQ_ERR_FORMAT, "its zip64 end is not where it should be: the file is damaged");
    end64 = in->data + at;
    *out = (directory){number(end64 + 48, 8), number(end64 + 40, 8), number(end64 + 32, 8)};
    limit = at;
  } else if (number(end + 4, 2) != 0 || number(end + 8, 2) != out->entries)
    return vq_fail(VQ_ERR_UNSUPPORTED, "it is one part of an archive in several; join them first");
  if (out->offset > limit || out->bytes > limit - out->offset || out->entries > out->bytes / CENTRAL ||
      out->entries > INT32_MAX)
    return vq_fail(VQ_ERR_FORMAT, "its directory does not fit the file: it is damaged");
  return VQ_OK;
}

/* ---- the directory's entries ---- */

/* Replaces by their 64 bits those of the three numbers that do not fit 32: extra[0..bytes) has them in this order. */
static vq_status read_extra64(const uint8_t *extra, size_t bytes, uint64_t *value[3])
{
  while (bytes >= 4) {
    size_t length = number(extra + 2, 2);
    if (length > bytes - 4)
      break;
    if (number(extra, 2) == 1) {
      const uint8_t *at = extra + 4, *end = at + length;
      for (int i = 0; i < 3; i++)
        if (*value[i] == IN_64) {
          if (end - at < 8)
            return vq_fail(VQ_ERR_FORMAT, "its sizes are cut short");
          *value[i] = number(at, 8);
          at += 8;
        }
      return VQ_OK;
    }
    extra += 4 + length, bytes -= 4 + length;
  }
  return VQ_OK;
}

/* Sets where the bytes begin; `limit`: where the directory does. */
static vq_status find_data(vq_zip_entry *e, const vq_input *in, uint64_t local, uint64_t limit)
{
  const uint8_t *header = in->data + local;
  uint64_t names;
  if (local > limit || limit - local < LOCAL || !is(header, "PK\3\4"))
    return vq_fail(VQ_ERR_FORMAT, "it is not where the directory says");
  names = number(header + 26, 2) + number(header + 28, 2);
  if (limit - local - LOCAL < names || limit - local - LOCAL - names < e->packed)
    return vq_fail(VQ_ERR_FORMAT, "it reaches beyond the end");
  if (number(header + 26, 2) != strlen(e->name) || memcmp(header + LOCAL, e->name, strlen(e->name)))
    return vq_fail(VQ_ERR_FORMAT, "it has another name where it lies");
  e->data = header + LOCAL + names;
  return VQ_OK;
}

static vq_status check_entry(const vq_zip_entry *e, unsigned flags)
{
  if (flags & 1)
    return vq_fail(VQ_ERR_UNSUPPORTED, "it is encrypted; unpack the archive and save the network again");
  if (e->method == STORED && e->bytes != e->packed)
    return vq_fail(VQ_ERR_FORMAT, "it is stored as it is, in %llu bytes, but has %llu",
                   (unsigned long long)e->packed, (unsigned long long)e->bytes);
  if (e->method == DEFLATED && e->bytes / DEFLATE_RATIO > e->packed)
    return vq_fail(VQ_ERR_FORMAT, "it claims to unpack from %llu to %llu bytes, which no deflated entry can",
                   (unsigned long long)e->packed, (unsigned long long)e->bytes);
  return VQ_OK;
}

/* Reads the directory's entry at *at, and moves there behind it. */
static vq_status read_entry(vq_zip *z, vq_zip_entry *e, const vq_input *in, const uint8_t **at, const uint8_t *end,
                            uint64_t limit)
{
  const uint8_t *header = *at;
  uint64_t local, *in_64[3] = {&e->bytes, &e->packed, &local};
  size_t name, extra, comment;
  if (end - header < CENTRAL || !is(header, "PK\1\2"))
    return vq_fail(VQ_ERR_FORMAT, "its directory is damaged at entry %d", (int)(e - z->entry));
  name = number(header + 28, 2), extra = number(header + 30, 2), comment = number(header + 32, 2);
  if ((size_t)(end - header) - CENTRAL < name + extra + comment)
    return vq_fail(VQ_ERR_FORMAT, "its directory is cut short at entry %d", (int)(e - z->entry));
  *e = (vq_zip_entry){.name = vq_arena_text(&z->arena, (const char *)header + CENTRAL, name),
                      .bytes = number(header + 24, 4),
                      .packed = number(header + 20, 4),
                      .crc = (uint32_t)number(header + 16, 4),
                      .method = (uint16_t)number(header + 10, 2)};
  local = number(header + 42, 4);
  *at = header + CENTRAL + name + extra + comment;
  if (!e->name)
    return vq_fail(VQ_ERR_MEMORY, "no memory for its directory");
  if (strlen(e->name) != name || !vq_is_utf8(e->name))
    return vq_fail(VQ_ERR_FORMAT, "the name of entry %d is no text: the file is damaged", (int)(e - z->entry));
  vq_status status = read_extra64(header + CENTRAL + name, extra, in_64);
  if (!status)
    status = check_entry(e, (unsigned)number(header + 8, 2));
  if (!status)
    status = find_data(e, in, local, limit);
  return vq_fail_in(status, "entry '%s'", e->name);
}

static int by_place(const void *a, const void *b)
{
  const vq_zip_entry *x = a, *y = b;
  return (x->data > y->data) - (x->data < y->data);
}

static int by_name(const void *a, const void *b)
{
  return strcmp(((const vq_zip_entry *)a)->name, ((const vq_zip_entry *)b)->name);
}

/* Entries that share bytes are damage, or a small file that unpacks to a huge one. */
static vq_status check_order(vq_zip *z)
{
  qsort(z->entry, (size_t)z->count, sizeof *z->entry, by_place);
  for (int i = 1; i < z->count; i++) /* a local header lies between them */
    if ((uint64_t)(z->entry[i].data - z->entry[i - 1].data) < z->entry[i - 1].packed + LOCAL)
      return vq_fail(VQ_ERR_FORMAT, "entries '%s' and '%s' overlap: the file is damaged, or made to harm",
                     z->entry[i - 1].name, z->entry[i].name);
  qsort(z->entry, (size_t)z->count, sizeof *z->entry, by_name);
  for (int i = 1; i < z->count; i++)
    if (!strcmp(z->entry[i - 1].name, z->entry[i].name))
      return vq_fail(VQ_ERR_FORMAT, "entry '%s' occurs twice: the file is damaged", z->entry[i].name);
  return VQ_OK;
}

static vq_status read_directory(vq_zip *z, const vq_input *in)
{
  directory d = {0};
  const uint8_t *at, *end;
  VQ_TRY(find_directory(&d, in));
  z->entry = calloc((size_t)d.entries + 1, sizeof *z->entry);
  if (!z->entry)
    return vq_fail(VQ_ERR_MEMORY, "no memory for its directory");
  at = in->data + d.offset, end = at + d.bytes;
  for (; z->count < (int)d.entries; z->count++)
    VQ_TRY(read_entry(z, &z->entry[z->count], in, &at, end, d.offset));
  return check_order(z);
}

vq_status vq_zip_open(vq_zip *out, const vq_input *input)
{
  vq_status status;
  *out = (vq_zip){0};
  status = read_directory(out, input);
  if (status)
    vq_zip_close(out);
  return status;
}

void vq_zip_close(vq_zip *zip)
{
  free(zip->entry);
  vq_arena_free(&zip->arena);
  *zip = (vq_zip){0};
}

const vq_zip_entry *vq_zip_find(const vq_zip *zip, const char *name)
{
  const vq_zip_entry key = {.name = name};
  return zip->count ? bsearch(&key, zip->entry, (size_t)zip->count, sizeof key, by_name) : NULL;
}

const uint8_t *vq_zip_first(const vq_input *input, const char *name, size_t *bytes)
{
  const uint8_t *header = input->data, *own;
  size_t length = strlen(name), names, own_length;
  if (input->bytes < LOCAL || !is(header, "PK\3\4") || number(header + 8, 2) != STORED)
    return NULL;
  own = header + LOCAL;
  own_length = number(header + 26, 2), names = own_length + number(header + 28, 2);
  if (input->bytes - LOCAL < names || own_length < length || memcmp(own + own_length - length, name, length) ||
      (own_length > length && own[own_length - length - 1] != '/'))
    return NULL;
  *bytes = input->bytes - LOCAL - names;
  return own + names;
}

/* ---- unpacking ---- */

/* Has inflate fill out[0..bytes), taking more of the entry as needed. */
static bool fill(z_stream *stream, const uint8_t *end, uint8_t *out, size_t bytes)
{
  const size_t most = 1u << 30; /* zlib counts in 32 bits */
  while (bytes > 0) {
    size_t now = bytes < most ? bytes : most;
    int result;
    stream->next_out = out;
    stream->avail_out = (uInt)now;
    if (stream->avail_in == 0)
      stream->avail_in = (uInt)((size_t)(end - stream->next_in) < most ? (size_t)(end - stream->next_in) : most);
    result = inflate(stream, Z_NO_FLUSH);
    if ((result != Z_OK && result != Z_STREAM_END) || now == stream->avail_out)
      return false;
    now -= stream->avail_out;
    out += now, bytes -= now;
  }
  return true;
}

static vq_status inflate_part(const vq_zip_entry *e, uint64_t offset, size_t bytes, uint8_t *out)
{
  uint8_t skipped[16384];
  z_stream stream = {.next_in = (Bytef *)e->data};
  uint64_t left = offset;
  bool good = true;
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return vq_fail(VQ_ERR_MEMORY, "no memory to unpack '%s'", e->name);
  while (good && left > 0) {
    size_t now = left < sizeof skipped ? (size_t)left : sizeof skipped;
    good = fill(&stream, e->data + e->packed, skipped, now);
    left -= now;
  }
  good = good && fill(&stream, e->data + e->packed, out, bytes);
  inflateEnd(&stream);
  if (!good || (offset == 0 && bytes == e->bytes && crc32_z(0, out, bytes) != e->crc))
    return vq_fail(VQ_ERR_FORMAT, "entry '%s' is damaged: %s; get the file again", e->name,
                   good ? "its checksum is wrong" : "it does not unpack");
  return VQ_OK;
}

vq_status vq_zip_read(const vq_zip_entry *e, uint64_t offset, size_t bytes, void *out)
{
  if (offset > e->bytes || bytes > e->bytes - offset)
    return vq_fail(VQ_ERR_FORMAT, "entry '%s' has %llu bytes, too few: the file is damaged", e->name,
                   (unsigned long long)e->bytes);
  if (bytes == 0)
    return VQ_OK;
  if (e->method == DEFLATED)
    return inflate_part(e, offset, bytes, out);
  if (e->method != STORED)
    return vq_fail(VQ_ERR_UNSUPPORTED, "entry '%s' is packed by method %d, which is not read; pack it by deflate",
                   e->name, (int)e->method);
  memcpy(out, e->data + offset, bytes);
  return VQ_OK;
}
