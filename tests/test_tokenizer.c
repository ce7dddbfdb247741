/* test_tokenizer.c -- the tokeniser against ids that OpenAI's gave, with its whole vocabulary and with the first 30
 * merges of it; text cleaning against ftfy 6.3.1 and html.unescape; errors.
 *
 * tests/data/tokens holds 40 awkward prompts and their ids as int32 arrays [40, 77]. The whole vocabulary is not part of
 * the project: $VQGEN_VOCAB names it, or it is found where Python's CLIP packages keep it; without it those tests are
 * skipped. Random texts are compared in tests/compare/tokenizer_vs_ftfy.py.
 */
#include "tests/scratch.h"

#include "base/status.h"
#include "nets/text_clean.h"
#include "nets/tokenizer.h"

#include <glob.h>
#include <jansson.h>
#include <zlib.h>

#ifndef VQ_SOURCE_ROOT
#define VQ_SOURCE_ROOT "."
#endif

#define DATA     VQ_SOURCE_ROOT "/tests/data/"
#define PROMPTS  40
#define CONTEXT  77
#define SMALL    544
#define FULL     49408
#define MOST_IDS 90

/* ---- the vocabularies ---- */

static char *read_gz(const char *path, size_t *bytes)
{
  size_t room = 1 << 23; /* the whole vocabulary has 3,194,984 bytes */
  char *text = malloc(room);
  gzFile f = gzopen(path, "rb"); /* reads plain text as well */
  cr_assert(f && text, "cannot open %s", path);
  int n = gzread(f, text, (unsigned)room);
  cr_assert(n > 0 && gzclose(f) == Z_OK, "cannot read %s", path);
  *bytes = (size_t)n;
  return text;
}

/* The whole vocabulary's file, NULL if there is none. */
static const char *find_vocabulary(void)
{
  static char path[4096];
  static const char *const python[] = {"/usr/lib", "/usr/local/lib", "$HOME/.local/lib", "$VIRTUAL_ENV/lib"};
  const char *named = getenv("VQGEN_VOCAB"),
             *beside = VQ_SOURCE_ROOT "/../shared/vocab/bpe_simple_vocab_16e6.txt.gz";
  if (named && *named)
    return named;
  if (access(beside, R_OK) == 0)
    return beside;
  for (size_t i = 0; i < sizeof python / sizeof *python; i++) {
    glob_t found;
    const char *slash = strchr(python[i], '/'), *base = "";
    char variable[32] = "";
    if (python[i][0] == '$') {
      memcpy(variable, python[i] + 1, (size_t)(slash - python[i] - 1));
      base = getenv(variable);
    }
    snprintf(path, sizeof path, "%s%s/python3*/*-packages/*clip/bpe_simple_vocab_16e6.txt.gz", base ? base : "",
             slash);
    if (!base || glob(path, 0, NULL, &found))
      continue;
    snprintf(path, sizeof path, "%s", found.gl_pathv[0]);
    globfree(&found);
    return path;
  }
  return NULL;
}

/* FULL or SMALL entries; NULL where there is no whole vocabulary. */
static vq_tokenizer *make(int entries, int context)
{
  const char *path = entries == FULL ? find_vocabulary() : DATA "bpe_544_merges.txt";
  vq_tokenizer *t;
  size_t bytes;
  if (!path)
    return NULL;
  char *merges = read_gz(path, &bytes);
  expect_ok(vq_tokenizer_create(&t, merges, bytes, entries, context));
  free(merges);
  return t;
}

#define make_full_or_skip(t)                                                                             \
  vq_tokenizer *t = make(FULL, CONTEXT);                                                                 \
  if (!t)                                                                                                \
  visible_skip("no bpe_simple_vocab_16e6.txt.gz: set VQGEN_VOCAB to its path to compare with the whole " \
               "vocabulary")

