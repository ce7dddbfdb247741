/* test_file_tensor.c -- number types of files: 16-bit floats by exhaustion, conversions and shapes by table. */
#include "loaders/file_tensor.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static uint32_t bits(float value)
{
  uint32_t b;
  memcpy(&b, &value, sizeof b);
  return b;
}

static float from_bits(uint32_t b)
{
  float value;
  memcpy(&value, &b, sizeof value);
  return value;
}

/* By the definition, with no tricks. */
static double f16_value(unsigned h)
{
  int exponent = h >> 10 & 31, fraction = h & 1023;
  double v = exponent == 0    ? ldexp(fraction, -24)
             : exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                              : ldexp(1024 + fraction, exponent - 25);
  return h & 0x8000 ? -v : v;
}

Test(file_tensor, every_f16)
{
  for (unsigned h = 0; h < 0x10000; h++) {
    float v = vq_f16_to_f32((uint16_t)h);
    double want = f16_value(h);
    if (isnan(want)) {
      cr_assert(isnan(v) && isnan(vq_f16_to_f32(vq_f32_to_f16(v))), "%04x", h);
      continue;
    }
    cr_assert((double)v == want && !signbit(v) == !signbit(want), "%04x gives %a, not %a", h, (double)v, want);
    cr_assert_eq(vq_f32_to_f16(v), h);
  }
}

/* Between two neighbours everything goes to the nearer one, and the middle to the even one. */
/* By the array, which is read in vectors: the same bits, those of NaNs too. */
Test(file_tensor, f16_in_arrays)
{
  static uint16_t half[65536 + 7];
  static float out[65536 + 7];
  for (size_t h = 0; h < 65536 + 7; h++)
    half[h] = (uint16_t)h;
  const vq_file_tensor t = {"h", VQ_FILE_F16, 1, {65536 + 7}, half, sizeof half};
  vq_file_tensor_read_f32(&t, out);
  for (size_t h = 0; h < 65536 + 7; h++) {
    float one = vq_f16_to_f32(half[h]);
    cr_assert(!memcmp(&one, &out[h], sizeof one), "%04x", half[h]);
  }
}

Test(file_tensor, f16_rounding)
{
  for (unsigned h = 0; h < 0x7c00; h++) {
    double low = f16_value(h), high = h == 0x7bff ? 65536 : f16_value(h + 1);
    float middle = (float)((low + high) / 2);
    cr_assert_eq(vq_f32_to_f16(middle), h + (h & 1), "%04x", h);
    cr_assert_eq(vq_f32_to_f16(nextafterf(middle, 0)), h, "%04x", h);
    cr_assert_eq(vq_f32_to_f16(nextafterf(middle, INFINITY)), h + 1, "%04x", h);
    cr_assert_eq(vq_f32_to_f16(-middle), 0x8000 | (h + (h & 1)), "%04x", h);
  }
  cr_expect_eq(vq_f32_to_f16(3.4e38f), 0x7c00);
  cr_expect_eq(vq_f32_to_f16(-INFINITY), 0xfc00);
  cr_expect_eq(vq_f32_to_f16(from_bits(1)), 0);
  cr_expect(isnan(vq_f16_to_f32(vq_f32_to_f16(from_bits(0x7f800001)))));
}

Test(file_tensor, bf16)
{
  for (uint32_t h = 0; h < 0x10000; h++) {
    float v = vq_bf16_to_f32((uint16_t)h);
    cr_assert_eq(bits(v), h << 16);
    if (isnan(v)) {
      cr_assert(isnan(vq_bf16_to_f32(vq_f32_to_bf16(v))), "%04x", h);
      continue;
    }
    cr_assert_eq(vq_f32_to_bf16(v), h);
    if ((h & 0x7fff) < 0x7f80) {
      cr_assert_eq(vq_f32_to_bf16(from_bits(h << 16 | 0x7fff)), h);
      cr_assert_eq(vq_f32_to_bf16(from_bits(h << 16 | 0x8000)), h + (h & 1));
      cr_assert_eq(vq_f32_to_bf16(from_bits(h << 16 | 0x8001)), h + 1);
    }
  }
  cr_expect(isnan(vq_bf16_to_f32(vq_f32_to_bf16(from_bits(0x7f800001)))));
}

