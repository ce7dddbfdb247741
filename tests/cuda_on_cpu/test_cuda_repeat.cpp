/* test_cuda_repeat.cpp -- a step that is kept and done again (autograd/repeat.h) on the emulated card: other numbers each time, then another
 * step, then the first again. */
#include "cuda_on_cpu.h"

extern "C" {
#include "autograd/repeat.h"
#include "kernels/cuda/backend.h"
#include "kernels/ops.h"
}

#include <cstdio>

#define COUNT 1000

static int failures;

static void expect(bool good, const char *what)
{
  if (!good)
    printf("FAIL %s: %s\n", what, vq_error_message());
  failures += !good;
}

struct Step {
  vq_tape *tape;
  vq_tensor *w, *told; /* both in the weights arena */
  float x[COUNT];
  bool twice, reads; /* told = sum(x w), or of x w + x w; reads in its midst, which it must not */
};

static vq_status step(void *user)
{
  Step *s = static_cast<Step *>(user);
  const int64_t dim = COUNT;
  vq_shape shape = vq_shape_make(VQ_F32, 1, &dim);
  vq_device *device = vq_tape_device(s->tape);
  vq_grad_drop(s->tape, s->w);
  vq_rewind(s->tape, VQ_TAPE_START);
  vq_tensor *x = vq_leaf(s->tape, &shape, s->x, false), *y = vq_mul(s->tape, x, s->w);
  if (s->twice)
    y = vq_add(s->tape, y, y);
  vq_tensor *sum = vq_sum(s->tape, y);
  VQ_TRY(vq_tape_status(s->tape));
  if (s->reads)
    VQ_TRY(vq_tensor_read(device, sum, s->x));
  VQ_TRY(device->backend->copy(device, s->told->data, sum->data, sizeof(float)));
  VQ_TRY(vq_backward(s->tape, sum, VQ_TAPE_START));
  return VQ_OK;
}

/* The sum is w's count times x's value: exact in floats. Afterwards w's gradient is x, or twice that. */
static void run(Step *s, int number, bool twice)
{
  float told = 0, dw[COUNT];
  vq_device *device = vq_tape_device(s->tape);
  for (float &x : s->x)
    x = (float)number;
  s->twice = twice;
  long before = cuda_on_cpu::launches;
  expect(!vq_device_repeat(device, step, s), "a step");
  long launched = cuda_on_cpu::launches - before;
  expect(!vq_tensor_read(device, s->told, &told) && told == (float)(COUNT * number * (twice ? 2 : 1)), "the sum");
  expect(!vq_grad_read(device, s->w, dw) && dw[0] == (float)(number * (twice ? 2 : 1)) && dw[COUNT - 1] == dw[0],
         "the gradient");
  expect(launched == (twice ? 8 : 6), "each kernel is launched once, whether it is done at once or again");
  vq_grad_drop(s->tape, s->w);
  vq_rewind(s->tape, VQ_TAPE_START);
}

int main()
{
  vq_device *device;
  static Step s;
  const int64_t dim = COUNT;
  float ones[COUNT];
  for (float &w : ones)
    w = 1;
  vq_shape shape = vq_shape_make(VQ_F32, 1, &dim), scalar = vq_shape_make(VQ_F32, 0, NULL);
  expect(!vq_cuda_create(&device, 0, VQ_F32) && !vq_device_reserve(device, 1 << 20), "a device");
  expect(!vq_tape_create(&s.tape, device), "a tape");
  expect(!vq_weight_create(&s.w, device, &shape, ones, true) &&
             !vq_weight_create(&s.told, device, &scalar, ones, false),
         "weights");
  for (int i = 1; i <= 5; i++)
    run(&s, i, false);
  expect(device->keeps && device->trail == device->kept_trail, "the step is repeated, not kept anew");
  for (int i = 6; i <= 8; i++)
    run(&s, i, true);
  run(&s, 9, false);
  s.reads = true;
  expect(vq_device_repeat(device, step, &s) == VQ_ERR_DEVICE, "a kept step that is read from is an error");
  s.reads = false;
  run(&s, 10, false);
  vq_tape_free(s.tape);
  vq_device_free(device);
  printf("%d failures\n", failures);
  return failures != 0;
}