/* Fails unless the text's ids are want[0..n), then zeros. */
static void expect_ids(const vq_tokenizer *t, const char *text, size_t bytes, const int *want, int n)
{
  int32_t ids[CONTEXT];
  int count = -1, wrong = -1;
  expect_ok(vq_tokenizer_encode(t, ids, &count, text, bytes, VQ_TOO_LONG_CUT));
  cr_expect(count == n, "%.40s: %d tokens where %d were due", text, count, n);
  for (int i = 0; i < CONTEXT && wrong < 0; i++) {
    int due = i >= n ? 0 : n > CONTEXT && i == CONTEXT - 1 ? want[n - 1] : want[i];
    if (ids[i] != due)
      wrong = i;
  }
  if (wrong >= 0)
    cr_expect(false, "%.40s: token %d is %d where %d was due", text, wrong, ids[wrong],
              wrong < n ? want[wrong] : 0);
}

/* ---- the 40 prompts ---- */

/* A little-endian int32 array of `n` numbers from an npy file of version 1. */
static int32_t *read_npy(const char *path, size_t n)
{
  size_t bytes;
  uint8_t *file = get_file(path, &bytes);
  size_t start = 10 + file[8] + 256u * file[9];
  cr_assert(bytes == start + 4 * n && strstr((char *)file + 10, "'<i4'"), "%s is not what it was", path);
  int32_t *out = malloc(4 * n);
  memcpy(out, file + start, 4 * n);
  free(file);
  return out;
}

static void compare_prompts(const vq_tokenizer *t, const char *ids_path, const char *lengths_path)
{
  json_error_t error;
  json_t *prompts = json_load_file(DATA "tokens/prompts.json", JSON_ALLOW_NUL, &error);
  int32_t *want = read_npy(ids_path, PROMPTS * CONTEXT), ids[CONTEXT];
  int32_t *lengths = lengths_path ? read_npy(lengths_path, PROMPTS) : NULL;
  cr_assert(prompts && json_array_size(prompts) == PROMPTS, "prompts.json: %s", error.text);
  for (size_t p = 0; p < PROMPTS; p++) {
    const json_t *prompt = json_array_get(prompts, p);
    int count = 0;
    expect_ok(vq_tokenizer_encode(t, ids, &count, json_string_value(prompt), json_string_length(prompt),
                                  VQ_TOO_LONG_CUT));
    for (int i = 0; i < CONTEXT; i++)
      if (ids[i] != want[p * CONTEXT + (size_t)i]) {
        cr_expect(false, "prompt %zu, token %d: %d where %d was due", p, i, ids[i], want[p * CONTEXT + (size_t)i]);
        break;
      }
    if (lengths)
      cr_expect(count == lengths[p], "prompt %zu has %d tokens where %d were due", p, count, lengths[p]);
  }
  free(lengths);
  free(want);
  json_decref(prompts);
}

Test(tokenizer, prompts_with_544_entries)
{
  vq_tokenizer *t = make(SMALL, CONTEXT);
  compare_prompts(t, DATA "tokens/tokens_544.npy", NULL);
  vq_tokenizer_free(t);
}

Test(tokenizer, prompts_with_49408_entries)
{
  make_full_or_skip(t);
  compare_prompts(t, DATA "tokens/tokens_49408.npy", DATA "tokens/tokens_49408_len.npy");
  vq_tokenizer_free(t);
}

/* ---- single texts ---- */

typedef struct golden {
  const char *text;
  int ids[16]; /* without the two ends; negative numbers stand for the special tokens; 0 ends */
} golden;

#define SOT -2
#define EOT -1

