/* image.c -- tells the formats apart, turns pictures upright, checks what is to be written. */
#include "loaders/image_codec.h"
#include "loaders/utf8.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

static bool is_webp(const vq_input *input)
{
  return starts(input, "RIFF", 4) && input->bytes >= 12 && !memcmp(input->data + 8, "WEBP", 4);
}

static vq_status other_kind(const vq_input *input, const char *path)
{
  const vq_input_kind *kind = vq_input_guess(input->data, input->bytes);
  if (kind && kind->picture)
    return vq_fail(VQ_ERR_UNSUPPORTED, "'%s' is %s, which is not read; %s", path, kind->name, kind->advice);
  return vq_input_mistaken(input, path, "a picture");
}

bool vq_image_is(const char *path)
{
  vq_input input;
  if (vq_input_open(&input, path))
    return false;
  bool is = is_png(&input) || is_jpeg(&input) || is_webp(&input);
  vq_input_close(&input);
  return is;
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
  else if (is_webp(&input))
    status = vq_webp_read(out, &orientation, &input, path);
  else
    status = other_kind(&input, path);
  vq_input_close(&input);
  if (!status)
    status = vq_fail_in(turn(out, orientation), "cannot read '%s'", path);
  if (status)
    vq_image_free(out);
  return status;
}

/* ---- what is written in them ---- */

/* Two bytes of JPEG's, four of WebP's. */
static size_t big16(const uint8_t *p)
{
  return (size_t)p[0] << 8 | p[1];
}

static size_t little32(const uint8_t *p)
{
  return (size_t)p[3] << 24 | (size_t)p[2] << 16 | (size_t)p[1] << 8 | p[0];
}

static void hand_text(vq_image_text_fn fn, void *user, const char *key, const uint8_t *data, size_t bytes)
{
  char *text = strndup((const char *)data, bytes), *utf8 = text ? vq_utf8_of(text) : NULL;
  if (utf8)
    fn(user, key, utf8);
  free(utf8);
  free(text);
}

static void hand_exif(vq_image_text_fn fn, void *user, const uint8_t *exif, size_t bytes)
{
  bool marked = bytes > 6 && !memcmp(exif, "Exif\0", 6);
  char *comment = vq_exif_comment(exif + (marked ? 6 : 0), bytes - (marked ? 6 : 0));
  if (comment)
    fn(user, VQ_TEXT_EXIF_COMMENT, comment);
  free(comment);
}

/* Segments to the first scan: 0xFF, a marker, and its length, which counts itself. */
static void jpeg_texts(const vq_input *input, vq_image_text_fn fn, void *user)
{
  const uint8_t *p = input->data;
  for (size_t at = 2; at + 4 <= input->bytes && p[at] == 0xff && p[at + 1] != 0xda;) {
    size_t length = big16(p + at + 2), n = sizeof VQ_JPEG_XMP;
    const uint8_t *body = p + at + 4;
    if (p[at + 1] == 0xff) { /* fill */
      at++;
      continue;
    }
    if (length < 2 || length > input->bytes - at - 2)
      return;
    length -= 2;
    if (p[at + 1] == 0xe1 && length > n && !memcmp(body, VQ_JPEG_XMP, n))
      hand_text(fn, user, VQ_TEXT_XMP, body + n, length - n);
    else if (p[at + 1] == 0xe1 && length > 6 && !memcmp(body, "Exif\0", 6))
      hand_exif(fn, user, body, length);
    else if (p[at + 1] == 0xfe)
      hand_text(fn, user, VQ_TEXT_COMMENT, body, length);
    at += length + 4;
  }
}

/* Chunks of RIFF: a name, a length, the content, a byte more if that is odd. */
static void webp_texts(const vq_input *input, vq_image_text_fn fn, void *user)
{
  for (size_t at = 12; at + 8 <= input->bytes;) {
    const uint8_t *chunk = input->data + at;
    size_t length = little32(chunk + 4);
    if (length > input->bytes - at - 8)
      return;
    if (!memcmp(chunk, "XMP ", 4))
      hand_text(fn, user, VQ_TEXT_XMP, chunk + 8, length);
    else if (!memcmp(chunk, "EXIF", 4))
      hand_exif(fn, user, chunk + 8, length);
    at += 8 + length + (length & 1);
  }
}

vq_status vq_image_read_texts(const char *path, vq_image_text_fn fn, void *user)
{
  vq_input input;
  vq_status status = VQ_OK;
  VQ_TRY(vq_input_open(&input, path));
  if (is_png(&input))
    status = vq_png_text(&input, path, fn, user);
  else if (is_jpeg(&input))
    jpeg_texts(&input, fn, user);
  else if (is_webp(&input))
    webp_texts(&input, fn, user);
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

/* ---- writing ---- */

static const struct {
  const char *ending;
  vq_image_format format;
} endings[] = {{".png", VQ_IMAGE_PNG}, {".jpg", VQ_IMAGE_JPEG}, {".jpeg", VQ_IMAGE_JPEG}, {".webp", VQ_IMAGE_WEBP}};

bool vq_image_format_of(vq_image_format *out, const char *path)
{
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
    if (!strcasecmp(dot, endings[i].ending)) {
      *out = endings[i].format;
      return true;
    }
  return false;
}

static vq_status check_texts(const char *path, const char *const *text_pairs, int pairs)
{
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
  return VQ_OK;
}

static vq_status encode(vq_output *out, vq_image_format format, const vq_image *image,
                        const vq_image_extras *extras)
{
  switch (format) {
  case VQ_IMAGE_PNG: return vq_png_write(out, image, extras);
  case VQ_IMAGE_JPEG: return vq_jpeg_write(out, image, extras);
  case VQ_IMAGE_WEBP: return vq_webp_write(out, image, extras);
  }
  return vq_fail(VQ_ERR_ARGUMENT, "there is no format number %d", (int)format);
}

vq_status vq_image_write(const char *path, vq_image_format format, const vq_image *image,
                         const vq_image_extras *extras)
{
  static const vq_image_extras none = {.pairs = 0};
  vq_output *out;
  if (!image->rgb || image->width < 1 || image->height < 1 ||
      (int64_t)image->width * image->height > VQ_IMAGE_PIXELS)
    return vq_fail(VQ_ERR_ARGUMENT, "cannot write '%s': a picture of %d x %d pixels is not possible", path,
                   image->width, image->height);
  if (!extras)
    extras = &none;
  VQ_TRY(check_texts(path, extras->text_pairs, extras->pairs));
  VQ_TRY(vq_output_open(&out, path));
  vq_status status = encode(out, format, image, extras);
  if (status) {
    vq_output_abandon(out);
    return vq_fail_in(status, "cannot write '%s'", path);
  }
  return vq_output_commit(out);
}

vq_status vq_image_write_png(const char *path, const vq_image *image, const char *const *text_pairs, int pairs)
{
  const vq_image_extras extras = {.text_pairs = text_pairs, .pairs = pairs};
  return vq_image_write(path, VQ_IMAGE_PNG, image, &extras);
}

vq_status vq_image_check_format(vq_image_format format)
{
  switch (format) {
  case VQ_IMAGE_PNG: return vq_png_check();
  case VQ_IMAGE_JPEG: return vq_jpeg_check();
  case VQ_IMAGE_WEBP: return vq_webp_check();
  }
  return VQ_OK;
}
