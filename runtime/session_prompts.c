/* session_prompts.c -- what a session is to show: texts, pictures and noise, and the features of CLIP that they want. */
#include "runtime/session.h"

#include "base/rng.h"
#include "loaders/image.h"
#include "runtime/perceive.h"
#include "runtime/prompt.h"
#include "runtime/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- adding ---- */

/* A word, without the marks around it, that makes more than one token is none that the network was taught. */
static bool never_seen(const vq_tokenizer *tokenizer, int32_t *ids, const char *word, size_t bytes)
{
  int tokens = 0;
  return !vq_tokenizer_encode(tokenizer, ids, &tokens, word, bytes, VQ_TOO_LONG_CUT) && tokens > 3;
}

static bool is_letter(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80);
}

/* Names the words that a network of a pair, whose vocabulary holds the words it was taught, has never seen. Others' vocabularies
 * hold pieces of everything. */
static void warn_of_words(const vq_session *s, int32_t *ids, const char *text)
{
  char words[256] = "";
  size_t used = 0;
  if (!vq_network_pair(s->clip))
    return;
  for (const char *p = text; *p;) {
    size_t n = 0;
    while (is_letter(p[n]))
      n++;
    if (n && never_seen(s->tokenizer, ids, p, n) && used + n + 5 < sizeof words)
      used += (size_t)snprintf(words + used, sizeof words - used, "%s\"%.*s\"", used ? ", " : "", (int)n, p);
    p += n ? n : 1;
  }
  if (used)
    vq_log_warning(&s->settings.log, "%s never saw %s: that part of the prompt will mean little to it",
                   vq_network_name(s->clip), words);
}

static vq_status check_text(const vq_session *s, const char *text)
{
  int context = vq_tokenizer_context(s->tokenizer), tokens = 0;
  int32_t *ids = calloc((size_t)context, sizeof *ids);
  vq_status status = ids ? vq_tokens(s->tokenizer, text, s->settings.strict, ids, &tokens)
                         : vq_fail(VQ_ERR_MEMORY, "no memory for a prompt");
  if (!status && tokens > context)
    vq_log_warning(&s->settings.log,
                   "the prompt makes %d tokens and the network reads %d: its end is left out (%.60s...)", tokens,
                   context, text);
  if (!status)
    warn_of_words(s, ids, text);
  free(ids);
  return status;
}

vq_status vq_session_add(vq_session *s, const vq_prompt *p)
{
  vq_image picture;
  if (s->engine)
    return vq_fail(VQ_ERR_ARGUMENT, "prompts are added before the session starts");
  if (s->prompts == VQ_MOST_PROMPTS)
    return vq_fail(VQ_ERR_ARGUMENT, "more than %d prompts", VQ_MOST_PROMPTS);
  VQ_TRY(vq_prompt_check(p));
  if (p->kind == VQ_PROMPT_TEXT)
    VQ_TRY(check_text(s, p->text));
  if (p->kind == VQ_PROMPT_IMAGE) {
    VQ_TRY(vq_image_read(&picture, p->text));
    vq_image_free(&picture);
    VQ_TRY(vq_identify(&s->files.picture[s->prompts], p->text));
  }
  char *text = strdup(p->text);
  if (!text)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a prompt");
  s->prompt[s->prompts] = *p;
  s->prompt[s->prompts++].text = text;
  s->phases = p->phase + 1 > s->phases ? p->phase + 1 : s->phases;
  return VQ_OK;
}

vq_status vq_session_prompt(vq_session *s, const char *text, double weight, double stop)
{
  return vq_session_add(s, &(vq_prompt){VQ_PROMPT_TEXT, text, weight, stop, VQ_EVERY_PHASE});
}

/* ---- before the start ---- */

static vq_status check_phases(const vq_session *s)
{
  int64_t every = s->settings.phase_every;
  if (s->phases > 1 && !every)
    return vq_fail(
        VQ_ERR_ARGUMENT,
        "there are %d phases, and how many steps each takes is not said: --phase-every N (for the character "
        "^ itself write \\^)",
        s->phases);
  if (s->phases <= 1 && every)
    return vq_fail(
        VQ_ERR_ARGUMENT,
        "--phase-every %lld: there is one phase only; ^ between prompts separates phases, \"dawn ^ dusk\"",
        (long long)every);
  for (int phase = 0; s->phases > 1 && phase < s->phases; phase++) {
    bool any = false;
    for (int i = 0; i < s->prompts; i++)
      any = any || s->prompt[i].phase == phase;
    if (!any)
      return vq_fail(VQ_ERR_PROMPT, "phase %d of %d has no text", phase + 1, s->phases);
  }
  if (s->phases > 1 && s->settings.steps >= 0 && s->settings.steps <= every * (s->phases - 1))
    return vq_fail(VQ_ERR_ARGUMENT,
                   "%lld steps end before the last of %d phases begins: phases of %lld steps need %lld or more",
                   (long long)s->settings.steps, s->phases, (long long)every, (long long)(every * s->phases));
  return VQ_OK;
}

