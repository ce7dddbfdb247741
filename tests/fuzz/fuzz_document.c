/* fuzz_document.c -- the readers of settings (YAML, JSON) and vocabularies under libFuzzer. From the root of the tree:
 *
 *     clang -std=c11 -D_POSIX_C_SOURCE=200809L -DVQ_YAML -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. \
 *         tests/fuzz/fuzz_document.c base/status.c loaders/{document,input,vocabulary,vocabulary_words}.c \
 *         -ljansson -lyaml -lz -o fuzz_document
 *     ./fuzz_document -max_total_time=600 -malloc_limit_mb=256 CORPUS tests/data/layouts tests/data/bpe_544_merges.txt
 *
 * A vocabulary unpacks to at most 64 MB, and the room for that doubles as it grows.
 */
#include "tests/fuzz/fuzz.h"

#include "loaders/document.h"
#include "loaders/vocabulary.h"

#include <stdlib.h>
#include <string.h>

static void read_document(const char *path)
{
  vq_document *d;
  if (vq_document_open(&d, path)) {
    if (d || !*vq_error_message())
      abort();
    return;
  }
  volatile size_t sum = 0;
  for (int i = 0; i < vq_document_count(d); i++) {
    sum += strlen(vq_document_text(d, i));
    if (!vq_document_find(d, "", vq_document_way(d, i)))
      abort();
  }
  vq_document_free(d);
}

static void read_merges(const char *path, int count)
{
  char *merges;
  size_t bytes;
  if (vq_vocabulary_read(&merges, &bytes, path, count)) {
    if (merges || !*vq_error_message())
      abort();
    return;
  }
  int lines = 0;
  for (size_t i = 0; i < bytes; i++)
    lines += merges[i] == '\n';
  if (merges[bytes] || (count && lines != count) || (bytes && merges[bytes - 1] != '\n'))
    abort();
  free(merges);
}

static void read_all(const char *path)
{
  read_document(path);
  read_merges(path, 0);
  read_merges(path, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  with_file(data, bytes, read_all);
  return 0;
}
