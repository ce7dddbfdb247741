/* features.c -- reads what is to be looked at, and hands it to CLIP. */
#include "tools/vqgen/features.h"

#include <stdlib.h>

static vq_status reserve(const vq_network *clip, int count, vq_real **features)
{
  *features = calloc((size_t)count * (size_t)vq_network_clip(clip)->embed_dim, sizeof **features);
  return *features ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for the features of %d", count);
}

static vq_status tokens_of(const vq_tokenizer *tokenizer, const words *texts, int32_t *ids)
{
  int context = vq_tokenizer_context(tokenizer), tokens;
  for (int i = 0; i < texts->count; i++) {
    VQ_TRY(vq_tokens(tokenizer, texts->word[i], false, ids + (int64_t)i * context, &tokens));
    if (tokens > context)
      vq_log_warning(&tool_log, "the text makes %d tokens and the network reads %d: its end is left out (%.60s...)",
                     tokens, context, texts->word[i]);
  }
  return VQ_OK;
}

vq_status features_of_texts(const vq_network *clip, const words *texts, const vq_place *place, vq_real **features)
{
  vq_tokenizer *tokenizer;
  *features = NULL;
  VQ_TRY(vq_network_tokenizer(&tokenizer, clip));
  int32_t *ids = calloc((size_t)texts->count * (size_t)vq_tokenizer_context(tokenizer), sizeof *ids);
  vq_status status = ids ? reserve(clip, texts->count, features) : vq_fail(VQ_ERR_MEMORY, "no memory for tokens");
  if (!status)
    status = tokens_of(tokenizer, texts, ids);
  if (!status)
    status = vq_text_features(clip, ids, texts->count, place, *features);
  free(ids);
  vq_tokenizer_free(tokenizer);
  return status;
}

vq_status picture_read(vq_image *out, const char *path)
{
  stream in;
  *out = (vq_image){.rgb = NULL};
  VQ_TRY(stream_in(&in, path));
  vq_status status = vq_image_read(out, in.path);
  stream_close(&in);
  return status;
}

vq_status features_of_pictures(const vq_network *clip, const words *files, const vq_place *place,
                               vq_real **features)
{
  *features = NULL;
  vq_image *pictures = calloc((size_t)files->count, sizeof *pictures);
  vq_status status =
      pictures ? reserve(clip, files->count, features) : vq_fail(VQ_ERR_MEMORY, "no memory for pictures");
  for (int i = 0; i < files->count && !status; i++)
    status = picture_read(&pictures[i], files->word[i]);
  if (!status)
    status = vq_image_features(clip, pictures, files->count, place, *features);
  for (int i = 0; pictures && i < files->count; i++)
    vq_image_free(&pictures[i]);
  free(pictures);
  return status;
}