static const golden full_rows[] = {
    {"", {0}},
    {"a photo of a cat", {320, 1125, 539, 320, 2368}},
    {"A PHOTO of a Cat", {320, 1125, 539, 320, 2368}},
    {"the first day of the waters", {518, 874, 575, 539, 518, 7753}},
    {"a fantasy world.", {320, 5267, 1002, 269}},
    {"a painting of an apple in a fruit bowl", {320, 3086, 539, 550, 3055, 530, 320, 5190, 3814}},
    {"it's we'll I'M", {585, 568, 649, 1342, 328, 880}},
    {"it’s “quoted”", {585, 568, 257, 27706, 257}},
    {"1233", {272, 273, 274, 274}},
    {"12 33", {272, 273, 274, 274}},
    {"hello   world\n\ttab", {3306, 1002, 14724}},
    {"&amp;amp; &lt;b&gt;", {261, 283, 321, 285}},
    {"café", {15304}},
    {"cafe\u0301", {15304}},
    {"ÄRGER İstanbul", {10896, 81, 1502, 328, 16384, 11231}},
    {"ﬁancé ﬀ", {34039, 1304}},
    {"ＦＵＬＬwidth", {9407, 23571}},
    {"日本語の絵", {39121, 44353, 34002, 252, 21575, 37810, 369}},
    {"🙂 emoji", {14860, 16327}},
    {"<|startoftext|> a <|endoftext|>", {SOT, 320, EOT}},
    {"don't", {847, 713}},
    {"--size 3:4", {2432, 3235, 274, 281, 275}},
    {"über-dog!!!", {6522, 1516, 268, 1929, 995}},
    {"x²", {343, 41175}},
    {"Ⅷ roman", {158, 227, 371, 7370}},
    {"mojibake: cafÃ©", {617, 3252, 11878, 281, 15304}},
    {"a… b—c", {320, 959, 321, 2005, 322}},
    {"a\u00A0b", {320, 321}},
    {"a\u200Bb", {320, 9844, 321}},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     {23126, 23126, 23126, 23126, 23126, 23126, 23126, 23126, 23126, 6727, 19336}},
    {"?<|endoftext|>", {30, 27, 347, 40786, 4160, 91, 285}}, /* glued to other signs it is not special */
};

static const golden small_rows[] = {
    {"the thing is on and in <|ENDOFTEXT|>x", {518, 513, 519, 533, 525, 537, 530, EOT, 343}},
    {"a<|startoftext|>", {320, SOT}},
    {"'\u017F", {6, 129, 379}}, /* the long s makes a contraction, as it does where case is ignored */
    {"<|\u017Ftartoftext|>", {27, 91, 129, 123, 83, 516, 83, 78, 69, 83, 68, 87, 83, 91, 285}},
    {"12a", {272, 273, 320}},
    {"a\u0345b", {320, 321}}, /* the mark that regex loses */
};

static void compare_rows(const vq_tokenizer *t, const golden *rows, size_t n)
{
  int entries = vq_tokenizer_entries(t);
  for (size_t r = 0; r < n; r++) {
    int want[18] = {entries - 2}, k = 1;
    for (; k <= 16 && rows[r].ids[k - 1]; k++)
      want[k] = rows[r].ids[k - 1] < 0 ? entries + rows[r].ids[k - 1] : rows[r].ids[k - 1];
    want[k++] = entries - 1;
    expect_ids(t, rows[r].text, strlen(rows[r].text), want, k);
  }
}

Test(tokenizer, texts_with_544_entries)
{
  vq_tokenizer *t = make(SMALL, CONTEXT);
  compare_rows(t, small_rows, sizeof small_rows / sizeof *small_rows);
  vq_tokenizer_free(t);
}

Test(tokenizer, texts_with_49408_entries)
{
  make_full_or_skip(t);
  compare_rows(t, full_rows, sizeof full_rows / sizeof *full_rows);
  vq_tokenizer_free(t);
}

Test(tokenizer, a_nul_is_a_character_like_others)
{
  vq_tokenizer *t = make(SMALL, CONTEXT);
  expect_ids(t, "a\0b", 3, (int[]){542, 64, 321, 543}, 4); /* cleaning removes it, as in Python */
  expect_ids(t, "a b", 3, (int[]){542, 320, 321, 543}, 4);
  expect_ids(t, NULL, 0, (int[]){542, 543}, 2);
  vq_tokenizer_free(t);
}

