/* test_cuda_libraries.cpp -- products that are given to cuBLASLt and cuDNN (kernels/cuda/product_library.cu), by the libraries that stand in for
 * them: what is computed, what is asked how often, what happens while a step is captured, and what if a library is not there, fails or
 * refuses. The rows of tests/cases.h go through them too (test_cuda_ops --by).
 *
 * Numbers are small integers, so that sums are exact in any order: whoever computes must give the same bits. */
#include "cuda_on_cpu.h"
#include "kernels/cuda/product.cuh"

extern "C" {
#include "kernels/cuda/backend.h"
#include "kernels/cuda/cudnn.h"
}

#include <cstdio>
#include <cstdlib>
#include <vector>

static int failures;

static void expect(bool good, const char *what)
{
  if (!good)
    printf("FAIL %s: %s\n", what, vq_error_message());
  failures += !good;
}

/* Opened anew for each test: what a library says is asked once for a device. */
struct Card {
  vq_device *device;

  explicit Card(int products_by, const char *fault = "")
  {
    setenv("STAND_IN_FAULT", fault, 1);
    if (vq_cuda_create(&device, 0, VQ_BF16))
      abort();
    device->products_by = products_by;
  }
  ~Card()
  {
    vq_device_free(device);
    setenv("STAND_IN_FAULT", "", 1);
  }
  int64_t computed(int maker) const
  {
    return vq_cuda_computed(device, maker);
  }
};

/* ---- products ---- */

static std::vector<char> draw(vq_dtype type, int64_t count)
{
  std::vector<char> x((size_t)count * vq_dtype_bytes(type) + 64);
  for (int64_t i = 0; i < count; i++) {
    float value = (float)(rand() % 9 - 4);
    uint16_t half = vq_bf16_from_float(value);
    if (type == VQ_BF16)
      memcpy(&x[(size_t)i * 2], &half, 2);
    else
      memcpy(&x[(size_t)i * 4], &value, 4);
  }
  return x;
}

struct Task {
  vq_product p;
  bool bias, skip;
};

/* The product's result, computed by the device; `later`: while it is captured, and then launched. */
struct Run {
  vq_status status;
  std::vector<char> y;
};

static size_t scratch_bytes(const Card &card, const vq_product &p)
{
  vq_call call = {};
  call.device = card.device;
  return vq_product_scratch(&call, &p);
}

/* The same memory for all: it is large, and always what a device asks for. */
static void *scratch_for(const Card &card, const vq_product &p)
{
  static std::vector<char> scratch;
  size_t bytes = scratch_bytes(card, p) + 1;
  if (scratch.size() < bytes)
    scratch.resize(bytes);
  return scratch.data();
}

static vq_status queue(const Card &card, const vq_product &p)
{
  vq_call call = {};
  call.device = card.device;
  return vq_product_run(&call, &p, scratch_for(card, p), "product");
}

static vq_status capture(const Card &card, const vq_product &p, const std::vector<char> &y)
{
  vq_call call = {};
  call.device = card.device;
  std::vector<char> before = y;
  cudaGraph_t graph;
  cudaGraphExec_t work;
  cudaStream_t stream = vq_cuda(&call)->stream;
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  vq_status status = vq_product_run(&call, &p, scratch_for(card, p), "product");
  cudaStreamEndCapture(stream, &graph);
  expect(y == before, "what is captured is not done yet");
  cudaGraphInstantiate(&work, graph, 0);
  expect(cudaGraphLaunch(work, stream) == cudaSuccess, "a graph");
  cudaGraphExecDestroy(work);
  cudaGraphDestroy(graph);
  return status;
}

static Run run(const Card &card, const Task &t, bool captured = false, int64_t shift = 0)
{
  srand(7);
  vq_product p = t.p;
  int64_t sums = vq_product_rows(&p) * p.outputs;
  std::vector<char> x = draw(p.x_type, (int64_t)p.images * p.height * p.width * p.channels);
  std::vector<char> w = draw(p.w_type, (int64_t)p.kh * p.kw * p.channels * p.outputs), skip = draw(p.y_type, sums);
  std::vector<char> bias = draw(VQ_F32, p.outputs), y = draw(p.y_type, sums);
  std::vector<char> shifted(x.size() + (size_t)shift);
  memcpy(shifted.data() + shift, x.data(), x.size());
  p.x = shifted.data() + shift;
  p.w = w.data();
  p.bias = t.bias ? reinterpret_cast<float *>(bias.data()) : NULL;
  p.skip = t.skip ? skip.data() : NULL;
  p.y = y.data();
  vq_status status = captured ? capture(card, p, y) : queue(card, p);
  return {status, y};
}

