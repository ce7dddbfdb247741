/* jpeg.c -- JPEG through libjpeg(-turbo), from memory.
 *
 * libjpeg reports errors by a jump. What a jump must not lose lives in `struct jpeg`, whose owner frees it whichever
 * way the work ended; the function that is left by a jump holds nothing of its own.
 */
#include "loaders/image_codec.h"

#include <stdio.h> /* jpeglib.h wants FILE */
#include <jpeglib.h>
#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define QUALITY      95    /* unless another is asked for */
#define MOST_SEGMENT 65533 /* bytes that a marker can carry */
#define MOST_SCANS   500   /* of a progressive picture; real ones have about 10, hostile ones take hours */

typedef struct jpeg {
  struct jpeg_decompress_struct decoder;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf jump;
  const char *path;
  vq_status status; /* set before a jump */
  uint8_t *cmyk;    /* a row; NULL for other pictures */
} jpeg;

static _Noreturn void fail(j_common_ptr decoder, vq_status code, const char *what)
{
  jpeg *s = decoder->client_data;
  char text[JMSG_LENGTH_MAX];
  decoder->err->format_message(decoder, text);
  s->status = vq_fail(code, "'%s' %s (%s)", s->path, what, text);
  longjmp(s->jump, 1);
}

static void on_error(j_common_ptr decoder)
{
  switch (decoder->err->msg_code) {
  case JERR_OUT_OF_MEMORY: fail(decoder, VQ_ERR_MEMORY, "needs more memory than there is");
  case JERR_BAD_PRECISION:
  case JERR_ARITH_NOTIMPL:
  case JERR_CCIR601_NOTIMPL:
  case JERR_CONVERSION_NOTIMPL:
  case JERR_FRACT_SAMPLE_NOTIMPL:
  case JERR_NOTIMPL:
  case JERR_SOF_UNSUPPORTED:
  case JERR_NOT_COMPILED:
    fail(decoder, VQ_ERR_UNSUPPORTED, "is a JPEG of a kind that is not read; convert it to PNG");
  default: fail(decoder, VQ_ERR_FORMAT, "is damaged; get it again");
  }
}

/* libjpeg would go on with gray where data are missing. Other warnings, of stray bytes and the like, harm nothing. */
static void on_message(j_common_ptr decoder, int level)
{
  if (level >= 0)
    return;
  switch (decoder->err->msg_code) {
  case JWRN_JPEG_EOF: fail(decoder, VQ_ERR_FORMAT, "is truncated; get it again");
  case JWRN_HIT_MARKER:
  case JWRN_HUFF_BAD_CODE:
  case JWRN_ARITH_BAD_CODE: fail(decoder, VQ_ERR_FORMAT, "is damaged; get it again"); break;
  }
}

static void on_output(j_common_ptr decoder)
{
  (void)decoder; /* libjpeg would print */
}

static void on_progress(j_common_ptr decoder)
{
  jpeg *s = decoder->client_data;
  if (s->decoder.input_scan_number > MOST_SCANS) {
    s->status =
        vq_fail(VQ_ERR_UNSUPPORTED, "'%s' is a JPEG of more than %d scans; convert it to PNG", s->path, MOST_SCANS);
    longjmp(s->jump, 1);
  }
}

static int orientation_of(const struct jpeg_decompress_struct *decoder)
{
  for (const struct jpeg_marker_struct *m = decoder->marker_list; m; m = m->next)
    if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && !memcmp(m->data, "Exif\0", 6))
      return vq_exif_orientation(m->data + 6, m->data_length - 6);
  return 1;
}

/* a * b / 255, rounded. */
static uint8_t multiply(unsigned a, unsigned b)
{
  unsigned product = a * b + 128;
  return (uint8_t)((product + (product >> 8)) >> 8);
}

/* The four inks are stored inverted, 255 for none, by Adobe's custom, which PIL also takes for granted. */
static void rgb_of_cmyk(uint8_t *rgb, const uint8_t *cmyk, int width)
{
  for (int x = 0; x < width; x++, rgb += 3, cmyk += 4)
    for (int k = 0; k < 3; k++)
      rgb[k] = multiply(cmyk[k], cmyk[3]);
}