/* "a a a ...": one token a letter. */
Test(tokenizer, lengths_about_the_context)
{
  vq_tokenizer *t = make(SMALL, CONTEXT);
  for (int tokens = 75; tokens <= 79; tokens++) {
    char text[2 * MOST_IDS];
    int want[MOST_IDS] = {542}, count = -1, n = tokens - 2;
    int32_t ids[CONTEXT];
    for (int i = 0; i < n; i++) {
      memcpy(text + 2 * i, "a ", 2);
      want[1 + i] = 320;
    }
    want[tokens - 1] = 543;
    expect_ids(t, text, 2 * (size_t)n, want, tokens);
    vq_status status = vq_tokenizer_encode(t, ids, &count, text, 2 * (size_t)n, VQ_TOO_LONG_FAIL);
    cr_expect(status == (tokens > CONTEXT ? VQ_ERR_PROMPT : VQ_OK) && count == tokens, "%d tokens: %s, %d", tokens,
              vq_status_name(status), count);
  }
  char text[] =
      "one two three four five six seven eight nine ten eleven twelve 0123456789 0123456789 0123456789 0123456789";
  int32_t ids[CONTEXT];
  expect_error(vq_tokenizer_encode(t, ids, NULL, text, strlen(text), VQ_TOO_LONG_FAIL), VQ_ERR_PROMPT, "tokens",
               "77 fit");
  vq_tokenizer_free(t);
}

Test(tokenizer, context_of_another_network)
{
  vq_tokenizer *t = make(SMALL, 2);
  int32_t ids[3] = {7, 7, 7};
  int count;
  expect_ok(vq_tokenizer_encode(t, ids, &count, "a b c", 5, VQ_TOO_LONG_CUT));
  cr_expect(ids[0] == 542 && ids[1] == 543 && ids[2] == 7 && count == 5);
  cr_expect(vq_tokenizer_context(t) == 2 && vq_tokenizer_entries(t) == SMALL);
  vq_tokenizer_free(t);
}

/* 100 kB a word: merging must not take time that grows with the square. The pieces must give the word back. */
Test(tokenizer, very_long_words, .timeout = 20)
{
  enum { BYTES = 100000 };
  static const char *const units[] = {"a", "an", "theringor", "!", "&amp;", "amp;", "Ã©", "&#38;", "\u0301\u0323"};
  static int32_t ids[2 * BYTES];
  vq_tokenizer *t = make(SMALL, 2 * BYTES);
  char *text = malloc(BYTES + 16), *back = malloc(2 * BYTES);
  for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
    size_t n = 0, length = strlen(units[u]), at = 0;
    int count;
    text[n++] = units[u][0] == 'a' && units[u][1] == 'm' ? '&' : 'a';
    for (; n < BYTES; n += length)
      memcpy(text + n, units[u], length);
    expect_ok(vq_tokenizer_encode(t, ids, &count, text, n, VQ_TOO_LONG_FAIL));
    for (int i = 1; i < count - 1; i++) {
      size_t bytes;
      const char *piece = vq_tokenizer_piece(t, ids[i], &bytes, NULL);
      memcpy(back + at, piece, bytes);
      at += bytes;
    }
    if (u < 4)
      cr_expect(at == n && !memcmp(back, text, n), "%s: the pieces are not the text", units[u]);
  }
  free(back);
  free(text);
  vq_tokenizer_free(t);
}

