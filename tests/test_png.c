/* test_png.c -- PNG: every kind against the samples that went into it, texts, refusals, damage, and PIL as a peer. */
#include "tests/scratch.h"

#include "loaders/image.h"

#include <png.h>

TestSuite(png, .init = scratch_create, .fini = scratch_remove);

/* ---- a writer for every kind of PNG, straight on libpng ---- */

#define WIDTH  13
#define HEIGHT 11

typedef struct kind {
  int color, depth, interlace;
  bool transparent; /* with a tRNS chunk */
  int orientation;  /* 0: no eXIf chunk */
} kind;

static const int channels[] = {[PNG_COLOR_TYPE_GRAY] = 1,
                               [PNG_COLOR_TYPE_RGB] = 3,
                               [PNG_COLOR_TYPE_PALETTE] = 1,
                               [PNG_COLOR_TYPE_GRAY_ALPHA] = 2,
                               [PNG_COLOR_TYPE_RGB_ALPHA] = 4};

/* Sample c of pixel (x, y): `depth` random bits. */
static unsigned sample(const kind *k, int x, int y, int c)
{
  return vq_rng_below(2, VQ_RNG_WEIGHTS, (uint32_t)k->depth, (uint64_t)((y * WIDTH + x) * 4 + c), 1u << k->depth);
}

static png_color color_of(unsigned index)
{
  return (png_color){(png_byte)(255 - index), (png_byte)(index * 7), (png_byte)(index / 2)};
}

/* The 8 bits that color c of a pixel must come out as. */
static int expected(const kind *k, int x, int y, int c)
{
  unsigned v = sample(k, x, y, k->color & PNG_COLOR_MASK_COLOR ? c : 0), most = (1u << k->depth) - 1;
  if (k->color == PNG_COLOR_TYPE_PALETTE) {
    png_color p = color_of(sample(k, x, y, 0));
    return c == 0 ? p.red : c == 1 ? p.green : p.blue;
  }
  return (int)(v * 255.0 / most + 0.5);
}

static void write_kind(const char *path, const kind *k)
{
  FILE *f = fopen(path, "wb");
  png_structp p = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(p);
  png_byte rows[HEIGHT][WIDTH * 8] = {{0}}, *row[HEIGHT], alpha[256] = {9, 99, 0};
  png_color palette[256];
  png_color_16 clear = {.gray = (png_uint_16)sample(k, 0, 0, 0), .red = (png_uint_16)sample(k, 0, 0, 0)};
  int n = channels[k->color], depth = k->depth;
  png_init_io(p, f);
  png_set_IHDR(p, info, WIDTH, HEIGHT, depth, k->color, k->interlace, 0, 0);
  for (unsigned i = 0; i < 256; i++)
    palette[i] = color_of(i);
  if (k->color == PNG_COLOR_TYPE_PALETTE)
    png_set_PLTE(p, info, palette, 1 << depth);
  if (k->transparent)
    png_set_tRNS(p, info, alpha, 2, &clear);
  if (k->orientation) {
    png_byte exif[26] = "MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1";
    exif[19] = (png_byte)k->orientation;
    png_set_eXIf_1(p, info, sizeof exif, exif);
  }
  png_set_gAMA(p, info, 0.9); /* to be ignored */
  for (int y = 0; y < HEIGHT; y++) {
    row[y] = rows[y];
    for (int i = 0; i < WIDTH * n; i++) {
      unsigned v = sample(k, i / n, y, i % n);
      if (depth == 16)
        rows[y][2 * i] = (png_byte)(v >> 8), rows[y][2 * i + 1] = (png_byte)v;
      else
        rows[y][i * depth / 8] |= (png_byte)(v << (8 - depth - i * depth % 8));
    }
  }
  png_write_info(p, info);
  png_write_image(p, row);
  png_write_end(p, info);
  png_destroy_write_struct(&p, &info);
  fclose(f);
}

static const kind kinds[] = {
    {0, 1, 0, 0, 0}, {0, 2, 0, 0, 0},  {0, 4, 1, 0, 0}, {0, 8, 0, 0, 0},  {0, 8, 0, 1, 0},  {0, 16, 0, 0, 0},
    {0, 1, 0, 1, 0}, {0, 16, 1, 1, 0}, {2, 8, 0, 0, 0}, {2, 8, 1, 1, 0},  {2, 16, 0, 0, 0}, {2, 16, 1, 1, 0},
    {3, 1, 0, 0, 0}, {3, 2, 1, 0, 0},  {3, 4, 0, 1, 0}, {3, 8, 0, 0, 0},  {3, 8, 1, 1, 0},  {4, 8, 0, 0, 0},
    {4, 8, 1, 0, 0}, {4, 16, 0, 0, 0}, {6, 8, 0, 0, 0}, {6, 16, 1, 0, 0}, {2, 8, 0, 0, 1},
};

