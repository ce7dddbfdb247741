/* test_replay_all.c -- every picture that the tests' runs made (tests/gather.h), made again from what is in it: to the same bytes. It runs
 * when all other tests are done. */
#include "tests/cli.h"

#include "runtime/reveal.h"

/* What a program of another build made, or a test of another day, is no proof: those are removed. */
static bool of_this_build(const char *folder)
{
  struct stat tool, kept;
  cr_assert(stat(VQ_TEST_TOOL, &tool) == 0);
  return stat(folder, &kept) == 0 &&
         (kept.st_mtim.tv_sec > tool.st_mtim.tv_sec ||
          (kept.st_mtim.tv_sec == tool.st_mtim.tv_sec && kept.st_mtim.tv_nsec >= tool.st_mtim.tv_nsec));
}

static void remove_folder(const char *folder)
{
  char path[PATH_MAX];
  DIR *d = opendir(folder);
  for (struct dirent *e; d && (e = readdir(d));)
    if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name) < PATH_MAX)
      remove(path);
  if (d)
    closedir(d);
  rmdir(folder);
}

/* The picture's own name, with its ending; NULL: it was not kept whole. */
static const char *picture_in(const char *folder)
{
  static const char *const names[] = {"picture.png", "picture.jpg", "picture.jpeg", "picture.webp"};
  char path[PATH_MAX];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (snprintf(path, sizeof path, "%s/%s", folder, names[i]) < PATH_MAX && access(path, F_OK) == 0)
      return names[i];
  return NULL;
}

static bool carries_settings(const char *folder, const char *picture)
{
  char path[PATH_MAX];
  json_t *found = NULL;
  snprintf(path, sizeof path, "%s/%s", folder, picture);
  bool ours = !vq_reveal(&found, path) && json_object_get(found, "vqgen");
  json_decref(found);
  return ours;
}

static int run_in(const char *folder, const char *const *argv)
{
  int status;
  pid_t child = fork();
  cr_assert(child >= 0);
  if (!child) {
    int told = -1;
    if (chdir(folder) == 0 && setenv("VQGEN_MODELS", VQ_SOURCE_ROOT "/weights", 1) == 0 &&
        (symlink(VQ_SOURCE_ROOT "/tests/data/reference", "checkpoints") == 0 || errno == EEXIST))
      told = open("said", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (told >= 0 && dup2(told, 1) >= 0 && dup2(told, 2) >= 0)
      execv(argv[0], (char *const *)argv);
    _exit(99);
  }
  cr_assert(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *text_in(const char *folder, const char *name)
{
  char path[PATH_MAX];
  size_t bytes;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return (char *)get_file(path, &bytes);
}

static bool has(const char *folder, const char *name, const char *words)
{
  char *text = text_in(folder, name);
  bool found = strstr(text, words) != NULL;
  free(text);
  return found;
}

/* Another program's picture: its settings name that. */
static bool of_the_library(const char *folder)
{
  return has(folder, "of", ", by: the library") && has(folder, "said", "another build made it");
}

static bool every_pixel(const char *folder)
{
  return has(folder, "said", "every pixel is the same");
}

/* Whether `vqgen replay`, with the networks that the run was given and these words, gives the same bytes. */
static bool replays(const char *folder, const char *picture, const char *more, const char *than)
{
  char again[32], a[PATH_MAX], b[PATH_MAX], *options = text_in(folder, "options");
  const char *argv[32] = {VQ_TEST_TOOL, "replay", picture, "-o", again, "--force", "--progress", "none"};
  int n = 8;
  size_t m = 0, k = 0;
  snprintf(again, sizeof again, "again%s", strchr(picture, '.'));
  for (char *word = strtok(options, "\n"); word && n < 28; word = strtok(NULL, "\n"))
    argv[n++] = word;
  if (more) {
    argv[n++] = more;
    argv[n++] = than;
  }
  snprintf(a, sizeof a, "%s/%s", folder, picture);
  snprintf(b, sizeof b, "%s/%s", folder, again);
  bool same = run_in(folder, argv) == 0 && access(b, F_OK) == 0;
  uint8_t *x = same ? get_file(a, &m) : NULL, *y = same ? get_file(b, &k) : NULL;
  same = same && ((m == k && !memcmp(x, y, m)) || (of_the_library(folder) && every_pixel(folder)));
  free(x);
  free(y);
  free(options);
  remove(b);
  return same;
}

#define MOST 65536

static int by_name(const void *a, const void *b)
{
  return strcmp(a, b);
}

/* One folder a picture, in order. */
static int list_all(char (*name)[20])
{
  int count = 0;
  DIR *all = opendir(VQ_TEST_PICTURES);
  for (struct dirent *e; all && (e = readdir(all)) && count < MOST;)
    if (strlen(e->d_name) == 16)
      snprintf(name[count++], sizeof *name, "%.16s", e->d_name);
  if (all)
    closedir(all);
  qsort(name, (size_t)count, sizeof *name, by_name);
  return count;
}

TestSuite(replay_all, .init = scratch_create, .fini = scratch_remove, .timeout = 900);

Test(replay_all, every_picture_of_the_tests_is_made_again)
{
  said s =
      TOOL_OK("a cat", QUICK, "-n", "2", "--seed", "5", "-o", "a.png"); /* one at least, if this test runs alone */
  forget(&s);
  char(*name)[20] = calloc(MOST, sizeof *name), folder[PATH_MAX / 2];
  int count = list_all(name), tried = 0, made = 0, bare = 0, planted = 0;
  for (int i = 0; i < count; i++) {
    snprintf(folder, sizeof folder, VQ_TEST_PICTURES "/%s", name[i]);
    const char *picture = picture_in(folder);
    if (!of_this_build(folder) || !picture) {
      remove_folder(folder);
      continue;
    }
    if (!carries_settings(folder, picture)) {
      bare++;
      continue;
    }
    bool same = replays(folder, picture, NULL, NULL);
    char *of = text_in(folder, "of"), *told = text_in(folder, "said");
    cr_expect(same, "%s/%s: other bytes, or none\nit was %s%s", folder, picture, of, told);
    free(of);
    free(told);
    if (!planted) /* the check is one that fails: another seed is another picture */
      planted = replays(folder, picture, "--seed", "1234567") ? -1 : 1;
    tried++;
    made += same;
  }
  free(name);
  cr_expect(tried > 0, "no picture was kept, not even this test's own");
  cr_expect_eq(planted, 1, "another seed passes for the same");
  fprintf(stderr, "%d of %d pictures made again, byte for byte; %d more carry no settings\n", made, tried, bare);
}