Test(tokenizer, pieces)
{
  static const struct {
    int id;
    const char *text;
    bool ends_word;
  } rows[] = {{0, "!", false},
              {64, "a", false},
              {256, "!", true},
              {320, "a", true},
              {93, "~", false},
              {94, "\xA1", false},
              {187, "\xFF", false},
              {188, "", false},
              {512, "in", false},
              {518, "the", true},
              {542, "<|startoftext|>", true},
              {543, "<|endoftext|>", true}};
  vq_tokenizer *t = make(SMALL, CONTEXT);
  size_t bytes;
  bool ends_word;
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    const char *piece = vq_tokenizer_piece(t, rows[r].id, &bytes, &ends_word);
    size_t due = rows[r].text[0] ? strlen(rows[r].text) : 1; /* id 188 is NUL */
    cr_expect(bytes == due && !memcmp(piece, rows[r].text, due) && ends_word == rows[r].ends_word, "id %d",
              rows[r].id);
  }
  cr_expect(!vq_tokenizer_piece(t, -1, &bytes, &ends_word) && bytes == 0);
  cr_expect(!vq_tokenizer_piece(t, SMALL, &bytes, NULL) && bytes == 0);
  vq_tokenizer_free(t);
}

/* ---- cleaning ---- */

static const struct {
  const char *text, *want;
} clean_rows[] = {
    /* HTML: by ftfy's rule what ends in ";" and only before the first "<"; then by the browsers' rule, twice */
    {"&lt &notit; &#128; &#x1F600 &#0; &#1; x", "< ¬it; € 😀 \uFFFD x"},
    {"&EACUTE;t&eacute; &SZLIG; &LTIMES;", "été ss <imes;"},
    {"a\n< b\n&eacute; &amp;amp;lt;", "a < b é &lt;"},
    {"&amp;lt;b&amp;gt; &amp;amp;amp;lt;", "<b> <"},
    {"&#59; &#xZZ; &unknown; &; &", "; &#xzz; &unknown; &; &"},
    {"L&Atilde;&copy;on", "léon"},
    {"<&#128;&#x91;", "<€‘"},
    {"&lt&#59;", "<;"},
    {"&#4294967361;", "\uFFFD"},
    {"&#99999999999999999999;&nLtv;", "\uFFFD≪\u0338"},
    /* mojibake */
    {"cafÃ©", "café"},
    {"schÃ¶n â€œquotesâ€\xC2\x9D", "schön \"quotes\""},
    {"voilÃ\u00A0 le travail", "voilà le travail"},
    {"voilÃ le travail", "voilà le travail"},
    {"Ã la mode", "à la mode"},
    {"Å koda rychlÃ½", "škoda rychlý"},
    {"Ãƒâ€˜a", "ña"},
    {"â€œlostâ€\uFFFD", "\"lost\uFFFD"},
    {"日本 cafÃ© 한국", "日本 café 한국"},
    {"ÃƒÂ©tÃƒÂ©", "été"},
    {"ðŸ™‚", "🙂"},
    {"í\u00A0½í¸\xC2\x80", "😀"},
    {"\xC2\x93quoted\xC2\x94 \xC2\x85", "\"quoted\" …"},
    {"ÀÉ® CAFÉ™ «déjà» 20° ½ × ©2020", "àé® café™ «déjà» 20° ½ × ©2020"}, /* and what is none */
    /* characters */
    {"\uFEFFa\x1B[1;31mc\x1B[0md\x07", "acd"},
    {"ŉ Ǆ ĳ ﬅ", "'n dž ij ſt"},
    {"ＡＢＣ　ｶﾞ ＇￡", "abc ガ '£"},
    {"a\u0301\u0323 q\u0301\u0323", "ạ\u0301 q\u0323\u0301"},
    {"e\u0301 \u1100\u1161 \u212B", "é 가 å"},
    /* white space */
    {"a\u00A0b\u2003c\u2028d\u2029e\u3000f\r\ng\u200Bh", "a b c d e f g\u200Bh"},
    {"  \t\n ", ""},
    /* case */
    {"ΟΔΥΣΣΕΥΣ ΑΣ. Σ ΣΑ ΑΣ'Α", "οδυσσευς ας. σ σα ασ'α"},
    {"İSTANBUL Iı", "i\u0307stanbul iı"},
};

