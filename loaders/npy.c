/* npy.c -- the header is a Python literal of three known keys: read by a scanner that knows just these. */
#include "loaders/npy.h"

#include "loaders/input.h"
#include "loaders/output.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC       "\x93NUMPY"
#define MAGIC_BYTES 6
#define ALIGNMENT   64    /* of the data in the files that we write, as NumPy's own */
#define MOST_HEADER 65536 /* bytes; ours have 128 */

static const char *const descr[] = {
#define ROW(value, name, bytes, npy) npy,
    VQ_FILE_DTYPE_LIST(ROW)
#undef ROW
};

typedef struct scanner {
  const char *at, *end;
} scanner;

static bool accept(scanner *s, const char *token)
{
  size_t n = strlen(token);
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\n'))
    s->at++;
  if ((size_t)(s->end - s->at) < n || memcmp(s->at, token, n))
    return false;
  s->at += n;
  return true;
}

static bool accept_number(scanner *s, int64_t *out)
{
  const char *first;
  accept(s, "");
  *out = 0;
  for (first = s->at; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
    if (__builtin_mul_overflow(*out, (int64_t)10, out) || __builtin_add_overflow(*out, *s->at - '0', out))
      return false;
  return s->at > first;
}

static vq_status damaged(void)
{
  return vq_fail(VQ_ERR_FORMAT, "its header is damaged");
}

static vq_status read_descr(vq_file_tensor *t, scanner *s)
{
  const char *first;
  int length;
  if (accept(s, "["))
    return vq_fail(VQ_ERR_UNSUPPORTED, "its elements are records, which are not read; save an array of numbers");
  if (!accept(s, "'"))
    return damaged();
  for (first = s->at; s->at < s->end && *s->at != '\''; s->at++)
    ;
  length = (int)(s->at - first);
  if (!accept(s, "'"))
    return damaged();
  for (vq_file_dtype d = 0; d < VQ_FILE_DTYPES; d++)
    if (descr[d] && (size_t)length == strlen(descr[d]) && !memcmp(first, descr[d], (size_t)length)) {
      t->dtype = d;
      return VQ_OK;
    }
  return vq_fail(VQ_ERR_UNSUPPORTED,
                 "its elements are of type '%.*s', which is not read; save it as float32 ('<f4')", length, first);
}

static vq_status read_order(scanner *s)
{
  if (accept(s, "True"))
    return vq_fail(VQ_ERR_UNSUPPORTED,
                   "it is in Fortran order, which is not read; save numpy.ascontiguousarray(x) instead");
  return accept(s, "False") ? VQ_OK : damaged();
}

static vq_status read_shape(vq_file_tensor *t, scanner *s)
{
  if (!accept(s, "("))
    return damaged();
  while (!accept(s, ")")) {
    if (t->rank == VQ_FILE_RANK)
      return vq_fail(VQ_ERR_UNSUPPORTED, "it has more than %d dimensions", VQ_FILE_RANK);
    if (!accept_number(s, &t->dim[t->rank++]))
      return damaged();
    if (!accept(s, ",")) {
      if (!accept(s, ")"))
        return damaged();
      break;
    }
  }
  return VQ_OK;
}

static vq_status read_header(vq_file_tensor *t, scanner s)
{
  bool type = false, order = false, shape = false;
  if (!accept(&s, "{"))
    return damaged();
  while (!accept(&s, "}")) {
    if (!type && accept(&s, "'descr':")) {
      type = true;
      VQ_TRY(read_descr(t, &s));
    } else if (!order && accept(&s, "'fortran_order':")) {
      order = true;
      VQ_TRY(read_order(&s));
    } else if (!shape && accept(&s, "'shape':")) {
      shape = true;
      VQ_TRY(read_shape(t, &s));
    } else {
      return damaged();
    }
    accept(&s, ",");
  }
  accept(&s, "");
  return type && order && shape && s.at == s.end ? VQ_OK : damaged();
}

static vq_status read_array(vq_npy *a, const vq_input *input, const char *path)
{
  const uint8_t *d = input->data;
  vq_file_tensor *t = &a->tensor;
  size_t start = MAGIC_BYTES + 4, header, elements = 1;
  if (input->bytes < start || memcmp(d, MAGIC, MAGIC_BYTES))
    return vq_input_mistaken(input, path, "a .npy file");
  if (d[6] < 1 || d[6] > 3 || d[7] != 0)
    return vq_fail(VQ_ERR_UNSUPPORTED, "'%s' is of .npy version %d.%d; 1.0 to 3.0 are read", path, d[6], d[7]);
  header = (size_t)d[8] | (size_t)d[9] << 8;
  if (d[6] > 1 && input->bytes >= start + 2) {
    header |= (size_t)d[10] << 16 | (size_t)d[11] << 24;
    start += 2;
  }
  if (header > MOST_HEADER || header > input->bytes - start)
    return vq_fail(VQ_ERR_FORMAT, "'%s' is truncated or damaged: its header should have %zu bytes", path, header);
  VQ_TRY(vq_fail_in(read_header(t, (scanner){(const char *)d + start, (const char *)d + start + header}), "'%s'",
                    path));

  d += start + header;
  t->bytes = input->bytes - start - header;
  for (int i = 0; i < t->rank; i++)
    if (__builtin_mul_overflow(elements, (size_t)t->dim[i], &elements))
      return vq_fail(VQ_ERR_FORMAT, "'%s' has an impossible shape: its header is damaged", path);
  if (t->bytes % vq_file_dtype_bytes(t->dtype) || vq_file_tensor_count(t) != elements)
    return vq_fail(VQ_ERR_FORMAT,
                   "'%s' is truncated or damaged: its shape has %zu elements of %zu bytes, the file %zu "
                   "bytes of them",
                   path, elements, vq_file_dtype_bytes(t->dtype), t->bytes);
  a->data = malloc(t->bytes + 1); /* an array may be empty */
  if (!a->data)
    return vq_fail(VQ_ERR_MEMORY, "no memory for the %zu bytes of '%s'", t->bytes, path);
  memcpy(a->data, d, t->bytes);
  t->data = a->data;
  return VQ_OK;
}

vq_status vq_npy_read(vq_npy *out, const char *path)
{
  vq_input input;
  vq_status status;
  *out = (vq_npy){0};
  VQ_TRY(vq_input_open(&input, path));
  status = read_array(out, &input, path);
  vq_input_close(&input);
  if (status)
    vq_npy_free(out);
  return status;
}

void vq_npy_free(vq_npy *array)
{
  free(array->data);
  *array = (vq_npy){0};
}

vq_status vq_npy_write(const char *path, const vq_file_tensor *tensor)
{
  char header[512];
  size_t n, whole;
  vq_output *out;
  VQ_TRY(vq_fail_in(vq_file_tensor_check(tensor), "cannot write '%s'", path));
  if (!descr[tensor->dtype])
    return vq_fail(VQ_ERR_UNSUPPORTED, "cannot write '%s': NumPy has no %s; convert it to F32", path,
                   vq_file_dtype_name(tensor->dtype));
  n = (size_t)snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                       descr[tensor->dtype]);
  for (int i = 0; i < tensor->rank; i++)
    n += (size_t)snprintf(header + n, sizeof header - n, "%s%lld%s", i ? " " : "", (long long)tensor->dim[i],
                          i + 1 < tensor->rank || tensor->rank == 1 ? "," : "");
  n += (size_t)snprintf(header + n, sizeof header - n, "), }");
  whole = (MAGIC_BYTES + 4 + n + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - MAGIC_BYTES - 4;
  memset(header + n, ' ', whole - n);
  header[whole - 1] = '\n';

  VQ_TRY(vq_output_open(&out, path));
  vq_output_write(out, MAGIC "\1\0", MAGIC_BYTES + 2);
  vq_output_write(out, (uint8_t[]){whole & 0xff, whole >> 8 & 0xff}, 2);
  vq_output_write(out, header, whole);
  vq_output_write(out, tensor->data, tensor->bytes);
  return vq_output_commit(out);
}
