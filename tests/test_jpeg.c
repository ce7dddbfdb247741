/* test_jpeg.c -- JPEG: colours, the eight orientations, refusals, damage, and PIL as a peer. */
#include "tests/scratch.h"

#include "loaders/image.h"

#include <jpeglib.h>

TestSuite(jpeg, .init = scratch_create, .fini = scratch_remove);

#define WIDTH  32
#define HEIGHT 16

/* Four flat quarters, so that the compression is all but exact: [quarter][channel]. */
static const uint8_t quarter[4][4] = {
    {250, 10, 20, 200}, {30, 240, 60, 255}, {70, 80, 230, 128}, {200, 190, 30, 60}};

/* A picture of 1 (gray), 3 (RGB) or 4 (CMYK) channels; orientation 0 writes no Exif; in either order of bytes. */
static void write_jpeg(const char *path, int channels, int orientation, bool big)
{
  uint8_t little_exif[] = "Exif\0\0II*\0\10\0\0\0\1\0\22\1\3\0\1\0\0\0\0\0\0\0\0\0\0",
          big_exif[] = "Exif\0\0MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1\0\0\0\0\0\0\0";
  struct jpeg_compress_struct c;
  struct jpeg_error_mgr errors;
  FILE *f = fopen(path, "wb");
  c.err = jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  jpeg_stdio_dest(&c, f);
  c.image_width = WIDTH;
  c.image_height = HEIGHT;
  c.input_components = channels;
  c.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&c);
  jpeg_set_quality(&c, 100, TRUE);
  jpeg_start_compress(&c, TRUE);
  little_exif[24] = big_exif[25] = (uint8_t)orientation;
  if (orientation)
    jpeg_write_marker(&c, JPEG_APP0 + 1, big ? big_exif : little_exif, 32);
  for (int y = 0; y < HEIGHT; y++) {
    uint8_t row[WIDTH * 4], *rows[] = {row};
    for (int x = 0; x < WIDTH; x++)
      memcpy(row + x * channels, quarter[x / (WIDTH / 2) + 2 * (y / (HEIGHT / 2))], (size_t)channels);
    jpeg_write_scanlines(&c, rows, 1);
  }
  jpeg_finish_compress(&c);
  jpeg_destroy_compress(&c);
  fclose(f);
}

static void expect_color(const vq_image *image, int x, int y, const int want[3])
{
  for (int c = 0; c < 3; c++) {
    int got = image->rgb[3 * (y * image->width + x) + c];
    cr_expect(abs(got - want[c]) <= 3, "(%d,%d,%d) is %d, not %d", x, y, c, got, want[c]);
  }
}

/* The middle of quarter q of the picture as it was read. */
static void expect_quarter(const vq_image *image, int q, const int want[3])
{
  expect_color(image, image->width / 4 + q % 2 * image->width / 2, image->height / 4 + q / 2 * image->height / 2,
               want);
}

Test(jpeg, colors)
{
  vq_image got;
  for (int channels = 1; channels <= 4; channels++) {
    if (channels == 2)
      continue;
    write_jpeg(in_scratch("a.jpg"), channels, 0, false);
    expect_ok(vq_image_read(&got, in_scratch("a.jpg")));
    cr_assert(got.width == WIDTH && got.height == HEIGHT);
    for (int q = 0; q < 4; q++) {
      const uint8_t *v = quarter[q];
      int want[3] = {v[0], v[channels == 1 ? 0 : 1], v[channels == 1 ? 0 : 2]};
      for (int c = 0; c < 3 && channels == 4; c++)
        want[c] = want[c] * v[3] / 255;
      expect_quarter(&got, q, want);
    }
    vq_image_free(&got);
  }
}

/* For each orientation the file's quarters (0 1 above 2 3) as they are seen. */
Test(jpeg, orientations)
{
  static const int seen[10][4] = {{0, 1, 2, 3}, {0, 1, 2, 3}, {1, 0, 3, 2}, {3, 2, 1, 0}, {2, 3, 0, 1},
                                  {0, 2, 1, 3}, {2, 0, 3, 1}, {3, 1, 2, 0}, {1, 3, 0, 2}, {0, 1, 2, 3}};
  for (int i = 0; i < 20; i++) {
    int orientation = i % 10;
    vq_image got;
    write_jpeg(in_scratch("a.jpg"), 3, orientation, i >= 10);
    expect_ok(vq_image_read(&got, in_scratch("a.jpg")));
    bool swapped = orientation >= 5 && orientation <= 8;
    cr_assert(got.width == (swapped ? HEIGHT : WIDTH) && got.height == (swapped ? WIDTH : HEIGHT), "%d",
              orientation);
    for (int q = 0; q < 4; q++) {
      const uint8_t *v = quarter[seen[orientation][q]];
      expect_quarter(&got, q, (int[]){v[0], v[1], v[2]});
    }
    vq_image_free(&got);
  }
}

