/* test_clip_rooms.c -- what the table of cases cannot say of the rooms of the CLIP towers and of the general ones: what
 * they refuse, and the bits of a bfloat16 where no difference can be taken. */
#include "kernels/cpu/exp.h"
#include "kernels/ops.h"
#include "tests/bench.h"

#include <math.h>
#include <string.h>

/* A leaf of zeros; of type VQ_REAL without dims beyond `rank`. */
static vq_tensor *zeros(bench *b, vq_dtype dtype, int rank, int64_t d0, int64_t d1, int64_t d2, int64_t d3)
{
  static const double none[512];
  vq_shape s = vq_shape_make(dtype, rank, (int64_t[]){d0, d1, d2, d3});
  cr_assert(vq_shape_bytes(&s) <= sizeof none);
  return vq_leaf(b->tape, &s, none, false);
}

static vq_tensor *numbers(bench *b, int64_t count, const int32_t *value)
{
  vq_shape s = vq_shape_make(VQ_I32, 1, &count);
  return vq_leaf(b->tape, &s, value, false);
}

/* The op has failed with this code and a message that holds this text; the tape is then as new. */
static void expect_refused(bench *b, const vq_tensor *y, vq_status code, const char *text)
{
  cr_expect(!y, "a tensor came where '%s' was expected", text);
  cr_expect(vq_tape_status(b->tape) == code && strstr(vq_error_message(), text),
            "%s: '%s' was expected to hold '%s'", vq_status_name(vq_tape_status(b->tape)), vq_error_message(),
            text);
  vq_rewind(b->tape, VQ_TAPE_START);
}

#define REAL(rank, ...) zeros(&b, VQ_REAL, rank, __VA_ARGS__)

Test(clip_rooms, numbers_outside_a_table_are_named)
{
  bench b = open_bench();
  int64_t two_by_three[] = {2, 3};
  vq_tensor *ids = vq_view(b.tape, numbers(&b, 6, (int32_t[]){0, 4, 1, 2, 5, 3}), 2, two_by_three);
  expect_refused(&b, vq_embed(b.tape, ids, REAL(2, 5, 4, 1, 1), NULL), VQ_ERR_ARGUMENT,
                 "embed: ids[1,1] is 5 and the table has rows 0 to 4");
  ids = vq_view(b.tape, numbers(&b, 6, (int32_t[]){0, -1, 1, 2, 5, 3}), 2, two_by_three);
  expect_refused(&b, vq_embed(b.tape, ids, REAL(2, 5, 4, 1, 1), NULL), VQ_ERR_ARGUMENT, "ids[0,1] is -1");
  expect_refused(&b, vq_take_row(b.tape, REAL(3, 2, 3, 4, 1), numbers(&b, 2, (int32_t[]){2, 3})), VQ_ERR_ARGUMENT,
                 "take_row: row[1] is 3 and x has rows 0 to 2");
  expect_refused(&b, vq_take_row(b.tape, REAL(3, 2, 3, 4, 1), numbers(&b, 2, (int32_t[]){-2, 0})), VQ_ERR_ARGUMENT,
                 "row[0] is -2");
  expect_refused(&b, vq_cross_entropy(b.tape, REAL(2, 2, 7, 1, 1), numbers(&b, 2, (int32_t[]){6, 7})),
                 VQ_ERR_ARGUMENT, "cross_entropy: target[1] is 7 and the logits have classes 0 to 6");
  expect_refused(&b, vq_cross_entropy(b.tape, REAL(2, 2, 7, 1, 1), numbers(&b, 2, (int32_t[]){-1, 0})),
                 VQ_ERR_ARGUMENT, "target[0] is -1");
  close_bench(&b);
}

