/* mutate.c -- runs a fuzz target without libFuzzer, as a test: on each file that is named, and on seeded changes of it.
 *
 *     mutate [-n CHANGES] FILE...
 *
 * It repeats exactly. What it is after are crashes, overruns and aborts, of which the sanitizers see most; of memory that a
 * header talks a reader into, the limit that is set here.
 */
#include "tests/fuzz/fuzz.h"

#include "base/rng.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MOST_SEED (1 << 20)
#define MEMORY    ((rlim_t)1 << 30) /* address space; not with sanitizers, which want all of it */

typedef struct input {
  uint8_t data[2 * MOST_SEED];
  size_t bytes;
} input;

/* Numbers at which readers err. */
static const uint32_t edges[] = {0,      1,      0x7f,   0x80,       0xff,       0x100,
                                 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};

static uint32_t draw(uint32_t change, uint32_t *index, size_t n)
{
  return n ? vq_rng_below(1, VQ_RNG_WEIGHTS, change, (*index)++, (uint32_t)n) : 0;
}

static void mutate_once(input *in, uint32_t change, uint32_t *index)
{
  const uint32_t kind = draw(change, index, 6), at = draw(change, index, in->bytes);
  const size_t left = in->bytes - at, other = draw(change, index, in->bytes), length = 1 + draw(change, index, 64);
  const size_t wide = left < 4 ? left : 4, most = in->bytes - other < left ? in->bytes - other : left;
  if (!in->bytes)
    return;
  switch (kind) {
  case 0: in->data[at] ^= (uint8_t)(1u << draw(change, index, 8)); break;
  case 1: in->data[at] = (uint8_t)draw(change, index, 256); break;
  case 2: memcpy(in->data + at, &edges[draw(change, index, sizeof edges / sizeof *edges)], wide); break;
  case 3: memmove(in->data + at, in->data + other, length < most ? length : most); break;
  case 4: /* cut out */
    if (length < left) {
      memmove(in->data + at, in->data + at + length, left - length);
      in->bytes -= length;
    }
    break;
  default: /* put in */
    if (in->bytes + length <= sizeof in->data) {
      memmove(in->data + at + length, in->data + at, left);
      in->bytes += length;
    }
  }
}

static int run_file(const char *path, uint32_t changes)
{
  static input seed, changed;
  FILE *file = fopen(path, "rb");
  if (!file || !(seed.bytes = fread(seed.data, 1, MOST_SEED, file))) {
    fprintf(stderr, "cannot read %s\n", path);
    return 1;
  }
  fclose(file);
  LLVMFuzzerTestOneInput(seed.data, seed.bytes);
  for (uint32_t i = 0; i < changes; i++) {
    uint32_t index = 0, times = 1 + draw(i, &index, 4);
    memcpy(changed.data, seed.data, seed.bytes);
    changed.bytes = seed.bytes;
    while (times-- > 0)
      mutate_once(&changed, i, &index);
    LLVMFuzzerTestOneInput(changed.data, changed.bytes);
  }
  return 0;
}

int main(int count, char **word)
{
  uint32_t changes = 1000;
  int failed = 0, first = 1;
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
  struct rlimit limit = {MEMORY, MEMORY};
  setrlimit(RLIMIT_AS, &limit);
#endif
  if (count > 2 && !strcmp(word[1], "-n"))
    changes = (uint32_t)strtoul(word[2], NULL, 10), first = 3;
  for (int i = first; i < count; i++)
    failed |= run_file(word[i], changes);
  return failed;
}
