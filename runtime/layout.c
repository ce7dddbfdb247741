/* layout.c -- the families' tables, and how names are matched with them. Contract: layout.h. */
#include "runtime/layout.h"

#include "loaders/input.h"

#include <stdlib.h>
#include <string.h>

/* A name in the checkpoint, behind the prefix, and what it is published as: * stands for anything without a dot, ** for all that is
 * left, and each is put in again in its turn. `to` NULL: not needed. The first rule that fits counts. */
typedef struct rule {
  const char *from, *to;
  int piece, pieces; /* 0, 0: the whole tensor; else which of how many on top of each other */
  bool transposed;
} rule;

static const rule vqgan_rules[] = {
    {"encoder.**", "encoder.**"},
    {"decoder.**", "decoder.**"},
    {"quant_conv.*", "quant_conv.*"},
    {"post_quant_conv.*", "post_quant_conv.*"},
    {"quantize.embedding.weight", "quantize.embedding.weight"},
    {"quantize.embed.weight", "quantize.embed.weight"},
    {"quantize.proj.*", "quantize.proj.*"},
    {"quantize.cluster_size", NULL}, /* of a codebook that was trained as a moving average */
    {"quantize.embed_avg", NULL},
    {"quantize.embedding.cluster_size", NULL},
    {"quantize.embedding.embed_avg", NULL},
    {"loss.**", NULL}, /* the discriminator and VGG, which training needed */
    {"colorize", NULL},
    {NULL},
};

static const rule clip_rules[] = {
    {"visual.**", "visual.**"},
    {"transformer.**", "transformer.**"},
    {"token_embedding.weight", "token_embedding.weight"},
    {"positional_embedding", "positional_embedding"},
    {"ln_final.*", "ln_final.*"},
    {"text_projection", "text_projection"},
    {"text_projection.weight", "text_projection", .transposed = true},
    {"logit_scale", "logit_scale"},
    {"text.attn_mask", NULL},
    {"text.text_projection.weight", "text_projection", .transposed = true},
    {"text.**", "**"}, /* open_clip's custom text tower */
    {"logit_bias", NULL},
    {"attn_mask", NULL},
    {"input_resolution", NULL}, /* numbers that OpenAI stored as tensors */
    {"context_length", NULL},
    {"vocab_size", NULL},
    {NULL},
};

#define HUGGING_FACE_BLOCKS(from, to)                                                \
  {from ".layers.*.self_attn.q_proj.*", to ".resblocks.*.attn.in_proj_*", 0, 3},     \
      {from ".layers.*.self_attn.k_proj.*", to ".resblocks.*.attn.in_proj_*", 1, 3}, \
      {from ".layers.*.self_attn.v_proj.*", to ".resblocks.*.attn.in_proj_*", 2, 3}, \
      {from ".layers.*.self_attn.out_proj.*", to ".resblocks.*.attn.out_proj.*"},    \
      {from ".layers.*.layer_norm1.*", to ".resblocks.*.ln_1.*"},                    \
      {from ".layers.*.layer_norm2.*", to ".resblocks.*.ln_2.*"},                    \
      {from ".layers.*.mlp.fc1.*", to ".resblocks.*.mlp.c_fc.*"},                    \
  {                                                                                  \
    from ".layers.*.mlp.fc2.*", to ".resblocks.*.mlp.c_proj.*"                       \
  }

static const rule hugging_face_rules[] = {
    {"vision_model.embeddings.class_embedding", "visual.class_embedding"},
    {"vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"},
    {"vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"},
    {"vision_model.pre_layrnorm.*", "visual.ln_pre.*"}, /* spelt so */
    {"vision_model.pre_layernorm.*", "visual.ln_pre.*"},
    HUGGING_FACE_BLOCKS("vision_model.encoder", "visual.transformer"),
    {"vision_model.post_layernorm.*", "visual.ln_post.*"},
    {"visual_projection.weight", "visual.proj", .transposed = true},
    {"text_model.embeddings.token_embedding.weight", "token_embedding.weight"},
    {"text_model.embeddings.position_embedding.weight", "positional_embedding"},
    HUGGING_FACE_BLOCKS("text_model.encoder", "transformer"),
    {"text_model.final_layer_norm.*", "ln_final.*"},
    {"text_projection.weight", "text_projection", .transposed = true},
    {"logit_scale", "logit_scale"},
    {"*.embeddings.position_ids", NULL},
    {NULL},
};

