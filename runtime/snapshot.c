/* snapshot.c -- the state to a file and back. */
#include "runtime/snapshot.h"

#include "loaders/safetensors.h"
#include "runtime/number.h"
#include "runtime/perceive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An array of the file, and where it is in memory: NULL where this snapshot has none. */
typedef struct array {
  const char *name;
  vq_real *values;
} array;

#define ARRAYS 5

static int arrays_of(const vq_snapshot *s, array list[ARRAYS])
{
  const vq_engine_state *is = &s->state;
  const array all[ARRAYS] = {{s->logits ? "logits" : "z", is->z},
                             {"adam_m", is->m},
                             {"adam_v", is->v},
                             {"past", is->past},
                             {"average", is->average}};
  int count = 0;
  for (int i = 0; i < ARRAYS; i++)
    if (all[i].values)
      list[count++] = all[i];
  return count;
}

static size_t elements(const vq_snapshot *s)
{
  return (size_t)s->h * (size_t)s->w * (size_t)s->channels;
}

vq_status vq_snapshot_create(vq_snapshot *s)
{
  s->state.z = calloc(elements(s), sizeof(vq_real));
  s->state.m = calloc(elements(s), sizeof(vq_real));
  s->state.v = calloc(elements(s), sizeof(vq_real));
  s->state.past = s->past ? calloc(elements(s), sizeof(vq_real)) : NULL;
  s->state.average = s->average ? calloc(elements(s), sizeof(vq_real)) : NULL;
  bool all =
      s->state.z && s->state.m && s->state.v && (s->state.past || !s->past) && (s->state.average || !s->average);
  return all ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a snapshot");
}

void vq_snapshot_free(vq_snapshot *s)
{
  free(s->state.z);
  free(s->state.m);
  free(s->state.v);
  free(s->state.past);
  free(s->state.average);
  free(s->record);
  free(s->note);
  *s = (vq_snapshot){.h = 0};
}

vq_status vq_snapshot_write(const char *path, const vq_snapshot *s, const char *note)
{
  array list[ARRAYS];
  int count = arrays_of(s, list);
  vq_real *planes = malloc((size_t)count * elements(s) * sizeof *planes);
  vq_file_tensor tensors[ARRAYS];
  char step[32], updates[32], averaged[32];
  if (!planes)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a snapshot");
  for (int i = 0; i < count; i++) {
    vq_real *to = planes + (size_t)i * elements(s);
    vq_planes_of_rows(to, list[i].values, (int64_t)s->h * s->w, s->channels);
    tensors[i] = (vq_file_tensor){list[i].name,
                                  sizeof *planes == 4 ? VQ_FILE_F32 : VQ_FILE_F64,
                                  4,
                                  {1, s->channels, s->h, s->w},
                                  to,
                                  elements(s) * sizeof *planes};
  }
  snprintf(step, sizeof step, "%lld", (long long)s->step);
  snprintf(updates, sizeof updates, "%lld", (long long)s->state.updates);
  snprintf(averaged, sizeof averaged, "%lld", (long long)s->state.averaged);
  const char *pairs[] = {"kind",    "snapshot", "record", s->record,        "step",     step,
                         "updates", updates,    "note",   note ? note : "", "averaged", averaged};
  vq_status status = vq_safetensors_write(path, tensors, count, pairs, s->average ? 6 : 5);
  free(planes);
  return status;
}

static vq_status read_array(const vq_snapshot *s, const vq_safetensors *file, const array *a)
{
  const vq_file_tensor *t = vq_safetensors_find(file, a->name);
  if (!t || t->dtype != (sizeof(vq_real) == 4 ? VQ_FILE_F32 : VQ_FILE_F64) || t->rank != 4 || t->dim[0] != 1 ||
      t->dim[1] != s->channels || t->dim[2] != s->h || t->dim[3] != s->w)
    return vq_fail(VQ_ERR_FORMAT, "%s is missing, or of another shape or type", a->name);
  vq_real *planes = malloc(elements(s) * sizeof *planes);
  if (!planes)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a snapshot");
  memcpy(planes, t->data, elements(s) * sizeof *planes);
  vq_rows_of_planes(a->values, planes, (int64_t)s->h * s->w, s->channels);
  free(planes);
  return VQ_OK;
}

static vq_status read_all(vq_snapshot *s, const vq_safetensors *file)
{
  const char *kind = vq_safetensors_metadata(file, "kind"), *record = vq_safetensors_metadata(file, "record");
  const char *step = vq_safetensors_metadata(file, "step"), *updates = vq_safetensors_metadata(file, "updates");
  const char *note = vq_safetensors_metadata(file, "note");
  const char *averaged = vq_safetensors_metadata(file, "averaged");
  const vq_file_tensor *z = vq_safetensors_find(file, "z"), *logits = vq_safetensors_find(file, "logits");
  int64_t counters[3] = {0};
  z = logits ? logits : z;
  if (!kind || strcmp(kind, "snapshot"))
    return vq_fail(VQ_ERR_FORMAT, "this is no snapshot: --snapshot writes them");
  if (!record || !z || z->rank != 4 || !step || vq_integer_read(step, &counters[0]) || !updates ||
      vq_integer_read(updates, &counters[1]) || counters[0] < 0 || counters[1] < 0 ||
      (averaged && (vq_integer_read(averaged, &counters[2]) || counters[2] < 1)))
    return vq_fail(VQ_ERR_FORMAT, "the snapshot lacks its record, its counters or its z");
  for (int i = 1; i < 4; i++)
    if (z->dim[i] < 1 || z->dim[i] > 1 << 16)
      return vq_fail(VQ_ERR_FORMAT, "its z has an impossible shape");
  *s = (vq_snapshot){.h = (int)z->dim[2],
                     .w = (int)z->dim[3],
                     .channels = (int)z->dim[1],
                     .logits = logits != NULL,
                     .past = vq_safetensors_find(file, "past") != NULL,
                     .average = averaged != NULL};
  VQ_TRY(vq_snapshot_create(s));
  s->state.averaged = counters[2];
  s->step = counters[0];
  s->state.updates = counters[1];
  s->record = strdup(record);
  s->note = note ? strdup(note) : NULL;
  if (!s->record || (note && !s->note))
    return vq_fail(VQ_ERR_MEMORY, "no memory for a snapshot");
  array list[ARRAYS];
  int count = arrays_of(s, list);
  for (int i = 0; i < count; i++)
    VQ_TRY(read_array(s, file, &list[i]));
  return VQ_OK;
}

vq_status vq_snapshot_read(vq_snapshot *out, const char *path)
{
  vq_safetensors *file;
  *out = (vq_snapshot){.h = 0};
  VQ_TRY(vq_safetensors_open(&file, path));
  vq_status status = vq_fail_in(read_all(out, file), "%s", path);
  vq_safetensors_close(file);
  if (status)
    vq_snapshot_free(out);
  return status;
}
