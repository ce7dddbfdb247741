/* settings.c -- defaults: the notebooks', then those that networks carry; and where networks are looked for. */
#include "vqgen.h"

#include "runtime/fields.h"
#include "runtime/find_network.h"
#include "runtime/network.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void vq_settings_init(vq_settings *s)
{
  *s = (vq_settings){
      .width = 256,
      .height = 256,
      .steps = 500,
      .lr = 0.1,
      .lr_end = 0.1,
      .weight_decay = 0.01,
      .z_clamp = true,
      .cutouts = 64,
      .cut_power = 1,
      .cut_most = 1,
      .metadata = VQ_METADATA_TEXT,
      .quality = 95,
  };
}

void vq_settings_clear(vq_settings *s)
{
  for (int i = 0; i < 2; i++) {
    free(s->found[i]);
    s->found[i] = NULL;
  }
}

/* ---- a network's own defaults ---- */

static vq_status apply_default(vq_settings *s, const char *key, const json_t *value)
{
  const vq_field *f = vq_field_find(key);
  const char *file;
  vq_status status =
      f ? vq_field_from_json(f, s, value) : vq_fail(VQ_ERR_NETWORK, "it is not known to this version");
  file = !status && f->file ? f->file(s) : NULL;
  if (file) /* it would be looked for wherever the tool is used */
    status = vq_fail(VQ_ERR_NETWORK, "a file (%s) is nobody's default", file);
  return status ? vq_fail_in(VQ_ERR_NETWORK, "its default \"%s\"", key) : VQ_OK;
}

static vq_status apply_defaults(vq_settings *s, const char *path, vq_network_kind kind)
{
  vq_network *net;
  json_error_t error;
  const char *key;
  json_t *value;
  VQ_TRY(vq_network_open(
      &net, path, kind,
      &(vq_network_hints){.config = kind == VQ_NETWORK_VQGAN ? s->config : NULL, .vocab = s->vocab}));
  vq_status status = VQ_OK;
  const char *text = vq_network_defaults(net);
  json_t *defaults = text ? json_loads(text, 0, &error) : json_object();
  if (!defaults)
    status = vq_fail(VQ_ERR_NETWORK, "its defaults are not JSON: %s", error.text);
  json_object_foreach (defaults, key, value)
    if (!status)
      status = apply_default(s, key, value);
  json_decref(defaults);
  vq_network_close(net);
  return vq_fail_in(status, "%s", path);
}

/* ---- where networks are ---- */

#define FOLDERS    5
#define PATH_BYTES 4096

typedef struct folder_list {
  char path[FOLDERS][PATH_BYTES];
  int count;
} folder_list;

static void add_folder(folder_list *list, const char *start, const char *rest)
{
  if (start && *start && strlen(start) + strlen(rest) < PATH_BYTES)
    snprintf(list->path[list->count++], PATH_BYTES, "%.*s%s", PATH_BYTES - 128, start, rest);
}

/* In the order in which they are looked through. The program's own place serves a tree that was moved after it was
 * installed, and a build tree. */
static void find_folders(folder_list *list)
{
  char program[PATH_BYTES] = "";
  ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
  char *slash = n > 0 ? strrchr(program, '/') : NULL;
  const char *data = getenv("XDG_DATA_HOME");
  if (slash)
    *slash = 0;
  list->count = 0;
  add_folder(list, getenv("VQGEN_MODELS"), "");
  if (data && *data)
    add_folder(list, data, "/vqgen");
  else
    add_folder(list, getenv("HOME"), "/.local/share/vqgen");
  add_folder(list, slash ? program : NULL, "/../share/vqgen");
  add_folder(list, slash ? program : NULL, "/../weights");
  add_folder(list, VQ_DATA_DIR, "");
}

static vq_status find_networks(vq_settings *s)
{
  static const char *const names[2] = {"vqgan.safetensors", "clip.safetensors"};
  folder_list folders;
  char looked[2048] = "";
  find_folders(&folders);
  vq_settings_clear(s);
  for (int i = 0; i < folders.count; i++) {
    char path[2][PATH_BYTES + 32];
    for (int j = 0; j < 2; j++)
      snprintf(path[j], sizeof path[j], "%s/%s", folders.path[i], names[j]);
    if (access(path[0], R_OK) || access(path[1], R_OK)) {
      size_t used = strlen(looked);
      snprintf(looked + used, sizeof looked - used, "%s%.300s", used ? ", " : "", folders.path[i]);
      continue;
    }
    s->vqgan = s->found[0] = strdup(path[0]);
    s->clip = s->found[1] = strdup(path[1]);
    return s->vqgan && s->clip ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for file names");
  }
  return vq_fail(
      VQ_ERR_FILE,
      "no networks found: give --vqgan and --clip, or put vqgan.safetensors and clip.safetensors into a folder "
      "that $VQGEN_MODELS names (looked in %s)",
      looked);
}

/* A network that is given by its name becomes a file. */
static vq_status find_by_name(const char **network, char **found)
{
  char *path;
  if (!access(*network, F_OK))
    return VQ_OK;
  VQ_TRY(vq_network_find(&path, *network));
  free(*found);
  *network = *found = path;
  return VQ_OK;
}

vq_status vq_settings_load(vq_settings *s)
{
  if (!s->vqgan && !s->clip)
    VQ_TRY(find_networks(s));
  if (!s->vqgan || !s->clip)
    return vq_fail(VQ_ERR_ARGUMENT,
                   "a %s was given without a %s: networks are used in pairs, so give both or neither",
                   s->clip ? "CLIP" : "VQGAN", s->clip ? "VQGAN" : "CLIP");
  VQ_TRY(find_by_name(&s->vqgan, &s->found[0]));
  VQ_TRY(find_by_name(&s->clip, &s->found[1]));
  VQ_TRY(apply_defaults(s, s->vqgan, VQ_NETWORK_VQGAN));
  return apply_defaults(s, s->clip, VQ_NETWORK_CLIP);
}