Test(png, every_kind)
{
  const char *path = in_scratch("a.png");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const kind *k = &kinds[i];
    vq_image got;
    write_kind(path, k);
    expect_ok(vq_image_read(&got, path));
    cr_assert(got.width == WIDTH && got.height == HEIGHT);
    for (int at = 0; at < WIDTH * HEIGHT * 3; at++) {
      int x = at / 3 % WIDTH, y = at / 3 / WIDTH, c = at % 3;
      cr_assert_eq(got.rgb[at], expected(k, x, y, c), "color type %d, depth %d, (%d,%d,%d): %d, not %d", k->color,
                   k->depth, x, y, c, got.rgb[at], expected(k, x, y, c));
    }
    vq_image_free(&got);
    cr_expect_null(got.rgb);
  }
}

/* Orientation 6: the file's left column, from the bottom, is the top row. */
Test(png, turned_by_its_exif)
{
  const kind k = {2, 8, 0, 0, 6};
  vq_image got;
  write_kind(in_scratch("a.png"), &k);
  expect_ok(vq_image_read(&got, in_scratch("a.png")));
  cr_assert(got.width == HEIGHT && got.height == WIDTH);
  for (int x = 0; x < HEIGHT; x++)
    cr_expect_eq(got.rgb[3 * x], expected(&k, 0, HEIGHT - 1 - x, 0));
  vq_image_free(&got);
}

/* ---- what we write ---- */

static vq_image noise(int width, int height)
{
  vq_image image;
  expect_ok(vq_image_create(&image, width, height));
  for (int i = 0; i < width * height * 3; i++)
    image.rgb[i] = (uint8_t)vq_rng_bits(3, VQ_RNG_WEIGHTS, 0, (uint64_t)i);
  return image;
}

static const char *const texts[] = {"vqgen",  "{\"seed\": 7,\n \"prompt\": \"a fox\"}",
                                    "Title",  "K\xc3\xa4se \xe2\x80\x94 \xf0\x9f\xa6\x8a",
                                    "Latin",  "caf\xc3\xa9",
                                    "Empty",  "",
                                    "Author", "~ !\"'$`\\"};
#define TEXTS ((int)(sizeof texts / sizeof *texts / 2))

static const char *written(void)
{
  const char *path = in_scratch("ours.png");
  vq_image image = noise(19, 7);
  expect_ok(vq_image_write_png(path, &image, texts, TEXTS));
  vq_image_free(&image);
  return path;
}

Test(png, round_trip)
{
  const int sizes[][2] = {{19, 7}, {1, 1}, {1, 300}, {300, 1}, {64, 64}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    vq_image image = noise(sizes[i][0], sizes[i][1]), got;
    expect_ok(vq_image_write_png(in_scratch("a.png"), &image, NULL, 0));
    expect_ok(vq_image_read(&got, in_scratch("a.png")));
    cr_assert(got.width == image.width && got.height == image.height);
    cr_expect(!memcmp(got.rgb, image.rgb, (size_t)(got.width * got.height * 3)));
    vq_image_free(&image);
    vq_image_free(&got);
  }
  cr_expect_eq(scratch_entries(), 1);
}

static void next_text(void *user, const char *key, const char *text)
{
  int i = (*(int *)user)++;
  cr_assert(i < TEXTS);
  cr_expect_str_eq(key, texts[2 * i]);
  cr_expect_str_eq(text, texts[2 * i + 1]);
}

Test(png, texts_come_back)
{
  int n = 0;
  expect_ok(vq_image_read_texts(written(), next_text, &n));
  cr_expect_eq(n, TEXTS);
}

static bool has(const char *path, const char *bytes)
{
  size_t n, wanted = strlen(bytes);
  uint8_t *file = get_file(path, &n);
  bool found = false;
  for (size_t i = 0; i + wanted <= n && !found; i++)
    found = !memcmp(file + i, bytes, wanted);
  free(file);
  return found;
}

