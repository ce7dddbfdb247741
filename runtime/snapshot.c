/* snapshot.c -- the state to a file and back. */
#include "runtime/snapshot.h"

#include "loaders/safetensors.h"
#include "runtime/number.h"
#include "runtime/perceive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAYS 4
static const char *const array_names[ARRAYS] = {"z", "adam_m", "adam_v", "average"};

static const char *name_of(const vq_snapshot *s, int i)
{
  return i == 0 && s->logits ? "logits" : array_names[i];
}

static int arrays_of(const vq_snapshot *s)
{
  return s->average ? ARRAYS : ARRAYS - 1;
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
  s->state.average = s->average ? calloc(elements(s), sizeof(vq_real)) : NULL;
  bool all = s->state.z && s->state.m && s->state.v && (s->state.average || !s->average);
  return all ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a snapshot");
}

void vq_snapshot_free(vq_snapshot *s)
{
  free(s->state.z);
  free(s->state.m);
  free(s->state.v);
  free(s->state.average);
  free(s->record);
  free(s->note);
  *s = (vq_snapshot){.h = 0};
}

static vq_real *const *arrays(const vq_snapshot *s, vq_real *array[ARRAYS])
{
  array[0] = s->state.z;
  array[1] = s->state.m;
  array[2] = s->state.v;
  array[3] = s->state.average;
  return array;
}

vq_status vq_snapshot_write(const char *path, const vq_snapshot *s, const char *note)
{
  vq_real *array[ARRAYS], *planes = malloc(ARRAYS * elements(s) * sizeof *planes);
  vq_file_tensor tensors[ARRAYS];
  char step[32], updates[32], averaged[32];
  if (!planes)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a snapshot");
  for (int i = 0; i < arrays_of(s); i++) {
    vq_real *to = planes + (size_t)i * elements(s);
    vq_planes_of_rows(to, arrays(s, array)[i], (int64_t)s->h * s->w, s->channels);
    tensors[i] = (vq_file_tensor){name_of(s, i),
                                  sizeof *planes == 4 ? VQ_FILE_F32 : VQ_FILE_F64,
                                  4,
                                  {1, s->channels, s->h, s->w},
                                  to,
                                  elements(s) * sizeof *planes};
  }
  snprintf(step, sizeof step, "%lld", (long long)s->step);
  snprintf(updates, sizeof updates, "%lld", (long long)s->state.updates);
  snprintf(averaged, sizeof averaged, "%lld", (long long)s->state.averaged);
  const char *pairs[] = {"kind",  "snapshot", "record", s->record,         "step",     step,
                         "updates", updates,  "note",   note ? note : "", "averaged", averaged};
  vq_status status = vq_safetensors_write(path, tensors, arrays_of(s), pairs, s->average ? 6 : 5);
  free(planes);
  return status;
}

static vq_status read_array(vq_snapshot *s, const vq_safetensors *file, int i)
{
  const vq_file_tensor *t = vq_safetensors_find(file, name_of(s, i));
  vq_real *array[ARRAYS];
  if (!t || t->dtype != (sizeof(vq_real) == 4 ? VQ_FILE_F32 : VQ_FILE_F64) || t->rank != 4 || t->dim[0] != 1 ||
      t->dim[1] != s->channels || t->dim[2] != s->h || t->dim[3] != s->w)
    return vq_fail(VQ_ERR_FORMAT, "%s is missing, or of another shape or type", name_of(s, i));
  vq_real *planes = malloc(elements(s) * sizeof *planes);
  if (!planes)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a snapshot");
  memcpy(planes, t->data, elements(s) * sizeof *planes);
  vq_rows_of_planes(arrays(s, array)[i], planes, (int64_t)s->h * s->w, s->channels);
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
  *s = (vq_snapshot){.h = (int)z->dim[2], .w = (int)z->dim[3], .channels = (int)z->dim[1], .logits = logits != NULL, .average = averaged != NULL};
  VQ_TRY(vq_snapshot_create(s));
  s->state.averaged = counters[2];
  s->step = counters[0];
  s->state.updates = counters[1];
  s->record = strdup(record);
  s->note = note ? strdup(note) : NULL;
  if (!s->record || (note && !s->note))
    return vq_fail(VQ_ERR_MEMORY, "no memory for a snapshot");
  for (int i = 0; i < arrays_of(s); i++)
    VQ_TRY(read_array(s, file, i));
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
