/* checkpoint.c -- tells containers apart, keeps what they hold in sorted lists, and reads tensors wherever they lie. */
#include "loaders/checkpoint_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *vq_container_name(vq_container container)
{
  static const char *const names[] = {"safetensors", "PyTorch", "PyTorch, before 1.6", "TorchScript"};
  return (unsigned)container < sizeof names / sizeof *names ? names[container] : "?";
}

/* ---- filling ---- */

/* One more element, zeros, at the end of a VQ_ARRAY. NULL: no memory. */
static void *extend(void **at, int *count, int *room, size_t size)
{
  if (*count == *room) {
    int larger = *room < 32 ? 64 : *room <= INT32_MAX / 2 ? 2 * *room : 0;
    void *moved = larger ? realloc(*at, (size_t)larger * size) : NULL;
    if (!moved) {
      vq_fail(VQ_ERR_MEMORY, "no memory for what the file holds");
      return NULL;
    }
    *at = moved;
    *room = larger;
  }
  return memset((char *)*at + (size_t)(*count)++ * size, 0, size);
}

#define EXTEND(array) extend((void **)&(array).at, &(array).count, &(array).room, sizeof *(array).at)

vq_checkpoint_part *vq_checkpoint_new_file(vq_checkpoint *c, const char *path)
{
  vq_checkpoint_part *file = EXTEND(c->file);
  if (file && !(file->path = strdup(path))) {
    vq_fail(VQ_ERR_MEMORY, "no memory for a path");
    return NULL;
  }
  return file;
}

vq_checkpoint_slot *vq_checkpoint_new_slot(vq_checkpoint *c)
{
  return EXTEND(c->slot);
}

vq_checkpoint_value *vq_checkpoint_new_value(vq_checkpoint *c)
{
  return EXTEND(c->value);
}

vq_status vq_checkpoint_say(vq_checkpoint *c, const char *format, ...)
{
  char text[1024];
  char **note = EXTEND(c->note);
  va_list arguments;
  if (!note)
    return VQ_ERR_MEMORY;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  *note = vq_arena_text(&c->arena, text, strlen(text));
  return *note ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for notes");
}

void vq_checkpoint_dense(const vq_file_tensor *tensor, int64_t stride[VQ_FILE_RANK])
{
  int64_t step = 1;
  for (int i = tensor->rank - 1; i >= 0; i--) {
    stride[i] = step;
    if (tensor->dim[i] > 0)
      step *= tensor->dim[i];
  }
}

/* ---- opening ---- */

static vq_status add_safetensors(vq_checkpoint *c, int index)
{
  const char *const *pair;
  const vq_safetensors *from;
  int pairs;
  VQ_TRY(vq_safetensors_open(&c->file.at[index].safetensors, c->file.at[index].path));
  from = c->file.at[index].safetensors;
  for (int i = 0; i < vq_safetensors_count(from); i++) {
    vq_checkpoint_slot *s = vq_checkpoint_new_slot(c);
    if (!s)
      return VQ_ERR_MEMORY;
    *s = (vq_checkpoint_slot){.tensor = *vq_safetensors_at(from, i), .file = index, .order = c->slot.count};
    s->storage = (vq_storage){.base = s->tensor.data, .bytes = s->tensor.bytes};
    vq_checkpoint_dense(&s->tensor, s->stride);
  }
  pair = vq_safetensors_metadata_pairs(from, &pairs);
  for (int i = 0; i < pairs; i++) {
    vq_checkpoint_value *v = vq_checkpoint_new_value(c);
    if (!v)
      return VQ_ERR_MEMORY;
    *v = (vq_checkpoint_value){pair[2 * i], VQ_VALUE_TEXT, .text = pair[2 * i + 1],
                               .length = strlen(pair[2 * i + 1])};
  }
  return VQ_OK;
}

/* A length that a header can have, and the header: the file of another kind that begins so is not known. */
static bool is_safetensors(const vq_input *input)
{
  uint64_t length;
  if (input->bytes < 10 || input->data[8] != '{')
    return false;
  memcpy(&length, input->data, 8);
  return length >= 2 && length <= 100000000;
}

