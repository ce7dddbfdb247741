/* product_library.cu -- products that a library computes in the place of our own kernels: which, and in its own terms. Contract: product.cuh.
 *
 * Which ones follows from shapes, types and the device's choice alone; where the library is not there, or does not take a product, our own
 * kernels compute it. The scratch for it is the same in any case. */
#include "kernels/cuda/product.cuh"

extern "C" {
#include "kernels/cuda/backend.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/product_table.h"
}

#include <cstdlib>

#define THREADS 256

/* What a device has of the libraries: nothing, until a product is theirs. */
struct vq_libraries {
  bool asked_lt, asked_dnn;
  vq_cublaslt *lt; /* NULL, though asked: not there */
  vq_cudnn *dnn;
  int64_t computed[VQ_MAKERS];
};

vq_libraries *vq_libraries_create(void)
{
  return static_cast<vq_libraries *>(calloc(1, sizeof(vq_libraries)));
}

void vq_libraries_free(vq_libraries *libraries)
{
  if (!libraries)
    return;
  vq_cublaslt_close(libraries->lt);
  vq_cudnn_close(libraries->dnn);
  free(libraries);
}

int64_t vq_libraries_computed(const vq_libraries *libraries, int maker)
{
  return libraries->computed[maker];
}

namespace
{

/* ---- who ---- */

enum { MATRIX, CONVOLUTION };
enum { FORWARD, BACKWARD };
enum { F32, BF16 };
enum { FEW, SOME, MANY };
enum { OWN = VQ_OWN, CUBLASLT = VQ_CUBLASLT, CUDNN = VQ_CUDNN };

#define GENERATIONS 3

const struct {
  int what, direction, type, rows, who[GENERATIONS];
} table[] = {
#define ROW(what, direction, type, rows, on_8, on_9, on_10) {what, direction, type, rows, {on_8, on_9, on_10}},
    VQ_PRODUCT_TABLE(ROW)
#undef ROW
};
static_assert(sizeof table / sizeof *table == 2 * 2 * 2 * 3, "the table has a row for each class");

/* One pixel of x for each of y: what a picture is does not matter then. */
bool is_matrix(const vq_product *p)
{
  return p->kh == 1 && p->kw == 1 && p->step == 1 && p->apart == 1 && p->scale == 1 && p->top == 0 &&
         p->left == 0 && p->rows == p->height && p->columns == p->width && p->w_first == 0;
}

/* The way back has the forward's weights, read by channel. */
bool is_back(const vq_product *p)
{
  return p->w_channel != 1;
}

/* Padding behind `large` pixels that makes `small` ones of them; -1: none does. */
int64_t padding_behind(int64_t small, int64_t large, int64_t kernel, int64_t stride, int64_t before)
{
  int64_t behind = (small - 1) * stride + kernel - large - before;
  behind = behind > 0 ? behind : 0;
  int64_t room = large + before + behind - kernel;
  return before >= 0 && room >= 0 && room / stride + 1 == small ? behind : -1;
}

/* The convolution that it is, or goes back through, but for bias, skip and places. */
vq_dnn_conv conv_of(const vq_product *p)
{
  bool back = is_back(p);
  vq_dnn_conv conv = {};
  conv.back = back;
  conv.images = p->images;
  conv.height = p->height;
  conv.width = p->width;
  conv.channels = p->channels;
  conv.rows = p->rows;
  conv.columns = p->columns;
  conv.outputs = p->outputs;
  conv.kh = p->kh;
  conv.kw = p->kw;
  conv.stride = back ? p->apart : p->step;
  conv.top = back ? p->top : -p->top;
  conv.left = back ? p->left : -p->left;
  conv.bottom = back ? padding_behind(p->height, p->rows, p->kh, conv.stride, conv.top)
                     : padding_behind(p->rows, p->height, p->kh, conv.stride, conv.top);
  conv.right = back ? padding_behind(p->width, p->columns, p->kw, conv.stride, conv.left)
                    : padding_behind(p->columns, p->width, p->kw, conv.stride, conv.left);
  conv.type = p->w_type;
  conv.y_type = p->y_type;
  return conv;
}

/* The weights lie as [O,kh,kw,I], and it is a convolution or the way back through one. */
bool is_conv(const vq_product *p)
{
  int64_t inner = is_back(p) ? p->outputs : p->channels, each = is_back(p) ? p->w_channel : p->w_output;
  bool way = is_back(p) ? p->step == 1 && p->turn == -1 : p->turn == 1 && p->apart == 1;
  bool weights = p->scale == 1 && p->w_first == 0 && p->w_right == inner && p->w_down == p->kw * inner &&
                 each == p->kh * p->kw * inner;
  vq_dnn_conv conv = conv_of(p);
  return way && weights && conv.bottom >= 0 && conv.right >= 0;
}

/* Types that the libraries have: x and w alike, once x is rounded to bf16 for such weights, as our own kernels do it. */
bool has_types(const vq_product *p)
{
  return p->w_type == VQ_BF16 || (p->x_type == VQ_F32 && p->y_type == VQ_F32);
}

int by_table(const vq_product *p, int generation)
{
  int64_t rows = vq_product_rows(p);
  int what = is_matrix(p) ? MATRIX : CONVOLUTION, direction = is_back(p) ? BACKWARD : FORWARD;
  int type = p->w_type == VQ_BF16 ? BF16 : F32, size = rows <= 64 ? FEW : rows <= 1024 ? SOME : MANY;
  for (const auto &row : table)
    if (row.what == what && row.direction == direction && row.type == type && row.rows == size)
      return row.who[generation];
  return OWN;
}

/* Whether that library can be given it at all. */
bool could(int who, const vq_product *p)
{
  if (!has_types(p))
    return false;
  return who == CUBLASLT ? is_matrix(p) : who == CUDNN && is_conv(p);
}

int first_that_could(int who, int or_else, const vq_product *p)
{
  return could(who, p) ? who : could(or_else, p) ? or_else : OWN;
}

int who_computes(const vq_device *device, const vq_product *p, int generation)
{
  switch (device->products_by) {
  case VQ_PRODUCTS_OWN: return OWN;
  case VQ_PRODUCTS_CUBLASLT: return first_that_could(CUBLASLT, OWN, p);
  case VQ_PRODUCTS_CUDNN: return first_that_could(CUDNN, OWN, p);
  case VQ_PRODUCTS_LIBRARIES: return first_that_could(CUBLASLT, CUDNN, p);
  default: return first_that_could(by_table(p, generation), OWN, p);
  }
}

} // namespace

