/* fuzz_checkpoint.c -- the readers of checkpoints under libFuzzer: archives, pickles, safetensors, shards. From the root of the
 * tree:
 *
 *     clang -std=c11 -D_POSIX_C_SOURCE=200809L -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. \
 *         tests/fuzz/fuzz_checkpoint.c base/{arena,status}.c \
 *         loaders/{checkpoint,file_tensor,input,output,pickle,safetensors,shards,torch,torch_pickle,utf8,zip}.c \
 *         -ljansson -lz -o fuzz_checkpoint
 *     ./fuzz_checkpoint -max_total_time=600 -malloc_limit_mb=64 CORPUS tests/data/checkpoints
 *
 * Whatever a header claims, what is allocated follows from the file's size: such small files never need 64 MB.
 */
#include "tests/fuzz/fuzz.h"

#include "loaders/checkpoint.h"

#include <stdlib.h>
#include <string.h>

static size_t use_text(const char *text, size_t bytes)
{
  size_t sum = 0;
  if (text[bytes] || strlen(text) > bytes)
    abort();
  for (size_t i = 0; i < bytes; i++)
    sum += (unsigned char)text[i];
  return sum;
}

static void read_tensor(const vq_checkpoint *c, int i)
{
  const vq_file_tensor *t = vq_checkpoint_at(c, i);
  char *out = malloc(t->bytes + 1);
  if (!out || vq_file_tensor_check(t) || vq_checkpoint_find(c, t->name) != i)
    abort();
  if (!vq_checkpoint_read(c, i, out) && t->data && memcmp(out, t->data, t->bytes))
    abort();
  free(out);
}

static void read_all(const char *path)
{
  vq_checkpoint *c;
  volatile size_t sum = 0;
  if (vq_checkpoint_open(&c, path)) {
    if (c || !*vq_error_message())
      abort();
    return;
  }
  for (int i = 0; i < vq_checkpoint_count(c); i++)
    read_tensor(c, i);
  for (int i = 0; i < vq_checkpoint_values(c); i++) {
    const vq_checkpoint_value *v = vq_checkpoint_value_at(c, i);
    if (!vq_checkpoint_value_find(c, v->name))
      abort();
    if (v->kind == VQ_VALUE_TEXT || v->kind == VQ_VALUE_BYTES)
      sum += use_text(v->text, v->length);
  }
  for (int i = 0; i < vq_checkpoint_notes(c); i++)
    sum += use_text(vq_checkpoint_note(c, i), strlen(vq_checkpoint_note(c, i)));
  vq_checkpoint_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  with_file(data, bytes, read_all);
  return 0;
}