Test(png, texts_have_their_chunks)
{
  cr_expect(has(written(), "tEXtvqgen"));
  cr_expect(has(written(), "iTXtTitle"));
  cr_expect(has(written(), "iTXtLatin"));
  cr_expect(has(written(), "tEXtAuthor"));
}

/* Other programs' texts: Latin-1 and compressed, and one after the picture. */
static void foreign_text(void *user, const char *key, const char *text)
{
  static const char *const want[] = {"Latin", "caf\xc3\xa9", "Zipped", "zzzzzzzzzzzzzzzzzz", "Late", "\xc3\xbf"};
  int i = (*(int *)user)++;
  cr_expect_str_eq(key, want[2 * i]);
  cr_expect_str_eq(text, want[2 * i + 1]);
}

Test(png, foreign_texts)
{
  FILE *f = fopen(in_scratch("a.png"), "wb");
  png_structp p = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(p), late = png_create_info_struct(p);
  png_text early[] = {{.compression = PNG_TEXT_COMPRESSION_NONE,
                       .key = (char[]){"Latin"},
                       .text = (char[]){"caf\xe9"}},
                      {.compression = PNG_TEXT_COMPRESSION_zTXt,
                       .key = (char[]){"Zipped"},
                       .text = (char[]){"zzzzzzzzzzzzzzzzzz"}}},
           last = {.compression = PNG_TEXT_COMPRESSION_NONE, .key = (char[]){"Late"}, .text = (char[]){"\xff"}};
  int n = 0;
  png_init_io(p, f);
  png_set_IHDR(p, info, 1, 1, 8, PNG_COLOR_TYPE_GRAY, 0, 0, 0);
  png_set_text(p, info, early, 2);
  png_write_info(p, info);
  png_write_row(p, (png_byte[]){1});
  png_set_text(p, late, &last, 1);
  png_write_end(p, late);
  png_destroy_info_struct(p, &late);
  png_destroy_write_struct(&p, &info);
  fclose(f);
  expect_ok(vq_image_read_texts(in_scratch("a.png"), foreign_text, &n));
  cr_expect_eq(n, 3);
}

