/* test_cuda_rooms.cpp -- what rows of tests/cases.h cannot say of the CUDA kernels: the update that is on no tape, draws against
 * base/rng.h, and values that an op refuses, which the host must learn of.
 */
#include "cuda_on_cpu.h"

extern "C" {
#include "base/rng.h"
#include "kernels/cuda/backend.h"
#include "kernels/ops.h"
}

#include <cstdio>
#include <vector>

static int failures;

static void expect(bool good, const char *what, const char *detail)
{
  if (good)
    return;
  printf("FAIL %s%s%s\n", what, *detail ? ": " : "", detail);
  failures++;
}

/* The device, and a tape on it, of one test. */
struct Engine {
  vq_device *device = nullptr;
  vq_tape *tape = nullptr;

  explicit Engine(bool cuda)
  {
    if ((cuda ? vq_cuda_create(&device, 0, VQ_F32) : vq_cpu_create(&device, 1)) ||
        vq_device_reserve(device, (size_t)4 << 20) || vq_tape_create(&tape, device)) {
      printf("FAIL a device: %s\n", vq_error_message());
      exit(1);
    }
  }
  ~Engine()
  {
    vq_tape_free(tape);
    vq_device_free(device);
  }

  template <class T>
  vq_tensor *leaf(vq_dtype dtype, std::vector<int64_t> dim, const std::vector<T> &values, bool wants)
  {
    vq_shape s = vq_shape_make(dtype, (int)dim.size(), dim.data());
    return vq_leaf(tape, &s, values.data(), wants);
  }
  vq_tensor *leaf(std::vector<int64_t> dim, const std::vector<float> &values, bool wants = false)
  {
    return leaf(VQ_F32, dim, values, wants);
  }
};

static std::vector<float> normals(uint32_t step, int64_t count, double spread)
{
  std::vector<float> x(count);
  for (int64_t i = 0; i < count; i++)
    x[i] = (float)(spread * vq_rng_normal(20210407, VQ_RNG_WEIGHTS, step, (uint64_t)i));
  return x;
}

/* How many floats lie between; of NaNs, many. */
static double ulps(float x, float y)
{
  int32_t a, b;
  memcpy(&a, &x, sizeof a);
  memcpy(&b, &y, sizeof b);
  if (!std::isfinite(x) || !std::isfinite(y))
    return 1e9;
  return fabs((double)(a < 0 ? INT32_MIN - (int64_t)a : a) - (double)(b < 0 ? INT32_MIN - (int64_t)b : b));
}

static void expect_near(const std::vector<float> &x, const std::vector<float> &y, double most, const char *what)
{
  double worst = 0;
  char detail[80];
  for (size_t i = 0; i < x.size(); i++)
    worst = fmax(worst, ulps(x[i], y[i]));
  snprintf(detail, sizeof detail, "%g ulp, where %g are right", worst, most);
  expect(x.size() == y.size() && worst <= most, what, detail);
}

/* ---- adam_clamp and optimise ---- */

#define ROWS     41
#define CHANNELS 13
#define UPDATES  6 /* reach radam's rectification */
#define ADAM     VQ_OPTIMISERS

/* z, m, v and past, one after the other, after UPDATES updates by adam_clamp (ADAM) or another optimiser, with gradients of very different
 * sizes. */
