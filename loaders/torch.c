/* torch.c -- the two containers that PyTorch has written since 2017: an archive with a pickle and a file for each storage, and
 * before that five pickles in a row with the storages after them.
 */
#include "loaders/torch_pickle.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static vq_checkpoint_part *last(const vq_checkpoint *c)
{
  return &c->file.at[c->file.count - 1];
}

/* ---- the archive: FOLDER/data.pkl, FOLDER/data/KEY ---- */

typedef struct archive {
  const vq_zip *zip;
  char *folder; /* "FOLDER/" or "" */
} archive;

static vq_status find_in_archive(void *context, const vq_torch_storage *storage, vq_storage *out)
{
  archive *a = context;
  const vq_zip_entry *entry;
  const size_t folder = strlen(a->folder);
  char *name;
  if (storage->key_bytes > SHRT_MAX || !(name = malloc(folder + storage->key_bytes + 6)))
    return vq_fail(VQ_ERR_FORMAT, "the name of its storage is too long: the file is damaged");
  memcpy(name, a->folder, folder);
  memcpy(name + folder, "data/", 5);
  memcpy(name + folder + 5, storage->key, storage->key_bytes);
  name[folder + 5 + storage->key_bytes] = 0;
  entry = vq_zip_find(a->zip, name);
  if (!entry)
    vq_fail(VQ_ERR_FORMAT, "its numbers, entry '%s', are not in the archive: the file is damaged", name);
  free(name);
  if (!entry)
    return VQ_ERR_FORMAT;
  *out = (vq_storage){.bytes = entry->bytes};
  if (entry->method == 0)
    out->base = entry->data;
  else
    out->packed = entry;
  return VQ_OK;
}

/* The entry called data.pkl, at the top or in the one folder there. */
static const vq_zip_entry *find_pickle(const vq_zip *zip)
{
  for (int i = 0; i < zip->count; i++) {
    const char *name = zip->entry[i].name, *slash = strchr(name, '/');
    if (!strcmp(slash ? slash + 1 : name, "data.pkl"))
      return &zip->entry[i];
  }
  return NULL;
}

static vq_status read_object_of(vq_checkpoint *c, archive *a, const void *data, size_t bytes)
{
  vq_pickle pickle;
  vq_status status;
  VQ_TRY(vq_pickle_read(&pickle, data, bytes));
  status = vq_torch_walk(c, &pickle, find_in_archive, a);
  vq_pickle_free(&pickle);
  return status;
}

/* The entry FOLDER/NAME. */
static const vq_zip_entry *find_beside(const archive *a, const char *name)
{
  char path[PATH_MAX];
  return snprintf(path, sizeof path, "%s%s", a->folder, name) < (int)sizeof path ? vq_zip_find(a->zip, path) : NULL;
}

static vq_status read_archive(vq_checkpoint *c, const vq_zip_entry *entry, archive *a)
{
  const vq_zip_entry *order = find_beside(a, "byteorder");
  const size_t all = last(c)->input.bytes;
  vq_status status;
  void *unpacked;
  if (order && order->method == 0 && order->bytes == 3 && !memcmp(order->data, "big", 3))
    return vq_fail(VQ_ERR_UNSUPPORTED, "it was written by a machine that stores the high byte first; load it in "
                                       "PyTorch and save it again");
  c->container = find_beside(a, "constants.pkl") ? VQ_CONTAINER_TORCHSCRIPT : VQ_CONTAINER_TORCH_ZIP;
  if (entry->method == 0)
    return read_object_of(c, a, entry->data, (size_t)entry->bytes);
  if (entry->bytes > VQ_PICKLE_MOST_BYTES || entry->bytes > 4 * (uint64_t)all + (1 << 20))
    return vq_fail(VQ_ERR_FORMAT, "its data.pkl claims to unpack to %" PRIu64 " bytes: it is made to harm",
                   entry->bytes);
  unpacked = malloc((size_t)entry->bytes + 1);
  if (!unpacked)
    return vq_fail(VQ_ERR_MEMORY, "no memory to unpack its data.pkl, %" PRIu64 " bytes", entry->bytes);
  status = vq_zip_read(entry, 0, (size_t)entry->bytes, unpacked);
  if (!status)
    status = read_object_of(c, a, unpacked, (size_t)entry->bytes);
  free(unpacked);
  return status;
}

