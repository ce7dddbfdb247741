/* doctor_files.c -- the user's files: whose they are, whether all is in them, what was assumed, and what words become.
 *
 * A hash is known (published under it), wrong (a file of that name is published under another), or none is recorded: then nothing is claimed.
 */
#include "runtime/doctor.h"

#include "loaders/sha256.h"
#include "runtime/convert.h"
#include "runtime/perceive.h"
#include "runtime/source_hash.h"
#include "vqgen.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *last_part(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}

/* ---- hashes ---- */

/* By what vqgen itself ships with: 1 as recorded, 0 otherwise than recorded, -1 nothing is recorded of it. */
static int as_shipped(const char *path, const char *hash)
{
  static const char *const names[2][2] = {{"vqgan.safetensors", "vqgan_sha256"},
                                          {"clip.safetensors", "clip_sha256"}};
  char *reference = vq_doctor_beside(path);
  int verdict = -1;
  for (int i = 0; reference && i < 2; i++) {
    char *recorded = strcmp(last_part(path), names[i][0]) ? NULL : vq_doctor_metadata(reference, names[i][1]);
    verdict = recorded ? !strcmp(recorded, hash) : verdict;
    free(recorded);
  }
  free(reference);
  return verdict;
}

static const char again[] = "get the file again; until then every other check may fail because of it";

static void judge_hash(vq_doctor *d, const char *check, const char *name, const char *hash, int shipped)
{
  const char *known = vq_known_name(hash), *published = vq_known_hash(name);
  if (known)
    vq_doctor_say(d, check, VQ_CHECK_PASS, "", "known: %s as published", known);
  else if (published || shipped == 0)
    vq_doctor_say(d, check, VQ_CHECK_FAIL, again, "wrong: %s has another SHA-256 than %s (%.12s...)", name,
                  published ? "the published file of that name" : "the reference beside it records", hash);
  else if (shipped > 0)
    vq_doctor_say(d, check, VQ_CHECK_PASS, "", "known: %s as the reference beside it records", name);
  else
    vq_doctor_say(d, check, VQ_CHECK_SKIP, "compare it with what the place that you have it from says",
                  "none recorded for %s: SHA-256 %s", name, hash);
}

static void check_hashes(vq_doctor *d, const char *check, const vq_network *net)
{
  const vq_checkpoint *file = vq_network_checkpoint(net);
  const vq_checkpoint_value *source = vq_checkpoint_value_find(file, "source");
  vq_source_hash kind;
  const char *recorded = vq_network_is_ours(net) ? vq_source_hash_recorded(&kind, file) : NULL;
  if (recorded && source && source->kind == VQ_VALUE_TEXT) {
    if (kind == VQ_SOURCE_SHA256)
      judge_hash(d, check, source->text, recorded, -1);
    else
      vq_doctor_say(d, check, VQ_CHECK_SKIP,
                    "compare the SHA-256 of what it was made from (vqgen inspect --verify) with what the place "
                    "that you have it from says",
                    "made from %s: %s %s", source->text, vq_source_hash_name(kind), recorded);
    return;
  }
  for (int i = 0; i < vq_checkpoint_files(file); i++) {
    char hex[VQ_SHA256_HEX];
    const char *path = vq_checkpoint_file(file, i, NULL);
    if (vq_sha256_file(path, hex))
      vq_doctor_broken(d, check, again);
    else
      judge_hash(d, check, last_part(path), hex, as_shipped(path, hex));
  }
}

/* ---- tensors ---- */

/* What is wrong with a tensor's values, or NULL. A matrix of zeros is what a file that was not written to its end holds. */
static const char *fault_of(const vq_layout_weight *w, const vq_real *values)
{
  bool zero = w->rank >= 2;
  for (size_t i = 0; i < vq_layout_elements(w); i++) {
    if (!isfinite(values[i]))
      return "has values that are not finite";
    zero = zero && values[i] == 0;
  }
  return zero ? "is all zeros" : NULL;
}

