/* file_tensor.h -- an array as a file holds it: name, type, shape, bytes. The last dimension runs fastest; numbers
 * are little-endian, and so must the machine be. What every format reads into and writes from.
 */
#ifndef VQ_LOADERS_FILE_TENSOR_H
#define VQ_LOADERS_FILE_TENSOR_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Type, its name in safetensors, bytes, its name in .npy (NULL: none). In the order by which safetensors sorts. */
#define VQ_FILE_DTYPE_LIST(X)       \
  X(VQ_FILE_BOOL, "BOOL", 1, "|b1") \
  X(VQ_FILE_U8, "U8", 1, "|u1")     \
  X(VQ_FILE_I8, "I8", 1, "|i1")     \
  X(VQ_FILE_I16, "I16", 2, "<i2")   \
  X(VQ_FILE_F16, "F16", 2, "<f2")   \
  X(VQ_FILE_BF16, "BF16", 2, NULL)  \
  X(VQ_FILE_I32, "I32", 4, "<i4")   \
  X(VQ_FILE_F32, "F32", 4, "<f4")   \
  X(VQ_FILE_F64, "F64", 8, "<f8")   \
  X(VQ_FILE_I64, "I64", 8, "<i8")

typedef enum vq_file_dtype {
#define VQ_FILE_DTYPE_ENUM(value, name, bytes, npy) value,
  VQ_FILE_DTYPE_LIST(VQ_FILE_DTYPE_ENUM)
#undef VQ_FILE_DTYPE_ENUM
      VQ_FILE_DTYPES
} vq_file_dtype;

#define VQ_FILE_RANK 8

typedef struct vq_file_tensor {
  const char *name; /* borrowed; NULL where the format names nothing */
  vq_file_dtype dtype;
  int rank;                  /* 0 (one number) to VQ_FILE_RANK */
  int64_t dim[VQ_FILE_RANK]; /* each >= 0 */
  const void *data;          /* borrowed; not always aligned: read it with the functions below */
  size_t bytes;              /* elements * size of one */
} vq_file_tensor;

/* "F32"; "?" for a number that is no type. Static. */
const char *vq_file_dtype_name(vq_file_dtype dtype);
size_t vq_file_dtype_bytes(vq_file_dtype dtype);

/* Elements. */
size_t vq_file_tensor_count(const vq_file_tensor *tensor);

/* Do type, rank, dimensions and bytes agree? VQ_ERR_ARGUMENT, naming the tensor. */
vq_status vq_file_tensor_check(const vq_file_tensor *tensor);

/* All elements, in order, from any type to out[count]. What does not fit is rounded to nearest; F64 beyond the range
 * of a float becomes infinite. */
void vq_file_tensor_read_f32(const vq_file_tensor *tensor, float *out);
void vq_file_tensor_read_f64(const vq_file_tensor *tensor, double *out);

/* From the integer types and BOOL to out[count]. VQ_ERR_FORMAT: a float type, or a number that does not fit. */
vq_status vq_file_tensor_read_i32(const vq_file_tensor *tensor, int32_t *out);

/* IEEE binary16 and bfloat16; to nearest, ties to even; overflow to infinity; a NaN stays one. */
float vq_f16_to_f32(uint16_t half);
float vq_bf16_to_f32(uint16_t half);
uint16_t vq_f32_to_f16(float value);
uint16_t vq_f32_to_bf16(float value);

#endif
