/* cublaslt_abi.h -- what of cuBLASLt's interface is called, as version 13 has it and 12 had it; tests/cuda_on_cpu/test_headers.cpp
 * compares it with cublasLt.h. */
#ifndef VQ_KERNELS_CUDA_CUBLASLT_ABI_H
#define VQ_KERNELS_CUDA_CUBLASLT_ABI_H

#include <stddef.h>
#include <stdint.h>

/* The library's enumerations, those values that we use. */
enum { LT_SUCCESS = 0, LT_INVALID_VALUE = 7, LT_ARCH_MISMATCH = 8, LT_NOT_SUPPORTED = 15 };
enum { LT_COMPUTE_FLOAT_PEDANTIC = 69, LT_COMPUTE_FLOAT = 68, LT_COMPUTE_TF32 = 77 };
enum { LT_TYPE_FLOAT = 0, LT_TYPE_BF16 = 14 };
enum { LT_AS_IT_IS = 0, LT_TRANSPOSED = 1 };
enum {
  LT_OF_PRODUCT_TRANSPOSE_A = 3,
  LT_OF_PRODUCT_EPILOGUE = 7,
  LT_OF_PRODUCT_BIAS = 8,
  LT_OF_PRODUCT_BIAS_TYPE = 26
};
enum { LT_EPILOGUE_BIAS = 4 };
enum {
  LT_ASKED_WORKSPACE = 1,
  LT_ASKED_REDUCTIONS = 3,
  LT_ASKED_ALIGN_A = 5,
  LT_ASKED_ALIGN_B = 6,
  LT_ASKED_ALIGN_C = 7,
  LT_ASKED_ALIGN_D = 8
};
/* How parts of a sum may come together: none, or as floats in the workspace that are added up in their order. */
enum { LT_REDUCTIONS_IN_FLOAT = 2 };

typedef struct lt_algorithm {
  uint64_t data[8];
} lt_algorithm;

/* What the heuristic answers. */
typedef struct lt_answer {
  lt_algorithm algorithm;
  size_t workspace;
  int status;
  float waves;
  int reserved[4];
} lt_answer;

/* Handles and descriptors are pointers to what only the library knows. */
typedef struct lt_functions {
  int (*create)(void **handle);
  int (*destroy)(void *handle);
  size_t (*version)(void);
  const char *(*status_text)(int status);
  int (*product_create)(void **product, int compute, int scale);
  int (*product_destroy)(void *product);
  int (*product_set)(void *product, int attribute, const void *value, size_t bytes);
  int (*layout_create)(void **layout, int type, uint64_t rows, uint64_t columns, int64_t leading);
  int (*layout_destroy)(void *layout);
  int (*wish_create)(void **wish);
  int (*wish_destroy)(void *wish);
  int (*wish_set)(void *wish, int attribute, const void *value, size_t bytes);
  int (*ask)(void *handle, void *product, void *a, void *b, void *c, void *d, void *wish, int asked,
             lt_answer *answer, int *answers);
  int (*multiply)(void *handle, void *product, const void *alpha, const void *a, void *a_layout, const void *b,
                  void *b_layout, const void *beta, const void *c, void *c_layout, void *d, void *d_layout,
                  const lt_algorithm *algorithm, void *workspace, size_t workspace_bytes, void *stream);
} lt_functions;

/* X(member, name) */
#define LT_FUNCTIONS(X)                             \
  X(create, cublasLtCreate)                         \
  X(destroy, cublasLtDestroy)                       \
  X(version, cublasLtGetVersion)                    \
  X(status_text, cublasLtGetStatusString)           \
  X(product_create, cublasLtMatmulDescCreate)       \
  X(product_destroy, cublasLtMatmulDescDestroy)     \
  X(product_set, cublasLtMatmulDescSetAttribute)    \
  X(layout_create, cublasLtMatrixLayoutCreate)      \
  X(layout_destroy, cublasLtMatrixLayoutDestroy)    \
  X(wish_create, cublasLtMatmulPreferenceCreate)    \
  X(wish_destroy, cublasLtMatmulPreferenceDestroy)  \
  X(wish_set, cublasLtMatmulPreferenceSetAttribute) \
  X(ask, cublasLtMatmulAlgoGetHeuristic)            \
  X(multiply, cublasLtMatmul)

#endif