Test(clip_rooms, shapes_that_do_not_fit_are_refused)
{
  bench b = open_bench();
  double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25}, flat[3] = {0.25, 0, 0.25};
  expect_refused(&b, vq_attention(b.tape, REAL(3, 2, 3, 12, 1), 3, false), VQ_ERR_SHAPE, "3 heads");
  expect_refused(&b, vq_attention(b.tape, REAL(3, 2, 3, 12, 1), 0, false), VQ_ERR_SHAPE, "0 heads");
  expect_refused(&b, vq_attention(b.tape, REAL(2, 3, 12, 1, 1), 2, false), VQ_ERR_SHAPE, "attention: qkv");
  expect_refused(&b, vq_attention(b.tape, REAL(3, 1, 0, 12, 1), 2, false), VQ_ERR_SHAPE,
                 "attention: qkv has 0 tokens");
  expect_refused(&b, vq_embed(b.tape, REAL(2, 2, 3, 1, 1), REAL(2, 5, 4, 1, 1), NULL), VQ_ERR_SHAPE, "must be i32");
  expect_refused(&b, vq_embed(b.tape, zeros(&b, VQ_I32, 2, 2, 3, 1, 1), REAL(2, 5, 4, 1, 1), REAL(2, 2, 4, 1, 1)),
                 VQ_ERR_SHAPE, "embed: pos");
  expect_refused(&b, vq_embed(b.tape, zeros(&b, VQ_I32, 2, 2, 3, 1, 1), REAL(2, 5, 4, 1, 1), REAL(2, 3, 5, 1, 1)),
                 VQ_ERR_SHAPE, "embed: pos");
  expect_refused(&b, vq_take_row(b.tape, REAL(3, 2, 3, 4, 1), zeros(&b, VQ_I32, 1, 3, 1, 1, 1)), VQ_ERR_SHAPE,
                 "take_row: row");
  expect_refused(&b, vq_layer_norm(b.tape, REAL(2, 2, 3, 1, 1), REAL(1, 2, 1, 1, 1), REAL(1, 3, 1, 1, 1), 1e-5),
                 VQ_ERR_SHAPE, "layer_norm: g");
  expect_refused(&b, vq_layer_norm(b.tape, REAL(2, 2, 3, 1, 1), REAL(1, 3, 1, 1, 1), REAL(1, 3, 1, 1, 1), 0),
                 VQ_ERR_ARGUMENT, "layer_norm: eps is 0");
  expect_refused(&b, vq_gelu(b.tape, REAL(2, 2, 3, 1, 1), (vq_gelu_kind)2), VQ_ERR_ARGUMENT, "gelu: kind is 2");
  expect_refused(&b, vq_patchify(b.tape, REAL(4, 1, 4, 4, 3), 3, mean, std), VQ_ERR_SHAPE, "the patch, 3");
  expect_refused(&b, vq_patchify(b.tape, REAL(4, 1, 4, 6, 3), 2, mean, std), VQ_ERR_SHAPE, "must be square");
  expect_refused(&b, vq_patchify(b.tape, REAL(4, 1, 4, 4, 1), 2, mean, std), VQ_ERR_SHAPE, "patchify: x");
  expect_refused(&b, vq_patchify(b.tape, REAL(4, 1, 4, 4, 3), 2, mean, flat), VQ_ERR_ARGUMENT, "channel 1");
  expect_refused(&b, vq_prepend(b.tape, REAL(3, 2, 3, 4, 1), REAL(1, 4, 1, 1, 1), REAL(2, 3, 4, 1, 1)),
                 VQ_ERR_SHAPE, "prepend: pos");
  expect_refused(&b, vq_add(b.tape, REAL(2, 2, 3, 1, 1), REAL(2, 3, 2, 1, 1)), VQ_ERR_SHAPE, "add: b");
  expect_refused(&b, vq_mul(b.tape, REAL(2, 2, 3, 1, 1), REAL(1, 6, 1, 1, 1)), VQ_ERR_SHAPE, "mul: b");
  expect_refused(&b, vq_cast(b.tape, zeros(&b, VQ_I32, 1, 3, 1, 1, 1), VQ_BF16), VQ_ERR_SHAPE, "cast: from i32");
  expect_refused(&b, vq_cross_entropy(b.tape, REAL(2, 2, 7, 1, 1), zeros(&b, VQ_I32, 1, 3, 1, 1, 1)), VQ_ERR_SHAPE,
                 "cross_entropy: target");
  close_bench(&b);
}

/* Float bits and the bits of the half that they become. */
Test(clip_rooms, a_cast_keeps_nan_infinity_and_the_sign_of_zero)
{
  static const uint32_t from[] = {0x7f800001, 0x7fffffff, 0xff800001, 0x7f800000, 0xff800000, 0x7f7f7fff,
                                  0x7f7f8000, 0x80000000, 0x00008000, 0x00018000, 0x00008001};
  static const uint16_t to[] = {0x7fc0, 0x7fff, 0xffc0, 0x7f80, 0xff80, 0x7f7f,
                                0x7f80, 0x8000, 0x0000, 0x0002, 0x0001};
  enum { N = sizeof from / sizeof *from };
  bench b = open_bench();
  vq_real x[N];
  uint16_t half[N];
  vq_shape s = vq_shape_make(VQ_REAL, 1, (int64_t[]){N});
  for (int i = 0; i < N; i++) {
    float value;
    memcpy(&value, &from[i], sizeof value);
    x[i] = (vq_real)value;
  }
  vq_tensor *y = vq_cast(b.tape, vq_leaf(b.tape, &s, x, false), VQ_BF16);
  cr_assert(y && !vq_tensor_read(b.device, y, half), "%s", vq_error_message());
  for (int i = 0; i < N; i++)
    cr_expect(half[i] == to[i], "%08x becomes %04x and not %04x", (unsigned)from[i], half[i], to[i]);
  close_bench(&b);
}

Test(clip_rooms, a_cast_to_its_own_type_is_a_view)
{
  bench b = open_bench();
  vq_tensor *x = REAL(2, 2, 3, 1, 1), *y = vq_cast(b.tape, x, VQ_REAL);
  cr_expect(y && y->base == x && y->dim[1] == 3);
  close_bench(&b);
}

/* kernels/cpu/exp.h against the C library's double one, over all that a float can hold. */
Test(clip_rooms, the_exponential_is_within_two_units)
{
  double worst = 0, at = 0;
  for (double x = -87.3; x < 88.3; x += 1e-4) {
    double exact = exp((double)(vq_real)x), apart = fabs((double)vq_exp((vq_real)x) - exact) / exact;
    if (!(apart <= worst)) {
      worst = apart;
      at = x;
    }
  }
  cr_expect(worst <= 0x1p-22, "%g of its size away at %g", worst, at);
  cr_expect(isnan(vq_exp((vq_real)NAN)));
  cr_expect(vq_exp(-1000) >= 0 && vq_exp(-1000) < 1.2e-38 && vq_exp(1000) > 2.3e38);
}
