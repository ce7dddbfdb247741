/* cublaslt.c -- Contract: cublaslt.h; what is called: cublaslt_abi.h. */
#include "kernels/cuda/cublaslt.h"

#include "kernels/cuda/cublaslt_abi.h"
#include "kernels/cuda/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vq_lt_plan {
  vq_lt_plan *next;
  vq_lt_product product;
  bool takes; /* the library computes it */
  void *how, *x, *w, *y;
  lt_answer answer;
};

struct vq_cublaslt {
  lt_functions call;
  void *handle;
  vq_lt_plan *plans;
};

static vq_status open_functions(lt_functions *call, char name[VQ_LIBRARY_NAME])
{
  static const char *const files[] = {"libcublasLt.so.13", "libcublasLt.so.12", NULL};
  static const vq_symbol symbols[] = {
#define SYMBOL(member, name_) {#name_, offsetof(lt_functions, member)},
      LT_FUNCTIONS(SYMBOL)
#undef SYMBOL
  };
  return vq_library_open("VQGEN_CUBLASLT", files, symbols, (int)(sizeof symbols / sizeof *symbols), call, name);
}

static vq_status complain(const vq_cublaslt *lt, int status, const char *what)
{
  return vq_fail(VQ_ERR_DEVICE, "%s: cuBLASLt says: %s (%d)", what, lt->call.status_text(status), status);
}

vq_status vq_cublaslt_version(char *text, size_t bytes)
{
  lt_functions call;
  char name[VQ_LIBRARY_NAME];
  VQ_TRY(open_functions(&call, name));
  size_t version = call.version();
  snprintf(text, bytes, "%zu.%zu.%zu (%s)", version / 10000, version / 100 % 100, version % 100, name);
  return VQ_OK;
}

vq_status vq_cublaslt_open(vq_cublaslt **out)
{
  char name[VQ_LIBRARY_NAME];
  *out = NULL;
  vq_cublaslt *lt = calloc(1, sizeof *lt);
  if (!lt)
    return vq_fail(VQ_ERR_MEMORY, "no memory for cuBLASLt");
  vq_status status = open_functions(&lt->call, name);
  int error = status ? 0 : lt->call.create(&lt->handle);
  if (error) {
    lt->handle = NULL;
    status = complain(lt, error, name);
  }
  if (status)
    free(lt);
  else
    *out = lt;
  return status;
}

/* ---- how a product is computed ---- */

static void forget(const vq_cublaslt *lt, vq_lt_plan *plan)
{
  if (plan->how)
    lt->call.product_destroy(plan->how);
  if (plan->x)
    lt->call.layout_destroy(plan->x);
  if (plan->w)
    lt->call.layout_destroy(plan->w);
  if (plan->y)
    lt->call.layout_destroy(plan->y);
  plan->how = plan->x = plan->w = plan->y = NULL;
}

void vq_cublaslt_close(vq_cublaslt *lt)
{
  if (!lt)
    return;
  for (vq_lt_plan *plan = lt->plans, *next; plan; plan = next) {
    next = plan->next;
    forget(lt, plan);
    free(plan);
  }
  lt->call.destroy(lt->handle);
  free(lt);
}

static int type_of(int64_t dtype)
{
  return dtype == VQ_BF16 ? LT_TYPE_BF16 : LT_TYPE_FLOAT;
}

/* In float our products round nothing but the sums, and so must these, unless tf32 is asked for. */
static int compute_of(const vq_lt_product *p)
{
  if (p->type == VQ_BF16)
    return LT_COMPUTE_FLOAT;
  return p->tf32 ? LT_COMPUTE_TF32 : LT_COMPUTE_FLOAT_PEDANTIC;
}

static int describe_how(const lt_functions *call, vq_lt_plan *plan, const void *bias)
{
  const vq_lt_product *p = &plan->product;
  const int32_t transposed = p->by_channel ? LT_AS_IT_IS : LT_TRANSPOSED, bias_type = type_of(p->bias_type);
  const uint32_t epilogue = LT_EPILOGUE_BIAS;
  int error = call->product_create(&plan->how, compute_of(p), LT_TYPE_FLOAT);
  VQ_LIBRARY_STEP(error, call->product_set(plan->how, LT_OF_PRODUCT_TRANSPOSE_A, &transposed, sizeof transposed));
  if (!p->bias)
    return error;
  VQ_LIBRARY_STEP(error, call->product_set(plan->how, LT_OF_PRODUCT_EPILOGUE, &epilogue, sizeof epilogue));
  VQ_LIBRARY_STEP(error, call->product_set(plan->how, LT_OF_PRODUCT_BIAS_TYPE, &bias_type, sizeof bias_type));
  VQ_LIBRARY_STEP(error, call->product_set(plan->how, LT_OF_PRODUCT_BIAS, &bias, sizeof bias));
  return error;
}

