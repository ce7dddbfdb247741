/* test_cuda_products.cpp -- every kernel of kernels/cuda/product.cuh, whatever product.cu would choose, on what it can describe: partial
 * tiles in all directions, several blocks, a sum in parts, all types.
 *
 * The measure is the description itself, as loops in double over the same (rounded) numbers. Sums of some hundred terms of about 1 in
 * float may be wrong by 1e-5 of the largest; what is stored in bf16 by a rounding of half a unit in the last of 8 places. */
#include "cuda_on_cpu.h"
#include "kernels/cuda/product.cuh"

extern "C" {
#include "kernels/cuda/backend.h"
}

#include <cstdio>
#include <cstdlib>
#include <vector>

static int failures, products;

/* Numbers of one of the two types. */
struct numbers {
  vq_dtype type = VQ_F32;
  std::vector<float> single;
  std::vector<uint16_t> half;

  double at(int64_t i) const
  {
    return type == VQ_BF16 ? vq_bf16_to_float(half[(size_t)i]) : single[(size_t)i];
  }
  void *data()
  {
    return type == VQ_BF16 ? static_cast<void *>(half.data()) : single.data();
  }
};

static numbers draw(vq_dtype type, int64_t count)
{
  numbers x;
  x.type = type;
  for (int64_t i = 0; i < count; i++) {
    float value = (float)rand() / (float)RAND_MAX * 2 - 1;
    if (type == VQ_BF16)
      x.half.push_back(vq_bf16_from_float(value));
    else
      x.single.push_back(value);
  }
  return x;
}

/* What a run needs besides its description. */
struct task {
  vq_product p;
  numbers x, w, bias, skip, y;
};

static int64_t weights_of(const vq_product &p)
{
  return (int64_t)p.kh * p.kw * p.scale * p.scale * p.channels * p.outputs;
}

static task make(vq_product p, vq_dtype x, vq_dtype w, vq_dtype y)
{
  task t;
  int64_t sums = vq_product_rows(&p) * p.scale * p.scale * p.outputs;
  p.x_type = x;
  p.w_type = w;
  p.y_type = y;
  t.x = draw(x, (int64_t)p.images * p.height * p.width * p.channels);
  t.w = draw(w, weights_of(p));
  t.bias = draw(VQ_F32, p.outputs);
  t.skip = draw(y, sums);
  t.y = draw(y, sums);
  t.p = p;
  return t;
}

static double term_of(const task &t, int64_t image, int r, int q, int a, int b, int o)
{
  const vq_product &p = t.p;
  double sum = 0;
  for (int u = 0; u < p.kh; u++)
    for (int v = 0; v < p.kw; v++) {
      int down = r * p.step + u * p.turn + p.top + a, right = q * p.step + v * p.turn + p.left + b;
      if (down < 0 || right < 0 || down % p.apart || right % p.apart || down / p.apart >= p.height ||
          right / p.apart >= p.width)
        continue;
      int64_t x = ((image * p.height + down / p.apart) * p.width + right / p.apart) * p.channels;
      int64_t w = p.w_first + (u * p.scale + a) * p.w_down + (v * p.scale + b) * p.w_right + o * p.w_output;
      for (int c = 0; c < p.channels; c++)
        sum += t.x.at(x + c) * t.w.at(w + c * p.w_channel);
    }
  return sum;
}

/* What y must be. */
static std::vector<double> expected(const task &t)
{
  const vq_product &p = t.p;
  std::vector<double> y((size_t)(vq_product_rows(&p) * p.scale * p.scale * p.outputs));
  for (int64_t image = 0; image < p.images; image++)
    for (int r = 0; r < p.rows * p.scale; r++)
      for (int q = 0; q < p.columns * p.scale; q++)
        for (int o = 0; o < p.outputs; o++) {
          int64_t at = ((image * p.rows * p.scale + r) * p.columns * p.scale + q) * p.outputs + o;
          y[(size_t)at] = term_of(t, image, r / p.scale, q / p.scale, r % p.scale, q % p.scale, o) +
                          (p.bias ? t.bias.at(o) : 0) + (p.skip ? t.skip.at(at) : 0) + (p.add ? t.y.at(at) : 0);
        }
  return y;
}

enum kernel { PLAIN, MMA, FEW };

static vq_status run(const vq_call *c, const vq_product *p, kernel by, int tile, vq_product_split split,
                     const char *name)
{
  if (by == FEW)
    return vq_product_few(c, p, name);
  VQ_TRY(by == MMA ? vq_product_mma(c, p, tile, split, name) : vq_product_plain(c, p, tile, split, name));
  return split.partial ? vq_product_sum_parts(c, p, split, name) : VQ_OK;
}

