/* cases_clip.c -- rows for the ops of the CLIP towers. */
#include "cases.h"

/* A large tensor with one number that wants a gradient: what several tasks compute, and central differences can check.
 * in[0] [elements,1] without a gradient, times in[1] [1,1]. */
static vq_tensor *many(vq_tape *t, vq_tensor *const *in, int rank, const int64_t *dim)
{
  return vq_view(t, vq_linear(t, in[0], in[1], NULL, NULL), rank, dim);
}

/* ---- attention ---- */

static vq_tensor *attention1(vq_tape *t, vq_tensor *const *in)
{
  return vq_attention(t, in[0], 1, false);
}

static vq_tensor *attention1_causal(vq_tape *t, vq_tensor *const *in)
{
  return vq_attention(t, in[0], 1, true);
}

static vq_tensor *attention2(vq_tape *t, vq_tensor *const *in)
{
  return vq_attention(t, in[0], 2, false);
}

static vq_tensor *attention2_causal(vq_tape *t, vq_tensor *const *in)
{
  return vq_attention(t, in[0], 2, true);
}

static vq_tensor *attention_twice(vq_tape *t, vq_tensor *const *in)
{
  return vq_add(t, vq_attention(t, in[0], 2, true), vq_attention(t, in[0], 1, false));
}

static vq_tensor *attention_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_attention(t, in[0], 2, true), vq_attention(t, in[0], 1, false));
}

/* A sequence of a batch of 200, which fills a card: each of its heads is one block's, not many's that meet. */
static vq_tensor *attention_of_batch(vq_tape *t, vq_tensor *const *in)
{
  vq_tape_batch(t, 1, 200);
  return vq_attention(t, in[0], 1, false);
}

/* Twelve heads of width 1: more scores than the scratch holds. */
static vq_tensor *attention_of_many(vq_tape *t, vq_tensor *const *in)
{
  return vq_attention(t, many(t, in, 3, (int64_t[]){1, 600, 36}), 12, false);
}

/* ---- embed, take_row ---- */

static vq_tensor *embed(vq_tape *t, vq_tensor *const *in)
{
  return vq_embed(t, in[0], in[1], in[2]);
}

static vq_tensor *embed_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_embed(t, in[0], in[1], in[2]), vq_embed(t, in[0], in[1], in[2]));
}

static vq_tensor *embed_one_table(vq_tape *t, vq_tensor *const *in)
{
  return vq_embed(t, in[0], in[1], in[1]);
}

static vq_tensor *embed_from_many(vq_tape *t, vq_tensor *const *in)
{
  return vq_embed(t, in[2], many(t, in, 2, (int64_t[]){2001, 53}), NULL);
}

static vq_tensor *embed_places_from_many(vq_tape *t, vq_tensor *const *in)
{
  return vq_embed(t, in[2], in[3], many(t, in, 2, (int64_t[]){601, 43}));
}

static vq_tensor *take_row(vq_tape *t, vq_tensor *const *in)
{
  return vq_take_row(t, in[0], in[1]);
}

static vq_tensor *take_row_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_take_row(t, in[0], in[1]), vq_take_row(t, in[0], in[2]));
}

static vq_tensor *take_row_of_many(vq_tape *t, vq_tensor *const *in)
{
  return vq_take_row(t, many(t, in, 3, (int64_t[]){5, 999, 27}), in[2]);
}

/* ---- patchify, prepend ---- */

static const double mean[3] = {0.48145466, 0.4578275, 0.40821073}, std[3] = {0.26862954, 0.26130258, 0.27577711};

static vq_tensor *patchify2(vq_tape *t, vq_tensor *const *in)
{
  return vq_patchify(t, in[0], 2, mean, std);
}

static vq_tensor *patchify3(vq_tape *t, vq_tensor *const *in)
{
  return vq_patchify(t, in[0], 3, mean, std);
}

static vq_tensor *patchify_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_patchify(t, in[0], 2, mean, std), vq_patchify(t, in[0], 2, mean, std));
}

