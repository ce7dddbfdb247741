/* activation.c -- functions of one element on the CPU. Contract: activation.h. */
#include "kernels/activation/activation.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

#define ROW 256 /* elements are handed out in rows of this many */

/* Operations for a row: with the exponential of cpu/exp.h, and with a function of the C library. */
#define COST      (ROW * 16)
#define COST_LIBM (ROW * 64)

static int64_t rows(const vq_call *c)
{
  return (vq_count(c->out) + ROW - 1) / ROW;
}

static int64_t end(const vq_call *c, int64_t row)
{
  int64_t count = vq_count(c->out);
  return row * ROW < count ? row * ROW : count;
}

static inline vq_real quick_value(vq_real x)
{
  return x / (1 + vq_exp((vq_real)-1.702 * x));
}

static inline vq_real quick_slope(vq_real x)
{
  vq_real s = 1 / (1 + vq_exp((vq_real)-1.702 * x));
  return s + (vq_real)1.702 * x * s * (1 - s);
}

/* Phi(x) = (1 + erf(x / sqrt 2)) / 2, the normal distribution, and its density without 1 / sqrt(2 pi), e^(-x^2 / 2). */
typedef struct normal {
  vq_real below, bell;
} normal;

#ifdef VQ_DOUBLE
static inline normal normal_at(vq_real x)
{
  return (normal){0.5 * (1 + erf(x * 0.70710678118654752440)), exp(-0.5 * x * x)};
}
#else
/* Below zero, Phi(x) = e^(-x^2 / 2) R(-x), where R falls slowly and smoothly: a polynomial of degree 8 in s = 1 / (1 + 0.26 |x|),
 * times s, fitted at Chebyshev's points of |x| <= 14 to a relative 3e-8. Above, 1 less that. So the tail keeps its digits, where
 * 1 + erf would lose them, and an element costs one exponential and no call. */
static inline normal normal_at(vq_real x)
{
  const float r[9] = {0.10376127f,  0.10297683f, 0.1033328f,   0.04977138f, 0.16407695f,
                      -0.15574413f, 0.25591595f, -0.15508191f, 0.03099084f};
  float u = x < 0 ? -x : x, s = 1 / (1 + 0.26f * u), bell = vq_exp(-0.5f * x * x), p = r[8];
  for (int i = 7; i >= 0; i--)
    p = p * s + r[i];
  float tail = bell * (p * s);
  return (normal){x < 0 ? tail : 1 - tail, bell};
}
#endif

static inline vq_real exact_value(vq_real x)
{
  return x * normal_at(x).below;
}

static inline vq_real exact_slope(vq_real x)
{
  normal n = normal_at(x);
  return n.below + x * (vq_real)0.39894228040143267794 * n.bell;
}

static vq_real tanh_value(vq_real x)
{
  return (vq_real)tanh((double)x);
}

static vq_real tanh_slope(vq_real y)
{
  return 1 - y * y;
}