/* By the anchor, a tensor that all of a family have, it is known. */
static const struct family {
  const char *name, *anchor;
  vq_network_kind kind;
  const rule *rules;
} families[] = {
    {"CLIP as Hugging Face names it", "vision_model.embeddings.patch_embedding.weight", VQ_NETWORK_CLIP,
     hugging_face_rules},
    {"CLIP as OpenAI and open_clip name it", "visual.conv1.weight", VQ_NETWORK_CLIP, clip_rules},
    {"VQGAN as taming-transformers names it", "decoder.conv_in.weight", VQ_NETWORK_VQGAN, vqgan_rules},
};
#define FAMILIES (int)(sizeof families / sizeof *families)

/* What is often given instead, by a tensor that it has. */
static const struct stranger {
  const char *anchor, *what;
} strangers[] = {
    {"visual.trunk.patch_embed.proj.weight",
     "a CLIP whose image tower is of timm's making, which vqgen has no network for"},
    {"model.diffusion_model.input_blocks.0.0.weight",
     "a diffusion network (Stable Diffusion), not a VQGAN or a CLIP"},
    {"text_model.embeddings.token_embedding.weight",
     "the text tower of a CLIP alone: get the file that has both towers"},
    {"token_embedding.weight", "the text tower of a CLIP alone: get the file that has both towers"},
    {"to_logits.1.weight", "a DALL-E, not a VQGAN"},
};

/* ---- matching ---- */

#define NAME_BYTES 256
#define STARS      4

typedef struct match {
  const char *at[STARS];
  int length[STARS], count;
} match;

static bool fits(const char *pattern, const char *name, match *m)
{
  for (; *pattern; pattern++) {
    if (*pattern != '*') {
      if (*pattern != *name++)
        return false;
      continue;
    }
    bool all = pattern[1] == '*';
    int length = (int)(all ? strlen(name) : strcspn(name, "."));
    if (!length || m->count == STARS)
      return false;
    m->at[m->count] = name;
    m->length[m->count++] = length;
    name += length;
    pattern += all;
  }
  return !*name;
}

static vq_status fill(char out[NAME_BYTES], const char *to, const match *m)
{
  int star = 0;
  size_t used = 0;
  for (; *to; to++) {
    const char *text = to;
    int length = 1;
    if (*to == '*') {
      text = m->at[star];
      length = m->length[star++];
      to += to[1] == '*';
    }
    if (used + (size_t)length >= NAME_BYTES)
      return vq_fail(VQ_ERR_FORMAT, "a tensor's name is longer than %d letters: %.60s...", NAME_BYTES - 1,
                     m->at[0]);
    memcpy(out + used, text, (size_t)length);
    used += (size_t)length;
  }
  out[used] = 0;
  return VQ_OK;
}

/* ---- which family, behind which prefix ---- */

/* How well a prefix does: the picture's own network before others that a checkpoint carries with it. */
static int worth(const char *prefix)
{
  return strstr(prefix, "cond_stage") || strstr(prefix, "teacher") ? 0
         : strstr(prefix, "ema")                                   ? 1
         : strstr(prefix, "first_stage_model.")                    ? 3
                                                                   : 2;
}

/* The best prefix before an anchor; NULL: the anchor is not there. The caller frees it. */
static char *find_prefix(const vq_checkpoint *checkpoint, const char *anchor)
{
  size_t length = strlen(anchor);
  char *best = NULL;
  for (int i = 0; i < vq_checkpoint_count(checkpoint); i++) {
    const char *name = vq_checkpoint_at(checkpoint, i)->name;
    size_t n = strlen(name);
    if (n < length || strcmp(name + n - length, anchor) || (n > length && name[n - length - 1] != '.'))
      continue;
    char *prefix = strndup(name, n - length);
    if (!prefix || (best && worth(prefix) <= worth(best))) {
      free(prefix);
      continue;
    }
    free(best);
    best = prefix;
  }
  return best;
}

