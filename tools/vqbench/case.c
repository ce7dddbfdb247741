/* case.c -- records calls as cases, and tells about them. */
#include "tools/vqbench/case.h"

#include "kernels/ops.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_list_free(bench_list *list)
{
  free(list->row);
  *list = (bench_list){0};
}

/* ---- recording ---- */

static bench_case case_of(const vq_op *op, const vq_call *call, bool backward)
{
  bench_case c = {.op = op, .backward = backward, .attr = *call->attr, .out = vq_shape_of(call->out)};
  c.add = backward ? call->add : 0;
  for (int i = 0; i < VQ_IN; i++) {
    const vq_tensor *x = call->in[i];
    bench_input *in = &c.in[i];
    in->same_as = -1;
    if (!x)
      continue;
    *in = (bench_input){true, x->weight && !x->wants, backward && x->wants, -1, vq_shape_of(x)};
    for (int j = 0; j < i; j++)
      if (call->in[j] == x)
        in->same_as = j;
  }
  c.wants = backward ? call->wants : 0; /* a forward is the same whoever wants what */
  return c;
}

static bool equal_inputs(const bench_input *a, const bench_input *b)
{
  return a->there == b->there && (!a->there || (a->frozen == b->frozen && a->wants == b->wants &&
                                                a->same_as == b->same_as && vq_shape_equal(&a->shape, &b->shape)));
}

static bool equal_cases(const bench_case *a, const bench_case *b)
{
  bool equal = a->op == b->op && a->backward == b->backward && a->wants == b->wants && a->add == b->add &&
               vq_shape_equal(&a->out, &b->out) && !memcmp(&a->attr, &b->attr, sizeof a->attr);
  for (int i = 0; i < VQ_IN; i++)
    equal = equal && equal_inputs(&a->in[i], &b->in[i]);
  return equal;
}

static bench_row *add_row(bench_recorder *r, const bench_case *c)
{
  bench_list *list = r->list;
  if (list->rows == list->room) {
    int room = list->room ? 2 * list->room : 64;
    bench_row *grown = realloc(list->row, (size_t)room * sizeof *grown);
    if (!grown) {
      r->status = vq_fail(VQ_ERR_MEMORY, "no memory for a list of cases");
      return NULL;
    }
    list->row = grown;
    list->room = room;
  }
  bench_row *row = &list->row[list->rows++];
  *row = (bench_row){.c = *c};
  row->c.bands = r->bands;
  if (c->op == &vq_op_resample) /* the last chunk has fewer cutouts */
    row->c.bands.count = (int)c->in[1].shape.dim[0];
  snprintf(row->from, sizeof row->from, "%s", r->from);
  return row;
}

void bench_record(void *user, const vq_op *op, const vq_call *call, bool backward, double seconds)
{
  bench_recorder *r = user;
  bench_case c = case_of(op, call, backward);
  bench_row *row = NULL;
  (void)seconds;
  for (int i = 0; i < r->list->rows && !row; i++)
    if (equal_cases(&r->list->row[i].c, &c))
      row = &r->list->row[i];
  if (!row)
    row = add_row(r, &c);
  if (row && r->in_a_step && !strcmp(row->from, r->from))
    row->count++;
}

/* ---- telling ---- */

typedef struct line {
  char *text;
  size_t bytes, used;
} line;

