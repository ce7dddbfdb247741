/* used_tokens.c -- stands before a network's weights and answers for its table of tokens. Contract: used_tokens.h. */
#include "runtime/used_tokens.h"

#include <stdlib.h>
#include <string.h>

#define FEWEST 3 /* entries that a CLIP must have: two ends of a text, and one between them */

static const char table[] = "token_embedding.weight";

static bool find_shape(const void *user, const char *name, int *rank, int64_t *dim)
{
  const vq_used_tokens *used = user;
  const vq_weight_source *all = vq_network_weights(used->clip);
  bool found = all->shape(all->user, name, rank, dim);
  /* A table that is not as the settings say is left as it is, so that the error names what is there. */
  if (found && !strcmp(name, table) && *rank == 2 && dim[0] == vq_network_clip(used->clip)->vocab_size)
    dim[0] = used->config.vocab_size;
  return found;
}

static vq_status read_values(const void *user, const char *name, vq_real *out)
{
  const vq_used_tokens *used = user;
  const vq_weight_source *all = vq_network_weights(used->clip);
  if (strcmp(name, table))
    return all->read(all->user, name, out);
  return vq_layout_read_rows(vq_layout_weight_of(vq_network_layout(used->clip), name),
                             vq_network_checkpoint(used->clip), used->row, used->config.vocab_size, out);
}

vq_status vq_used_tokens_create(vq_used_tokens *out, const vq_network *clip, const int32_t *ids, int64_t count)
{
  int entries = vq_network_clip(clip)->vocab_size, used = 0;
  int32_t *number = calloc((size_t)entries, sizeof *number); /* 0: not used; then the new number of each id */
  *out = (vq_used_tokens){.clip = clip, .config = *vq_network_clip(clip)};
  out->ids = malloc(((size_t)count + 1) * sizeof *ids);
  out->row = malloc(((size_t)count + FEWEST) * sizeof *ids);
  vq_status status = number && out->ids && out->row ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for token ids");
  for (int64_t i = 0; i < count && !status; i++) {
    if (ids[i] < 0 || ids[i] >= entries)
      status = vq_fail(VQ_ERR_ARGUMENT, "token id %d is not in a vocabulary of %d", ids[i], entries);
    else
      number[ids[i]] = 1;
  }
  for (int32_t id = 0; id < FEWEST && id < entries && !status; id++)
    number[id] = 1;
  for (int32_t id = 0; id < entries && !status; id++)
    if (number[id]) {
      number[id] = used;
      out->row[used++] = id;
    }
  for (int64_t i = 0; i < count && !status; i++)
    out->ids[i] = number[ids[i]];
  free(number);
  out->config.vocab_size = used;
  out->source =
      (vq_weight_source){.user = out, .name = vq_network_path(clip), .shape = find_shape, .read = read_values};
  if (status)
    vq_used_tokens_free(out);
  return status;
}

void vq_used_tokens_free(vq_used_tokens *used)
{
  free(used->row);
  free(used->ids);
  *used = (vq_used_tokens){.clip = NULL};
}