static bool ends_in(const char *name, const char *end)
{
  size_t n = strlen(name), m = strlen(end);
  return n >= m && !strcmp(name + n - m, end);
}

static vq_status nothing_known(const vq_checkpoint *checkpoint)
{
  int count = vq_checkpoint_count(checkpoint);
  for (size_t s = 0; s < sizeof strangers / sizeof *strangers; s++)
    for (int i = 0; i < count; i++)
      if (ends_in(vq_checkpoint_at(checkpoint, i)->name, strangers[s].anchor))
        return vq_fail(VQ_ERR_NETWORK, "it holds %s (it has %s)", strangers[s].what,
                       vq_checkpoint_at(checkpoint, i)->name);
  if (!count)
    return vq_fail(VQ_ERR_NETWORK, "it holds no tensors");
  return vq_fail(VQ_ERR_NETWORK,
                 "it holds no network that vqgen knows: none of its %d tensors (%s ...) is called %s, %s or %s",
                 count, vq_checkpoint_at(checkpoint, 0)->name, families[2].anchor, families[1].anchor,
                 families[0].anchor);
}

/* ---- the layout ---- */

static vq_status take(vq_layout *l, const vq_checkpoint *checkpoint, const rule *r, const match *m, int index)
{
  char name[NAME_BYTES];
  VQ_TRY(fill(name, r->to, m));
  vq_layout_weight *w = &l->weight[l->count];
  *w = (vq_layout_weight){.name = strdup(name), .pieces = r->pieces ? r->pieces : 1, .tensor = {-1, -1, -1}};
  w->tensor[r->piece] = index;
  w->transposed = r->transposed && vq_checkpoint_at(checkpoint, index)->rank == 2;
  l->count += w->name != NULL;
  return w->name ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for the names of the tensors");
}

static int by_name(const void *a, const void *b)
{
  return strcmp(((const vq_layout_weight *)a)->name, ((const vq_layout_weight *)b)->name);
}

/* Of neighbours by one name, one: with all of their pieces. */
static vq_status merge(vq_layout *l, const vq_checkpoint *checkpoint)
{
  int kept = 0;
  vq_status status = VQ_OK;
  for (int i = 0; i < l->count; i++) {
    vq_layout_weight *w = &l->weight[i], *same = kept ? &l->weight[kept - 1] : NULL;
    if (!same || strcmp(same->name, w->name)) {
      l->weight[kept++] = *w;
      continue;
    }
    for (int p = 0; p < 3; p++) {
      if (w->tensor[p] >= 0 && same->tensor[p] >= 0 && !status)
        status =
            vq_fail(VQ_ERR_NETWORK, "%s and %s are both %s", vq_checkpoint_at(checkpoint, same->tensor[p])->name,
                    vq_checkpoint_at(checkpoint, w->tensor[p])->name, w->name);
      if (w->tensor[p] >= 0)
        same->tensor[p] = w->tensor[p];
    }
    free(w->name);
  }
  l->count = kept;
  return status;
}

/* Published shapes; pieces must be there and alike. */
static vq_status shape_of(vq_layout_weight *w, const vq_checkpoint *checkpoint)
{
  for (int p = 0; p < w->pieces; p++) {
    if (w->tensor[p] < 0)
      return vq_fail(VQ_ERR_NETWORK, "part %d of %d of %s is missing", p + 1, w->pieces, w->name);
    const vq_file_tensor *x = vq_checkpoint_at(checkpoint, w->tensor[p]),
                         *first = vq_checkpoint_at(checkpoint, w->tensor[0]);
    if (x->rank != first->rank || memcmp(x->dim, first->dim, (size_t)x->rank * sizeof *x->dim))
      return vq_fail(VQ_ERR_NETWORK, "%s and %s differ in shape", first->name, x->name);
  }
  const vq_file_tensor *x = vq_checkpoint_at(checkpoint, w->tensor[0]);
  if (x->rank > VQ_RANK)
    return vq_fail(VQ_ERR_NETWORK, "%s has %d dimensions; at most %d are possible", x->name, x->rank, VQ_RANK);
  w->rank = x->rank;
  w->dtype = x->dtype;
  for (int i = 0; i < VQ_RANK; i++)
    w->dim[i] = i < x->rank ? x->dim[i] : 1;
  if (w->pieces > 1 && w->rank)
    w->dim[0] *= w->pieces;
  if (w->transposed) {
    w->dim[0] = x->dim[1];
    w->dim[1] = x->dim[0];
  }
  return VQ_OK;
}