vq_status vq_session_check_prompts(vq_session *s)
{
  bool pulls = false;
  if (!s->prompts)
    return vq_fail(VQ_ERR_PROMPT, "there is no prompt: say what the picture is to show");
  for (int i = 0; i < s->prompts; i++)
    pulls = pulls || s->prompt[i].weight != 0;
  if (!pulls)
    return vq_fail(VQ_ERR_PROMPT, "every prompt has the weight 0: nothing would move the picture");
  return check_phases(s);
}

/* ---- what they want ---- */

static vq_status keep(vq_session *s, int i, int rows, const vq_real *features)
{
  size_t bytes = (size_t)rows * (size_t)vq_network_clip(s->clip)->embed_dim * sizeof *features;
  free(s->wanted[i]);
  s->wanted[i] = malloc(bytes);
  if (!s->wanted[i])
    return vq_fail(VQ_ERR_MEMORY, "no memory for the prompts");
  memcpy(s->wanted[i], features, bytes);
  return VQ_OK;
}

vq_status vq_session_want(vq_session *s)
{
  for (int i = 0; i < s->prompts; i++)
    VQ_TRY(vq_engine_set_target(s->engine, i, s->wanted[i]));
  return VQ_OK;
}

static vq_status draw_noise(vq_session *s, int i, int width, vq_real *features)
{
  uint64_t seed = strtoull(s->prompt[i].text, NULL, 10);
  for (int k = 0; k < width; k++)
    features[k] = (vq_real)vq_rng_normal(seed, VQ_RNG_PROMPT, 0, (uint64_t)k);
  return keep(s, i, 1, features);
}

/* The tower is read once for all texts. */
static vq_status encode_texts(vq_session *s, int32_t *ids, vq_real *features)
{
  int context = vq_tokenizer_context(s->tokenizer), width = vq_network_clip(s->clip)->embed_dim;
  int texts = 0, tokens, k = 0;
  for (int i = 0; i < s->prompts; i++)
    if (s->prompt[i].kind == VQ_PROMPT_TEXT)
      VQ_TRY(vq_tokens(s->tokenizer, s->prompt[i].text, s->settings.strict, ids + texts++ * context, &tokens));
  if (texts)
    VQ_TRY(vq_text_features(s->clip, ids, texts, &s->place, features));
  for (int i = 0; i < s->prompts; i++)
    if (s->prompt[i].kind == VQ_PROMPT_TEXT)
      VQ_TRY(keep(s, i, 1, features + k++ * width));
  return VQ_OK;
}

vq_status vq_session_encode_texts(vq_session *s)
{
  int context = vq_tokenizer_context(s->tokenizer), width = vq_network_clip(s->clip)->embed_dim;
  int32_t *ids = calloc((size_t)(s->prompts * context), sizeof *ids);
  vq_real *features = calloc((size_t)(s->prompts * width), sizeof *features);
  vq_status status =
      ids && features ? encode_texts(s, ids, features) : vq_fail(VQ_ERR_MEMORY, "no memory for the prompts");
  for (int i = 0; i < s->prompts && !status; i++)
    if (s->prompt[i].kind == VQ_PROMPT_NOISE)
      status = draw_noise(s, i, width, features);
  free(ids);
  free(features);
  return status;
}

vq_status vq_session_encode_pictures(vq_session *s)
{
  const vq_settings *set = &s->settings;
  size_t count = (size_t)set->cutouts * (size_t)vq_network_clip(s->clip)->embed_dim;
  vq_real *features = malloc(count * sizeof *features);
  vq_status status = features ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for the prompts");
  for (int i = 0; i < s->prompts && !status; i++) {
    if (s->prompt[i].kind != VQ_PROMPT_IMAGE)
      continue;
    vq_target_picture picture = {s->clip, set, s->prompt[i].text, s->w * s->factor, s->h * s->factor, i};
    status = vq_target_features(&picture, features);
    if (!status)
      status = keep(s, i, set->cutouts, features);
  }
  free(features);
  return status;
}
