/* tokenizer.c -- the vocabulary from its merges, words out of a text, and the merging of a word. */
#include "nets/tokenizer.h"

#include "nets/text_clean.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define BYTES           256         /* ids of the single bytes; as many again for those that end a word */
#define FIRST           (2 * BYTES) /* id of the first merge */
#define SPECIALS        2
#define MOST_ENTRIES    (1 << 24)
#define MOST_TEXT_BYTES (1 << 24)

static const char special[SPECIALS][16] = {"<|startoftext|>", "<|endoftext|>"};

/* The bytes of one entry, in tokenizer->bytes. */
typedef struct piece {
  uint32_t start, length;
  bool ends_word;
} piece;

struct vq_tokenizer {
  int entries, context;
  int id_of_byte[BYTES];
  piece *pieces; /* [entries] */
  char *bytes;
  struct {
    int32_t left, right;
  } * merges;       /* [entries - FIRST - SPECIALS]: merge r makes entry FIRST + r */
  int32_t *by_pair; /* [slots]: merges by hash(left, right), open addressing, rank + 1, 0 is free */
  size_t slots;     /* a power of two, at least twice the merges */
};

/* ---- the vocabulary ---- */

static bool is_printable(int byte)
{
  return (byte > ' ' && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
}

/* The printable bytes are written as themselves and come first; the k-th of the others is written as U+0100 + k. */
static void number_bytes(vq_tokenizer *t, int byte_of_code[2 * BYTES])
{
  int printable = 0, other = 0;
  for (int b = 0; b < BYTES; b++)
    printable += is_printable(b);
  for (int i = 0; i < 2 * BYTES; i++)
    byte_of_code[i] = -1;
  for (int b = 0, p = 0; b < BYTES; b++) {
    int id = is_printable(b) ? p++ : printable + other;
    byte_of_code[is_printable(b) ? b : BYTES + other++] = b;
    t->id_of_byte[b] = id;
    t->bytes[id] = (char)b;
    t->pieces[id] = (piece){(uint32_t)id, 1, false};
    t->pieces[BYTES + id] = (piece){(uint32_t)id, 1, true};
  }
}

static size_t hash_bytes(const char *bytes, size_t n, bool ends_word)
{
  uint64_t h = 0xCBF29CE484222325u ^ ends_word; /* FNV-1a */
  for (size_t i = 0; i < n; i++)
    h = (h ^ (uint8_t)bytes[i]) * 0x100000001B3u;
  return (size_t)(h ^ h >> 29);
}

static size_t hash_pair(int32_t left, int32_t right)
{
  uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
  return (size_t)(h ^ h >> 32);
}

/* Where in by_piece[slots] (id + 1, 0 is free) the entry with these bytes is, or would be put. */
static size_t find_piece(const vq_tokenizer *t, const int32_t *by_piece, const char *bytes, size_t n,
                         bool ends_word)
{
  size_t slot = hash_bytes(bytes, n, ends_word) & (t->slots - 1);
  for (; by_piece[slot]; slot = (slot + 1) & (t->slots - 1)) {
    const piece *p = &t->pieces[by_piece[slot] - 1];
    if (p->length == n && p->ends_word == ends_word && !memcmp(t->bytes + p->start, bytes, n))
      break;
  }
  return slot;
}

/* Where in by_pair the merge of two entries is, or would be put. */
static size_t find_pair(const vq_tokenizer *t, int32_t left, int32_t right)
{
  size_t slot = hash_pair(left, right) & (t->slots - 1);
  for (; t->by_pair[slot]; slot = (slot + 1) & (t->slots - 1)) {
    int32_t rank = t->by_pair[slot] - 1;
    if (t->merges[rank].left == left && t->merges[rank].right == right)
      break;
  }
  return slot;
}

/* A symbol of the file as bytes, in place: each byte is written as one character, an end of word as "</w>" behind it.
 * False for what cannot be one. */
static bool read_symbol(const int byte_of_code[2 * BYTES], char *symbol, size_t *bytes, bool *ends_word)
{
  size_t length = *bytes, n = 0;
  *ends_word = length > 4 && !memcmp(symbol + length - 4, "</w>", 4);
  length -= *ends_word ? 4 : 0;
  for (size_t i = 0; i < length;) {
    utf8proc_int32_t c;
    utf8proc_ssize_t used = utf8proc_iterate((uint8_t *)symbol + i, (utf8proc_ssize_t)(length - i), &c);
    if (used <= 0 || c >= 2 * BYTES || byte_of_code[c] < 0)
      return false;
    symbol[n++] = (char)byte_of_code[c];
    i += (size_t)used;
  }
  *bytes = n;
  return n > 0;
}

/* One merge, line[0..n), which is overwritten. `end` is the end of the bytes of all entries. */
static vq_status add_merge(vq_tokenizer *t, int32_t *by_piece, const int byte_of_code[2 * BYTES], int rank,
                           char *line, size_t n, size_t line_number, uint32_t *end)
{
  char *space = memchr(line, ' ', n);
  if (!space || memchr(space + 1, ' ', n - (size_t)(space + 1 - line)))
    return vq_fail(VQ_ERR_FORMAT,
                   "line %zu of the vocabulary's merges is not two symbols with a space between them", line_number);
  char *symbol[2] = {line, space + 1};
  size_t length[2] = {(size_t)(space - line), n - (size_t)(space + 1 - line)};
  bool ends_word[2];
  int32_t id[2];
  for (int i = 0; i < 2; i++) {
    if (!read_symbol(byte_of_code, symbol[i], &length[i], &ends_word[i]))
      return vq_fail(VQ_ERR_FORMAT,
                     "line %zu of the vocabulary's merges: its %s symbol is not made of byte characters",
                     line_number, i ? "second" : "first");
    id[i] = by_piece[find_piece(t, by_piece, symbol[i], length[i], ends_word[i])] - 1;
    if (id[i] < 0)
      return vq_fail(VQ_ERR_FORMAT, "line %zu of the vocabulary's merges: no line before it makes its %s symbol",
                     line_number, i ? "second" : "first");
  }
  if (ends_word[0])
    return vq_fail(VQ_ERR_FORMAT, "line %zu of the vocabulary's merges: its first symbol ends a word", line_number);

  piece whole = {*end, (uint32_t)(length[0] + length[1]), ends_word[1]};
  memcpy(t->bytes + *end, symbol[0], length[0]);
  memcpy(t->bytes + *end + length[0], symbol[1], length[1]);
  size_t slot = find_piece(t, by_piece, t->bytes + *end, whole.length, whole.ends_word);
  if (by_piece[slot])
    return vq_fail(VQ_ERR_FORMAT, "line %zu of the vocabulary's merges makes a symbol that is there already",
                   line_number);
  *end += whole.length;
  t->pieces[FIRST + rank] = whole;
  t->merges[rank].left = id[0];
  t->merges[rank].right = id[1];
  by_piece[slot] = FIRST + rank + 1;
  t->by_pair[find_pair(t, id[0], id[1])] = rank + 1;
  return VQ_OK;
}

static bool has_version(const char *line, size_t n)
{
  static const char mark[] = "#version";
  for (size_t i = 0; i + sizeof mark - 1 <= n; i++)
    if (!memcmp(line + i, mark, sizeof mark - 1))
      return true;
  return false;
}

static vq_status add_merges(vq_tokenizer *t, int32_t *by_piece, const char *text, size_t bytes)
{
  int byte_of_code[2 * BYTES], count = t->entries - FIRST - SPECIALS, rank = 0;
  uint32_t end = BYTES;
  size_t line_number = 0;

  number_bytes(t, byte_of_code);
  for (int id = 0; id < FIRST; id++) {
    const piece *p = &t->pieces[id];
    by_piece[find_piece(t, by_piece, t->bytes + p->start, 1, p->ends_word)] = id + 1;
  }
  /* The entries take less room than their lines; behind that room is one for the line that is being read. */
  for (size_t at = 0; rank < count && at < bytes;) {
    const char *newline = memchr(text + at, '\n', bytes - at);
    size_t n = newline ? (size_t)(newline - text) - at : bytes - at, next = at + n + 1;
    n -= n && text[at + n - 1] == '\r';
    line_number++;
    if (line_number > 1 || !has_version(text, n)) {
      char *line = memcpy(t->bytes + BYTES + bytes, text + at, n);
      VQ_TRY(add_merge(t, by_piece, byte_of_code, rank++, line, n, line_number, &end));
    }
    at = next;
  }
  if (rank < count)
    return vq_fail(VQ_ERR_FORMAT,
                   "the vocabulary has %d merges and the network, with %d entries, was trained with %d; "
                   "use the vocabulary that belongs to the network",
                   rank, t->entries, count);
  for (int i = 0; i < SPECIALS; i++) {
    piece p = {end, (uint32_t)strlen(special[i]), true};
    memcpy(t->bytes + end, special[i], p.length);
    t->pieces[FIRST + count + i] = p;
    end += p.length;
  }
  char *trimmed = realloc(t->bytes, end);
  t->bytes = trimmed ? trimmed : t->bytes;
  return VQ_OK;
}

vq_status vq_tokenizer_create(vq_tokenizer **out, const char *merges, size_t bytes, int entries, int context)
{
  *out = NULL;
  if (entries < FIRST + SPECIALS || entries > MOST_ENTRIES)
    return vq_fail(VQ_ERR_ARGUMENT, "a vocabulary has %d to %d entries, not %d", FIRST + SPECIALS, MOST_ENTRIES,
                   entries);
  if (context < 2)
    return vq_fail(VQ_ERR_ARGUMENT, "a context of %d tokens has no room for the two ends of a prompt", context);
  if (bytes > UINT32_MAX / 4)
    return vq_fail(VQ_ERR_FORMAT, "a file of %zu bytes is no list of merges", bytes);

  vq_tokenizer *t = calloc(1, sizeof *t);
  int32_t *by_piece = NULL;
  vq_status status = VQ_OK;
  if (t) {
    t->entries = entries;
    t->context = context;
    for (t->slots = 2 * BYTES; t->slots < 2 * (size_t)entries;)
      t->slots *= 2;
    t->pieces = calloc((size_t)entries, sizeof *t->pieces);
    t->merges = calloc((size_t)(entries - FIRST - SPECIALS) + 1, sizeof *t->merges);
    t->by_pair = calloc(t->slots, sizeof *t->by_pair);
    t->bytes = malloc(BYTES + 2 * bytes + sizeof special);
    by_piece = calloc(t->slots, sizeof *by_piece);
  }
  if (!t || !t->pieces || !t->merges || !t->by_pair || !t->bytes || !by_piece)
    status = vq_fail(VQ_ERR_MEMORY, "no memory for a vocabulary of %d entries", entries);
  else
    status = add_merges(t, by_piece, merges, bytes);
  free(by_piece);
  if (status)
    vq_tokenizer_free(t);
  else
    *out = t;
  return status;
}

void vq_tokenizer_free(vq_tokenizer *t)
{
  if (!t)
    return;
  free(t->pieces);
  free(t->merges);
  free(t->by_pair);
  free(t->bytes);
  free(t);
}

int vq_tokenizer_entries(const vq_tokenizer *t)
{
  return t->entries;
}

int vq_tokenizer_context(const vq_tokenizer *t)
{
  return t->context;
}

const char *vq_tokenizer_piece(const vq_tokenizer *t, int id, size_t *bytes, bool *ends_word)
{
  *bytes = 0;
  if (id < 0 || id >= t->entries)
    return NULL;
  *bytes = t->pieces[id].length;
  if (ends_word)
    *ends_word = t->pieces[id].ends_word;
  return t->bytes + t->pieces[id].start;
}

/* ---- words ---- */

typedef enum kind { SPACE, LETTER, DIGIT, OTHER } kind;

static kind kind_at(const uint8_t *s, size_t n, size_t *bytes)
{
  utf8proc_int32_t c;
  *bytes = (size_t)utf8proc_iterate(s, (utf8proc_ssize_t)n, &c);
  switch (utf8proc_category(c)) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO: return LETTER;
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_NO: return DIGIT;
  default:
    /* U+0345, a mark whose capital is a letter, is to regex with IGNORECASE neither a letter nor anything else */
    return c == ' ' || c == 0x345 ? SPACE : OTHER;
  }
}

