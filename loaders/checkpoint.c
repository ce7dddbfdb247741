/* checkpoint.c -- tells containers apart and keeps what they hold in one sorted list. */
#include "loaders/checkpoint.h"

#include "loaders/input.h"
#include "loaders/safetensors.h"

#include <stdlib.h>
#include <string.h>

typedef struct slot {
  vq_file_tensor tensor;
  int64_t stride[VQ_FILE_RANK];
} slot;

struct vq_checkpoint {
  vq_container container;
  vq_safetensors *safetensors;
  char *path;
  uint64_t bytes;
  slot *slot; /* by name */
  int slots;
  vq_checkpoint_value *value; /* by name */
  int values;
};

const char *vq_container_name(vq_container container)
{
  return container == VQ_CONTAINER_SAFETENSORS ? "safetensors" : "?";
}

/* ---- opening ---- */

static int by_name(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b); /* the first member of slots and of values */
}
_Static_assert(offsetof(slot, tensor.name) == 0 && offsetof(vq_checkpoint_value, name) == 0, "by_name reads it");

static vq_status open_safetensors(vq_checkpoint *c, const char *path)
{
  const char *const *pair;
  VQ_TRY(vq_safetensors_open(&c->safetensors, path));
  pair = vq_safetensors_metadata_pairs(c->safetensors, &c->values);
  c->slots = vq_safetensors_count(c->safetensors);
  c->slot = calloc((size_t)c->slots + 1, sizeof *c->slot);
  c->value = calloc((size_t)c->values + 1, sizeof *c->value);
  if (!c->slot || !c->value)
    return vq_fail(VQ_ERR_MEMORY, "no memory for the names of '%s'", path);
  for (int i = 0; i < c->slots; i++) {
    slot *s = &c->slot[i];
    s->tensor = *vq_safetensors_at(c->safetensors, i);
    for (int64_t k = s->tensor.rank - 1, step = 1; k >= 0; step *= s->tensor.dim[k--])
      s->stride[k] = step;
  }
  for (int i = 0; i < c->values; i++)
    c->value[i] = (vq_checkpoint_value){pair[2 * i], VQ_VALUE_TEXT, .text = pair[2 * i + 1],
                                        .length = strlen(pair[2 * i + 1])};
  return VQ_OK;
}

static vq_status open_file(vq_checkpoint *c, const char *path)
{
  vq_input input;
  VQ_TRY(vq_input_open(&input, path));
  c->bytes = input.bytes;
  if (vq_input_guess(input.data, input.bytes)) {
    vq_status status = vq_input_mistaken(&input, path, "a checkpoint that is read");
    vq_input_close(&input);
    return status;
  }
  vq_input_close(&input);
  c->path = strdup(path);
  if (!c->path)
    return vq_fail(VQ_ERR_MEMORY, "no memory to open '%s'", path);
  VQ_TRY(open_safetensors(c, path));
  qsort(c->slot, (size_t)c->slots, sizeof *c->slot, by_name);
  qsort(c->value, (size_t)c->values, sizeof *c->value, by_name);
  return VQ_OK;
}

vq_status vq_checkpoint_open(vq_checkpoint **out, const char *path)
{
  vq_checkpoint *c = calloc(1, sizeof *c);
  vq_status status;
  *out = NULL;
  if (!c)
    return vq_fail(VQ_ERR_MEMORY, "no memory to open '%s'", path);
  status = open_file(c, path);
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
  vq_safetensors_close(c->safetensors);
  free(c->slot);
  free(c->value);
  free(c->path);
  free(c);
}

vq_container vq_checkpoint_container(const vq_checkpoint *c)
{
  return c->container;
}

/* ---- tensors ---- */

int vq_checkpoint_count(const vq_checkpoint *c)
{
  return c->slots;
}

const vq_file_tensor *vq_checkpoint_at(const vq_checkpoint *c, int index)
{
  return &c->slot[index].tensor;
}

int vq_checkpoint_find(const vq_checkpoint *c, const char *name)
{
  const slot *s = bsearch(&name, c->slot, (size_t)c->slots, sizeof *c->slot, by_name);
  return s ? (int)(s - c->slot) : -1;
}

const int64_t *vq_checkpoint_strides(const vq_checkpoint *c, int index)
{
  return c->slot[index].stride;
}

vq_status vq_checkpoint_read(const vq_checkpoint *c, int index, void *out)
{
  const slot *s = &c->slot[index];
  if (s->tensor.bytes)
    memcpy(out, s->tensor.data, s->tensor.bytes);
  return VQ_OK;
}

/* ---- values, notes, files ---- */

int vq_checkpoint_values(const vq_checkpoint *c)
{
  return c->values;
}

const vq_checkpoint_value *vq_checkpoint_value_at(const vq_checkpoint *c, int index)
{
  return &c->value[index];
}

const vq_checkpoint_value *vq_checkpoint_value_find(const vq_checkpoint *c, const char *name)
{
  return bsearch(&name, c->value, (size_t)c->values, sizeof *c->value, by_name);
}

int vq_checkpoint_notes(const vq_checkpoint *c)
{
  (void)c;
  return 0;
}

const char *vq_checkpoint_note(const vq_checkpoint *c, int index)
{
  (void)c, (void)index;
  return NULL;
}

int vq_checkpoint_files(const vq_checkpoint *c)
{
  (void)c;
  return 1;
}

const char *vq_checkpoint_file(const vq_checkpoint *c, int index, uint64_t *bytes)
{
  (void)index;
  if (bytes)
    *bytes = c->bytes;
  return c->path;
}
