/* exif.c -- TIFF directories: a count, then entries of 12 bytes, tag, type, count, and the value or where it is. */
#include "loaders/exif.h"

#include "loaders/utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ORIENTATION  0x0112
#define SUBDIRECTORY 0x8769
#define USER_COMMENT 0x9286
#define SHORT        3

typedef struct tiff {
  const uint8_t *data;
  size_t bytes;
  bool big; /* big-endian */
} tiff;

/* An unsigned number of `size` bytes; 0 beyond the end. */
static uint32_t number(const tiff *t, size_t at, size_t size)
{
  uint32_t value = 0;
  if (at > t->bytes || size > t->bytes - at)
    return 0;
  for (size_t i = 0; i < size; i++)
    value = value << 8 | t->data[at + (t->big ? i : size - 1 - i)];
  return value;
}

static bool is_tiff(const tiff *t)
{
  return t->bytes >= 8 && (!memcmp(t->data, "II*\0", 4) || !memcmp(t->data, "MM\0*", 4));
}

/* Where a directory's entry for the tag is; 0: nowhere. */
static size_t find(const tiff *t, size_t directory, uint32_t tag)
{
  size_t entries = number(t, directory, 2);
  for (size_t i = 0; i < entries; i++)
    if (number(t, directory + 2 + 12 * i, 2) == tag)
      return directory + 2 + 12 * i;
  return 0;
}

int vq_exif_orientation(const uint8_t *exif, size_t bytes)
{
  tiff t = {exif, bytes, bytes > 0 && exif[0] == 'M'};
  size_t entry = is_tiff(&t) ? find(&t, number(&t, 4, 4), ORIENTATION) : 0;
  if (!entry || number(&t, entry + 2, 2) != SHORT)
    return 1;
  uint32_t value = number(&t, entry + 8, 2);
  return value >= 1 && value <= 8 ? (int)value : 1;
}

/* Programs do not agree on whose order the characters have: in most text, the higher byte is 0 more often. */
static bool is_big(const uint8_t *text, size_t bytes)
{
  size_t even = 0, odd = 0;
  for (size_t i = 0; i + 1 < bytes; i += 2) {
    even += text[i] == 0;
    odd += text[i + 1] == 0;
  }
  return even >= odd;
}

static char *utf8_of_utf16(const uint8_t *text, size_t bytes)
{
  bool big = is_big(text, bytes);
  char *utf8 = malloc(bytes / 2 * 3 + 1), *to = utf8;
  for (size_t i = 0; utf8 && i + 1 < bytes; i += 2) {
    uint32_t c = (uint32_t)text[i + !big] << 8 | text[i + big], low;
    if (c >= 0xd800 && c < 0xdc00 && i + 3 < bytes) {
      low = (uint32_t)text[i + 2 + !big] << 8 | text[i + 2 + big];
      if (low >= 0xdc00 && low < 0xe000) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        i += 2;
      }
    }
    if (c == 0)
      break;
    to = vq_utf8_put(to, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
  }
  if (utf8)
    *to = 0;
  return utf8;
}

char *vq_exif_comment(const uint8_t *exif, size_t bytes)
{
  tiff t = {exif, bytes, bytes > 0 && exif[0] == 'M'};
  size_t entry = is_tiff(&t) ? find(&t, number(&t, 4, 4), SUBDIRECTORY) : 0;
  entry = entry ? find(&t, number(&t, entry + 8, 4), USER_COMMENT) : 0;
  size_t count = entry ? number(&t, entry + 4, 4) : 0, at = entry ? number(&t, entry + 8, 4) : 0;
  if (count <= 8 || at > bytes || count > bytes - at)
    return NULL;
  const uint8_t *text = exif + at + 8;
  if (!memcmp(exif + at, "UNICODE", 8))
    return utf8_of_utf16(text, count - 8);
  char *plain = strndup((const char *)text, count - 8);
  char *utf8 = plain ? vq_utf8_of(plain) : NULL;
  free(plain);
  return utf8;
}
