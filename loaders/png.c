/* png.c -- PNG through libpng, from memory.
 *
 * libpng reports errors by a jump. Everything that a jump must not lose lives in `struct png`, whose owner frees it
 * whichever way the work ended; the functions that libpng may leave by a jump hold nothing of their own.
 */
#include "loaders/image_codec.h"
#include "loaders/utf8.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

typedef struct png {
  png_structp png;
  png_infop info;
  const vq_input *input; /* reading */
  size_t at;
  vq_output *output; /* writing */
  const char *path;  /* for messages; NULL when writing */
  vq_status status;  /* set before a jump */
  png_bytep *row;    /* height pointers into the picture */
  png_textp text;
} png;

static void on_error(png_structp p, png_const_charp message)
{
  png *s = png_get_error_ptr(p);
  if (!s->status)
    s->status = s->path ? vq_fail(VQ_ERR_FORMAT, "'%s' is damaged (%s); get it again", s->path, message)
                        : vq_fail(VQ_ERR_WRITE, "libpng: %s", message);
  png_longjmp(p, 1);
}

static void on_warning(png_structp p, png_const_charp message)
{
  (void)p, (void)message; /* what libpng goes on after */
}

static void on_read(png_structp p, png_bytep data, size_t bytes)
{
  png *s = png_get_io_ptr(p);
  if (bytes > s->input->bytes - s->at) {
    s->status =
        vq_fail(VQ_ERR_FORMAT, "'%s' is truncated: the picture goes on after its end; get it again", s->path);
    png_error(p, "truncated");
  }
  memcpy(data, s->input->data + s->at, bytes);
  s->at += bytes;
}

static void on_write(png_structp p, png_bytep data, size_t bytes)
{
  vq_output_write(((png *)png_get_io_ptr(p))->output, data, bytes);
}

static void on_flush(png_structp p)
{
  (void)p;
}

static vq_status no_memory(void)
{
  return vq_fail(VQ_ERR_MEMORY, "no memory for libpng");
}

/* Are all chunks there, to the last? Asked first: libpng allocates and clears what a damaged length asks for, up to
 * 2 GB, before it misses the data. A chunk is its length (4 bytes), name (4), data and checksum (4). */
static vq_status check_chunks(const vq_input *input, const char *path)
{
  for (size_t at = 8, left; (left = input->bytes - at) >= 12;) {
    const uint8_t *chunk = input->data + at;
    size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
    if (length > left - 12)
      break;
    if (!memcmp(chunk + 4, "IEND", 4))
      return VQ_OK;
    at += length + 12;
  }
  return vq_fail(VQ_ERR_FORMAT, "'%s' is truncated or damaged: its last chunk is not there; get it again", path);
}

static vq_status begin_reading(png *s, const vq_input *input, const char *path)
{
  *s = (png){.input = input, .path = path};
  VQ_TRY(check_chunks(input, path));
  s->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, s, on_error, on_warning);
  if (!s->png || !(s->info = png_create_info_struct(s->png)))
    return no_memory();
  png_set_read_fn(s->png, s, on_read);
  png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours is on their product */
  return VQ_OK;
}

static void end_reading(png *s)
{
  png_destroy_read_struct(&s->png, &s->info, NULL);
  free(s->row);
}

static int orientation_of(const png *s)
{
#ifdef PNG_eXIf_SUPPORTED
  png_uint_32 bytes = 0;
  png_bytep exif = NULL;
  if (png_get_eXIf_1(s->png, s->info, &bytes, &exif) && exif)
    return vq_exif_orientation(exif, bytes);
#endif
  (void)s;
  return 1;
}

static vq_status point_rows(png *s, const vq_image *image)
{
  s->row = malloc((size_t)image->height * sizeof *s->row);
  if (!s->row)
    return no_memory();
  for (int y = 0; y < image->height; y++)
    s->row[y] = image->rgb + (size_t)y * (size_t)image->width * 3;
  return VQ_OK;
}

static vq_status read_pixels(png *s, vq_image *out, int *orientation)
{
  if (setjmp(png_jmpbuf(s->png)))
    return s->status;
  png_read_info(s->png, s->info);
  VQ_TRY(vq_image_check_size(png_get_image_width(s->png, s->info), png_get_image_height(s->png, s->info), s->path));
  png_set_scale_16(s->png);
  png_set_palette_to_rgb(s->png);
  png_set_expand_gray_1_2_4_to_8(s->png);
  png_set_gray_to_rgb(s->png);
  png_set_strip_alpha(s->png);
  png_set_interlace_handling(s->png);
  png_read_update_info(s->png, s->info);
  VQ_TRY(vq_image_create(out, png_get_image_width(s->png, s->info), png_get_image_height(s->png, s->info)));
  if (png_get_rowbytes(s->png, s->info) != (size_t)out->width * 3)
    return vq_fail(VQ_ERR_UNSUPPORTED, "'%s' is a PNG of an unknown kind; convert it to RGB", s->path);
  VQ_TRY(point_rows(s, out));
  *orientation = orientation_of(s);
  png_read_image(s->png, s->row);
  return VQ_OK;
}