static std::vector<float> updated(int kind, bool cuda, bool held)
{
  const int64_t count = ROWS * CHANNELS;
  Engine on(cuda);
  std::vector<float> zeros(count), low(CHANNELS), high(CHANNELS), all(4 * count);
  for (int c = 0; c < CHANNELS; c++) {
    low[c] = -0.5f - 0.01f * (float)c;
    high[c] = 0.4f + 0.02f * (float)c;
  }
  vq_tensor *z = on.leaf({ROWS, CHANNELS}, normals(1, count, 0.5), true), *m = on.leaf({ROWS, CHANNELS}, zeros),
            *v = on.leaf({ROWS, CHANNELS}, zeros), *par = on.leaf({kind == ADAM ? 2 : 3}, {0, 0, 0}),
            *past = on.leaf({ROWS, CHANNELS}, zeros), *l = held ? on.leaf({CHANNELS}, low) : NULL,
            *h = held ? on.leaf({CHANNELS}, high) : NULL;
  vq_status status = vq_tape_status(on.tape);
  for (int t = 1; t <= UPDATES && !status; t++) {
    float changing[3];
    if (kind == ADAM)
      vq_adam_parameters(changing, 0.1, t);
    else
      vq_optimiser_parameters(changing, (vq_optimiser)kind, 0.1, 0.3, t);
    std::vector<float> g = normals(100 + (uint32_t)t, count, pow(10, t - 4)), z0 = normals(1, count, 0.5);
    if (kind == VQ_OPTIMISER_ADAMP && t == 1) /* at right angles to z, where it takes another step */
      for (int64_t i = 0; i < count; i++)
        g[i] = i == count - 1 ? 0 : i % 2 ? -z0[i - 1] : z0[i + 1];
    vq_grad_drop(on.tape, z);
    status = vq_seed_with(on.tape, z, g.data());
    if (!status)
      status = vq_tensor_write(on.device, par, changing);
    if (!status)
      status = kind == ADAM ? vq_adam_clamp(on.device, z, m, v, par, l, h)
                            : vq_optimise(on.device, (vq_optimiser)kind, z, m, v, par, l, h,
                                          kind == VQ_OPTIMISER_DIFFGRAD ? past : NULL);
  }
  const vq_tensor *tensor[] = {z, m, v, past};
  for (int i = 0; i < 4 && !status; i++)
    status = vq_tensor_read(on.device, tensor[i], all.data() + i * count);
  expect(!status, "an update", vq_error_message());
  return all;
}

/* In double on both sides: a contracted product differs in a double's last digit, so a float only where it lies on the edge of two. */
static void test_updates()
{
  const char *name[] = {"adamw", "adagrad", "adamax", "rmsprop", "radam", "diffgrad", "adamp", "adam_clamp"};
  for (int kind = 0; kind <= ADAM; kind++)
    for (int held = 0; held < 2; held++)
      expect_near(updated(kind, true, held), updated(kind, false, held), 1, name[kind]);
}

/* ---- noise ---- */

static void test_noise()
{
  const int64_t n = 3, each = 1030; /* two of them begin within a block of four draws */
  const uint64_t seed = 0xfedcba9876543210u;
  Engine on(true);
  std::vector<float> zeros(n * each), y(n * each), normal(n * each);
  std::vector<int32_t> key(4 * n);
  for (int64_t j = 0; j < n; j++) {
    vq_noise_key(&key[4 * j], seed, 77, (uint32_t)(4194301 + j));
    for (int64_t e = 0; e < each; e++)
      normal[j * each + e] =
          (float)vq_rng_normal(seed, VQ_RNG_NOISE, 77, (uint64_t)(4194301 + j) * (uint64_t)each + (uint64_t)e);
  }
  vq_tensor *out =
      vq_noise(on.tape, on.leaf({n, each}, zeros), on.leaf({n}, {1, 1, 1}), on.leaf(VQ_I32, {n, 4}, key, false));
  expect(out && !vq_tensor_read(on.device, out, y.data()), "noise", vq_error_message());
  expect_near(y, normal, 2, "noise is vq_rng_normal's");
}

/* ---- attention of more heads than a grid has room for in y ---- */

/* A card has room for 65535, here for 8: ten heads of one token each, which sees itself alone. y is v, dv is dy, dq and dk are nothing, to
 * the last bit. */
static void test_many_heads(vq_dtype dtype, int64_t width)
{
  const int64_t n = 5, heads = 2, C = heads * width;
  Engine on(true);
  cuda_on_cpu::most_in_y = 8;
  std::vector<float> qkv(n * 3 * C), y(n * C), dy(n * C), dqkv(n * 3 * C);
  for (int64_t i = 0; i < (int64_t)qkv.size(); i++)
    qkv[i] = (float)(i * 31 % 251) / 64;
  for (int64_t i = 0; i < (int64_t)dy.size(); i++)
    dy[i] = (float)(i * 17 % 241) / 64;
  vq_tensor *x = on.leaf({n, 1, 3 * C}, qkv, true);
  vq_mark mark = vq_tape_mark(on.tape);
  vq_tensor *out = vq_cast(on.tape, vq_attention(on.tape, vq_cast(on.tape, x, dtype), heads, false), VQ_F32);
  bool done = out && !vq_tensor_read(on.device, out, y.data()) && !vq_seed_with(on.tape, out, dy.data()) &&
              !vq_backward(on.tape, NULL, mark) && !vq_grad_read(on.device, x, dqkv.data());
  cuda_on_cpu::most_in_y = 65535;
  expect(done, "attention of many heads", vq_error_message());
  bool right = done;
  for (int64_t i = 0; i < n && right; i++)
    for (int64_t c = 0; c < 3 * C; c++)
      right = right && dqkv[i * 3 * C + c] == (c < 2 * C ? 0 : dy[i * C + c - 2 * C]) &&
              (c < 2 * C || y[i * C + c - 2 * C] == qkv[i * 3 * C + c]);
  expect(right, "attention of many heads", vq_dtype_name(dtype));
}