static void check_tensors(vq_doctor *d, const char *check, const vq_network *net)
{
  const vq_layout *l = vq_network_layout(net);
  char faults[512] = "";
  int bad = 0;
  if (vq_network_whole(net)) {
    vq_doctor_broken(d, check,
                     "name the settings by --config if they are wrong; else the file is another network's, or not "
                     "complete: get it again");
    return;
  }
  for (int i = 0; i < l->count; i++) {
    const vq_layout_weight *w = &l->weight[i];
    vq_real *values = malloc((vq_layout_elements(w) + 1) * sizeof *values);
    if (!values || vq_layout_read(w, vq_network_checkpoint(net), values)) {
      free(values);
      vq_doctor_broken(d, check, again);
      return;
    }
    const char *fault = fault_of(w, values);
    size_t used = strlen(faults);
    if (fault && ++bad <= 3)
      snprintf(faults + used, sizeof faults - used, "%s%.100s %s", used ? ", " : "", w->name, fault);
    free(values);
  }
  if (bad)
    vq_doctor_say(d, check, VQ_CHECK_FAIL, again, "%d of %d tensors: %s", bad, l->count, faults);
  else
    vq_doctor_say(d, check, VQ_CHECK_PASS, "", "all %d are there, in their shapes, every value finite%s", l->count,
                  l->superfluous_count ? "; others that vqgen does not know are not used (vqgen inspect names them)"
                                       : "");
}

static void check_precision(vq_doctor *d)
{
  const char *cut = vq_network_cut(d->clip);
  vq_doctor_say(d, "clip precision", cut ? VQ_CHECK_SKIP : VQ_CHECK_PASS,
                "it works so; get another file if pictures are to be those of the published network", "%s",
                cut ? cut : "nothing was cut that the published network keeps");
}

static void check_settings(vq_doctor *d, const char *check, const vq_network *net)
{
  const char *assumed = vq_network_assumed(net), *file = vq_network_config_file(net);
  if (*assumed)
    vq_doctor_say(d, check, VQ_CHECK_SKIP, "if you have its file of settings, name it by --config",
                  "assumed, as no file tells: %s", assumed);
  else
    vq_doctor_say(d, check, VQ_CHECK_PASS, "", "%s",
                  vq_network_is_ours(net) ? "in the file"
                  : file                  ? last_part(file)
                                          : "read off its tensors");
}

/* ---- tokens ---- */

/* OpenAI's simple_tokenizer gives these. */
static const struct {
  const char *text;
  int32_t ids[12];
} published[] = {
    {"a photo of a cat", {49406, 320, 1125, 539, 320, 2368, 49407}},
    {"hello, world!", {49406, 3306, 267, 1002, 256, 49407}},
    {"a diagram", {49406, 320, 22697, 49407}},
};

static const char other_vocabulary[] =
    "the vocabulary is another network's: name the right one by --vocab (tools/get-vocabulary.sh gets OpenAI's)";

/* The pieces that the ids stand for, put together, are the text. */
static bool reads_back(const vq_tokenizer *t, const int32_t *ids, const char *text)
{
  char back[128] = "";
  int last = vq_tokenizer_entries(t) - 1;
  if (ids[0] != last - 1)
    return false;
  for (int i = 1; ids[i] != last; i++) {
    size_t bytes, used = strlen(back);
    bool ends;
    const char *piece = vq_tokenizer_piece(t, ids[i], &bytes, &ends);
    if (!piece || i + 1 == vq_tokenizer_context(t) || used + bytes + 2 > sizeof back)
      return false;
    memcpy(back + used, piece, bytes);
    strcpy(back + used + bytes, ends && ids[i + 1] != last ? " " : "");
  }
  return !strcmp(back, text);
}