/* PyTorch writes the pickle first: it says how much should have followed. */
static vq_status truncated(const vq_input *input)
{
  size_t bytes, count = 0;
  const uint8_t *start = vq_zip_first(input, "data.pkl", &bytes);
  vq_torch_storage *storage = NULL;
  vq_pickle pickle;
  uint64_t whole;
  if (!start || vq_pickle_read(&pickle, start, bytes))
    return vq_fail(VQ_ERR_FORMAT, "it is truncated: an archive whose end is missing, and how much of it cannot be "
                                  "told; get it again");
  whole = (uint64_t)(start - input->data) + pickle.bytes;
  if (!vq_torch_storages(&storage, &count, &pickle))
    for (size_t i = 0; i < count; i++)
      if (__builtin_add_overflow(whole, storage[i].elements * storage[i].width, &whole))
        whole = UINT64_MAX;
  free(storage);
  vq_pickle_free(&pickle);
  if (whole <= input->bytes)
    return vq_fail(VQ_ERR_FORMAT,
                   "it is truncated: its tensors are there, and of the directory at the end of the archive, about "
                   "100 bytes for each of %zu entries, some is missing; get it again",
                   count);
  return vq_fail(VQ_ERR_FORMAT,
                 "it is truncated: its tensors alone have %" PRIu64 " bytes, the file has %zu, so at least %" PRIu64
                 " are missing; get it again",
                 whole, input->bytes, whole - input->bytes);
}

vq_status vq_torch_read_zip(vq_checkpoint *c)
{
  vq_checkpoint_part *file = last(c);
  const vq_zip_entry *entry;
  archive a;
  vq_status status;
  if (!vq_zip_is_whole(&file->input))
    return truncated(&file->input);
  VQ_TRY(vq_zip_open(&file->zip, &file->input));
  entry = find_pickle(&file->zip);
  if (!entry)
    return vq_fail(VQ_ERR_FORMAT,
                   "it is a zip archive, but none that PyTorch has written: it has no data.pkl; if a "
                   "checkpoint is in it, unpack it");
  a = (archive){.zip = &file->zip, .folder = strdup(entry->name)};
  if (!a.folder)
    return vq_fail(VQ_ERR_MEMORY, "no memory for names");
  a.folder[strlen(a.folder) - strlen("data.pkl")] = 0;
  status = read_archive(c, entry, &a);
  free(a.folder);
  return status;
}

/* ---- five pickles, then for each key of the last one its elements' number and their bytes ---- */

typedef struct placed {
  vq_torch_storage storage;
  const uint8_t *data; /* NULL: not met yet */
} placed;

typedef struct legacy {
  const uint8_t *at, *end;
  placed *storage; /* by key */
  size_t count;
} legacy;

static int by_key(const void *a, const void *b)
{
  const vq_torch_storage *x = &((const placed *)a)->storage, *y = &((const placed *)b)->storage;
  int order = memcmp(x->key, y->key, x->key_bytes < y->key_bytes ? x->key_bytes : y->key_bytes);
  return order ? order : (x->key_bytes > y->key_bytes) - (x->key_bytes < y->key_bytes);
}

static placed *find_placed(const legacy *l, const char *key, size_t bytes)
{
  const placed wanted = {.storage = {.key = key, .key_bytes = bytes}};
  return l->count ? bsearch(&wanted, l->storage, l->count, sizeof wanted, by_key) : NULL;
}

static vq_status find_in_legacy(void *context, const vq_torch_storage *storage, vq_storage *out)
{
  const placed *p = find_placed(context, storage->key, storage->key_bytes);
  if (!p || !p->data || p->storage.width != storage->width)
    return vq_fail(VQ_ERR_FORMAT, "its numbers are not in the file: it is damaged");
  *out = (vq_storage){.base = p->data, .bytes = p->storage.elements * p->storage.width};
  return VQ_OK;
}

static vq_status next_pickle(vq_pickle *out, legacy *l)
{
  VQ_TRY(vq_pickle_read(out, l->at, (size_t)(l->end - l->at)));
  l->at += out->bytes;
  return VQ_OK;
}

/* A pickle of somebody else: what it asks for is said. */
static vq_status not_torch(vq_checkpoint *c, const vq_pickle *pickle)
{
  VQ_TRY(vq_torch_say_names(c, pickle));
  return vq_fail(VQ_ERR_FORMAT, "it is a pickle, but none that PyTorch's torch.save has written%s%s",
                 c->note.count ? "; " : "", c->note.count ? c->note.at[0] : "");
}

