/* image.c -- tells the formats apart, turns pictures upright, checks what is to be written. */
#include "loaders/image_codec.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define EXIF_ORIENTATION 0x0112
#define EXIF_SHORT       3

vq_status vq_image_check_size(int64_t width, int64_t height, const char *path)
{
  if (width > VQ_IMAGE_PIXELS || height > VQ_IMAGE_PIXELS || width * height > VQ_IMAGE_PIXELS)
    return vq_fail(VQ_ERR_UNSUPPORTED,
                   "'%s' has %lld x %lld pixels, which is too large; at most %lld in all are read", path,
                   (long long)width, (long long)height, (long long)VQ_IMAGE_PIXELS);
  return VQ_OK;
}

vq_status vq_image_create(vq_image *out, int64_t width, int64_t height)
{
  *out = (vq_image){0};
  if (width < 1 || height < 1 || width > VQ_IMAGE_PIXELS || height > VQ_IMAGE_PIXELS / width)
    return vq_fail(VQ_ERR_ARGUMENT, "a picture of %lld x %lld pixels is not possible", (long long)width,
                   (long long)height);
  out->rgb = malloc((size_t)(width * height) * 3);
  if (!out->rgb)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a picture of %lld x %lld pixels", (long long)width,
                   (long long)height);
  out->width = (int)width;
  out->height = (int)height;
  return VQ_OK;
}

void vq_image_free(vq_image *image)
{
  free(image->rgb);
  *image = (vq_image){0};
}

/* ---- upright ---- */

typedef struct tiff {
  const uint8_t *data;
  size_t bytes;
  bool big; /* big-endian */
} tiff;

/* An unsigned number of `size` bytes; 0 beyond the end. */
static uint32_t tiff_number(const tiff *t, size_t at, size_t size)
{
  uint32_t value = 0;
  if (at > t->bytes || size > t->bytes - at)
    return 0;
  for (size_t i = 0; i < size; i++)
    value = value << 8 | t->data[at + (t->big ? i : size - 1 - i)];
  return value;
}

int vq_exif_orientation(const uint8_t *exif, size_t bytes)
{
  tiff t = {exif, bytes, bytes > 0 && exif[0] == 'M'};
  size_t directory, entries;
  if (bytes < 8 || (memcmp(exif, "II*\0", 4) && memcmp(exif, "MM\0*", 4)))
    return 1;
  directory = tiff_number(&t, 4, 4);
  entries = tiff_number(&t, directory, 2);
  for (size_t i = 0; i < entries; i++) {
    size_t entry = directory + 2 + 12 * i;
    if (tiff_number(&t, entry, 2) == EXIF_ORIENTATION && tiff_number(&t, entry + 2, 2) == EXIF_SHORT) {
      uint32_t value = tiff_number(&t, entry + 8, 2);
      return value >= 1 && value <= 8 ? (int)value : 1;
    }
  }
  return 1;
}

/* Orientations 5 to 8 swap the axes; then 2, 3, 7, 8 count columns of the file from its right edge, 3, 4, 6, 7 its
 * rows from the bottom. */
static vq_status turn(vq_image *image, int orientation)
{
  bool swap = orientation >= 5, right = 0x18c >> orientation & 1, bottom = 0xd8 >> orientation & 1;
  vq_image upright;
  uint8_t *to;
  if (orientation == 1)
    return VQ_OK;
  VQ_TRY(vq_image_create(&upright, swap ? image->height : image->width, swap ? image->width : image->height));
  to = upright.rgb;
  for (int y = 0; y < upright.height; y++)
    for (int x = 0; x < upright.width; x++, to += 3) {
      int column = swap ? y : x, row = swap ? x : y;
      column = right ? image->width - 1 - column : column;
      row = bottom ? image->height - 1 - row : row;
      memcpy(to, image->rgb + 3 * ((size_t)row * (size_t)image->width + (size_t)column), 3);
    }
  vq_image_free(image);
  *image = upright;
  return VQ_OK;
}

/* ---- files ---- */

static bool starts(const vq_input *input, const char *magic, size_t bytes)
{
  return input->bytes >= bytes && !memcmp(input->data, magic, bytes);
}

