/* scratch.h -- for tests that touch files: a folder of their own, and what is done with files there. To be included
 * first: it asks the system's headers for POSIX. */
#ifndef VQ_TESTS_SCRATCH_H
#define VQ_TESTS_SCRATCH_H

#define _XOPEN_SOURCE 700 /* mkdtemp */

#include "base/rng.h"
#include "base/status.h"
#include "tests/skip.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char scratch[PATH_MAX / 2]; /* the folder; "" outside a test */

/* The fixtures: .init = scratch_create, .fini = scratch_remove. */
static inline void scratch_create(void)
{
  const char *base = getenv("TMPDIR");
  snprintf(scratch, sizeof scratch, "%s/vqgen-test-XXXXXX", base && *base ? base : "/tmp");
  cr_assert(mkdtemp(scratch), "no folder for temporary files");
}

static inline int scratch_entries(void)
{
  int n = 0;
  DIR *folder = opendir(scratch);
  for (struct dirent *e; folder && (e = readdir(folder));)
    n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
  if (folder)
    closedir(folder);
  return n;
}

/* The path of a file in the folder. One of four buffers, by turns. */
static inline const char *in_scratch(const char *name)
{
  static char path[4][PATH_MAX];
  static int turn;
  turn = (turn + 1) % 4;
  cr_assert(snprintf(path[turn], PATH_MAX, "%s/%s", scratch, name) < PATH_MAX);
  return path[turn];
}

static inline void scratch_remove(void)
{
  DIR *folder = opendir(scratch);
  for (struct dirent *e; folder && (e = readdir(folder));)
    if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
      remove(in_scratch(e->d_name));
  if (folder)
    closedir(folder);
  rmdir(scratch);
}

static inline void put_file(const char *path, const void *data, size_t bytes)
{
  FILE *f = fopen(path, "wb");
  cr_assert(f && fwrite(data, 1, bytes, f) == bytes && fclose(f) == 0, "cannot write %s", path);
}

/* The path of a file in the folder that now holds the text. */
static inline const char *text_file(const char *name, const char *text)
{
  const char *path = in_scratch(name);
  put_file(path, text, strlen(text));
  return path;
}

/* The caller frees it. */
static inline uint8_t *get_file(const char *path, size_t *bytes)
{
  FILE *f = fopen(path, "rb");
  cr_assert(f, "cannot read %s", path);
  fseek(f, 0, SEEK_END);
  *bytes = (size_t)ftell(f);
  rewind(f);
  uint8_t *data = malloc(*bytes + 1);
  cr_assert(data && fread(data, 1, *bytes, f) == *bytes);
  data[*bytes] = 0;
  fclose(f);
  return data;
}

/* Fails unless a call gave `want` and a message that has the words in it. */
#define expect_error(call, want, ...)                                                                            \
  do {                                                                                                           \
    vq_status got_ = (call);                                                                                     \
    cr_expect(got_ == (want), "%s: %s where %s was due (%s)", #call, vq_status_name(got_), vq_status_name(want), \
              vq_error_message());                                                                               \
    const char *words_[] = {__VA_ARGS__};                                                                        \
    for (size_t w_ = 0; w_ < sizeof words_ / sizeof *words_; w_++)                                               \
      cr_expect(strstr(vq_error_message(), words_[w_]), "%s: no '%s' in: %s", #call, words_[w_],                 \
                vq_error_message());                                                                             \
  } while (0)

#define expect_ok(call) cr_assert((call) == VQ_OK, "%s: %s", #call, vq_error_message())

/* Hands `try` a file of every length below its own, then `flips` copies with 1 to 4 bytes changed. All that is asked
 * is that it returns: crashes and overruns are the sanitizers' to see. Returns how many of the shorter ones passed. */
static inline int plant_damage(const char *path, int flips, vq_status (*try)(const char *path))
{
  size_t bytes;
  uint8_t *data = get_file(path, &bytes);
  const char *damaged = in_scratch("damaged");
  int passed = 0;
  put_file(damaged, data, bytes);
  for (size_t n = bytes; n-- > 0;) {
    cr_assert(truncate(damaged, (off_t)n) == 0);
    passed += try(damaged) == VQ_OK;
  }
  put_file(damaged, data, bytes);
  FILE *file = fopen(damaged, "r+b");
  cr_assert(file);
  setbuf(file, NULL);
  for (int i = 0; i < flips; i++) {
    uint32_t step = (uint32_t)i, changes = 1 + vq_rng_below(1, VQ_RNG_WEIGHTS, step, 0, 4), at[4];
    for (uint32_t k = 0; k < changes; k++) {
      at[k] = vq_rng_below(1, VQ_RNG_WEIGHTS, step, 2 * k + 1, (uint32_t)bytes);
      fseek(file, (long)at[k], SEEK_SET);
      fputc((int)(vq_rng_bits(1, VQ_RNG_WEIGHTS, step, 2 * k + 2) & 0xff), file);
    }
    try(damaged);
    for (uint32_t k = 0; k < changes; k++) {
      fseek(file, (long)at[k], SEEK_SET);
      fputc(data[at[k]], file);
    }
  }
  fclose(file);
  free(data);
  remove(damaged);
  return passed;
}

/* Ends a test that has nothing to run on, and says so: Criterion itself would only count one less. */
#define skip_test(...)         \
  do {                         \
    scratch_remove();          \
    visible_skip(__VA_ARGS__); \
  } while (0)

/* Runs tests/compare/NAME with $VQ_TEST_PYTHON or python3; `source` is the test's __FILE__, beside which it stands.
 * Skips the test where Python lacks `module`. */
static inline void run_peer(const char *source, const char *name, const char *module, const char *arguments)
{
  const char *given = getenv("VQ_TEST_PYTHON"), *python = given && *given ? given : "python3";
  const char *slash = strrchr(source, '/');
  int folder = slash ? (int)(slash + 1 - source) : 0, ended;
  char line[5 * PATH_MAX];
  cr_assert(snprintf(line, sizeof line, "'%s' -c 'import numpy, %s' 2>/dev/null", python, module) < PATH_MAX);
  if (system(line))
    skip_test("%s cannot import numpy and %s: not compared", python, module);
  cr_assert(snprintf(line, sizeof line, "'%s' '%.*scompare/%s' %s", python, folder, source, name, arguments) <
            (int)sizeof line);
  ended = system(line);
  cr_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0, "the peer disagrees: %s", line);
}

#endif