/* The bytes of `lower` at s[0..n), where the long s (U+017F), which ignoring case makes an s, counts as one; 0: not. */
static size_t match(const uint8_t *s, size_t n, const char *lower)
{
  size_t i = 0;
  for (; *lower; lower++) {
    if (i < n && s[i] == (uint8_t)*lower)
      i++;
    else if (*lower == 's' && i + 1 < n && s[i] == 0xC5 && s[i + 1] == 0xBF)
      i += 2;
    else
      return 0;
  }
  return i;
}

/* The bytes of the word at s[0..n), n > 0; of one that is to be skipped, where *skip. */
static size_t word_at(const uint8_t *s, size_t n, bool *skip)
{
  static const char *const whole[] = {
      "<|startoftext|>", "<|endoftext|>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  size_t end, bytes;
  *skip = false;
  for (size_t i = 0; (s[0] == '<' || s[0] == '\'') && i < sizeof whole / sizeof *whole; i++)
    if ((end = match(s, n, whole[i])) > 0)
      return end;
  kind first = kind_at(s, n, &end);
  *skip = first == SPACE;
  while (first != DIGIT && end < n && kind_at(s + end, n - end, &bytes) == first)
    end += bytes;
  return end;
}

/* ---- merging ---- */

/* Two neighbours that can merge: `left` is where the first one's symbol begins. */
typedef struct candidate {
  int32_t rank;
  uint32_t left;
} candidate;

/* A word while it is merged, a linked list of symbols, each at the index of its first byte; and the list of ids. */
typedef struct work {
  int32_t *id;           /* [bytes]; -1: merged into the one before it */
  uint32_t *next, *prev; /* [bytes] */
  candidate *heap;       /* [3 * bytes]; the lowest rank, of those the leftmost, on top */
  size_t heap_n;
} work;

static bool before(candidate a, candidate b)
{
  return a.rank != b.rank ? a.rank < b.rank : a.left < b.left;
}

static void heap_push(work *w, candidate c)
{
  size_t i = w->heap_n++;
  for (; i > 0 && before(c, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
    w->heap[i] = w->heap[(i - 1) / 2];
  w->heap[i] = c;
}

static candidate heap_pop(work *w)
{
  candidate top = w->heap[0], last = w->heap[--w->heap_n];
  size_t i = 0;
  for (size_t child; (child = 2 * i + 1) < w->heap_n; i = child) {
    if (child + 1 < w->heap_n && before(w->heap[child + 1], w->heap[child]))
      child++;
    if (!before(w->heap[child], last))
      break;
    w->heap[i] = w->heap[child];
  }
  w->heap[i] = last;
  return top;
}

/* The rank of the symbol at `left` with its neighbour; -1 if they do not merge. */
static int32_t rank_at(const vq_tokenizer *t, const work *w, uint32_t left, uint32_t n)
{
  uint32_t right = w->next[left];
  return w->id[left] < 0 || right >= n ? -1 : t->by_pair[find_pair(t, w->id[left], w->id[right])] - 1;
}

static void consider(const vq_tokenizer *t, work *w, uint32_t left, uint32_t n)
{
  int32_t rank = rank_at(t, w, left, n);
  if (rank >= 0)
    heap_push(w, (candidate){rank, left});
}

/* Merges a word of n > 0 bytes, lowest rank first, and leaves the ids of its symbols in ids[]; returns how many.
 *
 * The published code merges all pairs of the lowest rank, from the left, before it looks again. Popping one at a time
 * comes to the same, because what a merge makes can only be part of merges of a higher rank. */
static size_t merge_word(const vq_tokenizer *t, work *w, const uint8_t *word, uint32_t n, int32_t *ids)
{
  size_t count = 0;
  for (uint32_t i = 0; i < n; i++) {
    w->id[i] = t->id_of_byte[word[i]] + (i + 1 == n ? BYTES : 0);
    w->next[i] = i + 1;
    w->prev[i] = i - 1;
  }
  w->heap_n = 0;
  for (uint32_t i = 0; i < n; i++)
    consider(t, w, i, n);
  while (w->heap_n) {
    candidate best = heap_pop(w);
    if (rank_at(t, w, best.left, n) != best.rank)
      continue; /* one of the two has merged with another since */
    uint32_t right = w->next[best.left], after = w->next[right];
    w->id[best.left] = FIRST + best.rank;
    w->id[right] = -1;
    w->next[best.left] = after;
    if (after < n)
      w->prev[after] = best.left;
    consider(t, w, best.left, n);
    if (best.left > 0)
      consider(t, w, w->prev[best.left], n);
  }
  for (uint32_t i = 0; i < n; i = w->next[i])
    ids[count++] = w->id[i];
  return count;
}

static bool work_create(work *w, size_t bytes)
{
  size_t n = bytes ? bytes : 1;
  *w = (work){malloc(n * sizeof *w->id), malloc(n * sizeof *w->next), malloc(n * sizeof *w->prev),
              malloc(3 * n * sizeof *w->heap), 0};
  return w->id && w->next && w->prev && w->heap;
}

static void work_free(work *w)
{
  free(w->id);
  free(w->next);
  free(w->prev);
  free(w->heap);
}

/* The ids of a clean text, without the two ends. */
static size_t encode_clean(const vq_tokenizer *t, work *w, const uint8_t *s, size_t n, int32_t *ids)
{
  size_t count = 0, bytes;
  for (size_t i = 0; i < n; i += bytes) {
    bool skip;
    bytes = word_at(s + i, n - i, &skip);
    if (skip)
      continue;
    int id = -1;
    for (int k = 0; k < SPECIALS; k++)
      if (bytes == strlen(special[k]) && !memcmp(s + i, special[k], bytes))
        id = t->entries - SPECIALS + k;
    if (id >= 0)
      ids[count++] = id;
    else
      count += merge_word(t, w, s + i, (uint32_t)bytes, ids + count);
  }
  return count;
}

vq_status vq_tokenizer_encode(const vq_tokenizer *t, int32_t *ids, int *count, const char *text, size_t bytes,
                              vq_too_long too_long)
{
  char *clean;
  size_t n;
  if (bytes > MOST_TEXT_BYTES)
    return vq_fail(VQ_ERR_PROMPT, "a text of %zu bytes is no prompt: %d tokens fit", bytes, t->context);
  VQ_TRY(vq_text_clean(&clean, &n, text, bytes));

  work w;
  int32_t *all = malloc((n + 1) * sizeof *all);
  bool ready = work_create(&w, n) && all;
  int total = 0;
  vq_status status = VQ_OK;
  if (!ready) {
    status = vq_fail(VQ_ERR_MEMORY, "no memory for the tokens of a text of %zu bytes", n);
  } else {
    total = (int)encode_clean(t, &w, (const uint8_t *)clean, n, all) + SPECIALS;
    if (count)
      *count = total;
    if (total > t->context && too_long == VQ_TOO_LONG_FAIL)
      status =
          vq_fail(VQ_ERR_PROMPT,
                  "the text makes %d tokens with its two ends, and %d fit: shorten it, or ask for it to be cut",
                  total, t->context);
  }
  if (!status) {
    int inner = (total < t->context ? total : t->context) - SPECIALS;
    memset(ids, 0, (size_t)t->context * sizeof *ids);
    ids[0] = t->entries - 2;
    memcpy(ids + 1, all, (size_t)inner * sizeof *ids);
    ids[1 + inner] = t->entries - 1;
  }
  work_free(&w);
  free(all);
  free(clean);
  return status;
}
