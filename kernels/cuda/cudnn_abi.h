/* cudnn_abi.h -- what of cuDNN's graph interface is called, as version 9 has it; tests/cuda_on_cpu/test_headers.cpp compares it with
 * cudnn_graph.h. */
#ifndef VQ_KERNELS_CUDA_CUDNN_ABI_H
#define VQ_KERNELS_CUDA_CUDNN_ABI_H

#include <stddef.h>
#include <stdint.h>

/* The library's enumerations, those values that we use. */
enum { DNN_SUCCESS = 0, DNN_NOT_SUPPORTED_FIRST = 3000, DNN_NOT_SUPPORTED_LAST = 3999 };
enum { DNN_DATA_FLOAT = 0, DNN_DATA_BF16 = 9 };
enum { DNN_CROSS_CORRELATION = 1 };
enum { DNN_POINTWISE_ADD = 0 };
enum { DNN_HEURISTIC_FALLBACK = 2, DNN_HEURISTIC_A = 3 };

/* Kinds of descriptors. */
enum {
  DNN_POINTWISE = 0,
  DNN_CONVOLUTION = 1,
  DNN_ENGINE = 2,
  DNN_CONFIG = 3,
  DNN_HEURISTIC = 4,
  DNN_PLAN = 5,
  DNN_FORWARD = 10,
  DNN_BACK_TO_X = 12,
  DNN_POINTWISE_STEP = 13,
  DNN_GRAPH = 15,
  DNN_PACK = 16,
  DNN_TENSOR = 17
};

/* Attributes. */
enum {
  DNN_POINTWISE_MODE = 0,
  DNN_POINTWISE_PRECISION = 1,
  DNN_CONVOLUTION_PRECISION = 100,
  DNN_CONVOLUTION_MODE = 101,
  DNN_CONVOLUTION_DILATIONS = 102,
  DNN_CONVOLUTION_STRIDES = 103,
  DNN_CONVOLUTION_POST_PADDINGS = 104,
  DNN_CONVOLUTION_PRE_PADDINGS = 105,
  DNN_CONVOLUTION_DIMENSIONS = 106,
  DNN_HEURISTIC_MODE = 200,
  DNN_HEURISTIC_GRAPH = 201,
  DNN_HEURISTIC_RESULTS = 202,
  DNN_CONFIG_ENGINE = 300,
  DNN_PLAN_HANDLE = 400,
  DNN_PLAN_CONFIG = 401,
  DNN_PLAN_WORKSPACE = 402,
  DNN_FORWARD_ALPHA = 700,
  DNN_FORWARD_BETA = 701,
  DNN_FORWARD_CONVOLUTION = 702,
  DNN_FORWARD_W = 703,
  DNN_FORWARD_X = 704,
  DNN_FORWARD_Y = 705,
  DNN_BACK_ALPHA = 706,
  DNN_BACK_BETA = 707,
  DNN_BACK_CONVOLUTION = 708,
  DNN_BACK_W = 709,
  DNN_BACK_DX = 710,
  DNN_BACK_DY = 711,
  DNN_STEP_POINTWISE = 750,
  DNN_STEP_X = 751,
  DNN_STEP_B = 752,
  DNN_STEP_Y = 753,
  DNN_GRAPH_HANDLE = 800,
  DNN_GRAPH_STEPS = 801,
  DNN_TENSOR_ALIGNMENT = 900,
  DNN_TENSOR_TYPE = 901,
  DNN_TENSOR_SIZES = 902,
  DNN_TENSOR_STRIDES = 903,
  DNN_TENSOR_ID = 906,
  DNN_TENSOR_VIRTUAL = 907,
  DNN_PACK_IDS = 1000,
  DNN_PACK_POINTERS = 1001,
  DNN_PACK_WORKSPACE = 1003,
  DNN_ENGINE_NOTES = 1303
};

/* Types of attributes' values. */
enum {
  DNN_IS_HANDLE = 0,
  DNN_IS_DATA_TYPE = 1,
  DNN_IS_BOOLEAN = 2,
  DNN_IS_INT64 = 3,
  DNN_IS_FLOAT = 4,
  DNN_IS_POINTER = 6,
  DNN_IS_CONVOLUTION_MODE = 7,
  DNN_IS_HEURISTIC_MODE = 8,
  DNN_IS_NOTE = 11,
  DNN_IS_POINTWISE_MODE = 14,
  DNN_IS_DESCRIPTOR = 15
};

/* What an engine says of its numbers. */
enum {
  DNN_NOTE_TENSOR_CORE = 0,
  DNN_NOTE_ROUNDS_INPUTS = 1,
  DNN_NOTE_ROUNDS_SUMS = 2,
  DNN_NOTE_FFT = 3,
  DNN_NOTE_OTHER_BITS = 4, /* from run to run */
  DNN_NOTE_WINOGRAD_FIRST = 5,
  DNN_NOTE_WINOGRAD_LAST = 8,
  DNN_NOTES = 32 /* more than there are */
};

/* Handles and descriptors are pointers to what only the library knows. */
typedef struct dnn_functions {
  int (*create)(void **handle);
  int (*destroy)(void *handle);
  int (*set_stream)(void *handle, void *stream);
  size_t (*version)(void);
  const char *(*status_text)(int status);
  int (*describe)(int kind, void **descriptor);
  int (*forget)(void *descriptor);
  int (*set)(void *descriptor, int attribute, int type, int64_t count, const void *values);
  int (*get)(void *descriptor, int attribute, int type, int64_t wanted, int64_t *count, void *values);
  int (*finalize)(void *descriptor);
  int (*execute)(void *handle, void *plan, void *pack);
} dnn_functions;

/* X(member, name) */
#define DNN_FUNCTIONS(X)                    \
  X(create, cudnnCreate)                    \
  X(destroy, cudnnDestroy)                  \
  X(set_stream, cudnnSetStream)             \
  X(version, cudnnGetVersion)               \
  X(status_text, cudnnGetErrorString)       \
  X(describe, cudnnBackendCreateDescriptor) \
  X(forget, cudnnBackendDestroyDescriptor)  \
  X(set, cudnnBackendSetAttribute)          \
  X(get, cudnnBackendGetAttribute)          \
  X(finalize, cudnnBackendFinalize)         \
  X(execute, cudnnBackendExecute)

#endif