static bool begins(const vq_input *input, const char *bytes, size_t count)
{
  return input->bytes >= count && !memcmp(input->data, bytes, count);
}

vq_status vq_checkpoint_add_file(vq_checkpoint *c, const char *path)
{
  const int index = c->file.count;
  vq_checkpoint_part *file = vq_checkpoint_new_file(c, path);
  if (!file)
    return VQ_ERR_MEMORY;
  VQ_TRY(vq_input_open(&file->input, path));
  if (is_safetensors(&file->input))
    return add_safetensors(c, index);
  if (begins(&file->input, "PK\3\4", 4) || begins(&file->input, "PK\5\6", 4))
    return vq_fail_in(vq_torch_read_zip(c), "'%s'", path);
  if (begins(&file->input, "\x80", 1))
    return vq_fail_in(vq_torch_read_legacy(c), "'%s'", path);
  if (vq_shards_is_index(&file->input) && index == 0)
    return vq_shards_read(c, path);
  return vq_input_mistaken(&file->input, path, "a checkpoint");
}

/* The first member of slots and of values is the name. */
static int by_name(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_name_and_order(const void *a, const void *b)
{
  const vq_checkpoint_slot *x = a, *y = b;
  int order = by_name(a, b);
  return order ? order : y->order - x->order;
}

_Static_assert(offsetof(vq_checkpoint_slot, tensor.name) == 0 && offsetof(vq_checkpoint_value, name) == 0,
               "by_name reads it");

/* Sorts. Of tensors with one name the last stays, as in Python, where they overwrite one another. */
static vq_status finish(vq_checkpoint *c)
{
  int kept = 0;
  if (c->value.count > 0)
    qsort(c->value.at, (size_t)c->value.count, sizeof *c->value.at, by_name);
  if (c->slot.count > 0)
    qsort(c->slot.at, (size_t)c->slot.count, sizeof *c->slot.at, by_name_and_order);
  for (int i = 0; i < c->slot.count; i++) {
    if (kept == 0 || by_name(&c->slot.at[kept - 1], &c->slot.at[i]))
      c->slot.at[kept++] = c->slot.at[i];
    else
      VQ_TRY(vq_checkpoint_say(c, "tensor '%s' is there more than once: the last one is read",
                               c->slot.at[i].tensor.name));
  }
  c->slot.count = kept;
  return VQ_OK;
}

vq_status vq_checkpoint_open(vq_checkpoint **out, const char *path)
{
  vq_checkpoint *c = calloc(1, sizeof *c);
  struct stat found;
  vq_status status;
  *out = NULL;
  if (!c)
    return vq_fail(VQ_ERR_MEMORY, "no memory to open '%s'", path);
  status = path && !stat(path, &found) && S_ISDIR(found.st_mode) ? vq_shards_read_folder(c, path)
                                                                 : vq_checkpoint_add_file(c, path ? path : "");
  if (!status)
    status = finish(c);
  if (status)
    vq_checkpoint_close(c);
  else
    *out = c;
  return status;
}

void vq_checkpoint_close(vq_checkpoint *c)
{
  if (!c)
    return;
  for (int i = 0; i < c->file.count; i++) {
    vq_safetensors_close(c->file.at[i].safetensors);
    vq_zip_close(&c->file.at[i].zip);
    vq_input_close(&c->file.at[i].input);
    free(c->file.at[i].path);
  }
  free(c->file.at);
  free(c->slot.at);
  free(c->value.at);
  free(c->note.at);
  vq_arena_free(&c->arena);
  free(c);
}

vq_container vq_checkpoint_container(const vq_checkpoint *c)
{
  return c->container;
}

/* ---- tensors ---- */

int vq_checkpoint_count(const vq_checkpoint *c)
{
  return c->slot.count;
}

const vq_file_tensor *vq_checkpoint_at(const vq_checkpoint *c, int index)
{
  return &c->slot.at[index].tensor;
}

int vq_checkpoint_find(const vq_checkpoint *c, const char *name)
{
  const vq_checkpoint_slot *s =
      c->slot.count ? bsearch(&name, c->slot.at, (size_t)c->slot.count, sizeof *s, by_name) : NULL;
  return s ? (int)(s - c->slot.at) : -1;
}

const int64_t *vq_checkpoint_strides(const vq_checkpoint *c, int index)
{
  return c->slot.at[index].stride;
}

/* Copies dimension `d` and those after it; returns where the copy ends. */
static uint8_t *gather(const vq_checkpoint_slot *s, int d, const uint8_t *from, uint8_t *to)
{
  const size_t width = vq_file_dtype_bytes(s->tensor.dtype);
  if (d == s->tensor.rank)
    return (uint8_t *)memcpy(to, from, width) + width;
  const int64_t n = s->tensor.dim[d];
  const size_t step = (size_t)s->stride[d] * width;
  if (d + 1 < s->tensor.rank) {
    for (int64_t i = 0; i < n; i++)
      to = gather(s, d + 1, from + (size_t)i * step, to);
    return to;
  }
  if (step == width)
    return (uint8_t *)memcpy(to, from, (size_t)n * width) + (size_t)n * width;
  for (int64_t i = 0; i < n; i++, from += step, to += width)
    switch (width) { /* of a known size, it is one instruction */
    case 1: *to = *from; break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    default: memcpy(to, from, 8);
    }
  return to;
}

static vq_status read_packed(const vq_checkpoint_slot *s, uint8_t *out)
{
  int64_t dense[VQ_FILE_RANK];
  bool as_wanted = s->storage.bytes == s->tensor.bytes;
  uint8_t *reach;
  vq_status status;
  vq_checkpoint_dense(&s->tensor, dense);
  for (int i = 0; i < s->tensor.rank; i++)
    as_wanted = as_wanted && (s->tensor.dim[i] == 1 || s->stride[i] == dense[i]);
  if (as_wanted)
    return vq_zip_read(s->storage.packed, s->storage.offset, s->tensor.bytes, out);
  reach = malloc((size_t)s->storage.bytes);
  if (!reach)
    return vq_fail(VQ_ERR_MEMORY, "no memory to unpack %llu bytes", (unsigned long long)s->storage.bytes);
  status = vq_zip_read(s->storage.packed, s->storage.offset, (size_t)s->storage.bytes, reach);
  if (!status)
    gather(s, 0, reach, out);
  free(reach);
  return status;
}

vq_status vq_checkpoint_read(const vq_checkpoint *c, int index, void *out)
{
  const vq_checkpoint_slot *s = &c->slot.at[index];
  if (s->tensor.bytes == 0)
    return VQ_OK;
  if (s->storage.packed)
    return vq_fail_in(read_packed(s, out), "'%s': tensor '%s'", c->file.at[s->file].path, s->tensor.name);
  if (s->tensor.data)
    memcpy(out, s->tensor.data, s->tensor.bytes);
  else
    gather(s, 0, s->storage.base, out);
  return VQ_OK;
}

/* ---- values, notes, files ---- */

int vq_checkpoint_values(const vq_checkpoint *c)
{
  return c->value.count;
}

const vq_checkpoint_value *vq_checkpoint_value_at(const vq_checkpoint *c, int index)
{
  return &c->value.at[index];
}

const vq_checkpoint_value *vq_checkpoint_value_find(const vq_checkpoint *c, const char *name)
{
  return c->value.count ? bsearch(&name, c->value.at, (size_t)c->value.count, sizeof *c->value.at, by_name) : NULL;
}

int vq_checkpoint_notes(const vq_checkpoint *c)
{
  return c->note.count;
}

const char *vq_checkpoint_note(const vq_checkpoint *c, int index)
{
  return c->note.at[index];
}

int vq_checkpoint_files(const vq_checkpoint *c)
{
  return c->file.count;
}

const char *vq_checkpoint_file(const vq_checkpoint *c, int index, uint64_t *bytes)
{
  if (bytes)
    *bytes = c->file.at[index].input.bytes;
  return c->file.at[index].path;
}
