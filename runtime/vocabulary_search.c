/* vocabulary_search.c -- looks for a vocabulary. Contract: vocabulary_search.h. */
#include "runtime/vocabulary_search.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096

static const char *const names[] = {"bpe_simple_vocab_16e6.txt.gz", "merges.txt", "tokenizer.json"};

/* Folders where Python installs packages, behind what a variable says; NULL: from the root. */
static const struct {
  const char *variable, *pattern;
} places[] = {
    {"VIRTUAL_ENV", "/lib/python3*/site-packages"},
    {"CONDA_PREFIX", "/lib/python3*/site-packages"},
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

char *vq_vocabulary_search(const char *checkpoint)
{
  const char *slash = strrchr(checkpoint, '/'), *models = getenv("VQGEN_MODELS");
  char pattern[PATH_BYTES];
  char *path = in_folder(checkpoint, strlen(checkpoint));
  if (!path)
    path = slash ? in_folder(checkpoint, (size_t)(slash - checkpoint)) : in_folder(".", 1);
  if (!path && models && *models)
    path = in_folder(models, strlen(models));
  for (size_t i = 0; !path && i < sizeof places / sizeof *places; i++)
    for (size_t p = 0; !path && p < sizeof packages / sizeof *packages; p++) {
      const char *base = places[i].variable ? getenv(places[i].variable) : "";
      if (!base || (places[i].variable && !*base))
        continue;
      snprintf(pattern, sizeof pattern, "%s%s/%s/%s", base, places[i].pattern, packages[p], names[0]);
      path = first(pattern);
    }
  return path;
}