/* Offset of a marker's first byte. */
static size_t find_marker(const uint8_t *file, size_t bytes, uint8_t marker)
{
  for (size_t i = 0; i + 1 < bytes; i++)
    if (file[i] == 0xff && file[i + 1] == marker)
      return i;
  cr_assert(0, "no marker %02x", marker);
  return 0;
}

Test(jpeg, refusals)
{
  const char *path = in_scratch("a.jpg");
  size_t n, frame;
  vq_image got;
  write_jpeg(path, 3, 0, false);
  uint8_t *file = get_file(path, &n);
  frame = find_marker(file, n, 0xc0); /* marker, length (2), precision, height (2), width (2) */

  put_file(path, file, n / 2);
  expect_error(vq_image_read(&got, path), VQ_ERR_FORMAT, path);
  put_file(path, file, n - 20);
  expect_error(vq_image_read(&got, path), VQ_ERR_FORMAT, path, "truncated");
  put_file(path, file, 3);
  expect_error(vq_image_read(&got, path), VQ_ERR_FORMAT, path);

  memset(file + frame + 5, 0xfd, 4); /* 65021 squared */
  put_file(path, file, n);
  expect_error(vq_image_read(&got, path), VQ_ERR_UNSUPPORTED, path, "65021 x 65021");
  memset(file + frame + 5, 0, 4);
  put_file(path, file, n);
  expect_error(vq_image_read(&got, path), VQ_ERR_FORMAT, path, "damaged");
  file[frame + 6] = HEIGHT, file[frame + 8] = WIDTH, file[frame + 4] = 12;
  put_file(path, file, n);
  expect_error(vq_image_read(&got, path), VQ_ERR_UNSUPPORTED, path, "precision");
  file[frame + 4] = 8, file[frame + 1] = 0xc3; /* lossless */
  put_file(path, file, n);
  expect_error(vq_image_read(&got, path), VQ_ERR_UNSUPPORTED, path, "kind that is not read");
  cr_expect(!got.rgb);
  free(file);
}

static vq_status try_read(const char *path)
{
  vq_image got;
  vq_status status = vq_image_read(&got, path);
  vq_image_free(&got);
  return status;
}

/* All but the end marker and the last bits of padding is needed. */
Test(jpeg, survives_damage)
{
  write_jpeg(in_scratch("a.jpg"), 3, 6, true);
  int passed = plant_damage(in_scratch("a.jpg"), 1500, try_read);
  cr_expect(passed <= 3, "%d truncated files were taken for whole", passed);
  write_jpeg(in_scratch("b.jpg"), 4, 8, false);
  plant_damage(in_scratch("b.jpg"), 500, try_read);
}

Test(jpeg, peer)
{
  char arguments[PATH_MAX];
  int compared = 0;
  snprintf(arguments, sizeof arguments, "jpeg '%s'", scratch);
  run_peer(__FILE__, "image_peer.py", "PIL", arguments);
  DIR *folder = opendir(scratch);
  for (struct dirent *e; (e = readdir(folder));) {
    char name[64];
    int width, height, worst = 0;
    size_t bytes;
    vq_image got;
    if (sscanf(e->d_name, "%59[a-z0-9].%dx%d", name, &width, &height) != 3)
      continue;
    uint8_t *want = get_file(in_scratch(e->d_name), &bytes);
    strcat(name, ".jpg");
    expect_ok(vq_image_read(&got, in_scratch(name)));
    cr_assert(got.width == width && got.height == height, "%s: %d x %d", name, got.width, got.height);
    for (size_t i = 0; i < bytes; i++)
      worst = abs(got.rgb[i] - want[i]) > worst ? abs(got.rgb[i] - want[i]) : worst;
    cr_expect(worst <= 1, "%s differs by %d", name, worst);
    vq_image_free(&got);
    free(want);
    compared++;
  }
  closedir(folder);
  cr_expect_eq(compared, 13);
}