/* ---- what an op refuses ---- */

/* Runs the same on the CPU and on CUDA: the codes are one, the messages name `op`, and CUDA's device goes on. */
template <class F> static void expect_refusal(F run, vq_status code, const char *op, const char *which)
{
  for (int cuda = 0; cuda < 2; cuda++) {
    Engine on(cuda);
    vq_status status = run(on);
    std::string said = vq_error_message();
    expect(status == code && said.find(op) == 0 && said.find(which) != said.npos, which, said.c_str());
    std::vector<float> back(2);
    vq_tensor *x = on.leaf({2}, {1, 2});
    vq_rewind(on.tape, VQ_TAPE_START);
    x = on.leaf({2}, {1, 2});
    expect(x && !vq_tensor_read(on.device, x, back.data()) && back[1] == 2, "the device after a refusal", op);
  }
}

/* Two cutouts of 3x4; the second one's gradient is `dy` everywhere. */
static vq_status warp_with(Engine &on, float dy)
{
  std::vector<double> M = {1, 0, 0.5, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0.25, 0, 0, 1};
  std::vector<float> slope(2 * 12, 1), back(2 * 12);
  for (int i = 12; i < 24; i++)
    slope[i] = dy;
  vq_tensor *x = on.leaf({2, 3, 4, 1}, std::vector<float>(24, 0.5f), true);
  vq_tensor *y = vq_warp(on.tape, x, on.leaf(VQ_F64, {2, 3, 3}, M, false), VQ_WARP_BORDER);
  vq_status status = vq_seed_with(on.tape, y, slope.data());
  if (!status)
    status = vq_backward(on.tape, NULL, vq_mark{0, 2});
  return status ? status : vq_grad_read(on.device, x, back.data());
}

static vq_status quantise_with(Engine &on, int32_t id)
{
  std::vector<float> y(6);
  vq_tensor *out =
      vq_quantise(on.tape, on.leaf({3, 2}, std::vector<float>(6)), on.leaf({4, 2}, std::vector<float>(8)),
                  on.leaf(VQ_I32, {3}, std::vector<int32_t>{0, 3, id}, false));
  return out ? vq_tensor_read(on.device, out, y.data()) : vq_tape_status(on.tape);
}

static vq_status soft_quantise_with(Engine &on, int32_t id)
{
  std::vector<float> y(6);
  vq_tensor *out =
      vq_soft_quantise(on.tape, on.leaf({3, 4}, std::vector<float>(12)), on.leaf({4, 2}, std::vector<float>(8)),
                       on.leaf(VQ_I32, {3}, std::vector<int32_t>{0, 3, id}, false));
  return out ? vq_tensor_read(on.device, out, y.data()) : vq_tape_status(on.tape);
}

static vq_status jitter_with(Engine &on, std::vector<int32_t> stage)
{
  std::vector<float> y(2 * 4 * 3);
  vq_tensor *out =
      vq_jitter(on.tape, on.leaf({2, 2, 2, 3}, std::vector<float>(24, 0.5f)), on.leaf(VQ_I32, {2, 2}, stage, false),
                on.leaf({2, 2}, {1, 1, 1, 1}), VQ_JITTER_KORNIA);
  return out ? vq_tensor_read(on.device, out, y.data()) : vq_tape_status(on.tape);
}

static vq_status read_three(Engine &on, vq_tensor *out)
{
  std::vector<float> y(6);
  return out ? vq_tensor_read(on.device, out, y.data()) : vq_tape_status(on.tape);
}

/* One token of three has an id, a row or a class of which there are four. */
static vq_status embed_with(Engine &on, int32_t id)
{
  return read_three(on, vq_embed(on.tape, on.leaf(VQ_I32, {1, 3}, std::vector<int32_t>{0, id, 3}, false),
                                 on.leaf({4, 2}, std::vector<float>(8)), NULL));
}

static vq_status take_row_with(Engine &on, int32_t row)
{
  return read_three(on, vq_take_row(on.tape, on.leaf({3, 4, 2}, std::vector<float>(24)),
                                    on.leaf(VQ_I32, {3}, std::vector<int32_t>{0, row, 3}, false)));
}

