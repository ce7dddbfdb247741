/* attention.c -- attention on the CPU. Contract: attention.h.
 *
 * A task is one block of one head of one sequence: of query rows in the forward pass and for dq, of keys for dk and dv. It
 * holds its scores, block x T, in scratch. Scratch is cut into slots; slot s does the tasks s, s + slots, s + 2 slots ...
 * one after the other. Blocks and slots come from the shape alone.
 */
#include "kernels/attention/attention.h"

#include "kernels/check.h"
#include "kernels/cpu/exp.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/simd.h"

#include <math.h>

#define BLOCK_SCORES   ((int64_t)1 << 17) /* most scores of a block: half a MiB of floats */
#define SCRATCH_SCORES ((int64_t)1 << 22) /* most of all slots: 16 MiB */
#define LEAST_ROWS     16                 /* of a block; below, products are too thin to be fast */
#define LEAST_TASKS    32                 /* where blocks can be made small enough for that */

typedef struct plan {
  const vq_call *call;
  int64_t B, T, C, heads, D;
  int64_t rows, blocks; /* rows of a block, blocks of a head */
  int64_t tasks, slots;
  int64_t matrices; /* of rows x T that a slot holds */
  bool causal;
  vq_real scale;
} plan;

/* One block: where its head begins in qkv and in y, and which rows it has. */
typedef struct block {
  int64_t first, n; /* rows [first, first + n) of T */
  int64_t qkv, y;   /* elements before the head's first q and first y */
  int64_t row;      /* number of the head's first row among B * heads * T */
} block;

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static plan plan_of(const vq_call *c, bool backward)
{
  const vq_tensor *qkv = c->in[0];
  plan p = {.call = c, .B = qkv->dim[0], .T = qkv->dim[1], .C = qkv->dim[2] / 3, .heads = c->attr->i[0]};
  int64_t for_tasks = p.B * p.heads * p.T / LEAST_TASKS;
  p.D = p.C / p.heads;
  p.causal = c->attr->i[1] != 0;
  p.scale = (vq_real)(1 / sqrt((double)p.D));
  p.rows = least(p.T, most(LEAST_ROWS, least(BLOCK_SCORES / p.T, for_tasks) / 8 * 8));
  p.blocks = (p.T + p.rows - 1) / p.rows;
  p.tasks = p.B * p.heads * p.blocks;
  p.matrices = backward ? 2 : 1;
  p.slots = least(p.tasks, most(1, SCRATCH_SCORES / (p.rows * p.T * p.matrices)));
  return p;
}

static block block_of(const plan *p, int64_t task)
{
  int64_t head = task / p->blocks, first = task % p->blocks * p->rows;
  int64_t b = head / p->heads, column = head % p->heads * p->D;
  return (block){first, least(p->rows, p->T - first), b * p->T * 3 * p->C + column, b * p->T * p->C + column,
                 head * p->T};
}

static vq_status attention_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *qkv = c->in[0];
  int64_t heads = c->attr->i[0];
  VQ_TRY(vq_check_types_bf16(c, "attention", 0, 1));
  VQ_TRY(vq_check_rank("attention", "qkv", qkv, 3));
  if (heads < 1 || qkv->dim[2] % (3 * heads) || !vq_count(qkv))
    return vq_fail(VQ_ERR_SHAPE,
                   "attention: qkv has %lld tokens of %lld columns: it needs at least one token, and 3 times a "
                   "multiple of %lld heads",
                   (long long)qkv->dim[1], (long long)qkv->dim[2], (long long)heads);
  *out = vq_shape_make(qkv->dtype, 3, (int64_t[]){qkv->dim[0], qkv->dim[1], qkv->dim[2] / 3});
  *saved = vq_shape_make(VQ_REAL, 3, (int64_t[]){qkv->dim[0], heads, qkv->dim[1]});
  return VQ_OK;
}

static vq_real *slot_scores(const plan *p, int64_t slot)
{
  return (vq_real *)p->call->scratch + slot * p->matrices * p->rows * p->T;
}

/* Backward: row sums of dy y, [B, heads, T], behind the slots. */
static vq_real *row_sums(const plan *p)
{
  return slot_scores(p, p->slots);
}