vq_status vq_png_read(vq_image *out, int *orientation, const vq_input *input, const char *path)
{
  png s;
  vq_status status = begin_reading(&s, input, path);
  if (!status)
    status = read_pixels(&s, out, orientation);
  end_reading(&s);
  return status;
}

/* ---- texts ---- */

static vq_status read_to_end(png *s)
{
  if (setjmp(png_jmpbuf(s->png)))
    return s->status;
  png_read_info(s->png, s->info);
  VQ_TRY(vq_image_check_size(png_get_image_width(s->png, s->info), png_get_image_height(s->png, s->info), s->path));
  png_read_update_info(s->png, s->info); /* without it libpng does not know how to skip the pixels */
  png_read_end(s->png, s->info);
  return VQ_OK;
}

static vq_status hand_out(const png_text *text, vq_image_text_fn fn, void *user)
{
  bool international = text->compression >= PNG_ITXT_COMPRESSION_NONE;
  char *key = vq_utf8_of_latin1(text->key);
  char *utf8 = international ? vq_utf8_of(text->text) : vq_utf8_of_latin1(text->text);
  vq_status status = VQ_OK;
  if (key && utf8)
    fn(user, key, utf8);
  else
    status = no_memory();
  free(key);
  free(utf8);
  return status;
}

vq_status vq_png_text(const vq_input *input, const char *path, vq_image_text_fn fn, void *user)
{
  png s;
  png_textp text = NULL;
  int count = 0;
  vq_status status = begin_reading(&s, input, path);
  if (!status)
    status = read_to_end(&s);
  if (!status)
    count = png_get_text(s.png, s.info, &text, NULL);
  for (int i = 0; i < count && !status; i++)
    status = hand_out(&text[i], fn, user);
  end_reading(&s);
  return status;
}

/* ---- writing ---- */

static bool is_ascii(const char *text)
{
  for (; *text; text++)
    if ((uint8_t)*text >= 0x80)
      return false;
  return true;
}

static vq_status write_picture(png *s, const vq_image *image, int texts)
{
  if (setjmp(png_jmpbuf(s->png)))
    return s->status;
  png_set_IHDR(s->png, s->info, (png_uint_32)image->width, (png_uint_32)image->height, 8, PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (texts > 0)
    png_set_text(s->png, s->info, s->text, texts);
  png_write_info(s->png, s->info);
  png_write_image(s->png, s->row);
  png_write_end(s->png, NULL);
  return VQ_OK;
}

static vq_status prepare_texts(png *s, const vq_image_extras *extras, int *count)
{
  int n = extras->pairs;
  s->text = calloc((size_t)n + 2, sizeof *s->text);
  if (!s->text)
    return no_memory();
  for (int i = 0; i < n; i++) {
    /* libpng copies both and changes neither. */
    s->text[i].key = (char *)extras->text_pairs[2 * i];
    s->text[i].text = (char *)extras->text_pairs[2 * i + 1];
    s->text[i].compression = is_ascii(s->text[i].text) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
  }
  if (extras->xmp)
    s->text[n++] = (png_text){
        .compression = PNG_ITXT_COMPRESSION_NONE, .key = (char *)VQ_TEXT_XMP, .text = (char *)extras->xmp};
  *count = n;
  return VQ_OK;
}

vq_status vq_png_write(vq_output *out, const vq_image *image, const vq_image_extras *extras)
{
  png s = {.output = out};
  vq_status status = VQ_OK;
  int texts = 0;
  s.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
  if (!s.png || !(s.info = png_create_info_struct(s.png)))
    status = no_memory();
  if (!status)
    status = point_rows(&s, image);
  if (!status)
    status = prepare_texts(&s, extras, &texts);
  if (!status) {
    png_set_write_fn(s.png, &s, on_write, on_flush);
    png_set_user_limits(s.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    status = write_picture(&s, image, texts);
  }
  png_destroy_write_struct(&s.png, &s.info);
  free(s.row);
  free(s.text);
  return status;
}

vq_status vq_png_check(void)
{
  return VQ_OK;
}
