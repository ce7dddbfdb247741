/* safetensors.c -- the header through jansson, the tensors as they lie in the mapped file. */
#include "loaders/safetensors.h"

#include "loaders/input.h"
#include "loaders/output.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES 8
#define MOST_HEADER  100000000 /* bytes of JSON, the reference implementation's limit */
#define METADATA     "__metadata__"

struct vq_safetensors {
  vq_input input;
  json_t *header; /* owns the names and the metadata */
  int count, pairs;
  vq_file_tensor *tensor; /* by name */
  const char **pair;
};

static int by_name(const void *a, const void *b)
{
  return strcmp(((const vq_file_tensor *)a)->name, ((const vq_file_tensor *)b)->name);
}

static int by_place(const void *a, const void *b)
{
  const vq_file_tensor *x = a, *y = b;
  if (x->data != y->data)
    return (const char *)x->data < (const char *)y->data ? -1 : 1;
  return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones before the one that begins there */
}

/* ---- reading: the callers of what follows put the file's name before the message ---- */

static vq_status read_dtype(vq_file_dtype *out, const char *name, const char *text)
{
  for (vq_file_dtype d = 0; d < VQ_FILE_DTYPES; d++)
    if (!strcmp(text, vq_file_dtype_name(d))) {
      *out = d;
      return VQ_OK;
    }
  return vq_fail(VQ_ERR_UNSUPPORTED, "tensor '%s' is of type '%s', which is not read; convert it to F32 or F16",
                 name, text);
}

static vq_status read_shape(vq_file_tensor *t, const json_t *shape)
{
  size_t rank = json_array_size(shape);
  if (!json_is_array(shape))
    return vq_fail(VQ_ERR_FORMAT, "tensor '%s' has no shape: the file is damaged", t->name);
  if (rank > VQ_FILE_RANK)
    return vq_fail(VQ_ERR_UNSUPPORTED, "tensor '%s' has %zu dimensions; at most %d are read", t->name, rank,
                   VQ_FILE_RANK);
  t->rank = (int)rank;
  for (int i = 0; i < t->rank; i++) {
    const json_t *dim = json_array_get(shape, (size_t)i);
    if (!json_is_integer(dim))
      return vq_fail(VQ_ERR_FORMAT, "tensor '%s' has a shape that is no list of whole numbers: the file is damaged",
                     t->name);
    t->dim[i] = json_integer_value(dim);
  }
  return VQ_OK;
}

/* Sets *t from its entry in the header; the tensors begin at data, and reach no further than check_length allows. */
static vq_status read_tensor(vq_file_tensor *t, const char *name, const json_t *entry, const uint8_t *data)
{
  const char *dtype = json_string_value(json_object_get(entry, "dtype"));
  const json_t *range = json_object_get(entry, "data_offsets"), *first = json_array_get(range, 0),
               *last = json_array_get(range, 1);
  json_int_t begin = json_integer_value(first), end = json_integer_value(last);
  *t = (vq_file_tensor){.name = name};
  if (!dtype)
    return vq_fail(VQ_ERR_FORMAT, "tensor '%s' has no type: the file is damaged", name);
  VQ_TRY(read_dtype(&t->dtype, name, dtype));
  VQ_TRY(read_shape(t, json_object_get(entry, "shape")));
  if (json_array_size(range) != 2 || !json_is_integer(first) || !json_is_integer(last) || begin < 0 || end < begin)
    return vq_fail(VQ_ERR_FORMAT, "tensor '%s' has no valid data_offsets: the file is damaged", name);
  t->data = data + begin;
  t->bytes = (size_t)(end - begin);
  return vq_file_tensor_check(t) ? vq_fail_in(VQ_ERR_FORMAT, "the file is damaged") : VQ_OK;
}

/* The tensors must tile the data: a gap could hide another file, an overlap is damage. */
static vq_status check_tiling(vq_safetensors *f, const uint8_t *data, size_t bytes)
{
  const uint8_t *expected = data;
  qsort(f->tensor, (size_t)f->count, sizeof *f->tensor, by_place);
  for (int i = 0; i < f->count; i++) {
    const vq_file_tensor *t = &f->tensor[i];
    if (t->data != expected)
      return vq_fail(VQ_ERR_FORMAT, "tensor '%s' %s: the file is damaged", t->name,
                     (const uint8_t *)t->data < expected ? "overlaps another" : "leaves a gap before it");
    expected += t->bytes;
  }
  if (expected != data + bytes)
    return vq_fail(VQ_ERR_FORMAT, "%zu bytes follow the last tensor: the file is damaged",
                   (size_t)(data + bytes - expected));
  return VQ_OK;
}

