/* test_vocabulary.c -- the merges of a published CLIP's vocabulary: in each form that people have it in, damaged, and where it is
 * looked for.
 */
#include "tests/scratch.h"

#include "loaders/vocabulary.h"
#include "runtime/vocabulary_search.h"

#include <jansson.h>
#include <sys/stat.h>
#include <zlib.h>

#define MERGES     VQ_SOURCE_ROOT "/tests/data/bpe_544_merges.txt"
#define VOCABULARY VQ_SOURCE_ROOT "/tests/data/vocab_544.json" /* the same */

/* In the packages of an environment, whether it is said to be in use or only its programs are found; what lies beside a checkpoint comes first. */
Test(vocabulary, is_found_where_python_keeps_it, .init = scratch_create, .fini = scratch_remove)
{
  static const char *const folders[] = {"v",
                                        "v/bin",
                                        "v/lib",
                                        "v/lib/python3.11",
                                        "v/lib/python3.11/site-packages",
                                        "v/lib/python3.11/site-packages/open_clip"};
  char file[PATH_MAX], text[PATH_MAX], *path;
  for (int i = 0; i < 6; i++)
    cr_assert(!mkdir(in_scratch(folders[i]), 0700));
  snprintf(file, sizeof file, "%s/bpe_simple_vocab_16e6.txt.gz", in_scratch(folders[5]));
  put_file(file, "x", 1);
  for (int i = 0; i < 3; i++) {
    unsetenv("VIRTUAL_ENV"), unsetenv("CONDA_PREFIX"), unsetenv("HOME"), unsetenv("VQGEN_MODELS");
    snprintf(text, sizeof text,
             i == 0   ? "%s"
             : i == 1 ? "/none:%s/bin"
                      : "bin:/bin:%s/bin/:/usr/bin",
             in_scratch("v"));
    setenv(i ? "PATH" : "VIRTUAL_ENV", text, 1);
    path = vq_vocabulary_search(in_scratch("clip.pt"));
    cr_expect(path && !strcmp(path, file), "%s: %s", text, path ? path : "nothing");
    free(path);
  }
  put_file(in_scratch("merges.txt"), "x", 1);
  path = vq_vocabulary_search(in_scratch("clip.pt"));
  cr_expect(path && !strcmp(path, in_scratch("merges.txt")), "%s", path ? path : "nothing");
  free(path);
  remove(file);
  for (int i = 6; i-- > 0;)
    rmdir(in_scratch(folders[i]));
}

static void expect_merges(const char *path, int count, const char *want)
{
  char *merges;
  size_t bytes;
  cr_assert(!vq_vocabulary_read(&merges, &bytes, path, count), "%s", vq_error_message());
  cr_expect(strlen(merges) == bytes && !strcmp(merges, want), "%s: %s", path, merges);
  free(merges);
}

static void expect_bad_merges(const char *path, int count, const char *word)
{
  char *merges = NULL;
  size_t bytes;
  cr_expect(vq_vocabulary_read(&merges, &bytes, path, count) && !merges && strstr(vq_error_message(), word),
            "%s: %s", path, vq_error_message());
}

/* A vocab.json has words only; they tell the merges, which are those of the other forms. */
static void expect_words(void)
{
  size_t bytes, number = 542;
  json_t *words = json_load_file(VOCABULARY, 0, NULL);
  char *want;
  cr_assert(words && !vq_vocabulary_read(&want, &bytes, MERGES, 0), "%s", vq_error_message());
  expect_merges(VOCABULARY, 0, want);
  expect_merges(VOCABULARY, 30, want);
  /* A number twice; a word that is made of none before it. */
  json_t *letter = json_incref(json_object_get(words, "a"));
  json_object_set_new(words, "a", json_integer(8));
  cr_assert(!json_dump_file(words, in_scratch("twice.json"), 0));
  expect_bad_merges(in_scratch("twice.json"), 0, "each of which one word has");
  json_object_set_new(words, "a", letter);
  json_object_set_new(words, "zzzz", json_integer((json_int_t)number));
  json_object_set_new(words, "<|startoftext|>", json_integer((json_int_t)number + 1));
  json_object_set_new(words, "<|endoftext|>", json_integer((json_int_t)number + 2));
  cr_assert(!json_dump_file(words, in_scratch("strange.json"), 0));
  expect_bad_merges(in_scratch("strange.json"), 0, "not merged of two words");
  json_decref(words);
  free(want);
}

Test(vocabulary, in_its_forms, .init = scratch_create, .fini = scratch_remove)
{
  static const char lines[] = "\"bpe_simple_vocab\" version\ni n\nt h\na n</w>\n";
  gzFile gz = gzopen(in_scratch("v.gz"), "wb");
  cr_assert(gz && gzwrite(gz, lines, sizeof lines - 1) == sizeof lines - 1 && gzclose(gz) == Z_OK);
  expect_merges(in_scratch("v.gz"), 2, "i n\nt h\n");
  expect_merges(text_file("merges.txt", "#version: 0.2\r\ni n\r\nt h"), 0, "i n\nt h\n");
  expect_merges(text_file("a.json", "{\"model\": {\"merges\": [\"i n\", \"t h\"]}}"), 2, "i n\nt h\n");
  expect_merges(text_file("b.json", "{\"model\": {\"merges\": [[\"i\", \"n\"], [\"t\", \"h\"]]}}"), 1, "i n\n");
  expect_words();
  expect_bad_merges(in_scratch("v.gz"), 4, "3 merges");
  expect_bad_merges(text_file("c.json", "{\"a\": 1}"), 0, "merges.txt");
  expect_bad_merges(text_file("d.json", "{\"model\": {\"merges\": [7]}}"), 0, "merge 0");
  expect_bad_merges(text_file("e.txt", "i n\nt h e\n"), 0, "line 2");
  size_t bytes;
  uint8_t *data = get_file(in_scratch("v.gz"), &bytes);
  put_file(in_scratch("cut.gz"), data, bytes - 9);
  free(data);
  expect_bad_merges(in_scratch("cut.gz"), 0, "cut off");
}
