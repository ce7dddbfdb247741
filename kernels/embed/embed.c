/* embed.c -- embedding on the CPU. Contract: embed.h. */
#include "kernels/embed/embed.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"

#include <string.h>

enum { IDS, TABLE, POS };

/* What may be BF16. */
#define MAY_BE_BF16 (1u << TABLE | 1u << POS)

static const int32_t *ids_of(const vq_call *c)
{
  return (const int32_t *)vq_root(c->in[IDS])->data;
}

static vq_status embed_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *ids = c->in[IDS], *table = c->in[TABLE], *pos = c->in[POS];
  (void)saved;
  VQ_TRY(vq_check_types_bf16(c, "embed", 1u << IDS, MAY_BE_BF16));
  VQ_TRY(vq_check_rank("embed", "ids", ids, 2));
  VQ_TRY(vq_check_rank("embed", "table", table, 2));
  if (pos)
    VQ_TRY(vq_check_dims("embed", "pos", pos, 2, -1, table->dim[1], -1, -1));
  if (pos && pos->dim[0] < ids->dim[1])
    return vq_fail_shape("embed", "pos", pos, "has fewer rows than there are tokens in", "ids", ids);
  *out = vq_shape_make(table->dtype, 3, (int64_t[]){ids->dim[0], ids->dim[1], table->dim[1]});
  return VQ_OK;
}

static void forward_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t C = vq_last(c->out), T = c->out->dim[1];
  for (int64_t m = from; m < to; m++) {
    const vq_real *row = vq_values(c->in[TABLE]) + ids_of(c)[m] * C;
    const vq_real *pos = c->in[POS] ? vq_values(c->in[POS]) + m % T * C : NULL;
    vq_real *y = vq_values(c->out) + m * C;
    for (int64_t j = 0; j < C; j++)
      y[j] = row[j] + (pos ? pos[j] : 0);
  }
}

static vq_status embed_forward_cpu(const vq_call *c)
{
  int64_t V = c->in[TABLE]->dim[0], T = c->out->dim[1];
  for (int64_t m = 0; m < vq_rows(c->out); m++)
    if (ids_of(c)[m] < 0 || ids_of(c)[m] >= V)
      return vq_fail(VQ_ERR_ARGUMENT, "embed: ids[%lld,%lld] is %ld and the table has rows 0 to %lld",
                     (long long)(m / T), (long long)(m % T), (long)ids_of(c)[m], (long long)V - 1);
  vq_parallel_rows(c, vq_rows(c->out), 2 * vq_last(c->out), forward_rows);
  return VQ_OK;
}

/* Rows of the table's gradient; each task looks through all ids for its own. */
static void table_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t C = vq_last(c->out), M = vq_rows(c->out);
  vq_real *dtable = vq_grad(c->in[TABLE]);
  if (!vq_adds(c, TABLE))
    memset(dtable + from * C, 0, (size_t)((to - from) * C) * sizeof *dtable);
  for (int64_t m = 0; m < M; m++) {
    int64_t id = ids_of(c)[m];
    const vq_real *dy = vq_grad(c->out) + m * C;
    for (int64_t j = 0; id >= from && id < to && j < C; j++)
      dtable[id * C + j] += dy[j];
  }
}

static void pos_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t C = vq_last(c->out), B = c->out->dim[0], T = c->out->dim[1];
  for (int64_t t = from; t < to; t++) {
    vq_real *dpos = vq_grad(c->in[POS]) + t * C;
    if (!vq_adds(c, POS))
      memset(dpos, 0, (size_t)C * sizeof *dpos);
    for (int64_t b = 0; t < T && b < B; b++) {
      const vq_real *dy = vq_grad(c->out) + (b * T + t) * C;
      for (int64_t j = 0; j < C; j++)
        dpos[j] += dy[j];
    }
  }
}

static vq_status embed_backward_cpu(const vq_call *c)
{
  int64_t C = vq_last(c->out);
  if (vq_wants(c, TABLE))
    vq_parallel_rows(c, c->in[TABLE]->dim[0], C, table_rows);
  if (vq_wants(c, POS))
    vq_parallel_rows(c, c->in[POS]->dim[0], c->out->dim[0] * C, pos_rows);
  return VQ_OK;
}

const vq_op vq_op_embed = {
    .name = "embed",
    .reads = {[TABLE] = VQ_READS_IN(IDS)},
    .gives = 1u << TABLE | 1u << POS,
    .optional = 1u << POS,
    .bf16 = MAY_BE_BF16,
    .shape = embed_shape,
    .forward = embed_forward_cpu,
    .backward = embed_backward_cpu,
};

vq_tensor *vq_embed(vq_tape *tape, vq_tensor *ids, vq_tensor *table, vq_tensor *pos)
{
  return vq_record(tape, &vq_op_embed, VQ_INPUTS(ids, table, pos), NULL);
}