/* The furthest end that a tensor has says how long the file should be. */
static vq_status check_length(const json_t *header, size_t bytes)
{
  const char *name;
  json_t *entry;
  json_int_t end = 0;
  json_object_foreach ((json_t *)header, name, entry) {
    json_int_t here = json_integer_value(json_array_get(json_object_get(entry, "data_offsets"), 1));
    end = here > end ? here : end;
  }
  if ((uint64_t)end > bytes)
    return vq_fail(
        VQ_ERR_FORMAT,
        "the file is truncated: its tensors have %lld bytes and %zu are there, so %lld are missing; get it again",
        (long long)end, bytes, (long long)end - (long long)bytes);
  return VQ_OK;
}

static vq_status read_metadata(vq_safetensors *f, json_t *metadata)
{
  const char *key;
  json_t *value;
  if (!metadata)
    return VQ_OK;
  if (!json_is_object(metadata))
    return vq_fail(VQ_ERR_FORMAT, "its " METADATA " is no JSON object: the file is damaged");
  f->pair = calloc(2 * json_object_size(metadata) + 1, sizeof *f->pair);
  if (!f->pair)
    return vq_fail(VQ_ERR_MEMORY, "no memory for its metadata");
  json_object_foreach (metadata, key, value) {
    if (!json_is_string(value))
      return vq_fail(VQ_ERR_FORMAT, "metadata '%s' is no string: the file is damaged", key);
    f->pair[2 * f->pairs] = key;
    f->pair[2 * f->pairs++ + 1] = json_string_value(value);
  }
  return VQ_OK;
}

static vq_status parse_header(vq_safetensors *f, size_t length)
{
  json_error_t error;
  f->header = json_loadb((const char *)f->input.data + LENGTH_BYTES, length, JSON_REJECT_DUPLICATES, &error);
  if (f->header)
    return VQ_OK;
  switch (json_error_code(&error)) {
  case json_error_out_of_memory: return vq_fail(VQ_ERR_MEMORY, "no memory for a header of %zu bytes", length);
  case json_error_duplicate_key: return vq_fail(VQ_ERR_FORMAT, "a name occurs twice: %s", error.text);
  default: return vq_fail(VQ_ERR_FORMAT, "its header is damaged: %s, byte %d", error.text, error.position);
  }
}

static vq_status read_file(vq_safetensors *f, const char *path)
{
  const uint8_t *start = f->input.data;
  size_t all = f->input.bytes, bytes;
  uint64_t length = 0;
  const char *name;
  json_t *entry;

  if (all > LENGTH_BYTES)
    memcpy(&length, start, LENGTH_BYTES);
  if (length < 2 || length > MOST_HEADER || start[LENGTH_BYTES] != '{')
    return vq_input_mistaken(&f->input, path, "a safetensors file");
  if (length > all - LENGTH_BYTES)
    return vq_fail(VQ_ERR_FORMAT,
                   "'%s' is truncated: its header should have %llu bytes and only %zu are there; get it again",
                   path, (unsigned long long)length, all - LENGTH_BYTES);
  bytes = all - LENGTH_BYTES - (size_t)length;
  start += LENGTH_BYTES + length;

  VQ_TRY(vq_fail_in(parse_header(f, (size_t)length), "'%s'", path));
  f->tensor = calloc(json_object_size(f->header) + 1, sizeof *f->tensor);
  if (!f->tensor)
    return vq_fail(VQ_ERR_MEMORY, "no memory for the names of '%s'", path);
  VQ_TRY(vq_fail_in(check_length(f->header, bytes), "'%s'", path));
  VQ_TRY(vq_fail_in(read_metadata(f, json_object_get(f->header, METADATA)), "'%s'", path));
  json_object_foreach (f->header, name, entry)
    if (strcmp(name, METADATA))
      VQ_TRY(vq_fail_in(read_tensor(&f->tensor[f->count++], name, entry, start), "'%s'", path));
  VQ_TRY(vq_fail_in(check_tiling(f, start, bytes), "'%s'", path));
  qsort(f->tensor, (size_t)f->count, sizeof *f->tensor, by_name);
  return VQ_OK;
}

