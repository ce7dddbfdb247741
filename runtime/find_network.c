/* find_network.c -- from a name to a file. Contract: find_network.h. */
#include "runtime/find_network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define NAME_BYTES 128

/* Short names of the notebooks, and what the files are called that were published. */
static const struct {
  const char *name, *file;
} published[] = {
    {"imagenet_1024", "vqgan_imagenet_f16_1024"},
    {"imagenet_16384", "vqgan_imagenet_f16_16384"},
    {"gumbel_8192", "vqgan_gumbel_f8_8192"},
    {"gumbel_8192", "vqgan_openimages_f16_8192"},
    {"openimages_8192", "vqgan_openimages_f16_8192"},
    {"wikiart_1024", "vqgan_wikiart_f16_1024"},
    {"wikiart_16384", "vqgan_wikiart_f16_16384"},
    {"wikiart_1024", "wikiart_f16_1024"},
    {"wikiart_16384", "wikiart_f16_16384"},
};

static const char *const endings[] = {"", ".safetensors", ".ckpt", ".pt", ".pth", ".bin"};

static const struct {
  const char *variable, *rest;
} folders[] = {
    {"VQGEN_MODELS", ""},       {"XDG_DATA_HOME", "/vqgen"}, {"HOME", "/.local/share/vqgen"}, {NULL, "checkpoints"},
    {NULL, "models"},           {"HOME", "/.cache/clip"},    {NULL, "."},
};

/* A file, or a folder as Hugging Face's: readable in any case. */
static char *try_name(const char *file)
{
  char path[PATH_BYTES];
  for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
    const char *base = folders[f].variable ? getenv(folders[f].variable) : "";
    if (!base || (folders[f].variable && !*base))
      continue;
    for (size_t e = 0; e < sizeof endings / sizeof *endings; e++) {
      snprintf(path, sizeof path, "%s%s/%s%s", base, folders[f].rest, file, endings[e]);
      if (!access(path, R_OK))
        return strdup(path);
    }
  }
  return NULL;
}

vq_status vq_network_find(char **path, const char *name)
{
  char file[NAME_BYTES];
  *path = NULL;
  if (!access(name, F_OK) || strlen(name) >= NAME_BYTES)
    *path = strdup(name);
  /* OpenAI writes ViT-L/14@336px and stores ViT-L-14-336px.pt. */
  snprintf(file, sizeof file, "%s", name);
  for (char *c = file; *c; c++)
    *c = *c == '/' || *c == '@' ? '-' : *c;
  if (!*path)
    *path = try_name(file);
  for (size_t i = 0; !*path && i < sizeof published / sizeof *published; i++)
    if (!strcmp(published[i].name, name))
      *path = try_name(published[i].file);
  return *path ? VQ_OK
               : vq_fail(VQ_ERR_FILE,
                         "there is no file %s, and no network of that name in $VQGEN_MODELS, the user's data folder (vqgen), "
                         "./checkpoints, ./models or OpenAI's cache",
                         name);
}