static size_t attention_scratch(const vq_call *c, bool backward)
{
  plan p = plan_of(c, backward);
  int64_t count = p.slots * p.matrices * p.rows * p.T + (backward ? p.B * p.heads * p.T : 0);
  return (size_t)count * sizeof(vq_real);
}

/* C = alpha op(A) op(B) + beta C, A and B with rows of their own */
static void product(bool ta, bool tb, int64_t m, int64_t n, int64_t k, vq_real alpha, const vq_real *a, int64_t lda,
                    const vq_real *b, int64_t ldb, vq_real beta, vq_real *c, int64_t ldc)
{
  vq_gemm(&(vq_gemm_args){ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc});
}

/* ---- forward ---- */

/* The softmax of the keys that a query sees; the others get 0. */
static inline VQ_BODY void softmax_body(vq_real *row, int64_t sees, int64_t keys, vq_real *lse)
{
  *lse = vq_softmax_row(row, sees);
  for (int64_t j = sees; j < keys; j++)
    row[j] = 0;
}
VQ_LOOP(softmax, (vq_real * row, int64_t sees, int64_t keys, vq_real *lse), (row, sees, keys, lse))

static void forward_block(const plan *p, const block *b, vq_real *scores)
{
  const vq_real *q = vq_values(p->call->in[0]) + b->qkv, *k = q + p->C, *v = k + p->C;
  vq_real *y = vq_values(p->call->out) + b->y, *lse = vq_values(p->call->saved) + b->row;
  int64_t ld = 3 * p->C, keys = p->causal ? b->first + b->n : p->T;
  product(false, true, b->n, keys, p->D, p->scale, q + b->first * ld, ld, k, ld, 0, scores, keys);
  for (int64_t i = 0; i < b->n; i++)
    softmax(scores + i * keys, p->causal ? b->first + i + 1 : keys, keys, &lse[b->first + i]);
  product(false, false, b->n, p->D, keys, 1, scores, keys, v, ld, 0, y + b->first * p->C, p->C);
}

static void forward_slot(void *context, int64_t slot)
{
  const plan *p = context;
  for (int64_t task = slot; task < p->tasks; task += p->slots) {
    block b = block_of(p, task);
    forward_block(p, &b, slot_scores(p, slot));
  }
}

static vq_status attention_forward_cpu(const vq_call *c)
{
  plan p = plan_of(c, false);
  vq_parallel(c->device->threads, p.slots, forward_slot, &p);
  return VQ_OK;
}

/* ---- backward ---- */

/* A query's scores become the gradient of its scores, d being that of its softmax. */
static inline VQ_BODY void query_row_body(vq_real *row, const vq_real *d, int64_t sees, int64_t keys, vq_real lse,
                                          vq_real sum)
{
  for (int64_t j = 0; j < sees; j++)
    row[j] = vq_exp(row[j] - lse) * (d[j] - sum);
  for (int64_t j = sees; j < keys; j++)
    row[j] = 0;
}
VQ_LOOP(query_row, (vq_real * row, const vq_real *d, int64_t sees, int64_t keys, vq_real lse, vq_real sum),
        (row, d, sees, keys, lse, sum))

/* A key's scores become its softmaxes, and d, the gradient of these, that of the scores. */
static inline VQ_BODY void key_row_body(vq_real *row, vq_real *d, int64_t hidden, int64_t queries,
                                        const vq_real *lse, const vq_real *sums)
{
  for (int64_t j = 0; j < hidden; j++)
    row[j] = d[j] = 0;
  for (int64_t j = hidden; j < queries; j++) {
    row[j] = vq_exp(row[j] - lse[j]);
    d[j] = row[j] * (d[j] - sums[j]);
  }
}
VQ_LOOP(key_row,
        (vq_real * row, vq_real *d, int64_t hidden, int64_t queries, const vq_real *lse, const vq_real *sums),
        (row, d, hidden, queries, lse, sums))

