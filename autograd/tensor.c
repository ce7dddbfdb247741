/* tensor.c -- sizes and names of shapes. */
#include "autograd/tensor.h"

#include <inttypes.h>
#include <stdio.h>

size_t vq_dtype_bytes(vq_dtype dtype)
{
  switch (dtype) {
  case VQ_F32: return 4;
  case VQ_F64: return 8;
  case VQ_BF16: return 2;
  case VQ_I32: return 4;
  }
  return 0;
}

const char *vq_dtype_name(vq_dtype dtype)
{
  switch (dtype) {
  case VQ_F32: return "f32";
  case VQ_F64: return "f64";
  case VQ_BF16: return "bf16";
  case VQ_I32: return "i32";
  }
  return "?";
}

vq_shape vq_shape_make(vq_dtype dtype, int rank, const int64_t *dim)
{
  vq_shape s = {dtype, rank, {1, 1, 1, 1}};
  for (int i = 0; i < rank && i < VQ_RANK; i++)
    s.dim[i] = dim[i];
  return s;
}

vq_shape vq_shape_of(const vq_tensor *x)
{
  return vq_shape_make(x->dtype, x->rank, x->dim);
}

bool vq_shape_equal(const vq_shape *a, const vq_shape *b)
{
  bool same = a->dtype == b->dtype && a->rank == b->rank;
  for (int i = 0; i < VQ_RANK; i++)
    same = same && a->dim[i] == b->dim[i];
  return same;
}

int64_t vq_shape_count(const vq_shape *s)
{
  return s->dim[0] * s->dim[1] * s->dim[2] * s->dim[3];
}

size_t vq_shape_bytes(const vq_shape *s)
{
  return (size_t)vq_shape_count(s) * vq_dtype_bytes(s->dtype);
}

int64_t vq_count(const vq_tensor *x)
{
  return x->dim[0] * x->dim[1] * x->dim[2] * x->dim[3];
}

int64_t vq_last(const vq_tensor *x)
{
  return x->rank ? x->dim[x->rank - 1] : 1;
}

int64_t vq_rows(const vq_tensor *x)
{
  int64_t rows = 1;
  for (int i = 0; i < x->rank - 1; i++)
    rows *= x->dim[i];
  return rows;
}

const char *vq_shape_text(char *text, size_t bytes, const vq_shape *s)
{
  int n = snprintf(text, bytes, "%s[", vq_dtype_name(s->dtype));
  for (int i = 0; i < s->rank && n > 0 && (size_t)n < bytes; i++)
    n += snprintf(text + n, bytes - (size_t)n, "%s%" PRId64, i ? "," : "", s->dim[i]);
  if (n > 0 && (size_t)n < bytes)
    snprintf(text + n, bytes - (size_t)n, "]");
  return text;
}
