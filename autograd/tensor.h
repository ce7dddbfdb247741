/* tensor.h -- numbers with a shape, and the place where their gradient will be. */
#ifndef VQ_AUTOGRAD_TENSOR_H
#define VQ_AUTOGRAD_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The type that the CPU computes in. The library is built twice: as float, and as double for the oracle that gradients
 * and whole networks are checked against. */
#ifdef VQ_DOUBLE
typedef double vq_real;
#define VQ_REAL VQ_F64
#else
typedef float vq_real;
#define VQ_REAL VQ_F32
#endif

typedef enum vq_dtype { VQ_F32, VQ_F64, VQ_BF16, VQ_I32 } vq_dtype;

#define VQ_RANK 4

/* What a tensor looks like: dim[0 .. rank-1], the last one contiguous; dims beyond the rank are 1. Pictures are
 * [N,H,W,C], tokens [B,T,C], matrices [M,C], a scalar has rank 0. */
typedef struct vq_shape {
  vq_dtype dtype;
  int rank;
  int64_t dim[VQ_RANK];
} vq_shape;

typedef struct vq_tensor vq_tensor;
struct vq_tensor {
  vq_dtype dtype;
  int rank;
  int64_t dim[VQ_RANK];
  void *data;      /* on the device; NULL once nobody needs the values */
  void *grad;      /* d loss / d this, same shape; NULL: nothing has been written yet */
  vq_tensor *base; /* a view's root, which owns data and grad; NULL: this tensor owns its own */
  int refs;   /* who needs the values: 1 for the net until vq_done, 1 for each node that keeps them and each view */
  bool wants; /* leads back to a leaf that wants a gradient */
  bool weight; /* lives in the device's weights arena, as long as the device; else in the step pool, on a tape */
  /* A frozen weight in the forms that its room made for itself (vq_op.prepare), for forward and for backward; NULL:
   * none. Its own values may be gone for them. */
  void *prepared[2];
  const struct vq_op *prepared_for; /* the one op that may still read it; NULL: any */
};

size_t vq_dtype_bytes(vq_dtype dtype);
const char *vq_dtype_name(vq_dtype dtype);

vq_shape vq_shape_make(vq_dtype dtype, int rank, const int64_t *dim);
vq_shape vq_shape_of(const vq_tensor *x);
bool vq_shape_equal(const vq_shape *a, const vq_shape *b);

int64_t vq_count(const vq_tensor *x); /* elements */
int64_t vq_last(const vq_tensor *x);  /* size of the last dim; 1 for a scalar */
int64_t vq_rows(const vq_tensor *x);  /* elements / last: the rows of x seen as a matrix */
int64_t vq_shape_count(const vq_shape *s);
size_t vq_shape_bytes(const vq_shape *s);

/* "f32[1,16,16,256]" into `text` of `bytes` bytes; returns text. For messages. */
const char *vq_shape_text(char *text, size_t bytes, const vq_shape *s);

/* The tensor that owns x's values and gradient: x itself, or what x is a view of. */
static inline vq_tensor *vq_root(vq_tensor *x)
{
  return x->base ? x->base : x;
}

/* The gradient of x or of what x is a view of, and the values, as the CPU sees them. */
static inline vq_real *vq_values(const vq_tensor *x)
{
  return (vq_real *)(x->base ? x->base->data : x->data);
}
static inline vq_real *vq_grad(const vq_tensor *x)
{
  return (vq_real *)(x->base ? x->base->grad : x->grad);
}

#endif