static bool is_png(const vq_input *input)
{
  return starts(input, "\x89PNG\r\n\x1a\n", 8);
}

static bool is_jpeg(const vq_input *input)
{
  return starts(input, "\xff\xd8\xff", 3);
}

static vq_status other_kind(const vq_input *input, const char *path)
{
  const vq_input_kind *kind = vq_input_guess(input->data, input->bytes);
  if (kind && kind->picture)
    return vq_fail(VQ_ERR_UNSUPPORTED, "'%s' is %s, which is not read; %s", path, kind->name, kind->advice);
  return vq_input_mistaken(input, path, "a picture");
}

vq_status vq_image_read(vq_image *out, const char *path)
{
  vq_input input;
  vq_status status;
  int orientation = 1;
  *out = (vq_image){0};
  VQ_TRY(vq_input_open(&input, path));
  if (is_png(&input))
    status = vq_png_read(out, &orientation, &input, path);
  else if (is_jpeg(&input))
    status = vq_jpeg_read(out, &orientation, &input, path);
  else
    status = other_kind(&input, path);
  vq_input_close(&input);
  if (!status)
    status = vq_fail_in(turn(out, orientation), "cannot read '%s'", path);
  if (status)
    vq_image_free(out);
  return status;
}

vq_status vq_image_read_png_text(const char *path, vq_image_text_fn fn, void *user)
{
  vq_input input;
  vq_status status;
  VQ_TRY(vq_input_open(&input, path));
  if (is_png(&input))
    status = vq_png_text(&input, path, fn, user);
  else if (is_jpeg(&input))
    status = vq_fail(VQ_ERR_UNSUPPORTED, "'%s' is a JPEG picture; texts are read from PNG pictures alone", path);
  else
    status = other_kind(&input, path);
  vq_input_close(&input);
  return status;
}

static bool is_key(const char *key)
{
  size_t n = strlen(key);
  if (n < 1 || n > 79 || key[0] == ' ' || key[n - 1] == ' ' || strstr(key, "  "))
    return false;
  for (size_t i = 0; i < n; i++)
    if (key[i] < ' ' || key[i] > '~')
      return false;
  return true;
}

bool vq_is_utf8(const char *text)
{
  const uint8_t *s = (const uint8_t *)text;
  while (*s) {
    int more = *s < 0x80                 ? 0
               : *s >= 0xc2 && *s < 0xe0 ? 1
               : (*s & 0xf0) == 0xe0     ? 2
               : *s >= 0xf0 && *s < 0xf5 ? 3
                                         : -1;
    if (more < 0 || (*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) ||
        (*s == 0xf4 && s[1] > 0x8f))
      return false;
    for (s++; more > 0; more--, s++)
      if ((*s & 0xc0) != 0x80)
        return false;
  }
  return true;
}

vq_status vq_image_write_png(const char *path, const vq_image *image, const char *const *text_pairs, int pairs)
{
  vq_output *out;
  vq_status status;
  if (!image->rgb || image->width < 1 || image->height < 1 ||
      (int64_t)image->width * image->height > VQ_IMAGE_PIXELS)
    return vq_fail(VQ_ERR_ARGUMENT, "cannot write '%s': a picture of %d x %d pixels is not possible", path,
                   image->width, image->height);
  for (int i = 0; i < pairs; i++) {
    if (!is_key(text_pairs[2 * i]))
      return vq_fail(
          VQ_ERR_ARGUMENT,
          "cannot write '%s': a text's key must be 1 to 79 printable ASCII characters with single spaces "
          "inside, not '%s'",
          path, text_pairs[2 * i]);
    if (!vq_is_utf8(text_pairs[2 * i + 1]))
      return vq_fail(VQ_ERR_ARGUMENT, "cannot write '%s': the text '%s' is not UTF-8", path, text_pairs[2 * i]);
  }
  VQ_TRY(vq_output_open(&out, path));
  status = vq_png_write(out, image, text_pairs, pairs);
  if (status) {
    vq_output_abandon(out);
    return vq_fail_in(status, "cannot write '%s'", path);
  }
  return vq_output_commit(out);
}
