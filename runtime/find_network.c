/* find_network.c -- from a name to a file. Contract: find_network.h. */
#include "runtime/find_network.h"

#include <glob.h>
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
    {"imagenet_1024", "vqgan.1024.model"}, /* as DALLE-pytorch keeps it */
};

static const char *const endings[] = {"", ".safetensors", ".ckpt", ".pt", ".pth", ".bin"};

static const struct {
  const char *variable, *rest;
} folders[] = {
    {"VQGEN_MODELS", ""}, {"XDG_DATA_HOME", "/vqgen"}, {"HOME", "/.local/share/vqgen"}, {NULL, "checkpoints"},
    {NULL, "models"},     {"HOME", "/.cache/clip"},    {"HOME", "/.cache/dalle"},       {NULL, "."},
};

/* ---- what Hugging Face's tools have downloaded: HUB/models--OWNER--NAME/snapshots/REVISION/FILE ---- */

static const struct {
  const char *variable, *rest;
} hubs[] = {
    {"HF_HUB_CACHE", ""},
    {"HUGGINGFACE_HUB_CACHE", ""},
    {"HF_HOME", "/hub"},
    {"XDG_CACHE_HOME", "/huggingface/hub"},
    {"HOME", "/.cache/huggingface/hub"},
};

static const struct {
  const char *name, *repository;
} repositories[] = {
    {"ViT-B/32", "openai/clip-vit-base-patch32"},          {"ViT-B/16", "openai/clip-vit-base-patch16"},
    {"ViT-L/14", "openai/clip-vit-large-patch14"},         {"ViT-L/14@336px", "openai/clip-vit-large-patch14-336"},
    {"ViT-H/14", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"},
};

/* The file in a repository that holds the network; beside it are its settings and, mostly, its vocabulary. */
static const char *const in_repository[] = {"model.safetensors", "open_clip_model.safetensors",
                                            "open_clip_pytorch_model.bin", "pytorch_model.bin"};

static char *try_hub(const char *base, const char *rest, const char *owner, int length, const char *repository)
{
  char pattern[PATH_BYTES];
  char *path = NULL;
  for (size_t i = 0; !path && i < sizeof in_repository / sizeof *in_repository; i++) {
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s%s/models--%.*s--%s/snapshots/*/%s", base, rest, length, owner, repository,
             in_repository[i]);
    if (!glob(pattern, 0, NULL, &found) && found.gl_pathc)
      path = strdup(found.gl_pathv[0]);
    globfree(&found);
  }
  return path;
}

/* "OWNER/REPOSITORY", in any of the places. */
static char *try_repository(const char *name)
{
  const char *slash = strchr(name, '/');
  char *path = NULL;
  for (size_t i = 0; slash && !strchr(slash + 1, '/') && !path && i < sizeof hubs / sizeof *hubs; i++) {
    const char *base = getenv(hubs[i].variable);
    if (base && *base)
      path = try_hub(base, hubs[i].rest, name, (int)(slash - name), slash + 1);
  }
  return path;
}

/* ---- by name ---- */

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
  for (size_t i = 0; !*path && i < sizeof repositories / sizeof *repositories; i++)
    if (!strcmp(repositories[i].name, name))
      *path = try_repository(repositories[i].repository);
  if (!*path)
    *path = try_repository(name);
  return *path ? VQ_OK
               : vq_fail(VQ_ERR_FILE,
                         "there is no file %s, and no network of that name in $VQGEN_MODELS, the user's data "
                         "folder (vqgen), ./checkpoints, ./models or the caches of OpenAI's CLIP, DALLE-pytorch "
                         "and Hugging Face",
                         name);
}
