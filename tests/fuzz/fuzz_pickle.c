/* fuzz_pickle.c -- PyTorch's pickles alone, in an archive that is otherwise right: mutations of an archive seldom get so far.
 * From the root of the tree:
 *
 *     clang -std=c11 -D_POSIX_C_SOURCE=200809L -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. \
 *         tests/fuzz/fuzz_pickle.c base/{arena,status}.c \
 *         loaders/{checkpoint,file_tensor,input,output,pickle,safetensors,shards,torch,torch_pickle,utf8,zip}.c \
 *         -ljansson -lz -o fuzz_pickle
 *     ./fuzz_pickle -max_total_time=600 -malloc_limit_mb=64 CORPUS     a folder that starts with data.pkl of real files
 */
#include "tests/fuzz/fuzz.h"

#include "loaders/torch_pickle.h"

#include <stdlib.h>
#include <string.h>

/* Every storage is there, and has 256 bytes. */
static vq_status find(void *context, const vq_torch_storage *storage, vq_storage *out)
{
  static const uint8_t numbers[256];
  (void)context, (void)storage;
  *out = (vq_storage){.base = numbers, .bytes = sizeof numbers};
  return VQ_OK;
}

static void walk(const vq_pickle *pickle, size_t bytes)
{
  vq_checkpoint *c = calloc(1, sizeof *c);
  vq_checkpoint_part *file = c ? vq_checkpoint_new_file(c, "x") : NULL;
  if (!file)
    abort();
  file->input.bytes = bytes;
  if (!vq_torch_walk(c, pickle, find, NULL))
    for (int i = 0; i < c->slot.count; i++) {
      char *out = malloc(c->slot.at[i].tensor.bytes + 1);
      if (!out || vq_file_tensor_check(&c->slot.at[i].tensor) || vq_checkpoint_read(c, i, out))
        abort();
      free(out);
    }
  file->input = (vq_input){0};
  vq_checkpoint_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  vq_torch_storage *storage;
  vq_pickle pickle;
  size_t count;
  uint8_t *exact = malloc(bytes ? bytes : 1); /* nothing may be read after the last byte */
  if (bytes && exact && !vq_pickle_read(&pickle, memcpy(exact, data, bytes), bytes)) {
    if (pickle.bytes > bytes || !pickle.root)
      abort();
    if (!vq_torch_storages(&storage, &count, &pickle))
      free(storage);
    walk(&pickle, bytes);
    vq_pickle_free(&pickle);
  }
  free(exact);
  return 0;
}