static vq_tensor *patchify_of_many(vq_tape *t, vq_tensor *const *in)
{
  return vq_patchify(t, many(t, in, 4, (int64_t[]){3, 94, 94, 3}), 2, mean, std);
}

static vq_tensor *prepend(vq_tape *t, vq_tensor *const *in)
{
  return vq_prepend(t, in[0], in[1], in[2]);
}

static vq_tensor *prepend_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_prepend(t, in[0], in[1], in[2]), vq_prepend(t, in[0], in[1], in[2]));
}

static vq_tensor *prepend_to_many(vq_tape *t, vq_tensor *const *in)
{
  return vq_prepend(t, many(t, in, 3, (int64_t[]){11, 99, 101}), in[2], in[3]);
}

static vq_tensor *prepend_with_many(vq_tape *t, vq_tensor *const *in)
{
  return vq_prepend(t, in[3], in[2], many(t, in, 2, (int64_t[]){100, 101}));
}

/* ---- cross_entropy ---- */

static vq_tensor *cross_entropy(vq_tape *t, vq_tensor *const *in)
{
  return vq_cross_entropy(t, in[0], in[1]);
}

static vq_tensor *cross_entropy_added(vq_tape *t, vq_tensor *const *in)
{
  return vq_mul(t, vq_cross_entropy(t, in[0], in[1]), vq_cross_entropy(t, in[0], in[2]));
}

static vq_tensor *cross_entropy_of_many(vq_tape *t, vq_tensor *const *in)
{
  return vq_cross_entropy(t, many(t, in, 2, (int64_t[]){301, 23}), in[2]);
}

/* Rows for the tiles of a GPU's kernels: too many numbers for central differences. */
#define TILES "test_cuda_ops compares its gradient with the CPU's, which the smaller rows check"

