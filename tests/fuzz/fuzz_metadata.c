/* fuzz_metadata.c -- what is read of pictures by `vqgen reveal`, under libFuzzer. From the root of the tree:
 *
 *     clang -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -D_POSIX_C_SOURCE=200809L -I. -Iinclude \
 *         tests/fuzz/fuzz_metadata.c base/status.c runtime/{notebook,reveal,stegano}.c \
 *         loaders/{exif,image,input,jpeg,output,png,utf8,webp,xmp}.c -lpng -ljpeg -lwebp -lexpat -ljansson \
 *         -o fuzz_metadata
 *     ./fuzz_metadata -max_total_time=600 -malloc_limit_mb=4096 CORPUS     a folder that starts with a few good files
 *
 * tests/test_metadata.c runs a short seeded walk over the same code.
 */
#include "tests/fuzz/fuzz.h"

#include "runtime/reveal.h"

static void reveal(const char *path)
{
  json_t *found;
  if (!vq_reveal(&found, path))
    json_decref(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  with_file(data, bytes, reveal);
  return 0;
}
