/* cases_basic.c -- rows for the ops that any network has. */
#include "cases.h"

/* ---- linear ---- */

static vq_tensor *linear(vq_tape *t, vq_tensor *const *in)
{
  return vq_linear(t, in[0], in[1], in[2], in[3]);
}

/* x is read by two products: the second gradient is added to the first. In bf16 all is rounded thrice, for 1.4 times one rounding's error. */
static vq_tensor *linear_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, vq_linear(t, in[0], in[1], in[2], NULL), vq_linear(t, in[0], in[3], NULL, NULL));
}

/* A large tensor of few numbers that want gradients: what several tasks compute, and central differences can check.
 * in[0] [M,1] without a gradient, in[1] [C,1]: their product, [M,C]. */
static vq_tensor *outer(vq_tape *t, vq_tensor *const *in)
{
  return vq_linear(t, in[0], in[1], NULL, NULL);
}

/* ---- activations ---- */

static vq_tensor *gelu_of_outer(vq_tape *t, vq_tensor *const *in)
{
  return vq_gelu(t, outer(t, in), VQ_GELU_QUICK);
}

static vq_tensor *silu_of_outer(vq_tape *t, vq_tensor *const *in)
{
  return vq_silu(t, outer(t, in));
}

static vq_tensor *tanh_of_outer(vq_tape *t, vq_tensor *const *in)
{
  return vq_tanh(t, outer(t, in));
}

static vq_tensor *gelu_quick(vq_tape *t, vq_tensor *const *in)
{
  return vq_gelu(t, in[0], VQ_GELU_QUICK);
}

static vq_tensor *gelu_exact(vq_tape *t, vq_tensor *const *in)
{
  return vq_gelu(t, in[0], VQ_GELU_EXACT);
}

static vq_tensor *silu(vq_tape *t, vq_tensor *const *in)
{
  return vq_silu(t, in[0]);
}

static vq_tensor *tanh_of(vq_tape *t, vq_tensor *const *in)
{
  return vq_tanh(t, in[0]);
}

/* x is read by several ops: all gradients but the first to come are added. */
static vq_tensor *gelu_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_gelu(t, in[0], VQ_GELU_EXACT), vq_gelu(t, in[0], VQ_GELU_QUICK));
}

static vq_tensor *tanh_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_tanh(t, in[0]), vq_tanh(t, in[0]));
}

static vq_tensor *silu_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_silu(t, in[0]), vq_silu(t, in[0]));
}

/* ---- layer_norm ---- */

static vq_tensor *layer_norm(vq_tape *t, vq_tensor *const *in)
{
  return vq_layer_norm(t, in[0], in[1], in[2], 1e-5);
}

static vq_tensor *layer_norm_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_layer_norm(t, in[0], in[1], in[2], 1e-5), vq_layer_norm(t, in[0], in[1], in[2], 0.5));
}

static vq_tensor *layer_norm_of_outer(vq_tape *t, vq_tensor *const *in)
{
  return vq_layer_norm(t, outer(t, in), in[2], in[3], 1e-5);
}

/* ---- elementwise ---- */

static vq_tensor *mul_of_outer(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, outer(t, in), outer(t, in));
}

static vq_tensor *sum_of_outer(vq_tape *t, vq_tensor *const *in)
{
  return vq_sum(t, outer(t, in));
}

static vq_tensor *add(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, in[0], in[1]);
}

static vq_tensor *add_to_itself(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, in[0], in[0]);
}

static vq_tensor *mul(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, in[0], in[1]);
}

static vq_tensor *mul_by_itself(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, in[0], in[0]);
}

static vq_tensor *sum(vq_tape *t, vq_tensor *const *in)
{
  return vq_sum(t, in[0]);
}

static vq_tensor *sum_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_sum(t, in[0]), vq_sum(t, in[0]));
}

static vq_tensor *cast_and_back(vq_tape *t, vq_tensor *const *in)
{
  return vq_cast(t, vq_cast(t, in[0], VQ_BF16), VQ_REAL);
}

/* The half has two readers, so that its gradient, a half, is stored and then added to; and so has x. */
static vq_tensor *cast_added(vq_tape *t, vq_tensor *const *in)
{
  vq_tensor *half = vq_cast(t, in[0], VQ_BF16), *twin = vq_cast(t, in[0], VQ_BF16);
  vq_tensor *a = vq_cast(t, half, VQ_REAL);
  vq_tensor *b = vq_mul(t, vq_cast(t, half, VQ_REAL), in[1]);
  return vq_add(t, vq_add(t, a, b), vq_cast(t, twin, VQ_REAL));
}

/* Half way between two halves, with the lower one even and odd, and a little to either side. */
static void fill_edges(int input, void *host)
{
  static const double edge[] = {0x1.01p0, 0x1.03p0, -0x1.01p0, -0x1.03p0, 0x1.010002p0, 0x1.02fffep0, 0, -3};
  for (size_t i = 0; !input && i < sizeof edge / sizeof *edge; i++)
    ((vq_real *)host)[i] = (vq_real)edge[i];
}

#define STAIRCASE "rounding is a staircase; its gradient is compared with the golden file"