Test(text_clean, texts)
{
  for (size_t r = 0; r < sizeof clean_rows / sizeof *clean_rows; r++) {
    char *out;
    size_t bytes;
    expect_ok(vq_text_clean(&out, &bytes, clean_rows[r].text, strlen(clean_rows[r].text)));
    cr_expect_str_eq(out, clean_rows[r].want, "row %zu: %s became %s where %s was due", r, clean_rows[r].text, out,
                     clean_rows[r].want);
    cr_expect(bytes == strlen(out));
    free(out);
  }
}

/* ---- errors ---- */

Test(tokenizer, not_utf8)
{
  static const struct {
    const char *text, *where;
  } rows[] = {
      {"\x80", "byte 1 "},
      {"ab\xFFzz", "byte 3 "},
      {"caf\xE9", "byte 4 "},
      {"\xC0\x80", "byte 1 "},
      {"é\xE2\x82", "byte 3 "},
      {"\xED\xA0\x80", "byte 1 "},
      {"a\xF4\x90\x80\x80", "byte 2 "},
      {"ab\xC3(", "byte 3 "},
  };
  vq_tokenizer *t = make(SMALL, CONTEXT);
  int32_t ids[CONTEXT];
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
    expect_error(vq_tokenizer_encode(t, ids, NULL, rows[r].text, strlen(rows[r].text), VQ_TOO_LONG_CUT),
                 VQ_ERR_PROMPT, "UTF-8", rows[r].where);
  vq_tokenizer_free(t);
}

Test(tokenizer, damaged_merges)
{
  static const struct {
    const char *merges, *says;
    int entries;
  } rows[] = {
      {"", "has 0 merges", 515},
      {"i n\nt h\n", "has 2 merges", 517},
      {"#version: 0.2\ni n\n", "has 1 merges", 516},
      {"i n\nth\n", "line 2", 516},
      {"i n\n\nt h\n", "line 2", 517},
      {"i n g\n", "line 1", 515},
      {"i n\nx  y\n", "line 2", 516},
      {" n\n", "line 1", 515},
      {"i \n", "line 1", 515},
      {"#version\nin g\n", "line 2", 515},
      {"i n\nin ga\n", "line 2", 516},
      {"i</w> n\n", "line 1", 515},
      {"i \xE2\x82\xAC\n", "line 1", 515},
      {"i \xFF\n", "line 1", 515},
      {"i n\nn g\ni n\n", "line 3", 517},
      {"i n\nn g\nin g\ni ng\n", "line 4", 518},
  };
  vq_tokenizer *t;
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    expect_error(vq_tokenizer_create(&t, rows[r].merges, strlen(rows[r].merges), rows[r].entries, CONTEXT),
                 VQ_ERR_FORMAT, rows[r].says);
    cr_expect(!t);
  }
  expect_error(vq_tokenizer_create(&t, "i n\n", 4, 513, CONTEXT), VQ_ERR_ARGUMENT, "513");
  expect_error(vq_tokenizer_create(&t, "i n\n", 4, 515, 1), VQ_ERR_ARGUMENT, "context of 1");
}

/* Both first lines in use, and none; lines from Windows; no newline at the end; more lines than needed. */
Test(tokenizer, forms_of_the_file)
{
  static const char *const forms[] = {"i n\nin g</w>\n", "#version: 0.2\ni n\nin g</w>", "i n\r\nin g</w>\r\n",
                                      "\"bpe_simple_vocab_16e6.txt#version: 0.2\ni n\nin g</w>\nnot read\n"};
  for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
    vq_tokenizer *t;
    expect_ok(vq_tokenizer_create(&t, forms[f], strlen(forms[f]), 516, CONTEXT));
    expect_ids(t, "ing", 3, (int[]){514, 513, 515}, 3);
    vq_tokenizer_free(t);
  }
}