static void append(line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(line *l, const char *format, ...)
{
  va_list values;
  va_start(values, format);
  int n = vsnprintf(l->text + l->used, l->bytes - l->used, format, values);
  va_end(values);
  l->used += n > 0 ? (size_t)n : 0;
  if (l->used >= l->bytes)
    l->used = l->bytes - 1;
}

static void append_shape(line *l, const vq_shape *s)
{
  int from = s->rank > 2 && s->dim[0] == 1;
  if (!s->rank)
    append(l, "1");
  for (int i = from; i < s->rank; i++)
    append(l, "%s%" PRId64, i > from ? "x" : "", s->dim[i]);
}

static const char *const optimisers[VQ_OPTIMISERS] = {"adamw", "adagrad",  "adamax", "rmsprop",
                                                      "radam", "diffgrad", "adamp"};

/* What the two shapes do not tell. */
static void append_marks(line *l, const bench_case *c)
{
  const vq_op *op = c->op;
  int weight = op == &vq_op_norm_act_conv ? 3 : op == &vq_op_conv || op == &vq_op_upsample_conv ? 1 : -1;
  if (weight >= 0)
    append(l, " k%" PRId64, c->in[weight].shape.dim[1]);
  if (op == &vq_op_attention)
    append(l, " h%" PRId64 "%s", c->attr.i[0], c->attr.i[1] ? " causal" : "");
  if (op == &vq_op_optimise)
    append(l, " %s", optimisers[c->attr.i[0]]);
  if (op == &vq_op_choose)
    append(l, c->in[1].there ? " drawn" : " largest");
  if (op == &vq_op_nearest || op == &vq_op_quantise || op == &vq_op_embed)
    append(l, " of %" PRId64, c->in[1].shape.dim[0]);
  if ((op == &vq_op_linear && c->in[3].there) || (op == &vq_op_norm_act_conv && c->in[5].there))
    append(l, " +skip");
  if (c->backward && c->wants != 1)
    append(l, " d");
  for (int i = 0; c->backward && c->wants != 1 && i < VQ_IN; i++)
    if (c->wants >> i & 1)
      append(l, "%d", i);
  if (c->add)
    append(l, " +=");
}

const char *bench_case_text(char *text, size_t bytes, const bench_case *c)
{
  line l = {text, bytes, 0};
  *text = 0;
  append_shape(&l, &c->in[0].shape);
  vq_shape as_out = c->out;
  as_out.dtype = c->in[0].shape.dtype;
  if (!vq_shape_equal(&as_out, &c->in[0].shape)) {
    append(&l, " > ");
    append_shape(&l, &c->out);
  }
  append_marks(&l, c);
  return text;
}

bool bench_is_update(const vq_op *op)
{
  return op == &vq_op_adam_clamp || op == &vq_op_optimise;
}

const char *bench_case_dtype(const bench_case *c)
{
  const char *first = NULL;
  if (c->out.dtype == VQ_BF16)
    return vq_dtype_name(VQ_BF16);
  for (int i = 0; i < VQ_IN; i++) {
    if (c->in[i].there && c->in[i].shape.dtype == VQ_BF16)
      return vq_dtype_name(VQ_BF16);
    if (c->in[i].there && c->in[i].shape.dtype != VQ_I32 && !first)
      first = vq_dtype_name(c->in[i].shape.dtype);
  }
  return first ? first : vq_dtype_name(c->out.dtype);
}

static bool is_first(const bench_case *c, int i)
{
  return c->in[i].there && c->in[i].same_as < 0;
}

/* Rows that are not asked for are not read. */
static double bytes_read(const bench_case *c, int i)
{
  bool codes = c->op == &vq_op_soft_quantise && !c->backward;
  bool gathered = ((codes || c->op == &vq_op_quantise || c->op == &vq_op_embed) && i == 1) ||
                  (c->op == &vq_op_take_row && i == 0);
  double all = (double)vq_shape_bytes(&c->in[i].shape), asked = (double)vq_shape_bytes(&c->out);
  if (codes && i == 0) /* only the gradient asks for the logits */
    return 0;
  return gathered && asked < all ? asked : all;
}

double bench_case_bytes(const bench_case *c)
{
  double bytes = (double)vq_shape_bytes(&c->out); /* y, written or, backward, dy, read */
  unsigned reads = 0;
  for (int i = 0; i < VQ_IN; i++)
    if (c->backward && c->wants >> i & 1) {
      reads |= c->op->reads[i];
      bytes += (double)vq_shape_bytes(&c->in[i].shape) * (c->add >> i & 1 ? 2 : 1);
    }
  for (int i = 0; i < VQ_IN; i++)
    if (is_first(c, i) && (!c->backward || reads & VQ_READS_IN(i)))
      bytes += bytes_read(c, i);
  if (reads & VQ_READS_OUT)
    bytes += (double)vq_shape_bytes(&c->out);
  if (bench_is_update(c->op)) /* z's gradient is read; m and v are written */
    bytes += 3 * (double)vq_shape_bytes(&c->out);
  return bytes;
}