static void check(const vq_device *device, task t, kernel by, int tile, int parts, const char *name)
{
  std::vector<double> want = expected(t);
  std::vector<float> partial(parts > 1 ? want.size() * (size_t)parts : 0);
  vq_product_split split = {parts, parts > 1 ? partial.data() : NULL};
  vq_call call = {};
  double worst = 0, largest = 0;
  call.device = const_cast<vq_device *>(device);
  t.p.x = t.x.data();
  t.p.w = t.w.data();
  t.p.bias = t.p.bias ? t.bias.single.data() : NULL;
  t.p.skip = t.p.skip ? t.skip.data() : NULL;
  t.p.y = t.y.data();
  products++;
  vq_status status = run(&call, &t.p, by, tile, split, name);
  bool finite = !status;
  for (size_t i = 0; i < want.size(); i++) {
    double error = fabs(t.y.at((int64_t)i) - want[i]) - (t.p.y_type == VQ_BF16 ? fabs(want[i]) / 256 : 0);
    finite = finite && std::isfinite(error);
    largest = fmax(largest, fabs(want[i]));
    worst = fmax(worst, error);
  }
  if (finite && worst <= 1e-5 * largest)
    return;
  printf("FAIL %s, %s, %d rows, %d parts, x %s, w %s, y %s: error %g of %g; %s\n", name,
         by == MMA   ? "tensor cores"
         : by == FEW ? "few outputs"
                     : "plain",
         tile, parts, vq_dtype_name(t.p.x_type), vq_dtype_name(t.p.w_type), vq_dtype_name(t.p.y_type), worst,
         largest, cuda_on_cpu::fault.c_str());
  failures++;
}

/* Through every kernel that takes it. */
static void check_all(const vq_device *device, vq_product p, const char *name)
{
  static const float something = 0;
  for (int types = 0; types < 8; types++) {
    vq_dtype x = types & 1 ? VQ_BF16 : VQ_F32, w = types & 2 ? VQ_BF16 : VQ_F32, y = types & 4 ? VQ_BF16 : VQ_F32;
    if (p.w_channel != 1 && x != w)
      continue;
    for (int parts = 1; parts <= 3; parts += 2) {
      task t = make(p, x, w, y);
      t.p.bias = parts == 1 ? &something : NULL;
      t.p.skip = types % 3 ? &something : NULL;
      t.p.add = types % 2 == 0;
      for (int tile = 64; tile <= 128; tile *= 2)
        check(device, t, PLAIN, tile, parts, name);
      if (vq_product_few_fits(&t.p) && parts == 1)
        check(device, t, FEW, 0, parts, name);
      if (vq_product_mma_fits(&t.p))
        for (int tile = 64; tile <= 256; tile *= 2)
          check(device, t, MMA, tile, parts, name);
    }
  }
}

static vq_product matrix(int M, int N, int K, bool by_channel)
{
  vq_tensor w = {};
  w.rank = 2;
  w.dim[0] = by_channel ? K : N;
  w.dim[1] = by_channel ? N : K;
  return vq_product_of_rows(M, VQ_F32, &w, by_channel, VQ_F32);
}

static vq_tensor picture(int64_t n, int64_t h, int64_t w, int64_t c)
{
  vq_tensor x = {};
  x.rank = 4;
  x.dim[0] = n;
  x.dim[1] = h;
  x.dim[2] = w;
  x.dim[3] = c;
  return x;
}

/* Four 2x2 products from weights [4,4,O,I]. */
static vq_product phases(int n, int h, int w, int I, int O)
{
  vq_tensor x = picture(n, h, w, I), kernel = picture(O, 2, 2, I), y = picture(n, h, w, O);
  vq_product p = vq_product_of_conv(&x, &kernel, &y, 1, 1, 1);
  int64_t each = (int64_t)O * I;
  p.scale = 2;
  p.w_first = 15 * each;
  p.w_down = -4 * each;
  p.w_right = -each;
  p.w_output = I;
  return p;
}

static void check_conv(const vq_device *device, vq_tensor x, vq_tensor w, int stride, int top, int left,
                       const char *name)
{
  vq_tensor y = picture(x.dim[0], (x.dim[1] + 2 * top - w.dim[1]) / stride + 1,
                        (x.dim[2] + 2 * left - w.dim[2]) / stride + 1, w.dim[0]);
  check_all(device, vq_product_of_conv(&x, &w, &y, stride, top, left), name);
  check_all(device, vq_product_back(&x, &w, &y, stride, top, left), name);
}

int main()
{
  vq_device *device;
  if (vq_cuda_create(&device, 0, VQ_F32))
    return 1;
  for (int s = 0; s < cuda_on_cpu::SCHEDULES; s++) {
    cuda_on_cpu::schedule = (cuda_on_cpu::Schedule)s;
    if (s == 0 || s == cuda_on_cpu::SHUFFLED) {
      check_all(device, matrix(270, 136, 40, false), "rows");
      check_all(device, matrix(270, 136, 40, true), "rows by channel");
      check_all(device, matrix(67, 5, 72, false), "rows, few outputs");
      check_conv(device, picture(2, 9, 8, 48), picture(24, 3, 3, 48), 1, 1, 1, "convolution");
    }
    check_all(device, matrix(3, 7, 5, false), "odd rows");
    check_all(device, matrix(300, 4, 64, false), "four outputs");
    check_conv(device, picture(2, 9, 8, 32), picture(3, 3, 3, 32), 1, 1, 1, "convolution to three");
    check_all(device, matrix(3, 7, 5, true), "odd rows by channel");
    check_conv(device, picture(1, 5, 6, 8), picture(16, 2, 3, 8), 1, 0, 1, "uneven convolution");
    check_conv(device, picture(2, 7, 6, 8), picture(8, 3, 3, 8), 2, 1, 0, "convolution with a stride");
    check_conv(device, picture(1, 5, 4, 3), picture(6, 3, 3, 3), 2, 0, 1, "odd convolution with a stride");
    check_all(device, phases(2, 3, 5, 8, 16), "upsampled");
    check_all(device, phases(1, 2, 3, 3, 5), "odd upsampled");
  }
  vq_device_free(device);
  printf("%d products, %d failures\n", products, failures);
  return failures > 0 || products == 0;
}
