/* gather.h -- keeps every picture that the tests' runs make, with what lay beside it, until test_replay_all.c makes each again.
 *
 * Tests of the tool need say nothing: tests/cli.h looks before and after each run. What a test paints or edits by itself is older than the
 * run, and left out. Tests of the library call gather_saved: what they save is of another build than the tool, which says so in the picture,
 * so it is the pixels that must be the same. A picture's folder is named by a sum of its bytes, so the same picture is kept once.
 */
#ifndef VQ_TESTS_GATHER_H
#define VQ_TESTS_GATHER_H

#include "tests/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Of the build: VQ_TEST_PICTURES, the folder where they are kept. In each one's folder: the picture, "picture" and its ending; "of", which
 * run of which test file made it; "options", the networks that the run was given, one word a line; and the files that lay beside it. */
#define GATHER_MOST    4096             /* files of a scratch folder that are told apart */
#define GATHER_LARGEST ((off_t)4 << 20) /* of the files beside a picture: what it needs is smaller */

typedef struct gathered {
  char name[256]; /* in the scratch folder, or in a folder there */
  ino_t number;
  off_t bytes;
  struct timespec changed;
} gathered;

typedef struct gather {
  gathered *file;
  int count;
} gather;

static inline const char *gather_ending(const char *name)
{
  static const char *const endings[] = {".png", ".jpg", ".jpeg", ".webp"};
  const char *dot = strrchr(name, '.');
  for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
    if (!strcmp(dot, endings[i]))
      return dot;
  return NULL;
}

static inline void gather_list(gather *list, const char *below)
{
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", scratch, below);
  DIR *folder = opendir(path);
  for (struct dirent *e; folder && (e = readdir(folder)) && list->count < GATHER_MOST;) {
    struct stat is;
    gathered *f = &list->file[list->count];
    if (*e->d_name == '.' ||
        snprintf(f->name, sizeof f->name, "%s%s", below, e->d_name) >= (int)sizeof f->name - 1 ||
        snprintf(path, sizeof path, "%s/%s", scratch, f->name) >= PATH_MAX || stat(path, &is))
      continue;
    if (S_ISDIR(is.st_mode) && !*below) {
      char next[256];
      snprintf(next, sizeof next, "%.254s/", e->d_name);
      gather_list(list, next);
    } else if (S_ISREG(is.st_mode)) {
      f->number = is.st_ino;
      f->bytes = is.st_size;
      f->changed = is.st_mtim;
      list->count++;
    }
  }
  if (folder)
    closedir(folder);
}

static inline gather gather_look(void)
{
  gather list = {calloc(GATHER_MOST, sizeof(gathered)), 0};
  cr_assert(list.file);
  gather_list(&list, "");
  return list;
}

static inline bool gather_had(const gather *before, const gathered *f)
{
  for (int i = 0; i < before->count; i++)
    if (!strcmp(before->file[i].name, f->name) && before->file[i].number == f->number &&
        before->file[i].bytes == f->bytes && !memcmp(&before->file[i].changed, &f->changed, sizeof f->changed))
      return true;
  return false;
}

static inline void gather_copy(const char *from, const char *to)
{
  size_t bytes;
  uint8_t *data = get_file(from, &bytes);
  put_file(to, data, bytes);
  free(data);
}

/* `words` ends with NULL; of them the networks are kept. */
static inline void gather_keep(const gather *now, const gathered *picture, const char *of, const char *const *words)
{
  static const char *const kept[] = {"--vqgan", "--clip", "--config", "--vocab"};
  char folder[PATH_MAX / 2], path[PATH_MAX];
  size_t bytes;
  uint8_t *data = get_file(in_scratch(picture->name), &bytes);
  uint64_t sum = 14695981039346656037u; /* FNV-1a */
  for (size_t i = 0; i < bytes; i++)
    sum = (sum ^ data[i]) * 1099511628211u;
  free(data);
  if (mkdir(VQ_TEST_PICTURES, 0777))
    cr_assert(errno == EEXIST, "%s: %s", VQ_TEST_PICTURES, strerror(errno));
  snprintf(folder, sizeof folder, VQ_TEST_PICTURES "/%016llx", (unsigned long long)sum);
  if (mkdir(folder, 0777)) {
    cr_assert(errno == EEXIST, "%s: %s", folder, strerror(errno));
    return;
  }
  for (int i = 0; i < now->count; i++) {
    const gathered *f = &now->file[i];
    if (f == picture || strchr(f->name, '/') || f->bytes > GATHER_LARGEST)
      continue;
    snprintf(path, sizeof path, "%s/%s", folder, f->name);
    gather_copy(in_scratch(f->name), path);
  }
  snprintf(path, sizeof path, "%s/options", folder);
  FILE *options = fopen(path, "w");
  for (int i = 0; options && words[i] && words[i + 1]; i++)
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
      if (!strcmp(words[i], kept[k]))
        fprintf(options, "%s\n%s\n", words[i], words[i + 1]);
  cr_assert(options && fclose(options) == 0, "%s", path);
  snprintf(path, sizeof path, "%s/of", folder);
  FILE *text = fopen(path, "w");
  cr_assert(text && fprintf(text, "%s in %s, by:", picture->name, of) > 0, "%s", path);
  for (int i = 0; words[i]; i++)
    fprintf(text, " %s", words[i]);
  cr_assert(fputc('\n', text) != EOF && fclose(text) == 0, "%s", path);
  /* last: a folder with a picture is whole */
  snprintf(path, sizeof path, "%s/picture%s", folder, gather_ending(picture->name));
  gather_copy(in_scratch(picture->name), path);
}

/* The pictures that have come since `before`, which is forgotten. */
static inline void gather_new(gather *before, const char *of, const char *const *words)
{
  gather now = gather_look();
  for (int i = 0; before->file && i < now.count; i++)
    if (gather_ending(now.file[i].name) && !gather_had(before, &now.file[i]))
      gather_keep(&now, &now.file[i], of, words);
  free(now.file);
  free(before->file);
  *before = (gather){NULL, 0};
}

/* A picture that the library has saved into the scratch folder. */
static inline void gather_saved(const char *name)
{
  const char *const words[] = {"the library", NULL};
  gather now = gather_look();
  for (int i = 0; i < now.count; i++)
    if (!strcmp(now.file[i].name, name))
      gather_keep(&now, &now.file[i], __BASE_FILE__, words);
  free(now.file);
}

#endif
