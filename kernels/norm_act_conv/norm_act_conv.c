/* norm_act_conv.c -- norm_act_conv on the CPU. Contract: norm_act_conv.h. */
#include "kernels/norm_act_conv/norm_act_conv.h"

#include "kernels/check.h"
#include "kernels/conv/gradients.h"
#include "kernels/group_norm/statistics.h"

enum { X, G, B, W, BIAS, SKIP };
enum { GROUPS, ACT }; /* attr->i */
enum { EPS };         /* attr->f */

/* What may be BF16. */
#define MAY_BE_BF16 (1u << X | 1u << W | 1u << SKIP)

static vq_norm norm_sizes(const vq_call *c)
{
  return vq_norm_sizes(c->in[X], c->attr->i[GROUPS], c->attr->f[EPS], (vq_act)c->attr->i[ACT]);
}

static vq_conv_args conv_sizes(const vq_call *c)
{
  const vq_tensor *w = c->in[W];
  vq_conv_args a = vq_conv_sizes(c->in[X], w, c->out, 1, w->dim[1] / 2, w->dim[2] / 2);
  vq_conv_take_form(&a, w, VQ_FORWARD);
  return a;
}

static vq_status norm_act_conv_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X], *w = c->in[W];
  const char *op = "norm_act_conv";
  VQ_TRY(vq_check_types_product(c, op, W, MAY_BE_BF16));
  VQ_TRY(vq_check_rank(op, "x", x, 4));
  VQ_TRY(vq_norm_check(op, x, c->in[G], c->in[B], c->attr->i[GROUPS], c->attr->f[EPS]));
  if (c->attr->i[ACT] != VQ_ACT_NONE && c->attr->i[ACT] != VQ_ACT_SILU)
    return vq_fail(VQ_ERR_ARGUMENT, "%s: there is no activation number %lld", op, (long long)c->attr->i[ACT]);
  VQ_TRY(vq_check_dims(op, "w", w, 4, -1, -1, -1, vq_last(x)));
  if (w->dim[1] != w->dim[2] || (w->dim[1] != 1 && w->dim[1] != 3))
    return vq_fail(VQ_ERR_SHAPE, "%s: the kernel is %lldx%lld and must be 1x1 or 3x3", op, (long long)w->dim[1],
                   (long long)w->dim[2]);
  *out = vq_shape_of(x);
  out->dtype = vq_product_type(c, W);
  out->dim[3] = w->dim[0];
  *saved = vq_norm_saved(x, c->attr->i[GROUPS]);
  if (c->in[BIAS])
    VQ_TRY(vq_check_dims(op, "bias", c->in[BIAS], 1, w->dim[0], -1, -1, -1));
  if (c->in[SKIP])
    VQ_TRY(vq_check_same(op, "skip", c->in[SKIP], out));
  return VQ_OK;
}

static size_t aligned(size_t bytes)
{
  return (bytes + VQ_POOL_ALIGN - 1) / VQ_POOL_ALIGN * VQ_POOL_ALIGN;
}

/* h or dh, like x. */
static size_t hidden_bytes(const vq_call *c)
{
  return aligned((size_t)vq_count(c->in[X]) * sizeof(vq_real));
}

/* What makes h's pixels as the convolution reads them. */
typedef struct hidden {
  vq_norm norm;
  int64_t w;
  const void *mapped;
} hidden;

static void read_hidden(const void *source, int64_t n, int64_t row, int64_t from, int64_t to, vq_real *pixels)
{
  const hidden *h = source;
  vq_norm_map(&h->norm, h->mapped, n * h->norm.pixels + row * h->w + from, to - from, pixels);
}

/* The convolution forward: whether h is made as it is read is a matter of the sizes. */
static vq_conv_args forwards(const vq_call *c)
{
  vq_conv_args a = conv_sizes(c);
  if (vq_conv_wants_read(&a))
    a.read = read_hidden;
  return a;
}

/* Forward: h, unless it is made as it is read; what the map reads; and what measuring and the convolution want one after the other. Backward: dh, and
 * what the convolution and the norm want. */
