/* model_name.c -- the name by the hash, or by the name. Contract: model_name.h. */
#include "runtime/model_name.h"

#include "loaders/safetensors.h"
#include "loaders/sha256.h"
#include "runtime/notebook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PATH_BYTES 4096
#define LINE_BYTES 1024

static FILE *open_list(const char *folder, int length, const char *rest)
{
  char path[PATH_BYTES];
  int bytes = folder ? snprintf(path, sizeof path, "%.*s%snames.txt", length, folder, rest) : PATH_BYTES;
  return bytes < PATH_BYTES ? fopen(path, "r") : NULL;
}

static FILE *find_list(const char *network)
{
  const char *models = getenv("VQGEN_MODELS"), *data = getenv("XDG_DATA_HOME"), *slash = strrchr(network, '/');
  FILE *list = models && *models ? open_list(models, PATH_BYTES, "/") : NULL;
  if (!list && data && *data)
    list = open_list(data, PATH_BYTES, "/vqgen/");
  else if (!list)
    list = open_list(getenv("HOME"), PATH_BYTES, "/.local/share/vqgen/");
  return list ? list : open_list(network, slash ? (int)(slash - network + 1) : 0, "");
}

bool vq_model_has_list(const char *network)
{
  FILE *list = find_list(network);
  return list && !fclose(list);
}

/* The hash of what it was made from, or of itself. */
static vq_status hash_of(const vq_network *net, char hex[VQ_SHA256_HEX])
{
  vq_safetensors *file;
  const char *source = NULL;
  if (vq_network_is_ours(net)) {
    VQ_TRY(vq_safetensors_open(&file, vq_network_path(net)));
    source = vq_safetensors_metadata(file, "source_sha256");
    if (source)
      snprintf(hex, VQ_SHA256_HEX, "%s", source);
    vq_safetensors_close(file);
  }
  return source ? VQ_OK : vq_sha256_file(vq_checkpoint_file(vq_network_checkpoint(net), 0, NULL), hex);
}

/* Is the line the hash's? Then *name is what stands behind. */
static bool is_of(char *line, const char *hex, const char **name)
{
  size_t n = strspn(line, "0123456789abcdefABCDEF");
  if (n != VQ_SHA256_HEX - 1 || strncasecmp(line, hex, n) || (line[n] != ' ' && line[n] != '\t'))
    return false;
  line[strcspn(line, "\r\n")] = 0;
  *name = line + n + strspn(line + n, " \t*");
  return **name;
}

vq_status vq_model_name(char **out, const vq_network *vqgan)
{
  char line[LINE_BYTES], hex[VQ_SHA256_HEX];
  const char *name = NULL;
  FILE *list = find_list(vq_network_path(vqgan));
  vq_status status = list ? hash_of(vqgan, hex) : VQ_OK;
  while (!status && list && !name && fgets(line, sizeof line, list))
    if (!is_of(line, hex, &name))
      name = NULL;
  if (list)
    fclose(list);
  VQ_TRY(status);
  if (!name)
    name = vq_notebook_model(vq_network_name(vqgan), vq_network_vqgan(vqgan)->n_embed);
  *out = strdup(name);
  return *out ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a name");
}
