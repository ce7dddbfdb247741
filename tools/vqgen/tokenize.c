/* tokenize.c -- texts to token ids, with the vocabulary of a CLIP or of a file of merges. */
#include "loaders/output.h"
#include "runtime/perceive.h"
#include "tools/vqgen/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define PUBLISHED_ENTRIES 49408
#define PUBLISHED_CONTEXT 77
#define MOST_BYTES        (1 << 26)

typedef struct tokenize_options {
  network_options network;
  const char *vocab;
  bool pad, strict;
} tokenize_options;

/* A text file, compressed by gzip or not; the caller frees it. */
static vq_status read_merges(const char *path, char **text, size_t *bytes)
{
  size_t capacity = 1 << 16, used = 0;
  int n = 1, error = 0;
  char *data = NULL;
  gzFile file = gzopen(path, "rb");
  if (!file)
    return vq_fail(VQ_ERR_FILE, "%s: %s", path, strerror(errno));
  while (n > 0 && used < MOST_BYTES) {
    char *grown = realloc(data, capacity *= 2);
    if (!grown)
      break;
    data = grown;
    n = gzread(file, data + used, (unsigned)(capacity - used));
    used += n > 0 ? (size_t)n : 0;
  }
  const char *why = n < 0 ? gzerror(file, &error) : n > 0 ? "too large to be a vocabulary" : NULL;
  vq_status status = !why ? VQ_OK
                          : vq_fail(error == Z_ERRNO ? VQ_ERR_FILE : VQ_ERR_FORMAT, "%s: %s", path,
                                    error == Z_ERRNO ? strerror(errno) : why);
  if (gzclose_r(file) != Z_OK && !status)
    status = vq_fail(VQ_ERR_FORMAT, "%s: it is truncated", path);
  if (status)
    free(data);
  *text = status ? NULL : data;
  *bytes = used;
  return status;
}

static vq_status open_tokenizer(vq_tokenizer **out, const tokenize_options *o)
{
  char *merges = NULL;
  size_t bytes = 0;
  vq_network *clip;
  if (o->vocab) {
    VQ_TRY(read_merges(o->vocab, &merges, &bytes));
    vq_status status = vq_tokenizer_create(out, merges, bytes, PUBLISHED_ENTRIES, PUBLISHED_CONTEXT);
    free(merges);
    return vq_fail_in(status, "%s", o->vocab);
  }
  VQ_TRY(tool_network(&clip, &o->network, VQ_NETWORK_CLIP));
  vq_status status = vq_network_tokenizer(out, clip);
  vq_network_close(clip);
  return status;
}

static vq_status print_ids(const vq_tokenizer *tokenizer, const tokenize_options *o, const char *text, size_t bytes)
{
  int context = vq_tokenizer_context(tokenizer), count = 0;
  int32_t *ids = calloc((size_t)context, sizeof *ids);
  if (!ids)
    return vq_fail(VQ_ERR_MEMORY, "no memory for %d tokens", context);
  vq_status status =
      vq_tokenizer_encode(tokenizer, ids, &count, text, bytes, o->strict ? VQ_TOO_LONG_FAIL : VQ_TOO_LONG_CUT);
  if (!status) {
    if (count > context)
      vq_log_warning(&tool_log, "the text makes %d tokens and the network reads %d: its end is left out (%.60s...)",
                     count, context, text);
    int shown = o->pad || count > context ? context : count;
    for (int i = 0; i < shown; i++)
      printf("%s%d", i ? ", " : "[", (int)ids[i]);
    puts("]");
  }
  free(ids);
  return status;
}

/* Each line of standard input is a text. */
static vq_status print_lines(const vq_tokenizer *tokenizer, const tokenize_options *o)
{
  char *line = NULL;
  size_t capacity = 0;
  ssize_t n;
  vq_status status = VQ_OK;
  while (!status && (n = getline(&line, &capacity, stdin)) >= 0) {
    n -= n && line[n - 1] == '\n';
    line[n] = 0;
    status = print_ids(tokenizer, o, line, (size_t)n);
  }
  free(line);
  return status;
}

static vq_status tokenize(const tokenize_options *o, const words *texts)
{
  vq_tokenizer *tokenizer;
  if (o->vocab && o->network.clip)
    return vq_fail(VQ_ERR_ARGUMENT, "--clip and --vocab both name a vocabulary: give one");
  if (!texts->count)
    return vq_fail(VQ_ERR_ARGUMENT, "no text: give some, or - for the lines of standard input");
  VQ_TRY(open_tokenizer(&tokenizer, o));
  vq_status status = VQ_OK;
  for (int i = 0; i < texts->count && !status; i++) {
    const char *text = texts->word[i];
    status = strcmp(text, "-") ? print_ids(tokenizer, o, text, strlen(text)) : print_lines(tokenizer, o);
  }
  vq_tokenizer_free(tokenizer);
  return status;
}

static int run(const command *c, int argc, char **argv)
{
  tokenize_options o = {.pad = false};
  words texts = {0};
  int status;
  const option table[] = {
      {0, "clip", "FILE", set_network, &o.network.clip, "a CLIP, whose vocabulary is used",
       "the one of the pair that is found"},
      {0, "vocab", "FILE", set_text, &o.vocab,
       "a vocabulary of 49408 entries as its merges: "
       "bpe_simple_vocab_16e6.txt, merges.txt, also as .gz"},
      {.name = "pad", .set = set_flag, .to = &o.pad, .help = "also the zeros up to what the network reads"},
      {.name = "strict",
       .set = set_flag,
       .to = &o.strict,
       .help = "refuse a text that is too long, instead of cutting it"},
  };
  if (!tool_begin(c, table, ROWS(table), argc, argv, &texts, &status))
    return status;
  status = tool_end(c, tokenize(&o, &texts));
  words_free(&texts);
  return status;
}

const command command_tokenize = {
    .name = "tokenize",
    .usage = "[--clip FILE | --vocab FILE] [options] TEXT...",
    .summary = "prints the token ids of texts",
    .text = "Prints the ids that a text becomes, one JSON array a text, with <|startoftext|> and <|endoftext|>. "
            "The text "
            "- stands for the lines of standard input.",
    .examples = "  vqgen tokenize \"a red circle\"\n"
                "  vqgen tokenize --vocab bpe_simple_vocab_16e6.txt.gz --pad \"a photo of a cat\"\n"
                "  vqgen tokenize - < captions.txt\n",
    .run = run,
};
