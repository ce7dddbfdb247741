/* quantise.c -- nearest and quantise on the CPU. Contract: quantise.h. */
#include "kernels/quantise/quantise.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "kernels/quantise/nearest.h"

#include <string.h>

enum { Z, BOOK, IDS };

/* ids has the shape of z without its last dim; of one token alone, [1]. */
static vq_shape ids_shape(const vq_tensor *z)
{
  return z->rank > 1 ? vq_shape_make(VQ_I32, z->rank - 1, z->dim) : vq_shape_make(VQ_I32, 1, (int64_t[]){1});
}

static vq_status check_book(const char *op, const vq_tensor *z, const vq_tensor *book)
{
  VQ_TRY(vq_check_rank(op, "book", book, 2));
  if (z->rank < 1 || vq_last(z) != book->dim[1])
    return vq_fail_shape(op, "z", z, "has rows of another length than", "book", book);
  if (book->dim[0] < 1 || book->dim[0] > INT32_MAX)
    return vq_fail(VQ_ERR_SHAPE, "%s: a book of %lld rows", op, (long long)book->dim[0]);
  return VQ_OK;
}

/* ---- nearest ---- */

#define TOKENS VQ_NEAREST_TOKENS

static vq_status nearest_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  VQ_TRY(vq_check_types(c, "nearest", 0));
  VQ_TRY(check_book("nearest", c->in[Z], c->in[BOOK]));
  *out = ids_shape(c->in[Z]);
  return VQ_OK;
}

static int64_t groups_of(const vq_call *c)
{
  return (vq_rows(c->in[Z]) + TOKENS - 1) / TOKENS;
}

/* z, in groups of tokens whose channels lie side by side */
static size_t nearest_scratch(const vq_call *c, bool backward)
{
  return backward ? 0 : (size_t)(groups_of(c) * TOKENS * vq_last(c->in[Z])) * sizeof(vq_real);
}

static void nearest_task(void *context, int64_t task)
{
  const vq_call *c = context;
  int64_t K = c->in[BOOK]->dim[0], C = c->in[BOOK]->dim[1], from = task * TOKENS, left = vq_rows(c->in[Z]) - from;
  int64_t count = left < TOKENS ? left : TOKENS;
  const vq_real *z = vq_values(c->in[Z]) + from * C;
  vq_real *across = (vq_real *)c->scratch + from * C;
  for (int64_t i = 0; i < C; i++)
    for (int64_t m = 0; m < TOKENS; m++)
      across[i * TOKENS + m] = m < count ? z[m * C + i] : 0;
  int32_t ids[TOKENS];
  vq_nearest_rows(across, vq_values(c->in[BOOK]), K, C, ids);
  memcpy((int32_t *)c->out->data + from, ids, (size_t)count * sizeof *ids);
}

static vq_status nearest_forward_cpu(const vq_call *c)
{
  vq_parallel(c->device->threads, groups_of(c), nearest_task, (void *)c);
  return VQ_OK;
}

const vq_op vq_op_nearest = {
    .name = "nearest",
    .shape = nearest_shape,
    .scratch = nearest_scratch,
    .forward = nearest_forward_cpu,
};

vq_tensor *vq_nearest(vq_tape *tape, vq_tensor *z, vq_tensor *book)
{
  vq_tensor *seen = z ? vq_view(tape, z, z->rank, z->dim) : NULL;
  if (!seen)
    return NULL;
  seen->wants = false; /* the index is constant almost everywhere: nothing leads back from it to z */
  vq_tensor *ids = vq_record(tape, &vq_op_nearest, VQ_INPUTS(seen, book), NULL);
  vq_done(tape, seen);
  return ids;
}

/* ---- quantise ---- */

static vq_status quantise_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  vq_shape ids = ids_shape(c->in[Z]);
  (void)saved;
  VQ_TRY(vq_check_types(c, "quantise", 1u << IDS));
  VQ_TRY(check_book("quantise", c->in[Z], c->in[BOOK]));
  VQ_TRY(vq_check_same("quantise", "ids", c->in[IDS], &ids));
  *out = vq_shape_of(c->in[Z]);
  return VQ_OK;
}

static const int32_t *ids_of(const vq_call *c)
{
  return (const int32_t *)vq_values(c->in[IDS]);
}

static void copy_rows(const vq_call *c, int64_t from, int64_t to)
{
  int64_t C = c->in[BOOK]->dim[1];
  for (int64_t m = from; m < to; m++)
    memcpy(vq_values(c->out) + m * C, vq_values(c->in[BOOK]) + ids_of(c)[m] * C, (size_t)C * sizeof(vq_real));
}

static vq_status quantise_forward_cpu(const vq_call *c)
{
  int64_t rows = vq_rows(c->in[Z]), K = c->in[BOOK]->dim[0];
  for (int64_t m = 0; m < rows; m++)
    if (ids_of(c)[m] < 0 || ids_of(c)[m] >= K)
      return vq_fail(VQ_ERR_ARGUMENT, "quantise: token %lld has the id %d, the book has rows 0 to %lld",
                     (long long)m, (int)ids_of(c)[m], (long long)K - 1);
  vq_parallel_rows(c, rows, c->in[BOOK]->dim[1], copy_rows);
  return VQ_OK;
}

const vq_op vq_op_quantise = {
    .name = "quantise",
    .passes = 1u << Z,
    .gives = 1u << Z,
    .shape = quantise_shape,
    .forward = quantise_forward_cpu,
};

vq_tensor *vq_quantise(vq_tape *tape, vq_tensor *z, vq_tensor *book, vq_tensor *ids)
{
  return vq_record(tape, &vq_op_quantise, VQ_INPUTS(z, book, ids), NULL);
}