bool vq_cuda_chooses(int products_by, int maker)
{
  bool in_table = false;
  for (const auto &row : table)
    for (int who : row.who)
      in_table = in_table || who == maker;
  switch (products_by) {
  case VQ_PRODUCTS_TABLE: return in_table;
  case VQ_PRODUCTS_CUBLASLT: return maker == VQ_CUBLASLT;
  case VQ_PRODUCTS_CUDNN: return maker == VQ_CUDNN;
  default: return products_by == VQ_PRODUCTS_LIBRARIES && maker != VQ_OWN;
  }
}

namespace
{

/* ---- scratch: x and bias as bf16 where the library wants them so, then its own ---- */

size_t up(size_t bytes)
{
  return (bytes + VQ_LIBRARY_WORKSPACE_ALIGN - 1) / VQ_LIBRARY_WORKSPACE_ALIGN * VQ_LIBRARY_WORKSPACE_ALIGN;
}

int64_t x_count(const vq_product *p)
{
  return (int64_t)p->images * p->height * p->width * p->channels;
}

size_t x_bytes(const vq_product *p)
{
  return p->x_type == VQ_F32 && p->w_type == VQ_BF16 ? up((size_t)x_count(p) * sizeof(vq_bf16)) : 0;
}

/* Whether there is a bias is not known yet where scratch is asked for. */
size_t bias_bytes(const vq_product *p)
{
  return p->y_type == VQ_BF16 ? up((size_t)p->outputs * sizeof(vq_bf16)) : 0;
}

} // namespace

size_t vq_product_library_scratch(const vq_device *device, const vq_product *p)
{
  for (int generation = 0; generation < GENERATIONS; generation++)
    if (who_computes(device, p, generation) != OWN)
      return x_bytes(p) + bias_bytes(p) + VQ_LIBRARY_WORKSPACE + VQ_LIBRARY_WORKSPACE_ALIGN;
  return 0;
}