static vq_tensor tensor(vq_dtype type, int rank, int64_t a, int64_t b, int64_t c = 1, int64_t d = 1)
{
  vq_tensor x = {};
  x.dtype = type;
  x.rank = rank;
  x.dim[0] = a;
  x.dim[1] = b;
  x.dim[2] = c;
  x.dim[3] = d;
  return x;
}

static Task rows(vq_dtype type, int64_t M, int64_t N, int64_t K, bool back)
{
  vq_tensor w = back ? tensor(type, 2, K, N) : tensor(type, 2, N, K);
  return {vq_product_of_rows(M, type, &w, back, type), !back, !back};
}

static Task conv(vq_dtype type, int64_t stride, bool back)
{
  vq_tensor x = tensor(type, 4, 2, 6, 7, 8), w = tensor(type, 4, 16, 3, 3, 8);
  vq_tensor y = tensor(type, 4, 2, (6 + 2 - 3) / stride + 1, (7 + 2 - 3) / stride + 1, 16);
  return {back ? vq_product_back(&x, &w, &y, stride, 1, 1) : vq_product_of_conv(&x, &w, &y, stride, 1, 1), !back,
          !back};
}

static std::vector<Task> tasks(bool matrices)
{
  std::vector<Task> all;
  for (vq_dtype type : {VQ_F32, VQ_BF16})
    for (int back = 0; back < 2; back++) {
      if (matrices) {
        all.push_back(rows(type, 5, 24, 16, back));
        all.push_back(rows(type, 1, 8, 2, back));
        all.push_back(rows(type, 70, 2, 40, back));
      } else {
        all.push_back(conv(type, 1, back));
        all.push_back(conv(type, 2, back));
      }
    }
  size_t plain = all.size();
  for (size_t i = 0; i < plain; i++) {
    Task other = all[i];
    other.bias = false;
    other.p.add = !other.skip;
    all.push_back(other);
    other.skip = false;
    all.push_back(other);
    if (other.p.x_type == VQ_BF16) {
      other.p.x_type =
          other.p.w_channel == 1 ? VQ_F32 : VQ_BF16; /* is rounded beforehand; a gradient is of w's type */
      all.push_back(other);
      other.p.x_type = VQ_BF16;
      other.p.y_type = VQ_F32;
      all.push_back(other);
    }
  }
  return all;
}

static Run own(const Task &t)
{
  return run(Card(VQ_PRODUCTS_OWN), t);
}

/* Whoever computes gives what our own kernels give, at once and captured, at places that are aligned and that are not. */
static void check_results(int by, int maker, const char *fault)
{
  for (const Task &t : tasks(maker == VQ_CUBLASLT)) {
    Run want = own(t);
    for (int way = 0; way < 3; way++) {
      Card card(by, fault);
      Run got = run(card, t, way == 1, way == 2 ? (int64_t)vq_dtype_bytes(t.p.x_type) : 0);
      char what[160];
      snprintf(what, sizeof what,
               "by %d%s, way %d: %d rows, %d outputs, %d terms, x %s, w %s, y %s, bias %d, skip %d, add %d: is not "
               "our own",
               by, fault, way, (int)vq_product_rows(&t.p), t.p.outputs, t.p.channels, vq_dtype_name(t.p.x_type),
               vq_dtype_name(t.p.w_type), vq_dtype_name(t.p.y_type), t.bias, t.skip, t.p.add);
      expect(!got.status && got.y == want.y, what);
      expect(card.computed(maker) == 1, "it is the library's");
    }
  }
}

/* Not the library's: our own kernels compute it, and say nothing. */
static void check_fallback(int by, int maker, const char *fault)
{
  for (const Task &t : tasks(maker == VQ_CUBLASLT)) {
    Card card(by, fault);
    Run want = own(t);
    setenv("STAND_IN_FAULT", fault, 1);
    for (int again = 0; again < 2; again++) {
      Run got = run(card, t);
      expect(!got.status && got.y == want.y, fault);
    }
    expect(card.computed(maker) == 0, fault);
  }
}

