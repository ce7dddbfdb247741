/* fuzz_image.c -- the readers of pictures and of their texts, under libFuzzer. From the root of the tree:
 *
 *     clang -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -D_POSIX_C_SOURCE=200809L -I. \
 *         tests/fuzz/fuzz_image.c base/status.c loaders/{exif,image,input,jpeg,output,png,utf8,webp}.c -lpng -ljpeg -lwebp -o fuzz_image
 *     ./fuzz_image -max_total_time=120 -malloc_limit_mb=4096 CORPUS     a folder that starts with a few good files
 *
 * A picture's header alone may ask for 2^28 pixels: that is the limit, not a leak.
 */
#include "tests/fuzz/fuzz.h"

#include "loaders/image.h"

#include <stdlib.h>
#include <string.h>

static void read_text(void *user, const char *key, const char *text)
{
  *(size_t *)user += strlen(key) + strlen(text);
}

static void read_picture(const char *path)
{
  vq_image image;
  size_t letters = 0;
  if (!vq_image_read(&image, path) && (!image.rgb || image.width < 1 || image.height < 1))
    abort();
  vq_image_free(&image);
  vq_image_read_texts(path, read_text, &letters);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  with_file(data, bytes, read_picture);
  return 0;
}