namespace
{

/* ---- running ---- */

/* While a step is captured, a library may still load kernels and take memory of its own: what it asks of CUDA then is no part of the step. */
class relaxed
{
public:
  relaxed()
  {
    cudaThreadExchangeStreamCaptureMode(&mode);
  }
  ~relaxed()
  {
    cudaThreadExchangeStreamCaptureMode(&mode);
  }
  relaxed(const relaxed &) = delete;
  relaxed &operator=(const relaxed &) = delete;

private:
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
};

/* Of an address: what it is a multiple of. */
int64_t align_of(const void *p)
{
  uintptr_t at = reinterpret_cast<uintptr_t>(p);
  int64_t align = VQ_LIBRARY_ALIGN;
  while (at % (uintptr_t)align)
    align /= 2;
  return align;
}

void set_aligns(int64_t align[5], const vq_library_places *at)
{
  const void *const places[5] = {at->x, at->w, at->bias, at->skip, at->y};
  for (int i = 0; i < 5; i++)
    align[i] = align_of(places[i]);
}

/* Where everything is for the library, rounded where it must be: x_bytes and bias_bytes. */
vq_library_places places_of(const vq_call *c, const vq_product *p, void *scratch)
{
  char *first = reinterpret_cast<char *>(up(reinterpret_cast<uintptr_t>(scratch)));
  return {x_bytes(p) ? first : p->x,          p->w,        p->bias, p->skip, p->y,
          first + x_bytes(p) + bias_bytes(p), vq_stream(c)};
}

vq_status round_x(const vq_call *c, const vq_product *p, const vq_library_places *at, const char *op)
{
  return x_bytes(p)
             ? vq_product_round(c, const_cast<void *>(at->x), static_cast<const float *>(p->x), x_count(p), op)
             : VQ_OK;
}

vq_status round_bias(const vq_call *c, const vq_product *p, const vq_library_places *at, const char *op)
{
  return at->bias != p->bias ? vq_product_round(c, const_cast<void *>(at->bias), p->bias, p->outputs, op) : VQ_OK;
}

/* Elements from row to row of a matrix of weights. Of a single row any number will do, but the library wants one of its length. */
int64_t w_row(const vq_product *p)
{
  int64_t row = is_back(p) ? p->w_channel : p->w_output, length = is_back(p) ? p->outputs : p->channels;
  return row > length ? row : length;
}

vq_status run_cublaslt(const vq_call *c, const vq_product *p, void *scratch, const char *op, bool *done)
{
  vq_libraries *libraries = vq_cuda(c)->libraries;
  vq_library_places at = places_of(c, p, scratch);
  const vq_lt_plan *plan = NULL;
  if (p->bias && p->y_type == VQ_BF16) /* cuBLASLt's bias is of its result's type */
    at.bias = static_cast<char *>(at.workspace) - bias_bytes(p);
  vq_lt_product product = {};
  product.rows = vq_product_rows(p);
  product.outputs = p->outputs;
  product.terms = p->channels;
  product.by_channel = is_back(p);
  product.w_row = w_row(p);
  product.type = p->w_type;
  product.y_type = product.bias_type = p->y_type;
  product.bias = p->bias != NULL;
  product.skip = p->skip != NULL;
  product.add = p->add;
  set_aligns(product.align, &at);
  {
    relaxed while_asking;
    if (!libraries->asked_lt && vq_cublaslt_open(&libraries->lt))
      libraries->lt = NULL;
    libraries->asked_lt = true;
    if (libraries->lt)
      VQ_TRY(vq_fail_in(vq_cublaslt_find(libraries->lt, &product, &at, &plan), "%s", op));
  }
  *done = plan != NULL;
  if (!plan)
    return VQ_OK;
  VQ_TRY(round_x(c, p, &at, op));
  VQ_TRY(round_bias(c, p, &at, op));
  return vq_cublaslt_run(libraries->lt, plan, &at, op);
}

/* y = bias + skip, to which a convolution is then added. */
template <class T> __global__ void start_kernel(T *y, const float *bias, const T *skip, int64_t count, int outputs)
{
  for (int64_t i = vq_thread(); i < count; i += vq_thread_count())
    y[i] = vq_round<T>((bias ? bias[i % outputs] : 0) + (skip ? vq_float(skip[i]) : 0));
}

vq_status start(const vq_call *c, const vq_product *p, const char *op)
{
  int64_t count = vq_product_rows(p) * p->outputs;
  return vq_by_type(p->y_type, [&](auto type) {
    using T = decltype(type);
    return vq_cuda_status(VQ_LAUNCH(start_kernel<T>, vq_blocks(count, THREADS), THREADS, vq_stream(c),
                                    static_cast<T *>(p->y), p->bias, static_cast<const T *>(p->skip), count,
                                    p->outputs),
                          op);
  });
}

vq_status run_cudnn(const vq_call *c, const vq_product *p, void *scratch, const char *op, bool *done)
{
  vq_libraries *libraries = vq_cuda(c)->libraries;
  vq_library_places at = places_of(c, p, scratch);
  const vq_dnn_plan *plan = NULL;
  vq_dnn_conv conv = conv_of(p);
  conv.bias = p->bias != NULL;
  conv.skip = p->skip != NULL;
  conv.add = p->add;
  set_aligns(conv.align, &at);
  {
    relaxed while_asking;
    if (!libraries->asked_dnn && vq_cudnn_open(&libraries->dnn, vq_stream(c)))
      libraries->dnn = NULL;
    libraries->asked_dnn = true;
    if (libraries->dnn)
      VQ_TRY(vq_fail_in(vq_cudnn_find(libraries->dnn, &conv, &plan), "%s", op));
  }
  *done = plan != NULL;
  if (!plan)
    return VQ_OK;
  VQ_TRY(round_x(c, p, &at, op));
  if (vq_cudnn_adds_to_start(plan))
    VQ_TRY(start(c, p, op));
  return vq_cudnn_run(libraries->dnn, plan, &at, op);
}

} // namespace

vq_status vq_product_by_library(const vq_call *c, const vq_product *p, void *scratch, const char *op, bool *done)
{
  int major = vq_cuda(c)->major, who = OWN;
  *done = false;
  if (major >= 8 && !(p->skip && p->add))
    who = who_computes(c->device, p, major < 9 ? 0 : major < 10 ? 1 : 2);
  if (who == OWN)
    return VQ_OK;
  VQ_TRY((who == CUBLASLT ? run_cublaslt : run_cudnn)(c, p, scratch, op, done));
  vq_cuda(c)->libraries->computed[who] += *done;
  return VQ_OK;
}
