/* fuzz_safetensors.c -- the readers of arrays, safetensors and npy, under libFuzzer. From the root of the tree:
 *
 *     clang -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. tests/fuzz/fuzz_safetensors.c base/status.c \
 *         loaders/{input,output,file_tensor,safetensors,npy}.c -ljansson -o fuzz_safetensors
 *     ./fuzz_safetensors -max_total_time=120 CORPUS     a folder that starts with a few good files
 */
#include "tests/fuzz/fuzz.h"

#include "loaders/npy.h"
#include "loaders/safetensors.h"

#include <stdlib.h>

static void read_all(const vq_file_tensor *t)
{
  size_t n = vq_file_tensor_count(t);
  double *out = malloc(n * sizeof *out + 1);
  if (vq_file_tensor_check(t))
    abort();
  vq_file_tensor_read_f64(t, out);
  vq_file_tensor_read_f32(t, (float *)out);
  vq_file_tensor_read_i32(t, (int32_t *)out);
  free(out);
}

static void read_arrays(const char *path)
{
  vq_safetensors *f;
  vq_npy a;
  if (!vq_safetensors_open(&f, path))
    for (int i = 0; i < vq_safetensors_count(f); i++) {
      const vq_file_tensor *t = vq_safetensors_at(f, i);
      if (vq_safetensors_find(f, t->name) != t)
        abort();
      read_all(t);
    }
  vq_safetensors_close(f);
  if (!vq_npy_read(&a, path))
    read_all(&a.tensor);
  vq_npy_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  with_file(data, bytes, read_arrays);
  return 0;
}