Test(png, write_refusals)
{
  const char *path = in_scratch("a.png"), *const bad_keys[] = {"", " a", "a ", "a  b", "a\n", "\xc3\xa9"};
  const char *const bad_texts[] = {
      "\xff",     "\xc3",         "\xed\xa0\x80",     "\xc0\x80",        "\xf5\x80\x80\x80",
      "\xe2\x82", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80"};
  char longest[81];
  vq_image image = noise(2, 2), none = {0}, flat = {2, 0, image.rgb}, large = {1 << 15, 1 << 14, image.rgb};
  for (size_t i = 0; i < sizeof bad_keys / sizeof *bad_keys; i++)
    expect_error(vq_image_write_png(path, &image, (const char *[]){bad_keys[i], "x"}, 1), VQ_ERR_ARGUMENT, path,
                 "key");
  for (size_t i = 0; i < sizeof bad_texts / sizeof *bad_texts; i++)
    expect_error(vq_image_write_png(path, &image, (const char *[]){"k", bad_texts[i]}, 1), VQ_ERR_ARGUMENT, path,
                 "'k' is not UTF-8");
  memset(longest, 'k', 80);
  longest[80] = 0;
  expect_error(vq_image_write_png(path, &image, (const char *[]){longest, "x"}, 1), VQ_ERR_ARGUMENT, path, "79");
  expect_error(vq_image_write_png(path, &none, NULL, 0), VQ_ERR_ARGUMENT, path, "0 x 0");
  expect_error(vq_image_write_png(path, &flat, NULL, 0), VQ_ERR_ARGUMENT, path, "2 x 0");
  expect_error(vq_image_write_png(path, &large, NULL, 0), VQ_ERR_ARGUMENT, path, "32768 x 16384");
  expect_error(vq_image_write_png(in_scratch("none/a.png"), &image, NULL, 0), VQ_ERR_WRITE, "none/a.png");
  cr_expect_eq(scratch_entries(), 0);
  expect_ok(vq_image_write_png(path, &image, (const char *[]){longest + 1, "x"}, 1));
  vq_image_free(&image);
}

/* ---- what is refused, and what is survived ---- */

static const struct {
  const char *bytes;
  size_t n;
  vq_status code;
  const char *words;
} others[] = {
    {"GIF89a\0\0\0\0", 10, VQ_ERR_UNSUPPORTED, "GIF"},
    {"BM\0\0\0\0\0\0\0\0", 10, VQ_ERR_UNSUPPORTED, "BMP"},
    {"II*\0\10\0\0\0", 8, VQ_ERR_UNSUPPORTED, "TIFF"},
    {"MM\0*\0\0\0\10", 8, VQ_ERR_UNSUPPORTED, "TIFF"},
    {"\0\0\0\40ftypavif", 12, VQ_ERR_UNSUPPORTED, "AVIF"},
    {"\0\0\0\40ftypheic", 12, VQ_ERR_UNSUPPORTED, "HEIC"},
    {"\xff\x0a\0\0", 4, VQ_ERR_UNSUPPORTED, "JPEG XL"},
    {"<?xml version='1.0'?><svg>", 26, VQ_ERR_FORMAT, "XML"},
    {"<html>", 6, VQ_ERR_FORMAT, "web page"},
    {"version https://git-lfs.github.com/spec/v1\n", 43, VQ_ERR_FORMAT, "git lfs pull"},
    {"PK\3\4", 4, VQ_ERR_FORMAT, "zip"},
    {"", 0, VQ_ERR_FORMAT, "empty"},
    {"hello", 5, VQ_ERR_FORMAT, "not a picture"},
    {"\x89PNG\r\n\x1a\n", 8, VQ_ERR_FORMAT, "truncated"},
    {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1", 20, VQ_ERR_FORMAT, "truncated"},
    {"\x89PNG\r\n\x1a\n\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82", 32, VQ_ERR_FORMAT,
     "is damaged ("},
    {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\10\0\0\0\0\x3a\x7e\x9b\x55\x7f\xff\xff\xfftEXt    ", 45,
     VQ_ERR_FORMAT, "last chunk"},
    /* 65536 x 65536, with its right checksum */
    {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\10\2\0\0\0\xe3\xe6\xa7\xb4\0\0\0\0IDAT\x35\xaf\x06\x1e"
     "\0\0\0\0IEND\xae\x42\x60\x82",
     57, VQ_ERR_UNSUPPORTED, "65536 x 65536"},
};

static void no_text(void *user, const char *key, const char *text)
{
  (void)user, (void)text;
  cr_expect(0, "a text from a file that is none: %s", key);
}

Test(png, other_files)
{
  vq_image got;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    const char *path = in_scratch("other.png");
    put_file(path, others[i].bytes, others[i].n);
    expect_error(vq_image_read(&got, path), others[i].code, path, others[i].words);
    cr_expect(!got.rgb && !got.width);
    expect_error(vq_image_read_texts(path, no_text, NULL), others[i].code, path, others[i].words);
  }
  expect_error(vq_image_read(&got, in_scratch("none.png")), VQ_ERR_FILE, "none.png", "No such file");
  expect_error(vq_image_read(&got, scratch), VQ_ERR_FILE, scratch, "folder");
  put_file(in_scratch("a.jpg"), "\xff\xd8\xff", 3);
  expect_ok(vq_image_read_texts(in_scratch("a.jpg"), no_text, NULL));
}

static void any_text(void *user, const char *key, const char *text)
{
  (void)user;
  cr_assert(strlen(key) + strlen(text) < 1 << 24);
}

static vq_status try_read(const char *path)
{
  vq_image got;
  vq_status status = vq_image_read(&got, path);
  vq_image_free(&got);
  vq_image_read_texts(path, any_text, NULL);
  return status;
}

Test(png, survives_damage)
{
  const kind k = {3, 4, 1, 1, 3};
  cr_expect_eq(plant_damage(written(), 1000, try_read), 0, "a truncated file was taken for whole");
  write_kind(in_scratch("kind.png"), &k);
  plant_damage(in_scratch("kind.png"), 1000, try_read);
}

Test(png, peer)
{
  char arguments[4 * PATH_MAX];
  vq_image image = noise(19, 7);
  put_file(in_scratch("pixels"), image.rgb, 19 * 7 * 3);
  vq_image_free(&image);
  int n = snprintf(arguments, sizeof arguments, "png '%s' '%s'", written(), in_scratch("pixels"));
  for (int i = 0; i < 2 * TEXTS - 2; i++) /* without the last, whose quotes a shell would take */
    n += snprintf(arguments + n, sizeof arguments - (size_t)n, " '%s'", texts[i]);
  n += snprintf(arguments + n, sizeof arguments - (size_t)n, " Author '~ !\"'\\''$`\\'");
  run_peer(__FILE__, "image_peer.py", "PIL", arguments);
}