static vq_status match_all(vq_layout *l, const vq_checkpoint *checkpoint, const struct family *f)
{
  size_t skip = strlen(l->prefix);
  int count = vq_checkpoint_count(checkpoint);
  for (int i = 0; i < count; i++) {
    const char *name = vq_checkpoint_at(checkpoint, i)->name;
    const rule *r = f->rules;
    match m = {.count = 0};
    if (strncmp(name, l->prefix, skip)) {
      l->ignored++;
      continue;
    }
    for (; r->from && !fits(r->from, name + skip, &m); r++)
      m.count = 0;
    if (r->to)
      VQ_TRY(take(l, checkpoint, r, &m, i));
    else if (r->from)
      l->ignored++;
    else
      l->superfluous[l->superfluous_count++] = i;
  }
  qsort(l->weight, (size_t)l->count, sizeof *l->weight, by_name);
  VQ_TRY(merge(l, checkpoint));
  for (int i = 0; i < l->count; i++)
    VQ_TRY(shape_of(&l->weight[i], checkpoint));
  return VQ_OK;
}

vq_status vq_layout_find(vq_layout **out, const vq_checkpoint *checkpoint)
{
  const struct family *f = families;
  char *prefix = NULL;
  *out = NULL;
  for (; f < families + FAMILIES && !(prefix = find_prefix(checkpoint, f->anchor)); f++)
    ;
  if (!prefix)
    return nothing_known(checkpoint);
  size_t count = (size_t)vq_checkpoint_count(checkpoint);
  vq_layout *l = calloc(1, sizeof *l);
  if (l) {
    *l = (vq_layout){.family = f->name, .kind = f->kind, .prefix = prefix};
    l->weight = calloc(count, sizeof *l->weight);
    l->superfluous = calloc(count, sizeof *l->superfluous);
  } else {
    free(prefix);
  }
  vq_status status = l && l->weight && l->superfluous
                         ? match_all(l, checkpoint, f)
                         : vq_fail(VQ_ERR_MEMORY, "no memory for the names of %zu tensors", count);
  if (status)
    vq_layout_free(l);
  else
    *out = l;
  return status;
}

void vq_layout_keep(vq_layout *l, const bool *asked)
{
  int kept = 0;
  for (int i = 0; i < l->count; i++) {
    vq_layout_weight *w = &l->weight[i];
    if (asked[i] || !strcmp(w->name, "logit_scale")) {
      l->weight[kept++] = *w;
      continue;
    }
    for (int p = 0; p < w->pieces; p++)
      l->superfluous[l->superfluous_count++] = w->tensor[p];
    free(w->name);
  }
  l->count = kept;
}

void vq_layout_free(vq_layout *l)
{
  if (!l)
    return;
  for (int i = 0; i < l->count; i++)
    free(l->weight[i].name);
  free(l->weight);
  free(l->superfluous);
  free(l->prefix);
  free(l);
}

const vq_layout_weight *vq_layout_weight_of(const vq_layout *l, const char *name)
{
  vq_layout_weight key = {.name = (char *)name};
  return l->count ? bsearch(&key, l->weight, (size_t)l->count, sizeof key, by_name) : NULL;
}

size_t vq_layout_elements(const vq_layout_weight *w)
{
  size_t count = 1;
  for (int i = 0; i < w->rank && i < VQ_RANK; i++)
    count *= (size_t)w->dim[i];
  return count;
}

/* ---- values ---- */

/* `bytes` each, [rows,columns] to [columns,rows]. */
static void transpose(char *to, const char *from, int64_t rows, int64_t columns, size_t bytes)
{
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      memcpy(to + (size_t)(j * rows + i) * bytes, from + (size_t)(i * columns + j) * bytes, bytes);
}