vq_status vq_safetensors_open(vq_safetensors **out, const char *path)
{
  vq_safetensors *f = calloc(1, sizeof *f);
  vq_status status;
  *out = NULL;
  if (!f)
    return vq_fail(VQ_ERR_MEMORY, "no memory to open '%s'", path);
  status = vq_input_open(&f->input, path);
  if (!status)
    status = read_file(f, path);
  if (status)
    vq_safetensors_close(f);
  else
    *out = f;
  return status;
}

void vq_safetensors_close(vq_safetensors *file)
{
  if (!file)
    return;
  json_decref(file->header);
  free(file->tensor);
  free(file->pair);
  vq_input_close(&file->input);
  free(file);
}

int vq_safetensors_count(const vq_safetensors *file)
{
  return file->count;
}

const vq_file_tensor *vq_safetensors_at(const vq_safetensors *file, int index)
{
  return &file->tensor[index];
}

const vq_file_tensor *vq_safetensors_find(const vq_safetensors *file, const char *name)
{
  const vq_file_tensor key = {.name = name};
  return bsearch(&key, file->tensor, (size_t)file->count, sizeof key, by_name);
}

const char *vq_safetensors_metadata(const vq_safetensors *file, const char *key)
{
  return json_string_value(json_object_get(json_object_get(file->header, METADATA), key));
}

const char *const *vq_safetensors_metadata_pairs(const vq_safetensors *file, int *pairs)
{
  *pairs = file->pairs;
  return file->pair;
}

/* ---- writing ---- */

/* The widest types first, so that every tensor is aligned for its type; then by name. */
static int by_width(const void *a, const void *b)
{
  const vq_file_tensor *x = a, *y = b;
  return x->dtype != y->dtype ? (x->dtype < y->dtype ? 1 : -1) : by_name(a, b);
}

/* Adds a member that must be new; takes `value`, which may be NULL: text that is not UTF-8, or no memory. */
static vq_status add(json_t *object, const char *key, json_t *value)
{
  if (json_object_get(object, key)) {
    json_decref(value);
    return vq_fail(VQ_ERR_ARGUMENT, "the name '%s' occurs twice", key);
  }
  if (json_object_set_new(object, key, value))
    return vq_fail(VQ_ERR_ARGUMENT, "the name or text of '%s' is not UTF-8, or memory has run out", key);
  return VQ_OK;
}

/* tensor[0..count) are sorted: their order is that of the file. */
static vq_status fill_header(json_t *header, const vq_file_tensor *tensor, int count, const char *const *pair,
                             int pairs)
{
  size_t begin = 0, end;
  if (pairs > 0) {
    json_t *metadata = json_object();
    VQ_TRY(add(header, METADATA, metadata));
    for (int i = 0; i < pairs; i++)
      VQ_TRY(vq_fail_in(add(metadata, pair[2 * i], json_string(pair[2 * i + 1])), "metadata"));
  }
  for (int i = 0; i < count; i++, begin = end) {
    const vq_file_tensor *t = &tensor[i];
    json_t *shape = json_array();
    if (__builtin_add_overflow(begin, t->bytes, &end) || end > INT64_MAX) {
      json_decref(shape);
      return vq_fail(VQ_ERR_ARGUMENT, "the tensors have more bytes than a file can hold");
    }
    for (int k = 0; k < t->rank; k++)
      json_array_append_new(shape, json_integer(t->dim[k]));
    VQ_TRY(add(header, t->name,
               json_pack("{s:s, s:o, s:[I,I]}", "dtype", vq_file_dtype_name(t->dtype), "shape", shape,
                         "data_offsets", (json_int_t)begin, (json_int_t)end)));
  }
  return VQ_OK;
}

