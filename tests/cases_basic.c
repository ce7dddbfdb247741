/* cases_basic.c -- rows for the ops that any network has. */
#include "cases.h"

static vq_tensor *linear(vq_tape *t, vq_tensor *const *in)
{
  return vq_linear(t, in[0], in[1], in[2], in[3]);
}

const vq_case vq_cases_basic[] = {
    {"linear", &vq_op_linear, linear, {LEAF(5, 7), LEAF(3, 7), LEAF(3), LEAF(5, 3)}},
    {"linear, frozen weights", &vq_op_linear, linear, {LEAF(2, 3, 7), FROZEN(4, 7), FROZEN(4), NONE}},
    {"linear, weight only", &vq_op_linear, linear, {CONST(131, 5), LEAF(2, 5), NONE, NONE}},
    {NULL},
};