static void check_tokens(vq_doctor *d)
{
  static const char text[] = "a red circle on a blue background";
  vq_tokenizer *t;
  if (vq_network_tokenizer(&t, d->clip)) {
    vq_doctor_broken(
        d, "tokens",
        "put the vocabulary beside the file, or name it by --vocab: tools/get-vocabulary.sh gets OpenAI's");
    return;
  }
  int32_t *ids = calloc((size_t)vq_tokenizer_context(t) + 12, sizeof *ids);
  bool full = vq_tokenizer_entries(t) == 49408 && vq_tokenizer_context(t) >= 12, good = ids != NULL;
  for (size_t i = 0; full && good && i < sizeof published / sizeof *published; i++)
    good = !vq_tokenizer_encode(t, ids, NULL, published[i].text, strlen(published[i].text), VQ_TOO_LONG_FAIL) &&
           !memcmp(ids, published[i].ids, sizeof published[i].ids);
  good =
      good && !vq_tokenizer_encode(t, ids, NULL, text, strlen(text), VQ_TOO_LONG_FAIL) && reads_back(t, ids, text);
  vq_doctor_say(d, "tokens", good ? VQ_CHECK_PASS : VQ_CHECK_FAIL, other_vocabulary, "%s",
                !good  ? "known prompts become other ids than they should"
                : full ? "known prompts become the ids that OpenAI's tokeniser gives"
                       : "a vocabulary of its own, of which a prompt's ids read back to the prompt");
  free(ids);
  vq_tokenizer_free(t);
}

bool vq_doctor_knows(const vq_doctor *d, const vq_tokenizer *tokenizer, const char *text)
{
  int context = vq_tokenizer_context(tokenizer), tokens = 0, words = 1;
  int32_t *ids = calloc((size_t)context, sizeof *ids);
  bool read = ids && !vq_tokens(tokenizer, text, true, ids, &tokens);
  for (const char *p = text; *p; p++)
    words += isspace((unsigned char)*p) && p[1];
  free(ids);
  return read && (!vq_network_pair(d->clip) || tokens == words + 2);
}

/* ---- all of it ---- */

static void check_pair(vq_doctor *d)
{
  const char *a = vq_network_pair(d->vqgan), *b = vq_network_pair(d->clip);
  if (!a && !b)
    vq_doctor_say(d, "pair", VQ_CHECK_PASS, "", "neither belongs to another network");
  else if (a && b && !strcmp(a, b))
    vq_doctor_say(d, "pair", VQ_CHECK_PASS, "", "made for each other (%s)", a);
  else
    vq_doctor_say(d, "pair", VQ_CHECK_FAIL,
                  "give two networks that belong together: a small network that was trained for another sees "
                  "nothing that it knows",
                  "the VQGAN is %s%s, the CLIP %s%s", a ? "of the pair " : "of no pair", a ? a : "",
                  b ? "of the pair " : "of no pair", b ? b : "");
}

void vq_doctor_files(vq_doctor *d)
{
  const vq_doctor_options *o = &d->options;
  vq_network_hints vqgan = {o->config, NULL, NULL}, clip = {NULL, o->vocab, NULL};
  static const char which[] = "look at it by vqgen inspect; what it is and what it should be, the message says";
  if (vq_network_open(&d->vqgan, d->path[0], VQ_NETWORK_VQGAN, &vqgan))
    vq_doctor_broken(d, "vqgan", which);
  if (vq_network_open(&d->clip, d->path[1], VQ_NETWORK_CLIP, &clip))
    vq_doctor_broken(d, "clip", which);
  if (d->vqgan) {
    check_hashes(d, "vqgan hash", d->vqgan);
    check_tensors(d, "vqgan tensors", d->vqgan);
    check_settings(d, "vqgan settings", d->vqgan);
  }
  if (d->clip) {
    check_hashes(d, "clip hash", d->clip);
    check_tensors(d, "clip tensors", d->clip);
    check_settings(d, "clip settings", d->clip);
    check_precision(d);
    check_tokens(d);
  }
  if (!d->vqgan || !d->clip)
    return;
  check_pair(d);
  d->group = "reference";
  if (o->reference)
    vq_doctor_compare(d, d->vqgan, d->clip, o->reference);
  else
    vq_doctor_say(d, "reference", VQ_CHECK_SKIP,
                  "where Python and PyTorch are, tests/compare/record_reference.py records one with your files: "
                  "the strictest of all checks",
                  "none was given (--reference)");
}
