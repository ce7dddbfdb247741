/* quantise.c -- nearest and quantise on the CPU. Contract: quantise.h. */
#include "kernels/quantise/quantise.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce.h"

#include <math.h>
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

#define TOKENS 8 /* that go through the book together: a row of it is then read once for all of them */

static vq_status nearest_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  (void)saved;
  VQ_TRY(vq_check_types(c, "nearest", 0));
  VQ_TRY(check_book("nearest", c->in[Z], c->in[BOOK]));
  *out = ids_shape(c->in[Z]);
  return VQ_OK;
}

/* A distance that is no number is never less: the id stays a row's. */
static void nearest_tokens(const vq_call *c, int64_t from, int64_t to)
{
  int64_t K = c->in[BOOK]->dim[0], C = c->in[BOOK]->dim[1], count = to - from;
  const vq_real *z = vq_values(c->in[Z]) + from * C, *book = vq_values(c->in[BOOK]);
  int32_t *ids = (int32_t *)c->out->data + from;
  vq_real least[TOKENS];
  for (int64_t m = 0; m < count; m++) {
    least[m] = INFINITY;
    ids[m] = 0;
  }
  for (int64_t k = 0; k < K; k++)
    for (int64_t m = 0; m < count; m++) {
      vq_real distance = vq_distance(z + m * C, book + k * C, C);
      if (distance < least[m]) {
        least[m] = distance;
        ids[m] = (int32_t)k;
      }
    }
}

static void nearest_task(void *context, int64_t task)
{
  const vq_call *c = context;
  int64_t from = task * TOKENS, tokens = vq_rows(c->in[Z]);
  nearest_tokens(c, from, from + TOKENS < tokens ? from + TOKENS : tokens);
}

static vq_status nearest_forward_cpu(const vq_call *c)
{
  vq_parallel(c->device->threads, (vq_rows(c->in[Z]) + TOKENS - 1) / TOKENS, nearest_task, (void *)c);
  return VQ_OK;
}

const vq_op vq_op_nearest = {
    .name = "nearest",
    .shape = nearest_shape,
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
