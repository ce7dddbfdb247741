/* score.c -- how well pictures and texts fit, as CLIP sees it: the cosine of their features. */
#include "tools/vqgen/features.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct score_options {
  network_options network;
  words images, prompts;
  bool json;
} score_options;

static double cosine(const vq_real *a, const vq_real *b, int n)
{
  double ab = 0, aa = 0, bb = 0;
  for (int i = 0; i < n; i++) {
    ab += (double)a[i] * (double)b[i];
    aa += (double)a[i] * (double)a[i];
    bb += (double)b[i] * (double)b[i];
  }
  return ab / sqrt(aa * bb);
}

static json_t *text_list(const words *list)
{
  json_t *out = json_array();
  for (int i = 0; i < list->count; i++) {
    json_t *text = json_string(list->word[i]);
    json_array_append_new(out, text ? text : json_null()); /* a file's name that is not UTF-8 */
  }
  return out;
}

static void print_json(const score_options *o, const double *scores)
{
  json_t *rows = json_array();
  for (int i = 0; i < o->images.count; i++) {
    json_t *row = json_array();
    for (int j = 0; j < o->prompts.count; j++)
      json_array_append_new(row, json_real(scores[i * o->prompts.count + j]));
    json_array_append_new(rows, row);
  }
  json_t *all = json_pack("{s:o, s:o, s:o}", "images", text_list(&o->images), "prompts", text_list(&o->prompts),
                          "cosine", rows);
  json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
  putchar('\n');
  json_decref(all);
}

/* Columns are numbered where their texts would not fit on a line. */
static void print_table(const score_options *o, const double *scores)
{
  int name = 7, all = 0;
  for (int i = 0; i < o->images.count; i++)
    name = (int)strlen(o->images.word[i]) > name ? (int)strlen(o->images.word[i]) : name;
  for (int j = 0; j < o->prompts.count; j++)
    all += 2 + (strlen(o->prompts.word[j]) > 7 ? (int)strlen(o->prompts.word[j]) : 7);
  bool numbered = name + all > 100;
  for (int j = 0; numbered && j < o->prompts.count; j++)
    printf("%d: %s\n", j + 1, o->prompts.word[j]);
  printf("%-*s", name, "");
  for (int j = 0; j < o->prompts.count; j++)
    if (numbered)
      printf("  %7d", j + 1);
    else
      printf("  %7s", o->prompts.word[j]);
  putchar('\n');
  for (int i = 0; i < o->images.count; i++) {
    printf("%-*s", name, o->images.word[i]);
    for (int j = 0; j < o->prompts.count; j++) {
      int width = numbered || strlen(o->prompts.word[j]) < 7 ? 7 : (int)strlen(o->prompts.word[j]);
      printf("  %*.4f", width, scores[i * o->prompts.count + j]);
    }
    putchar('\n');
  }
}

static vq_status compare(const score_options *o, const vq_network *clip)
{
  int rows = o->images.count, columns = o->prompts.count, width = vq_network_clip(clip)->embed_dim;
  vq_real *seen = NULL, *meant = NULL;
  vq_place place;
  VQ_TRY(tool_place(&place, &o->network));
  double *scores = calloc((size_t)rows * (size_t)columns, sizeof *scores);
  vq_status status = scores ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for %d scores", rows * columns);
  if (!status)
    status = features_of_texts(clip, &o->prompts, &place, &meant);
  if (!status)
    status = features_of_pictures(clip, &o->images, &place, &seen);
  for (int i = 0; i < rows * columns && !status; i++)
    scores[i] = cosine(seen + (int64_t)(i / columns) * width, meant + (int64_t)(i % columns) * width, width);
  if (!status)
    (o->json ? print_json : print_table)(o, scores);
  free(seen);
  free(meant);
  free(scores);
  return status;
}

static vq_status score(const score_options *o)
{
  vq_network *clip;
  if (!o->images.count)
    return vq_fail(VQ_ERR_ARGUMENT, "no picture: name them before --prompt, which takes all texts after it");
  if (!o->prompts.count)
    return vq_fail(VQ_ERR_ARGUMENT, "no text: give some by --prompt");
  VQ_TRY(tool_network(&clip, &o->network, VQ_NETWORK_CLIP));
  vq_status status = compare(o, clip);
  vq_network_close(clip);
  return status;
}

static int run(const command *c, int argc, char **argv)
{
  score_options o = {.json = false};
  int status;
  const option table[] = {
      {0, "prompt", "TEXT...", set_words, &o.prompts, "texts, up to the next option", .many = true},
      {.name = "json",
       .set = set_flag,
       .to = &o.json,
       .help = "one object with images, prompts and cosine, a row a picture"},
      OPTION_CLIP(&o.network),
      OPTION_CONFIG(&o.network),
      OPTION_VOCAB(&o.network),
      OPTION_COMPUTE(&o.network),
  };
  bool go = tool_begin(c, table, ROWS(table), argc, argv, &o.images, &status);
  if (go)
    status = tool_end(c, score(&o));
  words_free(&o.images);
  words_free(&o.prompts);
  return status;
}

const command command_score = {
    .name = "score",
    .usage = "[options] IMAGE... --prompt TEXT...",
    .summary = "tells how well pictures and texts fit",
    .text = "Prints a table of the cosine similarities of CLIP's features: a row a picture, a column a text. Texts "
            "are taken "
            "as they are, without weights.",
    .examples = "  vqgen score circle.png square.png --prompt \"a red circle\" \"a blue square\"\n"
                "  vqgen score --json circle.png --prompt \"a red circle\"\n",
    .run = run,
};
