/* ops.c -- the list of all operations. */
#include "kernels/ops.h"

const vq_op *const vq_ops[] = {
    &vq_op_linear,
    NULL,
};
