/* apng.c -- PNG's chunks by hand: libpng knows nothing of frames. */
#include "loaders/apng.h"

#include "loaders/output.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define BLOCK     (1 << 16) /* compressed bytes in a chunk, at most */
#define FRAMES_AT 33        /* where acTL begins: after the signature and IHDR */
#define ACTL      8         /* bytes in acTL */

struct vq_apng {
  vq_output *out;
  int width, height;
  unsigned per_second; /* frames in 100 seconds */
  uint32_t frames, sequence;
  z_stream deflate;
  uint8_t *row, *best, *block; /* a filtered row and its filter, the best of them, what the compressor gives */
};

static void put32(uint8_t *to, uint32_t value)
{
  for (int i = 0; i < 4; i++)
    to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* A chunk: length, name, content, CRC-32 of name and content. `head` is content too, and comes first. */
static void put_chunk(vq_output *out, const char *name, const uint8_t *head, size_t head_bytes, const uint8_t *data,
                      size_t bytes)
{
  uint8_t number[4];
  uLong crc = crc32(crc32(0, NULL, 0), (const Bytef *)name, 4);
  if (head_bytes)
    crc = crc32(crc, head, (uInt)head_bytes);
  if (bytes)
    crc = crc32(crc, data, (uInt)bytes);
  put32(number, (uint32_t)(head_bytes + bytes));
  vq_output_write(out, number, 4);
  vq_output_write(out, name, 4);
  vq_output_write(out, head, head_bytes);
  vq_output_write(out, data, bytes);
  put32(number, (uint32_t)crc);
  vq_output_write(out, number, 4);
}

static void put_count(vq_apng *a)
{
  uint8_t control[ACTL] = {0}; /* shown without end */
  put32(control, a->frames);
  put_chunk(a->out, "acTL", NULL, 0, control, ACTL);
}

static vq_status begin(vq_apng *a)
{
  static const uint8_t signature[8] = "\x89PNG\r\n\x1a\n";
  static const char software[] = "Software\0vqgen";
  uint8_t head[13] = {[8] = 8, [9] = 2}; /* 8 bits, RGB */
  size_t row = (size_t)a->width * 3 + 1;
  a->row = malloc(row);
  a->best = malloc(row);
  a->block = malloc(BLOCK);
  if (!a->row || !a->best || !a->block || deflateInit(&a->deflate, Z_DEFAULT_COMPRESSION) != Z_OK)
    return vq_fail(VQ_ERR_MEMORY, "no memory for an animated PNG");
  put32(head, (uint32_t)a->width);
  put32(head + 4, (uint32_t)a->height);
  vq_output_write(a->out, signature, sizeof signature);
  put_chunk(a->out, "IHDR", NULL, 0, head, sizeof head);
  put_count(a);
  put_chunk(a->out, "tEXt", NULL, 0, (const uint8_t *)software, sizeof software - 1);
  return VQ_OK;
}

vq_status vq_apng_open(vq_apng **out, const char *path, int width, int height, double fps)
{
  *out = NULL;
  if (width < 1 || height < 1 || !(fps >= 0.01 && fps <= 600))
    return vq_fail(VQ_ERR_ARGUMENT, "an animated PNG of %d x %d pixels and %g frames a second is not possible",
                   width, height, fps);
  vq_apng *a = calloc(1, sizeof *a);
  if (!a)
    return vq_fail(VQ_ERR_MEMORY, "no memory for an animated PNG");
  a->width = width;
  a->height = height;
  a->per_second = (unsigned)lround(100 * fps);
  vq_status status = vq_output_open(&a->out, path);
  if (!status)
    status = begin(a);
  if (status)
    vq_apng_abandon(a);
  else
    *out = a;
  return status;
}

/* ---- a frame ---- */

/* The first frame's data are IDAT, those of the others fdAT, which is the same after a sequence number. */
static void put_block(vq_apng *a)
{
  uint8_t number[4];
  size_t bytes = BLOCK - a->deflate.avail_out;
  put32(number, a->sequence);
  if (bytes && a->frames == 0)
    put_chunk(a->out, "IDAT", NULL, 0, a->block, bytes);
  else if (bytes) {
    put_chunk(a->out, "fdAT", number, 4, a->block, bytes);
    a->sequence++;
  }
  a->deflate.next_out = a->block;
  a->deflate.avail_out = BLOCK;
}

static void compress_row(vq_apng *a, uint8_t *row, size_t bytes, int flush)
{
  int code;
  a->deflate.next_in = row;
  a->deflate.avail_in = (uInt)bytes;
  do {
    code = deflate(&a->deflate, flush);
    if (a->deflate.avail_out == 0 || (flush == Z_FINISH && code == Z_STREAM_END))
      put_block(a);
  } while (a->deflate.avail_in > 0 || (flush == Z_FINISH && code != Z_STREAM_END));
}

static int paeth(int a, int b, int c)
{
  int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/* One of PNG's five filters; returns the sum of what is left, as signed bytes: small sums compress well. */
static long filter_row(uint8_t *to, int filter, const uint8_t *row, const uint8_t *above, size_t bytes)
{
  long sum = 0;
  to[0] = (uint8_t)filter;
  for (size_t i = 0; i < bytes; i++) {
    int a = i >= 3 ? row[i - 3] : 0, b = above ? above[i] : 0, c = above && i >= 3 ? above[i - 3] : 0;
    int guess = filter == 0 ? 0 : filter == 1 ? a : filter == 2 ? b : filter == 3 ? (a + b) / 2 : paeth(a, b, c);
    to[i + 1] = (uint8_t)(row[i] - guess);
    sum += abs((int8_t)to[i + 1]);
  }
  return sum;
}

static void choose_filter(vq_apng *a, const uint8_t *row, const uint8_t *above, size_t bytes)
{
  long least = -1;
  for (int filter = 0; filter < 5; filter++) {
    long sum = filter_row(a->row, filter, row, above, bytes);
    if (least >= 0 && sum >= least)
      continue;
    uint8_t *better = a->row;
    a->row = a->best;
    a->best = better;
    least = sum;
  }
}

vq_status vq_apng_frame(vq_apng *a, const uint8_t *rgb)
{
  uint8_t control[26] = {0}; /* sequence, size, place 0,0, delay as a fraction, left as it is, put over what was */
  size_t bytes = (size_t)a->width * 3;
  put32(control, a->sequence++);
  put32(control + 4, (uint32_t)a->width);
  put32(control + 8, (uint32_t)a->height);
  control[21] = 100;
  control[22] = (uint8_t)(a->per_second >> 8);
  control[23] = (uint8_t)a->per_second;
  put_chunk(a->out, "fcTL", NULL, 0, control, sizeof control);
  deflateReset(&a->deflate);
  a->deflate.next_out = a->block;
  a->deflate.avail_out = BLOCK;
  for (int y = 0; y < a->height; y++) {
    const uint8_t *row = rgb + (size_t)y * bytes;
    choose_filter(a, row, y ? row - bytes : NULL, bytes);
    compress_row(a, a->best, bytes + 1, y + 1 < a->height ? Z_NO_FLUSH : Z_FINISH);
  }
  a->frames++;
  return ferror(vq_output_stream(a->out)) ? vq_fail(VQ_ERR_WRITE, "the animated PNG cannot be written on") : VQ_OK;
}

/* ---- the end ---- */

static void release(vq_apng *a)
{
  deflateEnd(&a->deflate);
  free(a->row);
  free(a->best);
  free(a->block);
  free(a);
}

void vq_apng_abandon(vq_apng *a)
{
  if (!a)
    return;
  vq_output_abandon(a->out);
  release(a);
}

vq_status vq_apng_close(vq_apng *a)
{
  FILE *stream = vq_output_stream(a->out);
  if (!a->frames) {
    vq_apng_abandon(a);
    return vq_fail(VQ_ERR_ARGUMENT, "an animated PNG without a frame is none");
  }
  put_chunk(a->out, "IEND", NULL, 0, NULL, 0);
  bool back = fseek(stream, FRAMES_AT, SEEK_SET) == 0;
  if (back)
    put_count(a);
  vq_output *out = a->out;
  release(a);
  if (back)
    return vq_output_commit(out);
  vq_output_abandon(out);
  return vq_fail(VQ_ERR_WRITE, "the number of frames cannot be written: is this a plain file?");
}