/* dq of a block of query rows; and the block's row sums of dy y, which the blocks of keys will need. */
static void query_block(const plan *p, const block *b, vq_real *P)
{
  const vq_real *q = vq_values(p->call->in[0]) + b->qkv, *k = q + p->C, *v = k + p->C;
  const vq_real *y = vq_values(p->call->out) + b->y, *dy = vq_grad(p->call->out) + b->y;
  const vq_real *lse = vq_values(p->call->saved) + b->row;
  vq_real *dq = vq_grad(p->call->in[0]) + b->qkv, *sums = row_sums(p) + b->row, *dP = P + p->rows * p->T;
  int64_t ld = 3 * p->C, keys = p->causal ? b->first + b->n : p->T;
  product(false, true, b->n, keys, p->D, p->scale, q + b->first * ld, ld, k, ld, 0, P, keys);
  product(false, true, b->n, keys, p->D, 1, dy + b->first * p->C, p->C, v, ld, 0, dP, keys);
  for (int64_t i = 0; i < b->n; i++) {
    int64_t t = b->first + i, sees = p->causal ? t + 1 : keys;
    sums[t] = vq_dot(dy + t * p->C, y + t * p->C, p->D);
    query_row(P + i * keys, dP + i * keys, sees, keys, lse[t], sums[t]);
  }
  product(false, false, b->n, p->D, keys, p->scale, P, keys, k, ld, vq_adds(p->call, 0), dq + b->first * ld, ld);
}

/* dk and dv of a block of keys; everything transposed, so that its scores are n x queries. Causal: queries before the
 * block's first key do not see it. */
static void key_block(const plan *p, const block *b, vq_real *P)
{
  int64_t ld = 3 * p->C, from = p->causal ? b->first : 0, queries = p->T - from;
  const vq_real *q = vq_values(p->call->in[0]) + b->qkv, *k = q + p->C, *v = k + p->C;
  const vq_real *dy = vq_grad(p->call->out) + b->y + from * p->C;
  const vq_real *lse = vq_values(p->call->saved) + b->row + from, *sums = row_sums(p) + b->row + from;
  vq_real *dk = vq_grad(p->call->in[0]) + b->qkv + p->C + b->first * ld, *dv = dk + p->C, *dP = P + p->rows * p->T;
  vq_real beta = vq_adds(p->call, 0);
  q += from * ld;
  product(false, true, b->n, queries, p->D, p->scale, k + b->first * ld, ld, q, ld, 0, P, queries);
  product(false, true, b->n, queries, p->D, 1, v + b->first * ld, ld, dy, p->C, 0, dP, queries);
  for (int64_t i = 0; i < b->n; i++)
    key_row(P + i * queries, dP + i * queries, p->causal ? i : 0, queries, lse, sums);
  product(false, false, b->n, p->D, queries, 1, P, queries, dy, p->C, beta, dv, ld);
  product(false, false, b->n, p->D, queries, p->scale, dP, queries, q, ld, beta, dk, ld);
}

static void query_slot(void *context, int64_t slot)
{
  const plan *p = context;
  for (int64_t task = slot; task < p->tasks; task += p->slots) {
    block b = block_of(p, task);
    query_block(p, &b, slot_scores(p, slot));
  }
}

static void key_slot(void *context, int64_t slot)
{
  const plan *p = context;
  for (int64_t task = slot; task < p->tasks; task += p->slots) {
    block b = block_of(p, task);
    key_block(p, &b, slot_scores(p, slot));
  }
}

static vq_status attention_backward_cpu(const vq_call *c)
{
  plan p = plan_of(c, true);
  vq_parallel(c->device->threads, p.slots, query_slot, &p);
  vq_parallel(c->device->threads, p.slots, key_slot, &p);
  return VQ_OK;
}

const vq_op vq_op_attention = {
    .name = "attention",
    .reads = {VQ_READS_IN(0) | VQ_READS_OUT | VQ_READS_SAVED},
    .gives = 1,
    .bf16 = 1,
    .shape = attention_shape,
    .scratch = attention_scratch,
    .forward = attention_forward_cpu,
    .backward = attention_backward_cpu,
};

vq_tensor *vq_attention(vq_tape *tape, vq_tensor *qkv, int heads, bool causal)
{
  return vq_record(tape, &vq_op_attention, VQ_INPUTS(qkv), &(vq_attr){.i = {heads, causal}});
}
