/* vocabulary_search.c -- looks for a vocabulary. Contract: vocabulary_search.h. */
#include "runtime/vocabulary_search.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096

static const char *const names[] = {"bpe_simple_vocab_16e6.txt.gz", "merges.txt", "tokenizer.json", "vocab.json"};

/* Folders where Python installs packages, behind what a variable says; NULL: from the root. A variable that is a list of folders of programs
 * is asked for each that ends in `folder`, without that. */
static const struct {
  const char *variable, *pattern, *folder;
} places[] = {
    {"VIRTUAL_ENV", "/lib/python3*/site-packages"},
    {"CONDA_PREFIX", "/lib/python3*/site-packages"},
    {"PATH", "/lib/python3*/site-packages", "/bin"},
    {"PATH", "/versions/*/lib/python3*/site-packages", "/shims"}, /* pyenv's */
    {"HOME", "/.local/lib/python3*/site-packages"},
    {NULL, "/usr/local/lib/python3*/site-packages"},
    {NULL, "/usr/local/lib/python3*/dist-packages"},
    {NULL, "/usr/lib/python3*/site-packages"},
    {NULL, "/usr/lib/python3/dist-packages"},
};
static const char *const packages[] = {"clip", "open_clip"};

/* The first file of that pattern. */
static char *first(const char *pattern)
{
  glob_t found;
  char *path = NULL;
  if (!glob(pattern, 0, NULL, &found) && found.gl_pathc)
    path = strdup(found.gl_pathv[0]);
  globfree(&found);
  return path;
}

/* A file in a folder, whatever letters its name has. */
static char *in_folder(const char *folder, size_t length)
{
  char path[PATH_BYTES];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    FILE *file;
    snprintf(path, sizeof path, "%.*s/%s", (int)length, folder, names[i]);
    if ((file = fopen(path, "rb"))) {
      fclose(file);
      return strdup(path);
    }
  }
  return NULL;
}

/* In a package below BASE/PATTERN. */
static char *in_packages(const char *base, size_t length, const char *pattern)
{
  char text[PATH_BYTES], *path = NULL;
  for (size_t p = 0; !path && p < sizeof packages / sizeof *packages; p++) {
    int n = snprintf(text, sizeof text, "%.*s%s/%s/%s", (int)length, base, pattern, packages[p], names[0]);
    path = n < (int)sizeof text ? first(text) : NULL;
  }
  return path;
}

static char *in_listed(const char *list, const char *pattern, const char *folder)
{
  size_t end = strlen(folder), n;
  char *path = NULL;
  for (; !path && *list; list += n + (list[n] == ':')) {
    n = strcspn(list, ":");
    size_t kept = n > 0 && list[n - 1] == '/' ? n - 1 : n;
    if (kept > end && *list == '/' && !memcmp(list + kept - end, folder, end))
      path = in_packages(list, kept - end, pattern);
  }
  return path;
}

char *vq_vocabulary_search(const char *checkpoint)
{
  const char *slash = strrchr(checkpoint, '/'), *models = getenv("VQGEN_MODELS");
  char *path = in_folder(checkpoint, strlen(checkpoint));
  if (!path)
    path = slash ? in_folder(checkpoint, (size_t)(slash - checkpoint)) : in_folder(".", 1);
  if (!path && models && *models)
    path = in_folder(models, strlen(models));
  for (size_t i = 0; !path && i < sizeof places / sizeof *places; i++) {
    const char *base = places[i].variable ? getenv(places[i].variable) : "";
    if (!base || (places[i].variable && !*base))
      continue;
    path = places[i].folder ? in_listed(base, places[i].pattern, places[i].folder)
                            : in_packages(base, strlen(base), places[i].pattern);
  }
  return path;
}