/* clang-format off */
const vq_case vq_cases_basic[] = {
    {"linear", &vq_op_linear, linear, {LEAF(5, 7), LEAF(3, 7), LEAF(3), LEAF(5, 3)}},
    {"linear, frozen weights", &vq_op_linear, linear, {LEAF(2, 3, 7), FROZEN(4, 7), FROZEN(4), NONE}},
    {"linear, weight only", &vq_op_linear, linear, {CONST(131, 5), LEAF(2, 5), NONE, NONE}},
    {"linear, channels in eights", &vq_op_linear, linear, {LEAF(9, 40), FROZEN(24, 40), FROZEN(24), LEAF(9, 24)}},
    {"linear, long rows", &vq_op_linear, linear, {LEAF(2, 2048), FROZEN(8, 2048), NONE, NONE}},
    {"linear, kept as panels", &vq_op_linear, linear, {LEAF(5, 32), FROZEN(48, 32), FROZEN(48), LEAF(5, 48)}},
    {"linear, added to", &vq_op_linear, linear_added, {LEAF(5, 8), LEAF(16, 8), LEAF(16), LEAF(16, 8)}},

    {"gelu, quick", &vq_op_gelu, gelu_quick, {LEAF(3, 5, 7)}},
    {"gelu, several tasks", &vq_op_gelu, gelu_of_outer, {CONST(1501, 1), LEAF(9, 1)}},
    {"gelu, exact", &vq_op_gelu, gelu_exact, {LEAF(3, 5, 7)}},
    {"gelu, added to", &vq_op_gelu, gelu_added, {LEAF(5, 7)}},
    {"gelu, large values", &vq_op_gelu, gelu_quick, {{.kind = VQ_INPUT_LEAF, DIMS(4, 9), .spread = 300}}},
    {"silu", &vq_op_silu, silu, {LEAF(2, 3, 5, 7)}},
    {"silu, added to", &vq_op_silu, silu_added, {LEAF(5, 7)}},
    {"silu, large values", &vq_op_silu, silu, {{.kind = VQ_INPUT_LEAF, DIMS(4, 9), .spread = 300}}},
    {"silu, several tasks", &vq_op_silu, silu_of_outer, {CONST(1501, 1), LEAF(9, 1)}},
    {"tanh", &vq_op_tanh, tanh_of, {LEAF(23)}},
    {"tanh, added to", &vq_op_tanh, tanh_added, {LEAF(5, 7)}},
    {"tanh, several tasks", &vq_op_tanh, tanh_of_outer, {CONST(1501, 1), LEAF(9, 1)}},

    {"layer_norm", &vq_op_layer_norm, layer_norm, {LEAF(2, 3, 37), LEAF(37), LEAF(37)}},
    {"layer_norm, frozen scale and shift", &vq_op_layer_norm, layer_norm, {LEAF(5, 19), FROZEN(19), FROZEN(19)}},
    {"layer_norm, scale only", &vq_op_layer_norm, layer_norm, {CONST(5, 67), LEAF(67), CONST(67)}},
    {"layer_norm, shift only", &vq_op_layer_norm, layer_norm, {CONST(5, 67), CONST(67), LEAF(67)}},
    {"layer_norm, added to", &vq_op_layer_norm, layer_norm_added, {LEAF(3, 17), LEAF(17), LEAF(17)}},
    {"layer_norm, mean far from 0", &vq_op_layer_norm, layer_norm, {{.kind = VQ_INPUT_LEAF, DIMS(3, 21), .mean = 50, .spread = 0.5}, LEAF(21), LEAF(21)}},
    {"layer_norm, several tasks", &vq_op_layer_norm, layer_norm_of_outer, {CONST(1301, 1), LEAF(13, 1), LEAF(13), LEAF(13)}},

    {"add", &vq_op_add, add, {LEAF(3, 5, 7), LEAF(3, 5, 7)}},
    {"add, one side frozen", &vq_op_add, add, {CONST(4, 5), LEAF(4, 5)}},
    {"add, to itself", &vq_op_add, add_to_itself, {LEAF(4, 5)}},
    {"mul", &vq_op_mul, mul, {LEAF(3, 5, 7), LEAF(3, 5, 7)}},
    {"mul, one side frozen", &vq_op_mul, mul, {LEAF(4, 5), FROZEN(4, 5)}},
    {"mul, by itself", &vq_op_mul, mul_by_itself, {LEAF(4, 5)}},
    {"mul, several tasks", &vq_op_mul, mul_of_outer, {CONST(15001, 1), LEAF(7, 1)}},
    {"sum", &vq_op_sum, sum, {LEAF(3, 5, 7)}},
    {"sum, added to", &vq_op_sum, sum_added, {LEAF(5, 7)}},
    {"sum, several tasks", &vq_op_sum, sum_of_outer, {CONST(15001, 1), LEAF(7, 1)}},
    {"cast", &vq_op_cast, cast_and_back, {LEAF(3, 5, 7)}, NULL, STAIRCASE},
    {"cast, added to", &vq_op_cast, cast_added, {LEAF(3, 5, 7), LEAF(3, 5, 7)}, NULL, STAIRCASE},
    {"cast, edges", &vq_op_cast, cast_and_back, {LEAF(8)}, fill_edges, STAIRCASE},
    {"cast, several tasks", &vq_op_cast, cast_and_back, {LEAF(11, 97)}, NULL, STAIRCASE},
    {NULL},
};
/* clang-format on */