/* The bytes stand one place off, so that nothing is aligned: the last of each row's numbers, in each type. */
Test(file_tensor, reads_every_type)
{
#define ROW(dtype, T, stored, value)                                                \
  {                                                                                 \
    dtype, sizeof(T), memcpy((unsigned char[8]){0}, &(T){stored}, sizeof(T)), value \
  }
  const struct {
    vq_file_dtype dtype;
    size_t bytes;
    const void *stored;
    double value;
  } rows[] = {
      ROW(VQ_FILE_BOOL, uint8_t, 1, 1),
      ROW(VQ_FILE_U8, uint8_t, 200, 200),
      ROW(VQ_FILE_I8, int8_t, -100, -100),
      ROW(VQ_FILE_I16, int16_t, -30000, -30000),
      ROW(VQ_FILE_F16, uint16_t, 0xc100, -2.5),
      ROW(VQ_FILE_BF16, uint16_t, 0xc020, -2.5),
      ROW(VQ_FILE_I32, int32_t, -2000000000, -2000000000),
      ROW(VQ_FILE_F32, float, 0.1f, (double)0.1f),
      ROW(VQ_FILE_F64, double, 0.1, 0.1),
      ROW(VQ_FILE_I64, int64_t, -5, -5),
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    unsigned char place[1 + 3 * 8] = {0};
    vq_file_tensor t = {.name = "t", .dtype = rows[i].dtype, .rank = 1, .dim = {3}, .data = place + 1};
    float f[3];
    double d[3];
    int32_t n[3];
    t.bytes = 3 * rows[i].bytes;
    memcpy(place + 1 + 2 * rows[i].bytes, rows[i].stored, rows[i].bytes);
    cr_expect_eq(vq_file_tensor_check(&t), VQ_OK);
    cr_expect_eq(vq_file_tensor_count(&t), 3);
    vq_file_tensor_read_f32(&t, f);
    vq_file_tensor_read_f64(&t, d);
    cr_expect(d[2] == rows[i].value && d[0] == 0 && d[1] == 0, "%s", vq_file_dtype_name(t.dtype));
    cr_expect(f[2] == (float)rows[i].value && f[0] == 0, "%s", vq_file_dtype_name(t.dtype));
    if (t.dtype == VQ_FILE_F16 || t.dtype == VQ_FILE_BF16 || t.dtype == VQ_FILE_F32 || t.dtype == VQ_FILE_F64) {
      cr_expect_eq(vq_file_tensor_read_i32(&t, n), VQ_ERR_FORMAT);
      cr_expect(strstr(vq_error_message(), "'t'"));
    } else {
      cr_expect_eq(vq_file_tensor_read_i32(&t, n), VQ_OK);
      cr_expect(n[2] == (int32_t)rows[i].value && n[0] == 0, "%s", vq_file_dtype_name(t.dtype));
    }
  }
}

Test(file_tensor, i64_that_does_not_fit)
{
  int32_t out[2];
  int64_t values[] = {INT32_MIN, INT32_MAX};
  vq_file_tensor t = {"ids", VQ_FILE_I64, 1, {2}, values, sizeof values};
  cr_expect_eq(vq_file_tensor_read_i32(&t, out), VQ_OK);
  cr_expect(out[0] == INT32_MIN && out[1] == INT32_MAX);
  values[1]++;
  cr_expect_eq(vq_file_tensor_read_i32(&t, out), VQ_ERR_FORMAT);
  cr_expect(strstr(vq_error_message(), "'ids': element 1"));
}

Test(file_tensor, shapes_that_do_not_fit)
{
  float x[6] = {0};
  const vq_file_tensor good = {"x", VQ_FILE_F32, 2, {2, 3}, x, sizeof x};
  vq_file_tensor t = good;
  cr_expect_eq(vq_file_tensor_check(&t), VQ_OK);
#define BAD(change, words)                                                    \
  t = good;                                                                   \
  change;                                                                     \
  cr_expect_eq(vq_file_tensor_check(&t), VQ_ERR_ARGUMENT, #change " passed"); \
  cr_expect(strstr(vq_error_message(), words), "%s", vq_error_message())
  BAD(t.bytes--, "'x'");
  BAD(t.dim[1] = 4, "32 bytes");
  BAD(t.dim[0] = -2, "-2");
  BAD(t.rank = 9, "9 dimensions");
  BAD(t.rank = -1, "-1 dimensions");
  BAD(t.dtype = VQ_FILE_DTYPES, "unknown type");
  BAD((t.dim[0] = INT64_C(1) << 62, t.dim[1] = 4), "more bytes");
}