/* clang-format off */
const vq_case vq_cases_clip[] = {
    {"attention", &vq_op_attention, attention2, {LEAF(2, 5, 18)}},
    {"attention, one token", &vq_op_attention, attention2, {LEAF(3, 1, 12)}},
    {"attention, causal", &vq_op_attention, attention2_causal, {LEAF(2, 7, 12)}},
    {"attention, several blocks", &vq_op_attention, attention1, {LEAF(1, 37, 9)}},
    {"attention, several blocks, causal", &vq_op_attention, attention2_causal, {LEAF(1, 37, 12)}},
    {"attention, large scores", &vq_op_attention, attention2, {{.kind = VQ_INPUT_LEAF, DIMS(1, 6, 24), .spread = 4}}},
    {"attention, heads of 64 columns", &vq_op_attention, attention2, {LEAF(2, 50, 384)}, NULL, TILES},
    {"attention, tiles of rows, causal", &vq_op_attention, attention2_causal, {LEAF(1, 77, 144)}, NULL, TILES},
    {"attention, many tiles", &vq_op_attention, attention1, {LEAF(1, 197, 96)}, NULL, TILES},
    {"attention, a head of 80 columns", &vq_op_attention, attention1, {LEAF(1, 66, 240)}, NULL, TILES},
    {"attention, a wide head, causal", &vq_op_attention, attention1_causal, {LEAF(1, 70, 360)}, NULL, TILES},
    {"attention, a head of 512 columns", &vq_op_attention, attention1, {LEAF(1, 70, 1536)}, NULL, TILES},
    {"attention, a head of 264 columns, causal", &vq_op_attention, attention1_causal, {LEAF(1, 53, 792)}, NULL, TILES},
    {"attention, a wide head of a batch", &vq_op_attention, attention_of_batch, {LEAF(1, 70, 408)}, NULL, TILES},
    {"attention, heads of 136 columns", &vq_op_attention, attention2, {LEAF(2, 33, 816)}, NULL, TILES},
    {"attention, tiles, added to", &vq_op_attention, attention_twice, {LEAF(1, 9, 96)}},
    {"attention, added to", &vq_op_attention, attention_added, {LEAF(2, 5, 12)}},
    {"attention, no gradient", &vq_op_attention, attention2, {CONST(2, 19, 18)}},
    {"attention, scores of 48 KiB", &vq_op_attention, attention1, {LEAF(1, 767, 3)}, NULL, TILES},
    {"attention, more blocks than scratch", &vq_op_attention, attention_of_many, {CONST(21600, 1), LEAF(1, 1)}},

    {"embed", &vq_op_embed, embed, {IDS(11, 3, 5), LEAF(11, 7), LEAF(6, 7)}},
    {"embed, no places", &vq_op_embed, embed, {IDS(4, 3, 5), LEAF(4, 7), NONE}},
    {"embed, places only", &vq_op_embed, embed, {IDS(11, 3, 5), FROZEN(11, 7), LEAF(5, 7)}},
    {"embed, frozen", &vq_op_embed, embed, {IDS(11, 3, 5), FROZEN(11, 7), FROZEN(5, 7)}},
    {"embed, added to", &vq_op_embed, embed_added, {IDS(5, 2, 4), LEAF(5, 3), LEAF(6, 3)}},
    {"embed, one table for both", &vq_op_embed, embed_one_table, {IDS(5, 2, 4), LEAF(5, 3)}},
    {"embed, several tasks", &vq_op_embed, embed_from_many, {CONST(106053, 1), LEAF(1, 1), IDS(2001, 2, 5)}},
    {"embed, several tasks of tokens", &vq_op_embed, embed_places_from_many, {CONST(25843, 1), LEAF(1, 1), IDS(7, 5, 601), FROZEN(7, 43)}},
    {"take_row", &vq_op_take_row, take_row, {LEAF(4, 3, 5), IDS(3, 4)}},
    {"take_row, added to", &vq_op_take_row, take_row_added, {LEAF(4, 3, 5), IDS(3, 4), IDS(3, 4)}},
    {"take_row, several tasks", &vq_op_take_row, take_row_of_many, {CONST(134865, 1), LEAF(1, 1), IDS(999, 5)}},

    {"patchify", &vq_op_patchify, patchify2, {LEAF(2, 6, 6, 3)}},
    {"patchify, odd patches", &vq_op_patchify, patchify3, {LEAF(1, 9, 9, 3)}},
    {"patchify, added to", &vq_op_patchify, patchify_added, {LEAF(1, 4, 4, 3)}},
    {"patchify, several tasks", &vq_op_patchify, patchify_of_many, {CONST(79524, 1), LEAF(1, 1)}},
    {"prepend", &vq_op_prepend, prepend, {LEAF(2, 3, 5), LEAF(5), LEAF(4, 5)}},
    {"prepend, frozen", &vq_op_prepend, prepend, {LEAF(2, 3, 5), FROZEN(5), FROZEN(4, 5)}},
    {"prepend, first only", &vq_op_prepend, prepend, {CONST(2, 3, 5), LEAF(5), FROZEN(4, 5)}},
    {"prepend, added to", &vq_op_prepend, prepend_added, {LEAF(2, 3, 5), LEAF(5), LEAF(4, 5)}},
    {"prepend, several tasks", &vq_op_prepend, prepend_to_many, {CONST(109989, 1), LEAF(1, 1), FROZEN(101), FROZEN(100, 101)}},
    {"prepend, several tasks of places", &vq_op_prepend, prepend_with_many, {CONST(10100, 1), LEAF(1, 1), FROZEN(101), CONST(11, 99, 101)}},

    {"cross_entropy", &vq_op_cross_entropy, cross_entropy, {LEAF(5, 7), IDS(7, 5)}},
    {"cross_entropy, large logits", &vq_op_cross_entropy, cross_entropy, {{.kind = VQ_INPUT_LEAF, DIMS(4, 19), .spread = 8}, IDS(19, 4)}},
    {"cross_entropy, added to", &vq_op_cross_entropy, cross_entropy_added, {LEAF(5, 7), IDS(7, 5), IDS(7, 5)}},
    {"cross_entropy, several tasks", &vq_op_cross_entropy, cross_entropy_of_many, {CONST(6923, 1), LEAF(1, 1), IDS(23, 301)}},
    {NULL},
};
/* clang-format on */
