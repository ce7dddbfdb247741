/* test_card_faults.c -- a kernel that fails while it runs, on the emulated card: told where somebody waits for it, with what to do; told of the
 * operation itself where one thing is done at a time.
 */
#include "tests/scratch.h"

#include "kernels/ops.h"
#include "runtime/place.h"

/* Launch number 2, of three, fails. What the walk and the reading say. */
static vq_status three_ops(void)
{
  vq_place place;
  vq_device *device;
  vq_tape *t;
  vq_real x[64] = {1}, y[64];
  vq_shape s = vq_shape_make(VQ_REAL, 1, (int64_t[]){64});
  cr_assert(!setenv("CUDA_ON_CPU_FAULT", "2", 1));
  expect_ok(vq_place_find(&place, "cuda", VQ_PRECISION_FP32, 1, &(const vq_log){0}));
  expect_ok(vq_place_open(&device, &place));
  expect_ok(vq_device_reserve(device, 1 << 16));
  expect_ok(vq_tape_create(&t, device));
  vq_tensor *in = vq_leaf(t, &s, x, false);
  vq_tensor *out = vq_gelu(t, vq_silu(t, vq_add(t, in, in)), VQ_GELU_QUICK);
  vq_status status = vq_tape_status(t);
  if (!status)
    status = vq_tensor_read(device, out, y);
  vq_tape_free(t);
  vq_device_free(device);
  return status;
}

Test(card_faults, are_told_with_what_finds_them)
{
  cr_assert(!unsetenv("VQGEN_SYNC"));
  cr_expect_eq(three_ops(), VQ_ERR_DEVICE);
  cr_expect(strstr(vq_error_message(), "the GPU: CUDA says: an illegal memory access") &&
                strstr(vq_error_message(), "VQGEN_SYNC=1"),
            "%s", vq_error_message());
}

Test(card_faults, are_found_one_by_one)
{
  cr_assert(!setenv("VQGEN_SYNC", "1", 1));
  cr_expect_eq(three_ops(), VQ_ERR_DEVICE);
  cr_expect(!strncmp(vq_error_message(), "silu: the GPU: ", 15), "%s", vq_error_message());
}