/* One piece's bytes, as stored; *owned is to be freed. */
static vq_status piece_of(const vq_checkpoint *checkpoint, int index, vq_file_tensor *piece, void **owned)
{
  *piece = *vq_checkpoint_at(checkpoint, index);
  *owned = NULL;
  if (piece->data)
    return VQ_OK;
  *owned = malloc(piece->bytes ? piece->bytes : 1);
  if (!*owned)
    return vq_fail(VQ_ERR_MEMORY, "no memory for %zu MiB of %s", piece->bytes >> 20, piece->name);
  piece->data = *owned;
  return vq_checkpoint_read(checkpoint, index, *owned);
}

static void read_reals(const vq_file_tensor *from, vq_real *to)
{
#ifdef VQ_DOUBLE
  vq_file_tensor_read_f64(from, to);
#else
  vq_file_tensor_read_f32(from, to);
#endif
}

vq_status vq_layout_read(const vq_layout_weight *w, const vq_checkpoint *checkpoint, vq_real *out)
{
  size_t each = vq_layout_elements(w) / (size_t)w->pieces;
  vq_status status = VQ_OK;
  vq_real *straight = w->transposed ? malloc(each * sizeof *straight) : NULL;
  if (w->transposed && !straight)
    return vq_fail(VQ_ERR_MEMORY, "no memory for %s", w->name);
  for (int p = 0; p < w->pieces && !status; p++) {
    vq_file_tensor piece;
    void *owned;
    vq_real *to = straight ? straight : out + (size_t)p * each;
    status = piece_of(checkpoint, w->tensor[p], &piece, &owned);
    if (!status)
      read_reals(&piece, to);
    if (!status && !owned)
      vq_input_forget(piece.data, piece.bytes);
    free(owned);
  }
  if (!status && straight)
    transpose((char *)out, (const char *)straight, w->dim[1], w->dim[0], sizeof *out);
  free(straight);
  return status;
}

vq_status vq_layout_read_rows(const vq_layout_weight *w, const vq_checkpoint *checkpoint, const int32_t *row,
                              int count, vq_real *out)
{
  const vq_file_tensor *stored = vq_checkpoint_at(checkpoint, w->tensor[0]);
  size_t columns = (size_t)w->dim[1], bytes = columns * vq_file_dtype_bytes(stored->dtype);
  if (w->pieces == 1 && !w->transposed && stored->data) {
    for (int i = 0; i < count; i++) {
      vq_file_tensor one = {
          stored->name, stored->dtype, 1, {w->dim[1]}, (const char *)stored->data + (size_t)row[i] * bytes, bytes};
      read_reals(&one, out + (size_t)i * columns);
    }
    return VQ_OK;
  }
  vq_real *all = malloc(vq_layout_elements(w) * sizeof *all + 1);
  vq_status status = all ? vq_layout_read(w, checkpoint, all) : vq_fail(VQ_ERR_MEMORY, "no memory for %s", w->name);
  for (int i = 0; i < count && !status; i++)
    memcpy(out + (size_t)i * columns, all + (size_t)row[i] * columns, columns * sizeof *out);
  free(all);
  return status;
}

/* The piece's columns as rows; *owned is replaced. */
static vq_status turn(vq_file_tensor *piece, void **owned)
{
  char *turned = malloc(piece->bytes ? piece->bytes : 1);
  if (!turned)
    return vq_fail(VQ_ERR_MEMORY, "no memory for %zu MiB of %s", piece->bytes >> 20, piece->name);
  transpose(turned, piece->data, piece->dim[0], piece->dim[1], vq_file_dtype_bytes(piece->dtype));
  free(*owned);
  *owned = turned;
  piece->data = turned;
  return VQ_OK;
}

vq_status vq_layout_pieces(const vq_layout_weight *w, const vq_checkpoint *checkpoint, vq_layout_take give,
                           void *user)
{
  vq_status status = VQ_OK;
  for (int p = 0; p < w->pieces && !status; p++) {
    vq_file_tensor piece;
    void *owned;
    status = piece_of(checkpoint, w->tensor[p], &piece, &owned);
    const void *mapped = owned ? NULL : piece.data;
    if (mapped)
      vq_input_want(mapped, piece.bytes);
    if (!status && w->transposed)
      status = turn(&piece, &owned);
    if (!status)
      status = give(user, &piece);
    if (mapped)
      vq_input_forget(mapped, piece.bytes);
    free(owned);
  }
  return status;
}
