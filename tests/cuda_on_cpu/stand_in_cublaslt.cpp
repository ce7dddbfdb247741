/* stand_in_cublaslt.cpp -- a libcublasLt for the emulated card (stand_in.h). Matrices are by columns. */
#include "stand_in.h"

extern "C" {
#include "kernels/cuda/cublaslt_abi.h"
}

namespace
{

#define LIBRARY "cuBLASLt"
static const int INTERNAL_ERROR = 14;

struct product {
  int compute, scale;
  int32_t transpose_a = LT_AS_IT_IS, bias_type = -1;
  uint32_t epilogue = 1;
  const void *bias = nullptr;
};

struct layout {
  int type;
  uint64_t rows, columns;
  int64_t leading;

  bool operator==(const layout &other) const
  {
    return type == other.type && rows == other.rows && columns == other.columns && leading == other.leading;
  }
};

struct wishes {
  uint64_t workspace = 0;
  uint32_t reductions = 7, align[4] = {256, 256, 256, 256}; /* the library's own */
};

struct handle {
  int alive = 1;
};

/* What an algorithm was asked for: it serves nothing else. In lt_algorithm.data. */
struct algorithm {
  uint64_t magic, n, m, k, workspace;
  uint32_t align[4];
  uint64_t how;
};
static_assert(sizeof(algorithm) <= sizeof(lt_algorithm), "an algorithm has 64 bytes");
#define MAGIC 0xa190ull

/* How many descriptors there are: none may be left. */
static int descriptors;

template <class T> static int give_back(void *p)
{
  if (!p)
    return LT_INVALID_VALUE;
  delete static_cast<T *>(p);
  descriptors--;
  return LT_SUCCESS;
}

static bool refuse(const char *why)
{
  return stand_in_refuse(LIBRARY, why);
}

/* y^T [n,m] = w [n,k] x^T [k,m] */
static bool fits(const product *p, const layout *a, const layout *b, const layout *c, const layout *d)
{
  bool turned = p->transpose_a == LT_TRANSPOSED;
  uint64_t n = turned ? a->columns : a->rows, k = turned ? a->rows : a->columns;
  if (p->scale != LT_TYPE_FLOAT || a->type != b->type || !(*c == *d))
    return refuse("types or layouts that do not fit each other");
  if (b->rows != k || d->rows != n || d->columns != b->columns)
    return refuse("sizes that do not fit each other");
  for (const layout *l : {a, b, c, d})
    if (!l->rows || !l->columns || l->leading < (int64_t)l->rows)
      return refuse("a leading dimension that is less than a column");
  bool floats = a->type == LT_TYPE_FLOAT;
  if (floats ? p->compute != LT_COMPUTE_FLOAT_PEDANTIC && p->compute != LT_COMPUTE_TF32
             : p->compute != LT_COMPUTE_FLOAT)
    return refuse("a precision that is not meant for these types");
  if (floats && d->type != LT_TYPE_FLOAT)
    return refuse("floats to bf16");
  if (p->epilogue == LT_EPILOGUE_BIAS && (!p->bias || p->bias_type != d->type))
    return refuse("a bias that is not there or not of the result's type");
  return p->epilogue == LT_EPILOGUE_BIAS || p->epilogue == 1 || refuse("an epilogue that is not meant");
}

static uint64_t how_of(const product *p)
{
  return (uint64_t)p->compute << 32 | (uint64_t)p->transpose_a << 16 | p->epilogue;
}

struct operands {
  const void *a, *b, *c, *bias;
  void *d, *workspace;
  uint64_t workspace_bytes;
};

static int compute(const product &p, const layout &la, const layout &lb, const layout &ld, const operands &o,
                   bool adds)
{
  bool half = la.type == LT_TYPE_BF16, y_half = ld.type == LT_TYPE_BF16, turned = p.transpose_a == LT_TRANSPOSED;
  int64_t k = (int64_t)lb.rows, n = (int64_t)ld.rows;
  if (o.workspace_bytes)
    memset(o.workspace, 0xff, o.workspace_bytes); /* it is the library's */
  for (int64_t m = 0; m < (int64_t)ld.columns; m++)
    for (int64_t i = 0; i < n; i++) {
      double sum = 0;
      for (int64_t j = 0; j < k; j++) {
        float w = stand_in_read(o.a, half, turned ? i * la.leading + j : j * la.leading + i);
        float x = stand_in_read(o.b, half, m * lb.leading + j);
        if (p.compute == LT_COMPUTE_TF32) {
          w = stand_in_tf32(w);
          x = stand_in_tf32(x);
        }
        sum += (double)w * x;
      }
      if (p.epilogue == LT_EPILOGUE_BIAS)
        sum += stand_in_read(o.bias, y_half, i);
      if (adds)
        sum += stand_in_read(o.c, y_half, m * ld.leading + i);
      stand_in_write(o.d, y_half, m * ld.leading + i, sum);
    }
  return 0;
}

} // namespace

