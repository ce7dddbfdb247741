/* check.h -- what the rooms share: checks that make good messages, and short names for what a call asks. */
#ifndef VQ_KERNELS_CHECK_H
#define VQ_KERNELS_CHECK_H

#include "autograd/op.h"

/* The inputs of an op in the form that vq_record takes: the array and its length. */
#define VQ_INPUTS(...) \
  (vq_tensor *[]){__VA_ARGS__}, (int)(sizeof((vq_tensor *[]){__VA_ARGS__}) / sizeof(vq_tensor *))

/* In a backward: does in[i] want its gradient, and is it to be added to what is there? */
static inline bool vq_wants(const vq_call *call, int i)
{
  return call->wants >> i & 1;
}
static inline bool vq_adds(const vq_call *call, int i)
{
  return call->add >> i & 1;
}

/* Stores or adds one value of a gradient. */
static inline void vq_put(vq_real *to, bool add, vq_real value)
{
  *to = add ? *to + value : value;
}

/* Every input that is there is of the device's real type, but those whose bits are set in `integers`, which are I32. */
vq_status vq_check_types(const vq_call *call, const char *op, unsigned integers);

/* The same, but that those whose bits are set in `bf16` (the op's own vq_op.bf16) may be BF16 where the backend has it. */
vq_status vq_check_types_bf16(const vq_call *call, const char *op, unsigned integers, unsigned bf16);

/* The same for an op that multiplies by in[w]: where the backend has only weights of BF16 (vq_op.multiplies), that one may be, if it is
 * frozen. */
vq_status vq_check_types_product(const vq_call *call, const char *op, int w, unsigned bf16);

/* The type of what such an op makes. */
vq_dtype vq_product_type(const vq_call *call, int w);

/* x has this rank (and these dims; -1: any). `name` is the tensor's name in the op's contract. */
vq_status vq_check_rank(const char *op, const char *name, const vq_tensor *x, int rank);
vq_status vq_check_dims(const char *op, const char *name, const vq_tensor *x, int rank, int64_t d0, int64_t d1,
                        int64_t d2, int64_t d3);
vq_status vq_check_same(const char *op, const char *name, const vq_tensor *x, const vq_shape *shape);

/* VQ_ERR_SHAPE: "linear: x f32[4,3] does not fit w f32[2,5]" */
vq_status vq_fail_shape(const char *op, const char *x_name, const vq_tensor *x, const char *what,
                        const char *y_name, const vq_tensor *y);

#endif