/* By columns: w is [K,N] (turned by the product) or [N,K], x is [K,M], y is [N,M]. */
static int describe_layouts(const lt_functions *call, vq_lt_plan *plan)
{
  const vq_lt_product *p = &plan->product;
  uint64_t M = (uint64_t)p->rows, N = (uint64_t)p->outputs, K = (uint64_t)p->terms;
  int type = type_of(p->type);
  int error = call->layout_create(&plan->w, type, p->by_channel ? N : K, p->by_channel ? K : N, p->w_row);
  VQ_LIBRARY_STEP(error, call->layout_create(&plan->x, type, K, M, p->terms));
  VQ_LIBRARY_STEP(error, call->layout_create(&plan->y, type_of(p->y_type), N, M, p->outputs));
  return error;
}

static int set_wishes(const lt_functions *call, void *wish, const vq_lt_product *p)
{
  const uint64_t workspace = VQ_LIBRARY_WORKSPACE;
  const uint32_t reductions = LT_REDUCTIONS_IN_FLOAT;
  const uint32_t x = (uint32_t)p->align[0], w = (uint32_t)p->align[1], y = (uint32_t)p->align[4],
                 c = p->skip ? (uint32_t)p->align[3] : y;
  int error = call->wish_set(wish, LT_ASKED_WORKSPACE, &workspace, sizeof workspace);
  VQ_LIBRARY_STEP(error, call->wish_set(wish, LT_ASKED_REDUCTIONS, &reductions, sizeof reductions));
  VQ_LIBRARY_STEP(error, call->wish_set(wish, LT_ASKED_ALIGN_A, &w, sizeof w));
  VQ_LIBRARY_STEP(error, call->wish_set(wish, LT_ASKED_ALIGN_B, &x, sizeof x));
  VQ_LIBRARY_STEP(error, call->wish_set(wish, LT_ASKED_ALIGN_C, &c, sizeof c));
  VQ_LIBRARY_STEP(error, call->wish_set(wish, LT_ASKED_ALIGN_D, &y, sizeof y));
  return error;
}

/* Sets takes and answer. What the library calls unsupported, or invalid, is left to kernels that take anything. */
static vq_status ask(vq_cublaslt *lt, vq_lt_plan *plan)
{
  const lt_functions *call = &lt->call;
  void *wish = NULL;
  int answers = 0, error = call->wish_create(&wish);
  VQ_LIBRARY_STEP(error, set_wishes(call, wish, &plan->product));
  if (!error) {
    int verdict =
        call->ask(lt->handle, plan->how, plan->w, plan->x, plan->y, plan->y, wish, 1, &plan->answer, &answers);
    bool refuses = verdict == LT_NOT_SUPPORTED || verdict == LT_INVALID_VALUE || verdict == LT_ARCH_MISMATCH;
    plan->takes = !verdict && answers > 0 && plan->answer.status == LT_SUCCESS &&
                  plan->answer.workspace <= VQ_LIBRARY_WORKSPACE;
    error = refuses ? 0 : verdict;
  }
  if (wish)
    call->wish_destroy(wish);
  return error ? complain(lt, error, "choosing an algorithm") : VQ_OK;
}

static vq_status make(vq_cublaslt *lt, vq_lt_plan *plan, const vq_library_places *places)
{
  int error = describe_how(&lt->call, plan, places->bias);
  VQ_LIBRARY_STEP(error, describe_layouts(&lt->call, plan));
  if (error)
    return complain(lt, error, "describing a product");
  return ask(lt, plan);
}

vq_status vq_cublaslt_find(vq_cublaslt *lt, const vq_lt_product *product, const vq_library_places *places,
                           const vq_lt_plan **out)
{
  *out = NULL;
  for (const vq_lt_plan *plan = lt->plans; plan; plan = plan->next)
    if (!memcmp(&plan->product, product, sizeof *product)) {
      *out = plan->takes ? plan : NULL;
      return VQ_OK;
    }
  vq_lt_plan *plan = calloc(1, sizeof *plan);
  if (!plan)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a product's plan");
  plan->product = *product;
  vq_status status = make(lt, plan, places);
  if (status) {
    forget(lt, plan);
    free(plan);
    return status;
  }
  plan->next = lt->plans;
  lt->plans = plan;
  *out = plan->takes ? plan : NULL;
  return VQ_OK;
}

vq_status vq_cublaslt_run(vq_cublaslt *lt, const vq_lt_plan *plan, const vq_library_places *places, const char *op)
{
  const vq_lt_product *p = &plan->product;
  const float alpha = 1, beta = p->skip || p->add ? 1 : 0;
  int error = p->bias ? lt->call.product_set(plan->how, LT_OF_PRODUCT_BIAS, &places->bias, sizeof places->bias) : 0;
  VQ_LIBRARY_STEP(error, lt->call.multiply(lt->handle, plan->how, &alpha, places->w, plan->w, places->x, plan->x,
                                           &beta, p->skip ? places->skip : places->y, plan->y, places->y, plan->y,
                                           &plan->answer.algorithm, places->workspace, plan->answer.workspace,
                                           places->stream));
  return error ? complain(lt, error, op) : VQ_OK;
}
