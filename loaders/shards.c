/* shards.c -- a network in several files: {"weight_map": {"NAME": "FILE", ...}} beside them; and the folders in which networks
 * are published, by the names that their files have there.
 */
#include "loaders/checkpoint_parts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_INDEX 100000000 /* bytes: as many as a safetensors header may have */

/* Looked for in a folder, in this order. */
static const char *const published[] = {
    "model.safetensors",           "model.safetensors.index.json",
    "open_clip_model.safetensors", "open_clip_pytorch_model.bin",
    "pytorch_model.bin",           "pytorch_model.bin.index.json",
};

bool vq_shards_is_index(const vq_input *input)
{
  size_t at = 0;
  while (at < input->bytes && at < 64 && memchr(" \t\r\n", input->data[at], 4))
    at++;
  return at < input->bytes && input->data[at] == '{';
}

/* "FOLDER/" of a path, with room for `more` bytes; "" for a bare name. The caller frees it. */
static char *folder_of(const char *path, size_t more)
{
  const char *slash = strrchr(path, '/');
  size_t bytes = slash ? (size_t)(slash + 1 - path) : 0;
  char *folder = malloc(bytes + more + 1);
  if (!folder) {
    vq_fail(VQ_ERR_MEMORY, "no memory for a path");
    return NULL;
  }
  memcpy(folder, path, bytes);
  folder[bytes] = 0;
  return folder;
}

static const char *last_part(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* The file `name`, beside the index; once. */
static vq_status add_shard(vq_checkpoint *c, const char *index, const char *name)
{
  vq_status status;
  char *path;
  for (int i = 0; i < c->file.count; i++)
    if (!strcmp(last_part(c->file.at[i].path), name))
      return VQ_OK;
  if (!*name || strchr(name, '/') || strchr(name, '\\'))
    return vq_fail(VQ_ERR_FORMAT, "'%s' names '%.200s', and all files of a network must lie in one folder", index,
                   name);
  path = folder_of(index, strlen(name));
  if (!path)
    return VQ_ERR_MEMORY;
  strcat(path, name);
  if (access(path, F_OK))
    status = vq_fail(VQ_ERR_FILE,
                     "'%s', which is not there: the network is not whole without it; get that file too", path);
  else
    status = vq_checkpoint_add_file(c, path);
  free(path);
  return vq_fail_in(status, "'%s' names a file", index);
}

static int by_name(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each name must be in the file that the index says. */
static vq_status check_map(vq_checkpoint *c, const json_t *map)
{
  const char *name;
  json_t *file;
  if (c->slot.count > 0)
    qsort(c->slot.at, (size_t)c->slot.count, sizeof *c->slot.at, by_name);
  json_object_foreach ((json_t *)map, name, file) {
    const vq_checkpoint_slot *s =
        c->slot.count ? bsearch(&name, c->slot.at, (size_t)c->slot.count, sizeof *s, by_name) : NULL;
    if (!s)
      return vq_fail(VQ_ERR_FORMAT,
                     "tensor '%s' should be in '%s', and is not: one of the files is another network's", name,
                     json_string_value(file));
  }
  return VQ_OK;
}

static vq_status read_index(vq_checkpoint *c, const json_t *root, const char *path)
{
  const json_t *map = json_object_get(root, "weight_map");
  const char *name;
  json_t *file;
  if (!json_is_object(map) || json_object_size(map) == 0)
    return vq_fail(VQ_ERR_FORMAT, "'%s' is a JSON file, but no index of a network's files: it has no weight_map",
                   path);
  json_object_foreach ((json_t *)map, name, file) {
    if (!json_is_string(file))
      return vq_fail(VQ_ERR_FORMAT, "'%s' has no file for tensor '%s'", path, name);
    VQ_TRY(add_shard(c, path, json_string_value(file)));
  }
  return vq_fail_in(check_map(c, map), "'%s'", path);
}

vq_status vq_shards_read(vq_checkpoint *c, const char *path)
{
  const vq_input *index = &c->file.at[0].input;
  json_error_t error;
  json_t *root;
  vq_status status;
  if (index->bytes > MOST_INDEX)
    return vq_fail(VQ_ERR_FORMAT, "'%s' has %zu bytes, too many for an index of a network's files", path,
                   index->bytes);
  root = json_loadb((const char *)index->data, index->bytes, JSON_REJECT_DUPLICATES, &error);
  if (!root)
    return vq_fail(VQ_ERR_FORMAT, "'%s' is damaged: %s, line %d", path, error.text, error.line);
  status = read_index(c, root, path);
  json_decref(root);
  return status;
}

vq_status vq_shards_read_folder(vq_checkpoint *c, const char *path)
{
  const size_t bytes = strlen(path);
  char *file = malloc(bytes + 64);
  vq_status status;
  int i = 0, count = sizeof published / sizeof *published;
  if (!file)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a path");
  memcpy(file, path, bytes);
  for (; i < count; i++) {
    strcpy(file + bytes, bytes && path[bytes - 1] == '/' ? "" : "/");
    strcat(file, published[i]);
    if (!access(file, F_OK))
      break;
  }
  if (i < count)
    status = vq_checkpoint_add_file(c, file);
  else
    status = vq_fail(VQ_ERR_FILE,
                     "folder '%s' has no network by a name that is known (model.safetensors, pytorch_model.bin, "
                     "open_clip_pytorch_model.bin); name the file",
                     path);
  free(file);
  return status;
}