static void check_error(int by, const Task &t, const char *fault, const char *words)
{
  Card card(by, fault);
  expect(run(card, t).status == VQ_ERR_DEVICE, fault);
  expect(strstr(vq_error_message(), words) && !strncmp(vq_error_message(), "product: ", 9), words);
}

/* The heuristic is asked once for a shape. */
static void check_asked_once(int by, int maker, const Task &t, const Task &other)
{
  Card card(by);
  expect(!run(card, t).status, "the first time");
  setenv("STAND_IN_FAULT", "ask", 1);
  expect(!run(card, t).status && card.computed(maker) == 2, "the second time it is not asked");
  expect(run(card, other).status == VQ_ERR_DEVICE, "of another shape it is");
}

/* ---- libraries ---- */

static void check_missing(int maker, const char *variable, const char *other)
{
  std::vector<char> path(getenv(variable), getenv(variable) + strlen(getenv(variable)) + 1);
  int by = maker == VQ_CUBLASLT ? VQ_PRODUCTS_CUBLASLT : VQ_PRODUCTS_CUDNN;
  char text[256];
  expect(!vq_cuda_library(maker, 0, text, sizeof text) && strstr(text, "9.99 (") && strstr(text, "stand-in"), text);
  setenv("STAND_IN_FAULT", "create", 1);
  expect(!vq_cuda_library(maker, -1, text, sizeof text), "without a card it is there");
  expect(vq_cuda_library(maker, 0, text, sizeof text) == VQ_ERR_DEVICE && strstr(vq_error_message(), "internal"),
         "on the card it cannot be used");
  check_fallback(by, maker, "create");
  setenv(variable, "/nowhere/libnothing.so", 1);
  expect(vq_cuda_library(maker, 0, text, sizeof text) == VQ_ERR_DEVICE &&
             strstr(vq_error_message(), "/nowhere/libnothing.so"),
         "a library that is not there");
  check_fallback(by, maker, "");
  setenv(variable, getenv(other), 1);
  expect(vq_cuda_library(maker, 0, text, sizeof text) == VQ_ERR_DEVICE && strstr(vq_error_message(), "has no cu"),
         "a library that is another");
  check_fallback(by, maker, "");
  setenv(variable, path.data(), 1);
}

/* Where NVIDIA's own are, they have all that is called; without a card there is no more to see. */
static void look_for_real(int maker, const char *variable)
{
  std::vector<char> path(getenv(variable), getenv(variable) + strlen(getenv(variable)) + 1);
  char text[256];
  unsetenv(variable);
  bool there = !vq_cuda_library(maker, -1, text, sizeof text);
  printf("%s\n", there ? text : vq_error_message());
  expect(there || !strstr(vq_error_message(), "has no cu"), "NVIDIA's own library");
  setenv(variable, path.data(), 1);
}

/* 1 + 2^-12 is 1 in tf32. */
static void check_tf32(void)
{
  Card card(VQ_PRODUCTS_LIBRARIES);
  const float near_one = 1 + 0x1p-12f, w[8] = {1, 0, 0, 0, 0, 0, 0, 0};
  vq_call call = {};
  call.device = card.device;
  for (int tf32 = 0; tf32 < 2; tf32++) {
    vq_cublaslt *lt;
    vq_cudnn *dnn;
    const vq_lt_plan *product;
    const vq_dnn_plan *convolution;
    float x[8] = {near_one}, y = -1;
    alignas(256) static char workspace[1 << 16];
    vq_library_places at = {x, w, NULL, NULL, &y, workspace, vq_cuda(&call)->stream};
    vq_lt_product p = {};
    p.rows = p.outputs = 1;
    p.terms = p.w_row = 8;
    p.tf32 = tf32;
    for (int64_t &align : p.align)
      align = 4;
    expect(!vq_cublaslt_open(&lt) && !vq_cublaslt_find(lt, &p, &at, &product) && product, "a product in tf32");
    expect(!vq_cublaslt_run(lt, product, &at, "product") && y == (tf32 ? 1 : near_one), "its rounding");
    vq_cublaslt_close(lt);
    vq_dnn_conv c = {};
    c.images = c.height = c.width = c.rows = c.columns = c.outputs = c.kh = c.kw = c.stride = 1;
    c.channels = 8;
    c.tf32 = tf32;
    for (int64_t &align : c.align)
      align = 4;
    y = -1;
    expect(!vq_cudnn_open(&dnn, vq_cuda(&call)->stream) && !vq_cudnn_find(dnn, &c, &convolution) && convolution,
           "a convolution in tf32");
    expect(!vq_cudnn_run(dnn, convolution, &at, "conv") && y == (tf32 ? 1 : near_one), "its rounding");
    vq_cudnn_close(dnn);
  }
}