static vq_status check_preface(vq_checkpoint *c, const vq_pickle *pickle, int i)
{
  static const char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  const vq_pickle_item *root = pickle->root, *little = vq_pickle_get(root, "little_endian");
  if (i == 0 && (root->kind != VQ_PICKLE_LONG || root->text.bytes != sizeof magic - 1 ||
                 memcmp(root->text.data, magic, sizeof magic - 1)))
    return not_torch(c, pickle);
  if (i == 1 && (root->kind != VQ_PICKLE_INT || root->integer != 1001))
    return vq_fail(VQ_ERR_UNSUPPORTED,
                   "it is of a version of PyTorch's format that is not read; load it in PyTorch "
                   "and save it again");
  if (little && little->kind == VQ_PICKLE_BOOL && !little->integer)
    return vq_fail(VQ_ERR_UNSUPPORTED, "it was written by a machine that stores the high byte first; load it in "
                                       "PyTorch and save it again");
  return VQ_OK;
}

/* The three pickles before the object: a magic number, a version, the machine. */
static vq_status read_preface(vq_checkpoint *c, legacy *l)
{
  for (int i = 0; i < 3; i++) {
    vq_pickle pickle;
    vq_status status;
    VQ_TRY(next_pickle(&pickle, l));
    status = check_preface(c, &pickle, i);
    vq_pickle_free(&pickle);
    VQ_TRY(status);
  }
  return VQ_OK;
}

/* What the storages that have not been met take, with their numbers of elements. */
static uint64_t outstanding(const legacy *l)
{
  uint64_t bytes = 0;
  for (size_t i = 0; i < l->count; i++)
    if (!l->storage[i].data &&
        __builtin_add_overflow(bytes, l->storage[i].storage.elements * l->storage[i].storage.width + 8, &bytes))
      return UINT64_MAX;
  return bytes;
}

static vq_status place_storages(legacy *l, const vq_pickle_item *keys)
{
  if (keys->kind != VQ_PICKLE_LIST)
    return vq_fail(VQ_ERR_FORMAT, "it has no list of its storages: the file is damaged");
  for (size_t i = 0; i < keys->list.count; i++) {
    const vq_pickle_item *key = keys->list.item[i];
    const bool text = key->kind == VQ_PICKLE_TEXT || key->kind == VQ_PICKLE_BYTES;
    placed *p = text ? find_placed(l, key->text.data, key->text.bytes) : NULL;
    uint64_t left = (uint64_t)(l->end - l->at), elements, bytes;
    if (!p || p->data)
      return vq_fail(VQ_ERR_FORMAT, "its list of storages is damaged");
    bytes = p->storage.elements * p->storage.width;
    if (left < 8 || left - 8 < bytes) {
      uint64_t due = outstanding(l);
      return vq_fail(VQ_ERR_FORMAT,
                     "it is truncated: %" PRIu64 " bytes of tensors should still follow and %" PRIu64
                     " do, so %" PRIu64 " are missing; get it again",
                     due, left, due - left);
    }
    memcpy(&elements, l->at, 8);
    if (elements != p->storage.elements)
      return vq_fail(VQ_ERR_FORMAT,
                     "a storage has %" PRIu64 " numbers where the pickle says %" PRIu64 ": the file is damaged",
                     elements, p->storage.elements);
    p->data = l->at + 8;
    l->at += 8 + bytes;
  }
  return VQ_OK;
}

static vq_status read_object(vq_checkpoint *c, legacy *l, const vq_pickle *object)
{
  vq_torch_storage *storage;
  vq_pickle keys;
  vq_status status;
  VQ_TRY(vq_torch_storages(&storage, &l->count, object));
  l->storage = calloc(l->count + 1, sizeof *l->storage);
  for (size_t i = 0; i < l->count && l->storage; i++)
    l->storage[i].storage = storage[i];
  free(storage);
  if (!l->storage)
    return vq_fail(VQ_ERR_MEMORY, "no memory for %zu storages", l->count);
  VQ_TRY(next_pickle(&keys, l));
  status = place_storages(l, keys.root);
  vq_pickle_free(&keys);
  return status ? status : vq_torch_walk(c, object, find_in_legacy, l);
}

vq_status vq_torch_read_legacy(vq_checkpoint *c)
{
  const vq_input *input = &last(c)->input;
  legacy l = {.at = input->data, .end = input->data + input->bytes};
  vq_pickle object;
  vq_status status;
  c->container = VQ_CONTAINER_TORCH_LEGACY;
  VQ_TRY(read_preface(c, &l));
  VQ_TRY(next_pickle(&object, &l));
  status = read_object(c, &l, &object);
  free(l.storage);
  vq_pickle_free(&object);
  return status;
}