/* The two loops over rows of elements: y = value(x), and dx (+)= dy slope(v), v the elements of FROM. */
#define DEFINE_LOOPS(name, value, slope, FROM)                                              \
  static inline VQ_BODY void name##_values_body(const vq_call *c, int64_t from, int64_t to) \
  {                                                                                         \
    const vq_real *x = vq_values(c->in[0]);                                                 \
    vq_real *y = vq_values(c->out);                                                         \
    for (int64_t i = from * ROW, n = end(c, to); i < n; i++)                                \
      y[i] = value(x[i]);                                                                   \
  }                                                                                         \
  static inline VQ_BODY void name##_slopes_body(const vq_call *c, int64_t from, int64_t to) \
  {                                                                                         \
    const vq_real *v = vq_values(FROM), *dy = vq_grad(c->out);                              \
    vq_real *dx = vq_grad(c->in[0]);                                                        \
    if (vq_adds(c, 0))                                                                      \
      for (int64_t i = from * ROW, n = end(c, to); i < n; i++)                              \
        dx[i] += dy[i] * slope(v[i]);                                                       \
    else                                                                                    \
      for (int64_t i = from * ROW, n = end(c, to); i < n; i++)                              \
        dx[i] = dy[i] * slope(v[i]);                                                        \
  }                                                                                         \
  VQ_LOOP(name##_values, (const vq_call *c, int64_t from, int64_t to), (c, from, to))       \
  VQ_LOOP(name##_slopes, (const vq_call *c, int64_t from, int64_t to), (c, from, to))

DEFINE_LOOPS(quick, quick_value, quick_slope, c->in[0])
DEFINE_LOOPS(exact, exact_value, exact_slope, c->in[0])
DEFINE_LOOPS(silu, vq_silu_value, vq_silu_slope, c->in[0])
DEFINE_LOOPS(tanh, tanh_value, tanh_slope, c->out)

static vq_status gelu_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  int64_t kind = c->attr->i[0];
  (void)saved;
  VQ_TRY(vq_check_types_bf16(c, "gelu", 0, 1));
  if (kind != VQ_GELU_QUICK && kind != VQ_GELU_EXACT)
    return vq_fail(VQ_ERR_ARGUMENT, "gelu: kind is %lld and must be VQ_GELU_QUICK or VQ_GELU_EXACT",
                   (long long)kind);
  *out = vq_shape_of(c->in[0]);
  return VQ_OK;
}

static vq_status gelu_forward_cpu(const vq_call *c)
{
  bool quick = c->attr->i[0] == VQ_GELU_QUICK;
  vq_parallel_rows(c, rows(c), COST, quick ? quick_values : exact_values);
  return VQ_OK;
}

static vq_status gelu_backward_cpu(const vq_call *c)
{
  bool quick = c->attr->i[0] == VQ_GELU_QUICK;
  vq_parallel_rows(c, rows(c), COST, quick ? quick_slopes : exact_slopes);
  return VQ_OK;
}

static vq_status silu_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  VQ_TRY(vq_check_types_bf16(c, "silu", 0, 1));
  *out = vq_shape_of(c->in[0]);
  return VQ_OK;
}

static vq_status silu_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, rows(c), COST, silu_values);
  return VQ_OK;
}

static vq_status silu_backward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, rows(c), COST, silu_slopes);
  return VQ_OK;
}

static vq_status tanh_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  VQ_TRY(vq_check_types_bf16(c, "tanh", 0, 1));
  *out = vq_shape_of(c->in[0]);
  return VQ_OK;
}

static vq_status tanh_forward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, rows(c), COST_LIBM, tanh_values);
  return VQ_OK;
}

static vq_status tanh_backward_cpu(const vq_call *c)
{
  vq_parallel_rows(c, rows(c), COST, tanh_slopes);
  return VQ_OK;
}

const vq_op vq_op_gelu = {
    .name = "gelu",
    .reads = {VQ_READS_IN(0)},
    .gives = 1,
    .bf16 = 1,
    .shape = gelu_shape,
    .forward = gelu_forward_cpu,
    .backward = gelu_backward_cpu,
};

const vq_op vq_op_silu = {
    .name = "silu",
    .reads = {VQ_READS_IN(0)},
    .gives = 1,
    .bf16 = 1,
    .shape = silu_shape,
    .forward = silu_forward_cpu,
    .backward = silu_backward_cpu,
};

const vq_op vq_op_tanh = {
    .name = "tanh",
    .reads = {VQ_READS_OUT},
    .gives = 1,
    .bf16 = 1,
    .shape = tanh_shape,
    .forward = tanh_forward_cpu,
    .backward = tanh_backward_cpu,
};

vq_tensor *vq_gelu(vq_tape *tape, vq_tensor *x, vq_gelu_kind kind)
{
  return vq_record(tape, &vq_op_gelu, VQ_INPUTS(x), &(vq_attr){.i = {kind}});
}

vq_tensor *vq_silu(vq_tape *tape, vq_tensor *x)
{
  return vq_record(tape, &vq_op_silu, VQ_INPUTS(x), NULL);
}

vq_tensor *vq_tanh(vq_tape *tape, vq_tensor *x)
{
  return vq_record(tape, &vq_op_tanh, VQ_INPUTS(x), NULL);
}
