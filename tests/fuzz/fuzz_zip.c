/* fuzz_zip.c -- the reader of archives alone, every entry unpacked, under libFuzzer. From the root of the tree:
 *
 *     clang -std=c11 -D_POSIX_C_SOURCE=200809L -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. \
 *         tests/fuzz/fuzz_zip.c base/{arena,status}.c \
 *         loaders/{input,utf8,zip}.c -lz -o fuzz_zip
 *     ./fuzz_zip -max_total_time=600 -malloc_limit_mb=64 CORPUS tests/data/checkpoints
 */
#include "tests/fuzz/fuzz.h"

#include "loaders/zip.h"

#include <stdlib.h>
#include <string.h>

#define MOST 65536 /* bytes of one read: what is larger is read at its end too */

static void read_entry(const vq_zip *zip, const vq_zip_entry *e)
{
  static char out[MOST];
  size_t bytes = e->bytes < MOST ? (size_t)e->bytes : MOST;
  if (vq_zip_find(zip, e->name) != e)
    abort();
  vq_zip_read(e, 0, bytes, out);
  if (e->bytes < 1 << 20) /* inflate goes there step by step */
    vq_zip_read(e, e->bytes - bytes, bytes, out);
  if (!vq_zip_read(e, e->bytes, 1, out))
    abort();
}

static void read_archive(const char *path)
{
  vq_input input;
  vq_zip zip;
  size_t bytes;
  if (vq_input_open(&input, path))
    return;
  const uint8_t *first = vq_zip_first(&input, "data.pkl", &bytes);
  if (first && (first < input.data || first + bytes != input.data + input.bytes))
    abort();
  if (!vq_zip_open(&zip, &input)) {
    if (!vq_zip_is_whole(&input))
      abort();
    for (int i = 0; i < zip.count; i++)
      read_entry(&zip, &zip.entry[i]);
  }
  vq_zip_close(&zip);
  vq_input_close(&input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  with_file(data, bytes, read_archive);
  return 0;
}