static vq_status cross_entropy_with(Engine &on, int32_t target)
{
  return read_three(on, vq_cross_entropy(on.tape, on.leaf({3, 4}, std::vector<float>(12)),
                                         on.leaf(VQ_I32, {3}, std::vector<int32_t>{0, target, 3}, false)));
}

/* The scores of one row alone are more than a block's shared memory. */
static void test_too_long()
{
  Engine on(true);
  vq_tensor *out = vq_attention(on.tape, on.leaf({1, 13000, 3}, std::vector<float>(13000 * 3, 0.5f)), 1, false);
  expect(!out && vq_tape_status(on.tape) == VQ_ERR_UNSUPPORTED &&
             strstr(vq_error_message(), "attention: a sequence is too long"),
         "a sequence that is too long", vq_error_message());
}

static void test_refusals()
{
  for (int32_t wrong : {-1, 4}) {
    expect_refusal([=](Engine &on) { return embed_with(on, wrong); }, VQ_ERR_ARGUMENT, "embed:", "");
    expect_refusal([=](Engine &on) { return take_row_with(on, wrong); }, VQ_ERR_ARGUMENT, "take_row:", "row[1]");
    expect_refusal([=](Engine &on) { return cross_entropy_with(on, wrong); }, VQ_ERR_ARGUMENT,
                   "cross_entropy:", "target[1]");
  }
  expect_refusal([](Engine &on) { return warp_with(on, 400); }, VQ_ERR_ARGUMENT, "warp:", "cutout 1 adds up");
  expect_refusal([](Engine &on) { return warp_with(on, NAN); }, VQ_ERR_NAN, "warp:", "cutout 1 has a value");
  expect_refusal([](Engine &on) { return warp_with(on, INFINITY); }, VQ_ERR_NAN, "warp:", "cutout 1 has a value");
  expect_refusal([](Engine &on) { return quantise_with(on, 4); }, VQ_ERR_ARGUMENT, "quantise:", "token 2 has");
  expect_refusal([](Engine &on) { return quantise_with(on, -1); }, VQ_ERR_ARGUMENT, "quantise:", "token 2 has");
  expect_refusal([](Engine &on) { return soft_quantise_with(on, 4); }, VQ_ERR_ARGUMENT,
                 "soft_quantise:", "token 2 has");
  expect_refusal([](Engine &on) { return soft_quantise_with(on, -1); }, VQ_ERR_ARGUMENT,
                 "soft_quantise:", "token 2 has");
  expect_refusal([](Engine &on) { return jitter_with(on, {1, 2, 3, 8}); }, VQ_ERR_ARGUMENT, "jitter:", "cutout 1");
  expect_refusal([](Engine &on) { return jitter_with(on, {1, 2, 4, 4}); }, VQ_ERR_ARGUMENT, "jitter:", "cutout 1");
  Engine on(true);
  expect(!warp_with(on, 300), "warp, just small enough", vq_error_message());
}

/* ---- what a card has no kernel for is an error: nothing is computed by the CPU instead ---- */

static void test_no_other_device()
{
  Engine on(true);
  vq_kernels ours;
  for (const vq_op *const *op = vq_ops; *op; op++) {
    on.device->backend->find(on.device, *op, &ours);
    bool forward = ours.forward && ours.forward != (*op)->forward;
    bool backward = !(*op)->backward == !ours.backward && (!ours.backward || ours.backward != (*op)->backward);
    expect(forward && backward, (*op)->name, "its kernels are missing or the CPU's");
  }
  vq_op unheard = vq_op_add;
  unheard.name = "unheard_of";
  vq_tensor *in[] = {on.leaf({2}, {1, 2}), on.leaf({2}, {3, 4})};
  expect(!vq_record(on.tape, &unheard, in, 2, NULL), "unheard_of", "it was computed");
  expect(vq_tape_status(on.tape) == VQ_ERR_UNSUPPORTED && strstr(vq_error_message(), "unheard_of") &&
             strstr(vq_error_message(), "the cuda device has no kernel"),
         "unheard_of", vq_error_message());
}

int main()
{
  test_no_other_device();
  test_too_long();
  test_many_heads(VQ_F32, 8);
  test_many_heads(VQ_BF16, 8);
  test_many_heads(VQ_BF16, 136);
  for (int s = 0; s < cuda_on_cpu::SCHEDULES; s++) {
    cuda_on_cpu::schedule = (cuda_on_cpu::Schedule)s;
    test_updates();
    test_noise();
    test_refusals();
  }
  printf("%d failures, %ld launches\n", failures, cuda_on_cpu::launches);
  return failures > 0;
}