static vq_status write_header(vq_output *out, const vq_file_tensor *tensor, int count, const char *const *pair,
                              int pairs)
{
  json_t *header = json_object();
  vq_status status = fill_header(header, tensor, count, pair, pairs);
  char *text = status ? NULL : json_dumps(header, JSON_COMPACT);
  json_decref(header);
  if (status)
    return status;
  if (!text)
    return vq_fail(VQ_ERR_MEMORY, "no memory for the header");
  size_t used = strlen(text), padding = (LENGTH_BYTES - used % LENGTH_BYTES) % LENGTH_BYTES;
  uint64_t length = used + padding;
  if (length > MOST_HEADER)
    status = vq_fail(VQ_ERR_ARGUMENT, "names and metadata have %llu bytes; at most %d are possible",
                     (unsigned long long)length, MOST_HEADER);
  vq_output_write(out, &length, LENGTH_BYTES);
  vq_output_write(out, text, used);
  vq_output_write(out, "        ", padding);
  free(text);
  return status;
}

/* sorted[0..count), one after the other. */
static vq_status write_each(vq_output *out, const vq_file_tensor *sorted, int count, vq_safetensors_put put,
                            void *user)
{
  uint64_t at = vq_output_bytes(out);
  for (int i = 0; i < count; i++) {
    VQ_TRY(put(user, &sorted[i], out));
    at += sorted[i].bytes;
    if (vq_output_bytes(out) != at)
      return vq_fail(VQ_ERR_ARGUMENT, "%s was written with other than its %zu bytes", sorted[i].name,
                     sorted[i].bytes);
  }
  return VQ_OK;
}

/* What `end` has changed in the metadata, over what stood there. */
static vq_status write_header_again(vq_output *out, const vq_file_tensor *sorted, int count,
                                    const char *const *pair, int pairs, long header)
{
  FILE *stream = vq_output_stream(out);
  if (fseek(stream, 0, SEEK_SET))
    return vq_fail(VQ_ERR_WRITE, "%s", strerror(errno));
  VQ_TRY(write_header(out, sorted, count, pair, pairs));
  if (ftell(stream) != header)
    return vq_fail(VQ_ERR_ARGUMENT, "the metadata has changed in length");
  return VQ_OK;
}

static vq_status write_file(vq_output *out, const vq_file_tensor *tensor, int count, const char *const *pair,
                            int pairs, vq_safetensors_put put, vq_safetensors_end end, void *user)
{
  vq_file_tensor *sorted;
  vq_status status;
  for (int i = 0; i < count; i++) {
    if (!tensor[i].name)
      return vq_fail(VQ_ERR_ARGUMENT, "tensor %d has no name", i);
    if (!strcmp(tensor[i].name, METADATA))
      return vq_fail(VQ_ERR_ARGUMENT, "a tensor must not be called " METADATA);
    VQ_TRY(vq_file_tensor_check(&tensor[i]));
  }
  sorted = calloc((size_t)count + 1, sizeof *sorted);
  if (!sorted)
    return vq_fail(VQ_ERR_MEMORY, "no memory to sort %d tensors", count);
  if (count > 0) {
    memcpy(sorted, tensor, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, by_width);
  }
  status = write_header(out, sorted, count, pair, pairs);
  const long header = ftell(vq_output_stream(out));
  if (!status && put)
    status = write_each(out, sorted, count, put, user);
  for (int i = 0; i < count && !status && !put; i++)
    vq_output_write(out, sorted[i].data, sorted[i].bytes);
  if (!status && end) {
    vq_output_sync(out);
    status = end(user);
    if (!status)
      status = write_header_again(out, sorted, count, pair, pairs, header);
  }
  free(sorted);
  return status;
}

vq_status vq_safetensors_write(const char *path, const vq_file_tensor *tensors, int count,
                               const char *const *metadata_pairs, int pairs)
{
  return vq_safetensors_write_each(path, tensors, count, metadata_pairs, pairs, NULL, NULL, NULL);
}

vq_status vq_safetensors_write_each(const char *path, const vq_file_tensor *tensors, int count,
                                    const char *const *metadata_pairs, int pairs, vq_safetensors_put put,
                                    vq_safetensors_end end, void *user)
{
  vq_output *out;
  vq_status status;
  VQ_TRY(vq_output_open(&out, path));
  status = write_file(out, tensors, count, metadata_pairs, pairs, put, end, user);
  if (status) {
    vq_output_abandon(out);
    return vq_fail_in(status, "cannot write '%s'", path);
  }
  return vq_output_commit(out);
}
