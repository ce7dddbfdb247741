/* used_tokens.h -- a CLIP whose table of tokens has only the rows that some texts use.
 *
 * A published table is 49408 rows, two fifths of the text tower's memory, of which a text uses ten: the other rows are neither read
 * nor converted. Ids are renumbered in their order, so that the largest is still the end of the text; the features are the same to the bit.
 */
#ifndef VQ_RUNTIME_USED_TOKENS_H
#define VQ_RUNTIME_USED_TOKENS_H

#include "runtime/network.h"

typedef struct vq_used_tokens {
  const vq_network *clip; /* borrowed */
  vq_clip_config config;  /* the network's, with fewer entries */
  int32_t *row;           /* [config.vocab_size]: where each entry is in the network's own table, ascending */
  int32_t *ids;           /* the texts' ids by their new numbers */
  vq_weight_source source;
} vq_used_tokens;

/* Of `count` ids. The source borrows *out, which must stay where it is. VQ_ERR_ARGUMENT: an id that is not in the vocabulary. VQ_ERR_MEMORY */
vq_status vq_used_tokens_create(vq_used_tokens *out, const vq_network *clip, const int32_t *ids, int64_t count);
void vq_used_tokens_free(vq_used_tokens *used);

#endif