static size_t norm_act_conv_scratch(const vq_call *c, bool backward)
{
  vq_norm norm = norm_sizes(c);
  vq_conv_args conv = backward ? conv_sizes(c) : forwards(c);
  size_t of_norm = vq_norm_scratch(&norm), mapped = backward ? 0 : aligned(vq_norm_mapped_scratch(&norm));
  size_t of_conv = mapped + (backward ? vq_conv_dx_scratch(&conv, c->in[W]) : vq_conv_cpu_scratch(&conv));
  return (conv.read ? 0 : hidden_bytes(c)) + (of_norm > of_conv ? of_norm : of_conv);
}

static vq_status norm_act_conv_prepare(const vq_call *c)
{
  return vq_conv_prepare(c, X, W, 1);
}

static vq_norm norm_of(const vq_call *c)
{
  vq_norm norm = norm_sizes(c);
  norm.x = vq_values(c->in[X]);
  norm.g = vq_values(c->in[G]);
  norm.b = vq_values(c->in[B]);
  norm.statistics = vq_values(c->saved);
  return norm;
}

static vq_status norm_act_conv_forward_cpu(const vq_call *c)
{
  vq_conv_args conv = forwards(c);
  char *scratch = (char *)c->scratch + (conv.read ? 0 : hidden_bytes(c));
  hidden h = {norm_of(c), conv.w, scratch};
  vq_norm_measure(c->device->threads, &h.norm, scratch);
  if (conv.read) {
    conv.source = &h;
  } else {
    vq_norm_apply(c->device->threads, &h.norm, scratch, c->scratch);
    conv.x = c->scratch;
  }
  conv.weight = vq_values(c->in[W]);
  conv.bias = c->in[BIAS] ? vq_values(c->in[BIAS]) : NULL;
  conv.skip = c->in[SKIP] ? vq_values(c->in[SKIP]) : NULL;
  conv.y = vq_values(c->out);
  return vq_conv_cpu(c->device, &conv, scratch + aligned(vq_norm_mapped_scratch(&h.norm)));
}

static vq_status norm_act_conv_backward_cpu(const vq_call *c)
{
  vq_norm norm = norm_of(c);
  vq_conv_args conv = conv_sizes(c);
  vq_real *dh = c->scratch;
  void *scratch = (char *)c->scratch + hidden_bytes(c);
  VQ_TRY(vq_conv_dx(c->device, &conv, c->in[W], vq_grad(c->out), false, dh, scratch));
  vq_norm_gradients d = {.dv = dh, .dx = vq_grad(c->in[X]), .adds_dx = vq_adds(c, X)};
  vq_norm_back(c->device->threads, &norm, &d, scratch);
  return VQ_OK;
}

const vq_op vq_op_norm_act_conv = {
    .name = "norm_act_conv",
    .reads = {[X] = VQ_READS_IN(X) | VQ_READS_IN(G) | VQ_READS_IN(B) | VQ_READS_IN(W) | VQ_READS_SAVED},
    .passes = 1u << SKIP,
    .gives = 1u << X | 1u << SKIP,
    .optional = 1u << BIAS | 1u << SKIP,
    .bf16 = MAY_BE_BF16,
    .multiplies = 1u << W,
    .shape = norm_act_conv_shape,
    .scratch = norm_act_conv_scratch,
    .prepare = norm_act_conv_prepare,
    .forward = norm_act_conv_forward_cpu,
    .backward = norm_act_conv_backward_cpu,
};

vq_tensor *vq_norm_act_conv(vq_tape *tape, vq_tensor *x, vq_tensor *g, vq_tensor *b, int groups, double eps,
                            vq_act act, vq_tensor *w, vq_tensor *bias, vq_tensor *skip)
{
  vq_attr attr = {.i = {groups, act}, .f = {eps}};
  return vq_record(tape, &vq_op_norm_act_conv, VQ_INPUTS(x, g, b, w, bias, skip), &attr);
}
