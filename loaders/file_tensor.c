/* file_tensor.c -- conversion between the number types of files. */
#include "loaders/file_tensor.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers in files are little-endian and read as they lie");

static const struct {
  const char *name;
  size_t bytes;
} dtypes[] = {
#define ROW(value, name, bytes, npy) {name, bytes},
    VQ_FILE_DTYPE_LIST(ROW)
#undef ROW
};

const char *vq_file_dtype_name(vq_file_dtype dtype)
{
  return (unsigned)dtype < VQ_FILE_DTYPES ? dtypes[dtype].name : "?";
}

size_t vq_file_dtype_bytes(vq_file_dtype dtype)
{
  return (unsigned)dtype < VQ_FILE_DTYPES ? dtypes[dtype].bytes : 0;
}

size_t vq_file_tensor_count(const vq_file_tensor *tensor)
{
  return tensor->bytes / dtypes[tensor->dtype].bytes;
}

vq_status vq_file_tensor_check(const vq_file_tensor *tensor)
{
  const char *name = tensor->name ? tensor->name : "(no name)";
  size_t bytes = vq_file_dtype_bytes(tensor->dtype);
  if (!bytes)
    return vq_fail(VQ_ERR_ARGUMENT, "tensor '%s' has an unknown type, number %d", name, (int)tensor->dtype);
  if (tensor->rank < 0 || tensor->rank > VQ_FILE_RANK)
    return vq_fail(VQ_ERR_ARGUMENT, "tensor '%s' has %d dimensions; 0 to %d are possible", name, tensor->rank,
                   VQ_FILE_RANK);
  for (int i = 0; i < tensor->rank; i++) {
    if (tensor->dim[i] < 0)
      return vq_fail(VQ_ERR_ARGUMENT, "tensor '%s' has dimension %d of %lld", name, i, (long long)tensor->dim[i]);
    if (__builtin_mul_overflow(bytes, (size_t)tensor->dim[i], &bytes))
      return vq_fail(VQ_ERR_ARGUMENT, "tensor '%s' has a shape of more bytes than there are addresses", name);
  }
  if (bytes != tensor->bytes)
    return vq_fail(VQ_ERR_ARGUMENT, "tensor '%s' has a shape of %zu bytes of %s, but %zu bytes", name, bytes,
                   vq_file_dtype_name(tensor->dtype), tensor->bytes);
  return VQ_OK;
}

static float float_of(uint32_t bits)
{
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t bits_of(float value)
{
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* All three kinds are computed and one is taken: so a loop over halves is one for vectors. */
static inline float widen(uint16_t half)
{
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff;
  uint32_t infinite = 0x7f800000 | (rest & 0x3ff) << 13;     /* or NaN with its payload */
  uint32_t normal = (rest << 13) + (112u << 23);             /* exponent bias 15 to 127 */
  uint32_t small = bits_of((float)(int32_t)rest * 0x1p-24f); /* subnormal: exact */
  return float_of(sign | (rest >= 0x7c00 ? infinite : rest >= 0x400 ? normal : small));
}

float vq_f16_to_f32(uint16_t half)
{
  return widen(half);
}

uint16_t vq_f32_to_f16(float value)
{
  uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) /* the top bit of the fraction keeps a NaN from becoming infinite */
    return (uint16_t)(sign | 0x7e00 | (rest >> 13 & 0x3ff));
  if (rest >= 0x477ff000) /* 65520, half way to the first that is too large */
    return (uint16_t)(sign | 0x7c00);
  if (rest < 0x38800000) /* below 2^-14: beside 0.5 a float counts in 2^-24, as the subnormals do */
    return (uint16_t)(sign | (bits_of(float_of(rest) + 0.5f) - bits_of(0.5f)));
  rest += 0xfff + (rest >> 13 & 1);
  return (uint16_t)(sign | (rest - (112u << 23)) >> 13);
}

float vq_bf16_to_f32(uint16_t half)
{
  return float_of((uint32_t)half << 16);
}

uint16_t vq_f32_to_bf16(float value)
{
  uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* out[i] = EXPRESSION in v, the i-th element as a T. */
#define EACH(T, EXPRESSION)                       \
  for (size_t i = 0; i < n; i++) {                \
    T v;                                          \
    memcpy(&v, bytes + i * sizeof(T), sizeof(T)); \
    out[i] = EXPRESSION;                          \
  }                                               \
  break

#define DEFINE_READ(function, real)                             \
  void function(const vq_file_tensor *tensor, real *out)        \
  {                                                             \
    const unsigned char *bytes = tensor->data;                  \
    size_t n = vq_file_tensor_count(tensor);                    \
    switch (tensor->dtype) {                                    \
    case VQ_FILE_BOOL: EACH(uint8_t, v != 0);                   \
    case VQ_FILE_U8: EACH(uint8_t, (real)v);                    \
    case VQ_FILE_I8: EACH(int8_t, (real)v);                     \
    case VQ_FILE_I16: EACH(int16_t, (real)v);                   \
    case VQ_FILE_F16: EACH(uint16_t, (real)widen(v));           \
    case VQ_FILE_BF16: EACH(uint16_t, (real)vq_bf16_to_f32(v)); \
    case VQ_FILE_I32: EACH(int32_t, (real)v);                   \
    case VQ_FILE_F32: EACH(float, (real)v);                     \
    case VQ_FILE_F64: EACH(double, (real)v);                    \
    case VQ_FILE_I64: EACH(int64_t, (real)v);                   \
    case VQ_FILE_DTYPES: break;                                 \
    }                                                           \
  }

DEFINE_READ(vq_file_tensor_read_f32, float)
DEFINE_READ(vq_file_tensor_read_f64, double)

vq_status vq_file_tensor_read_i32(const vq_file_tensor *tensor, int32_t *out)
{
  const unsigned char *bytes = tensor->data;
  size_t n = vq_file_tensor_count(tensor);
  switch (tensor->dtype) {
  case VQ_FILE_BOOL: EACH(uint8_t, v != 0);
  case VQ_FILE_U8: EACH(uint8_t, v);
  case VQ_FILE_I8: EACH(int8_t, v);
  case VQ_FILE_I16: EACH(int16_t, v);
  case VQ_FILE_I32: EACH(int32_t, v);
  case VQ_FILE_I64:
    for (size_t i = 0; i < n; i++) {
      int64_t v;
      memcpy(&v, bytes + i * sizeof v, sizeof v);
      if (v < INT32_MIN || v > INT32_MAX)
        return vq_fail(VQ_ERR_FORMAT, "tensor '%s': element %zu is %lld, which does not fit 32 bits",
                       tensor->name ? tensor->name : "(no name)", i, (long long)v);
      out[i] = (int32_t)v;
    }
    break;
  default:
    return vq_fail(VQ_ERR_FORMAT, "tensor '%s' holds %s where whole numbers are wanted",
                   tensor->name ? tensor->name : "(no name)", vq_file_dtype_name(tensor->dtype));
  }
  return VQ_OK;
}