/* Who is asked for what: a 1 x 1 convolution is a product, and cuBLASLt's where both could. */
static void check_choices(void)
{
  vq_tensor x = tensor(VQ_BF16, 4, 2, 3, 5, 8), w = tensor(VQ_BF16, 4, 16, 1, 1, 8),
            y = tensor(VQ_BF16, 4, 2, 3, 5, 16);
  Task t = {vq_product_of_conv(&x, &w, &y, 1, 0, 0), true, false};
  const struct {
    int by, lt, dnn;
  } expected[] = {{VQ_PRODUCTS_TABLE, 0, 0},
                  {VQ_PRODUCTS_OWN, 0, 0},
                  {VQ_PRODUCTS_CUBLASLT, 1, 0},
                  {VQ_PRODUCTS_CUDNN, 0, 1},
                  {VQ_PRODUCTS_LIBRARIES, 1, 0}};
  for (const auto &e : expected) {
    Card card(e.by);
    expect(!run(card, t).status && card.computed(VQ_CUBLASLT) == e.lt && card.computed(VQ_CUDNN) == e.dnn,
           "who computes it");
    expect((scratch_bytes(card, t.p) >= VQ_LIBRARY_WORKSPACE) == (e.lt || e.dnn), "its scratch");
    for (int maker = VQ_OWN + 1; maker < VQ_MAKERS; maker++)
      expect(vq_cuda_chooses(e.by, maker) ==
                 (e.by == VQ_PRODUCTS_LIBRARIES || (maker == VQ_CUBLASLT ? e.lt : e.dnn)),
             "who may");
  }
}

int main()
{
  setvbuf(stdout, NULL, _IOLBF, 0);
  check_choices();
  check_results(VQ_PRODUCTS_CUBLASLT, VQ_CUBLASLT, "");
  check_results(VQ_PRODUCTS_CUDNN, VQ_CUDNN, "");
  check_results(VQ_PRODUCTS_CUDNN, VQ_CUDNN, "fused");
  for (const char *fault : {"refuse", "none"}) {
    check_fallback(VQ_PRODUCTS_CUBLASLT, VQ_CUBLASLT, fault);
    check_fallback(VQ_PRODUCTS_CUDNN, VQ_CUDNN, fault);
  }
  Task product = rows(VQ_BF16, 5, 24, 16, false), other = rows(VQ_BF16, 6, 24, 16, false);
  for (const char *fault : {"ask", "multiply"}) {
    check_error(VQ_PRODUCTS_CUBLASLT, product, fault, "cuBLASLt says: an internal error");
    check_error(VQ_PRODUCTS_CUDNN, conv(VQ_BF16, 1, false), fault, "cuDNN says: an internal error");
  }
  check_asked_once(VQ_PRODUCTS_CUBLASLT, VQ_CUBLASLT, product, other);
  check_asked_once(VQ_PRODUCTS_CUDNN, VQ_CUDNN, conv(VQ_F32, 1, true), conv(VQ_F32, 2, true));
  check_missing(VQ_CUBLASLT, "VQGEN_CUBLASLT", "VQGEN_CUDNN");
  check_missing(VQ_CUDNN, "VQGEN_CUDNN", "VQGEN_CUBLASLT");
  check_tf32();
  look_for_real(VQ_CUBLASLT, "VQGEN_CUBLASLT");
  look_for_real(VQ_CUDNN, "VQGEN_CUDNN");
  printf("%d failures\n", failures);
  return failures != 0;
}