STAND_IN(size_t) cublasLtGetVersion(void)
{
  return 130999;
}

STAND_IN(const char *) cublasLtGetStatusString(int status)
{
  return status == LT_NOT_SUPPORTED   ? "not supported"
         : status == LT_INVALID_VALUE ? "an invalid value"
                                      : "an internal error";
}

STAND_IN(int) cublasLtCreate(void **out)
{
  if (stand_in_fault("create"))
    return INTERNAL_ERROR;
  *out = new handle;
  return LT_SUCCESS;
}

STAND_IN(int) cublasLtDestroy(void *h)
{
  if (descriptors) {
    refuse("descriptors are left");
    abort();
  }
  delete static_cast<handle *>(h);
  return LT_SUCCESS;
}

STAND_IN(int) cublasLtMatmulDescCreate(void **out, int compute, int scale)
{
  product *p = new product;
  p->compute = compute;
  p->scale = scale;
  *out = p;
  descriptors++;
  return LT_SUCCESS;
}

STAND_IN(int) cublasLtMatmulDescDestroy(void *p)
{
  return give_back<product>(p);
}

STAND_IN(int) cublasLtMatmulDescSetAttribute(void *of, int attribute, const void *value, size_t bytes)
{
  product *p = static_cast<product *>(of);
  switch (attribute) {
  case LT_OF_PRODUCT_TRANSPOSE_A: memcpy(&p->transpose_a, value, 4); break;
  case LT_OF_PRODUCT_EPILOGUE: memcpy(&p->epilogue, value, 4); break;
  case LT_OF_PRODUCT_BIAS_TYPE: memcpy(&p->bias_type, value, 4); break;
  case LT_OF_PRODUCT_BIAS: memcpy(&p->bias, value, 8); break;
  default: return refuse("an attribute that is not known"), LT_INVALID_VALUE;
  }
  return bytes == (attribute == LT_OF_PRODUCT_BIAS ? 8 : 4) ? LT_SUCCESS : LT_INVALID_VALUE;
}

STAND_IN(int) cublasLtMatrixLayoutCreate(void **out, int type, uint64_t rows, uint64_t columns, int64_t leading)
{
  *out = new layout{type, rows, columns, leading};
  descriptors++;
  return type == LT_TYPE_FLOAT || type == LT_TYPE_BF16 ? LT_SUCCESS : LT_INVALID_VALUE;
}

STAND_IN(int) cublasLtMatrixLayoutDestroy(void *p)
{
  return give_back<layout>(p);
}

STAND_IN(int) cublasLtMatmulPreferenceCreate(void **out)
{
  *out = new wishes;
  descriptors++;
  return LT_SUCCESS;
}

STAND_IN(int) cublasLtMatmulPreferenceDestroy(void *p)
{
  return give_back<wishes>(p);
}

STAND_IN(int) cublasLtMatmulPreferenceSetAttribute(void *of, int attribute, const void *value, size_t bytes)
{
  wishes *w = static_cast<wishes *>(of);
  switch (attribute) {
  case LT_ASKED_WORKSPACE: memcpy(&w->workspace, value, 8); break;
  case LT_ASKED_REDUCTIONS: memcpy(&w->reductions, value, 4); break;
  case LT_ASKED_ALIGN_A:
  case LT_ASKED_ALIGN_B:
  case LT_ASKED_ALIGN_C:
  case LT_ASKED_ALIGN_D: memcpy(&w->align[attribute - LT_ASKED_ALIGN_A], value, 4); break;
  default: return refuse("a wish that is not known"), LT_INVALID_VALUE;
  }
  return bytes == (attribute == LT_ASKED_WORKSPACE ? 8 : 4) ? LT_SUCCESS : LT_INVALID_VALUE;
}

