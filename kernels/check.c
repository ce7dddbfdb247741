/* check.c -- the rooms' common checks. */
#include "kernels/check.h"

vq_status vq_check_types(const vq_call *call, const char *op, unsigned integers)
{
  return vq_check_types_bf16(call, op, integers, 0);
}

/* `low`: those that may be BF16. */
static vq_status check_types(const vq_call *call, const char *op, unsigned integers, unsigned low)
{
  for (int i = 0; i < VQ_IN; i++) {
    const vq_tensor *x = call->in[i];
    vq_dtype wanted = integers >> i & 1 ? VQ_I32 : VQ_REAL;
    if (x && x->dtype != wanted && !(low >> i & 1 && x->dtype == VQ_BF16))
      return vq_fail(VQ_ERR_SHAPE, "%s: input %d is %s and must be %s", op, i, vq_dtype_name(x->dtype),
                     vq_dtype_name(wanted));
  }
  return VQ_OK;
}

vq_status vq_check_types_bf16(const vq_call *call, const char *op, unsigned integers, unsigned bf16)
{
  return check_types(call, op, integers, call->device->backend->bf16 ? bf16 : 0);
}

vq_status vq_check_types_product(const vq_call *call, const char *op, int w, unsigned bf16)
{
  const vq_tensor *weight = call->in[w];
  bool frozen = weight && weight->weight && !weight->wants;
  if (call->device->backend->bf16_weights && frozen)
    return check_types(call, op, 0, 1u << w);
  return vq_check_types_bf16(call, op, 0, bf16);
}

vq_dtype vq_product_type(const vq_call *call, int w)
{
  return call->device->backend->bf16 ? call->in[w]->dtype : VQ_REAL;
}

vq_status vq_check_rank(const char *op, const char *name, const vq_tensor *x, int rank)
{
  return vq_check_dims(op, name, x, rank, -1, -1, -1, -1);
}

vq_status vq_check_dims(const char *op, const char *name, const vq_tensor *x, int rank, int64_t d0, int64_t d1,
                        int64_t d2, int64_t d3)
{
  const int64_t want[VQ_RANK] = {d0, d1, d2, d3};
  bool fits = x->rank == rank;
  for (int i = 0; i < rank; i++)
    fits = fits && (want[i] < 0 || x->dim[i] == want[i]);
  if (fits)
    return VQ_OK;
  vq_shape is = vq_shape_of(x), must = vq_shape_make(x->dtype, rank, want);
  char a[96], b[96];
  return vq_fail(VQ_ERR_SHAPE, "%s: %s is %s and must be %s (-1: any size)", op, name,
                 vq_shape_text(a, sizeof a, &is), vq_shape_text(b, sizeof b, &must));
}

vq_status vq_check_same(const char *op, const char *name, const vq_tensor *x, const vq_shape *shape)
{
  vq_shape is = vq_shape_of(x);
  char a[96], b[96];
  if (vq_shape_equal(&is, shape))
    return VQ_OK;
  return vq_fail(VQ_ERR_SHAPE, "%s: %s is %s and must be %s", op, name, vq_shape_text(a, sizeof a, &is),
                 vq_shape_text(b, sizeof b, shape));
}

vq_status vq_fail_shape(const char *op, const char *x_name, const vq_tensor *x, const char *what,
                        const char *y_name, const vq_tensor *y)
{
  vq_shape sx = vq_shape_of(x), sy = vq_shape_of(y);
  char a[96], b[96];
  return vq_fail(VQ_ERR_SHAPE, "%s: %s %s %s %s %s", op, x_name, vq_shape_text(a, sizeof a, &sx), what, y_name,
                 vq_shape_text(b, sizeof b, &sy));
}