static vq_status read_pixels(jpeg *s, vq_image *out, int *orientation, const vq_input *input)
{
  struct jpeg_decompress_struct *d = &s->decoder;
  if (setjmp(s->jump))
    return s->status;
  jpeg_create_decompress(d);
  d->progress = &s->progress;
  jpeg_mem_src(d, input->data, input->bytes);
  jpeg_save_markers(d, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(d, TRUE);
  VQ_TRY(vq_image_check_size(d->image_width, d->image_height, s->path));
  *orientation = orientation_of(d);
  if (d->jpeg_color_space == JCS_CMYK || d->jpeg_color_space == JCS_YCCK) {
    d->out_color_space = JCS_CMYK;
    s->cmyk = malloc((size_t)d->image_width * 4);
    if (!s->cmyk)
      return vq_fail(VQ_ERR_MEMORY, "no memory to read '%s'", s->path);
  } else {
    d->out_color_space = JCS_RGB;
  }
  jpeg_start_decompress(d);
  VQ_TRY(vq_image_create(out, d->output_width, d->output_height));
  while (d->output_scanline < d->output_height) {
    uint8_t *rgb = out->rgb + (size_t)d->output_scanline * (size_t)out->width * 3;
    JSAMPROW row = s->cmyk ? s->cmyk : rgb;
    jpeg_read_scanlines(d, &row, 1);
    if (s->cmyk)
      rgb_of_cmyk(rgb, s->cmyk, out->width);
  }
  return VQ_OK;
}

vq_status vq_jpeg_read(vq_image *out, int *orientation, const vq_input *input, const char *path)
{
  jpeg s = {.path = path, .progress.progress_monitor = on_progress};
  vq_status status;
  s.decoder.client_data = &s; /* creating it can already fail */
  s.decoder.err = jpeg_std_error(&s.errors);
  s.errors.error_exit = on_error;
  s.errors.emit_message = on_message;
  s.errors.output_message = on_output;
  status = read_pixels(&s, out, orientation, input);
  jpeg_destroy_decompress(&s.decoder);
  free(s.cmyk);
  return status;
}

/* ---- writing ---- */

typedef struct encoder {
  struct jpeg_compress_struct encoder;
  struct jpeg_error_mgr errors;
  jmp_buf jump;
  unsigned char *bytes; /* of the file, from libjpeg's malloc */
  unsigned long count;
  vq_status status;
} encoder;

static void on_write_error(j_common_ptr common)
{
  encoder *s = common->client_data;
  char text[JMSG_LENGTH_MAX];
  common->err->format_message(common, text);
  s->status =
      vq_fail(common->err->msg_code == JERR_OUT_OF_MEMORY ? VQ_ERR_MEMORY : VQ_ERR_WRITE, "libjpeg: %s", text);
  longjmp(s->jump, 1);
}

/* Colours at the full resolution: what is saved by halving it costs sharp edges their colour. */
static vq_status compress(encoder *s, const vq_image *image, const vq_image_extras *extras, const uint8_t *segment,
                          size_t segment_bytes)
{
  struct jpeg_compress_struct *c = &s->encoder;
  if (setjmp(s->jump))
    return s->status;
  jpeg_create_compress(c);
  jpeg_mem_dest(c, &s->bytes, &s->count);
  c->image_width = (JDIMENSION)image->width;
  c->image_height = (JDIMENSION)image->height;
  c->input_components = 3;
  c->in_color_space = JCS_RGB;
  jpeg_set_defaults(c);
  jpeg_set_quality(c, extras->quality ? extras->quality : QUALITY, TRUE);
  c->comp_info[0].h_samp_factor = c->comp_info[0].v_samp_factor = 1;
  c->optimize_coding = TRUE;
  jpeg_start_compress(c, TRUE);
  if (segment)
    jpeg_write_marker(c, JPEG_APP0 + 1, segment, (unsigned)segment_bytes);
  while (c->next_scanline < c->image_height) {
    JSAMPROW row = image->rgb + (size_t)c->next_scanline * (size_t)image->width * 3;
    jpeg_write_scanlines(c, &row, 1);
  }
  jpeg_finish_compress(c);
  return VQ_OK;
}

vq_status vq_jpeg_write(vq_output *out, const vq_image *image, const vq_image_extras *extras)
{
  encoder s = {.count = 0};
  size_t head = sizeof VQ_JPEG_XMP, packet = extras->xmp ? strlen(extras->xmp) : 0;
  if (image->width > JPEG_MAX_DIMENSION || image->height > JPEG_MAX_DIMENSION)
    return vq_fail(VQ_ERR_ARGUMENT, "a JPEG has at most %ld pixels a side: name a .png", JPEG_MAX_DIMENSION);
  if (head + packet > MOST_SEGMENT)
    return vq_fail(VQ_ERR_ARGUMENT, "the settings take %zu bytes and a JPEG holds %d: name a .png", packet,
                   (int)(MOST_SEGMENT - head));
  uint8_t *segment = packet ? malloc(head + packet) : NULL;
  if (packet && !segment)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a JPEG");
  if (packet) {
    memcpy(segment, VQ_JPEG_XMP, head);
    memcpy(segment + head, extras->xmp, packet);
  }
  s.encoder.client_data = &s;
  s.encoder.err = jpeg_std_error(&s.errors);
  s.errors.error_exit = on_write_error;
  s.errors.output_message = on_output;
  vq_status status = compress(&s, image, extras, segment, head + packet);
  jpeg_destroy_compress(&s.encoder);
  if (!status)
    vq_output_write(out, s.bytes, s.count);
  free(s.bytes);
  free(segment);
  return status;
}

vq_status vq_jpeg_check(void)
{
  return VQ_OK;
}
