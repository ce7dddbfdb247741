/* vocabulary_words.c -- the merges of a vocabulary of which only the words and their numbers are left: Hugging Face's vocab.json.
 *
 * A word's number is its rank: after 256 letters, and these as the ends of words, each word is that of one merge. Which two words it was merged
 * of is found by merging its letters by all merges before it, as a text's would be: two are left.
 */
#include "loaders/vocabulary_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS 512 /* words that are no merges */
#define SPECIAL 2   /* words at the end that stand for the start and the end of a text */
#define LONGEST 256 /* bytes of a word: published ones have 130 */

typedef struct words {
  const json_t *number;
  const char **word; /* by number */
  int *left;         /* by number: bytes of the first of the two that it was merged of */
  int count;
} words;

static void release(words *w)
{
  free(w->word);
  free(w->left);
}

static vq_status sort_words(words *w, json_t *number)
{
  const char *key;
  json_t *value;
  *w = (words){.number = number, .count = (int)json_object_size(number)};
  if (w->count < LETTERS + SPECIAL)
    return vq_fail(VQ_ERR_FORMAT, "it has %d words: a CLIP's vocabulary has more than %d", w->count, LETTERS);
  w->word = calloc((size_t)w->count, sizeof *w->word);
  w->left = calloc((size_t)w->count, sizeof *w->left);
  if (!w->word || !w->left)
    return vq_fail(VQ_ERR_MEMORY, "no memory for %d words", w->count);
  json_object_foreach (number, key, value) {
    json_int_t at = json_is_integer(value) ? json_integer_value(value) : -1;
    if (at < 0 || at >= w->count || w->word[at])
      return vq_fail(VQ_ERR_FORMAT, "the number of \"%.40s\" is not one of 0 to %d, each of which one word has",
                     key, w->count - 1);
    if (strlen(key) > LONGEST)
      return vq_fail(VQ_ERR_FORMAT, "the word %.40s... is longer than %d letters", key, LONGEST);
    w->word[at] = key;
  }
  return VQ_OK;
}

/* The number of the merge of these neighbours, of `left` and `right` bytes at `at`; -1: there is none yet. */
static int merge_of(const words *w, const char *at, int left, int right, int below)
{
  char both[LONGEST + 1];
  memcpy(both, at, (size_t)(left + right));
  both[left + right] = 0;
  const json_t *value = json_object_get(w->number, both);
  int number = value ? (int)json_integer_value(value) : -1;
  return number >= LETTERS && number < below && w->left[number] == left ? number : -1;
}

/* Letters, the last of them with the mark of a word's end: where each begins, and one beyond the last. */
static int cut(const char *word, int begin[LONGEST + 1])
{
  static const char mark[] = "</w>";
  int n = (int)strlen(word), end = (int)sizeof mark - 1, count = 0;
  int marked = n > end && !strcmp(word + n - end, mark) ? n - end : n;
  for (int i = 0; i < marked; i++)
    if (((unsigned char)word[i] & 0xc0) != 0x80)
      begin[count++] = i;
  begin[count] = n;
  return count;
}

static vq_status split(words *w, int number)
{
  const char *word = w->word[number];
  int begin[LONGEST + 1], count = cut(word, begin);
  while (count > 2) {
    int best = -1, where = 0;
    for (int i = 0; i + 2 <= count; i++) {
      int merge = merge_of(w, word + begin[i], begin[i + 1] - begin[i], begin[i + 2] - begin[i + 1], number);
      if (merge >= 0 && (best < 0 || merge < best))
        best = merge, where = i;
    }
    if (best < 0)
      break;
    memmove(begin + where + 1, begin + where + 2, (size_t)(count - where - 1) * sizeof *begin);
    count--;
  }
  if (count != 2)
    return vq_fail(
        VQ_ERR_FORMAT,
        "word %d, \"%.40s\", is not merged of two words before it: it is no CLIP's vocabulary, or a damaged one",
        number, word);
  w->left[number] = begin[1];
  return VQ_OK;
}

vq_status vq_vocabulary_from_words(json_t *number, char **text, size_t *bytes)
{
  words w;
  size_t room = 1, used = 0;
  vq_status status = sort_words(&w, number);
  for (int i = LETTERS; i < w.count - SPECIAL && !status; i++) {
    status = split(&w, i);
    room += strlen(w.word[i]) + 2;
  }
  *text = status ? NULL : malloc(room);
  if (!status && !*text)
    status = vq_fail(VQ_ERR_MEMORY, "no memory for the vocabulary");
  for (int i = LETTERS; i < w.count - SPECIAL && !status; i++)
    used += (size_t)snprintf(*text + used, room - used, "%.*s %s\n", w.left[i], w.word[i], w.word[i] + w.left[i]);
  *bytes = used;
  release(&w);
  return status;
}