STAND_IN(int)
cublasLtMatmulAlgoGetHeuristic(void *h, void *how, void *a, void *b, void *c, void *d, void *wish, int asked,
                               lt_answer *answer, int *answers)
{
  const product *p = static_cast<product *>(how);
  const wishes *w = static_cast<wishes *>(wish);
  const layout *y = static_cast<layout *>(d), *x = static_cast<layout *>(b);
  *answers = 0;
  if (stand_in_fault("ask"))
    return INTERNAL_ERROR;
  if (stand_in_fault("none"))
    return LT_SUCCESS;
  /* Like the real ones, it does not take matrices of bf16 whose rows are at odd places. */
  if (stand_in_fault("refuse") || (x->type == LT_TYPE_BF16 && x->leading % 2))
    return LT_NOT_SUPPORTED;
  if (!static_cast<handle *>(h)->alive || asked < 1 ||
      !fits(p, static_cast<layout *>(a), x, static_cast<layout *>(c), y))
    return INTERNAL_ERROR;
  if (w->reductions & ~(uint32_t)LT_REDUCTIONS_IN_FLOAT)
    return refuse("sums whose order or rounding is left open"), INTERNAL_ERROR;
  algorithm it = {MAGIC, y->rows, y->columns, x->rows, 1000 + 4 * y->rows * y->columns, {}, how_of(p)};
  for (int i = 0; i < 4; i++)
    it.align[i] = w->align[i];
  if (it.workspace > w->workspace)
    it.workspace = 0;
  memset(answer, 0, sizeof *answer);
  memcpy(&answer->algorithm, &it, sizeof it);
  answer->workspace = it.workspace;
  answer->status = LT_SUCCESS;
  *answers = 1;
  return LT_SUCCESS;
}

STAND_IN(int)
cublasLtMatmul(void *h, void *how, const void *alpha, const void *a, void *a_layout, const void *b, void *b_layout,
               const void *beta, const void *c, void *c_layout, void *d, void *d_layout, const lt_algorithm *chosen,
               void *workspace, size_t workspace_bytes, void *stream)
{
  const product *p = static_cast<product *>(how);
  const layout *la = static_cast<layout *>(a_layout), *lb = static_cast<layout *>(b_layout),
               *lc = static_cast<layout *>(c_layout), *ld = static_cast<layout *>(d_layout);
  const void *const at[4] = {a, b, c, d};
  float one, add;
  algorithm it;
  memcpy(&one, alpha, sizeof one);
  memcpy(&add, beta, sizeof add);
  memcpy(&it, chosen, sizeof it);
  if (stand_in_fault("multiply"))
    return INTERNAL_ERROR;
  if (!static_cast<handle *>(h)->alive || !stand_in_stream(stream) || !fits(p, la, lb, lc, ld))
    return INTERNAL_ERROR;
  if (it.magic != MAGIC || it.n != ld->rows || it.m != ld->columns || it.k != lb->rows || it.how != how_of(p))
    return refuse("an algorithm that was asked for another product"), INTERNAL_ERROR;
  if (workspace_bytes < it.workspace || (workspace_bytes && !stand_in_aligned(workspace, 256)))
    return refuse("too little workspace, or not at a multiple of 256"), INTERNAL_ERROR;
  if (one != 1 || (add != 0 && add != 1) || (add != 0 && c != d && !c))
    return refuse("factors that are not meant"), INTERNAL_ERROR;
  for (int i = 0; i < 4; i++)
    if (!stand_in_aligned(at[i], it.align[i]))
      return refuse("a matrix that is not aligned as was said"), INTERNAL_ERROR;
  operands o = {a, b, c, p->bias, d, workspace, it.workspace};
  product copy = *p;
  layout ca = *la, cb = *lb, cd = *ld;
  return static_cast<cuda_on_cpu_stream *>(stream)->queue([=] { return compute(copy, ca, cb, cd, o, add != 0); })
             ? INTERNAL_ERROR
             : LT_SUCCESS;
}
