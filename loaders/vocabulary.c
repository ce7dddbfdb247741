/* vocabulary.c -- reads vocabularies. Contract: vocabulary.h. */
#include "loaders/vocabulary.h"

#include "loaders/input.h"
#include "loaders/vocabulary_words.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MOST_BYTES ((size_t)64 << 20) /* of the text: published ones have 3 MB */

/* gzip to text, ended by 0. */
static vq_status unpack(const vq_input *file, char **text, size_t *bytes)
{
  z_stream z = {.next_in = (Bytef *)(uintptr_t)file->data, .avail_in = (uInt)file->bytes};
  size_t capacity = 0, used = 0;
  char *out = NULL;
  int code = file->bytes > MOST_BYTES || inflateInit2(&z, 16 + MAX_WBITS) ? Z_MEM_ERROR : Z_OK;
  if (code)
    return vq_fail(VQ_ERR_FORMAT, "it is too large to be a vocabulary");
  while (code == Z_OK) {
    if (used == capacity) {
      capacity = capacity ? 2 * capacity : (size_t)1 << 20;
      char *grown = capacity > MOST_BYTES ? NULL : realloc(out, capacity + 1);
      if (!grown) {
        code = Z_MEM_ERROR;
        break;
      }
      out = grown;
    }
    z.next_out = (Bytef *)out + used;
    z.avail_out = (uInt)(capacity - used);
    code = inflate(&z, Z_NO_FLUSH);
    used = capacity - z.avail_out;
  }
  inflateEnd(&z);
  if (code != Z_STREAM_END) {
    free(out);
    return code == Z_MEM_ERROR ? vq_fail(VQ_ERR_FORMAT, "it unpacks to more than a vocabulary can be")
                               : vq_fail(VQ_ERR_FORMAT, "its gzip data is damaged or cut off: get the file again");
  }
  out[used] = 0;
  *text = out;
  *bytes = used;
  return VQ_OK;
}

/* ---- text: a merge a line ---- */

/* Is [line, line + n) two words with one space between them? */
static bool is_merge(const char *line, size_t n)
{
  const char *space = memchr(line, ' ', n);
  return space && space > line && space < line + n - 1 && !memchr(space + 1, ' ', (size_t)(line + n - space - 1));
}

static vq_status cut_lines(char *text, size_t bytes, int count, size_t *kept)
{
  size_t to = 0;
  int found = 0, number = 0;
  for (size_t at = 0; at < bytes && (!count || found < count);) {
    const char *end = memchr(text + at, '\n', bytes - at);
    size_t n = (end ? (size_t)(end - text) : bytes) - at, line = n && text[at + n - 1] == '\r' ? n - 1 : n;
    number++;
    bool version = number == 1 && (text[at] == '"' || text[at] == '#');
    if (line && !version) {
      if (!is_merge(text + at, line))
        return vq_fail(
            VQ_ERR_FORMAT,
            "line %d is not a merge, two words with a space: \"%.*s\"; it is no vocabulary, or a damaged one",
            number, (int)(line < 40 ? line : 40), text + at);
      memmove(text + to, text + at, line);
      text[to + line] = '\n';
      to += line + 1;
      found++;
    }
    at += n + 1;
  }
  if (found < count)
    return vq_fail(VQ_ERR_FORMAT,
                   "it has %d merges, and this CLIP's vocabulary needs %d: it belongs to another network", found,
                   count);
  *kept = to;
  return VQ_OK;
}

/* ---- tokenizer.json ---- */

static vq_status append(char **text, size_t *used, size_t *capacity, const char *word, char end)
{
  size_t n = strlen(word);
  if (*used + n + 2 > *capacity) {
    size_t larger = 2 * *capacity + n + 2;
    char *grown = realloc(*text, larger);
    if (!grown)
      return vq_fail(VQ_ERR_MEMORY, "no memory for the vocabulary");
    *text = grown;
    *capacity = larger;
  }
  memcpy(*text + *used, word, n);
  (*text)[*used + n] = end;
  *used += n + 1;
  return VQ_OK;
}

static vq_status join(const json_t *merges, char **text, size_t *used)
{
  size_t capacity = 0, i;
  json_t *merge;
  json_array_foreach (merges, i, merge) {
    const char *a = json_string_value(json_array_get(merge, 0)), *b = json_string_value(json_array_get(merge, 1));
    if (!json_is_string(merge) && !(a && b))
      return vq_fail(VQ_ERR_FORMAT, "merge %zu is neither \"a b\" nor [\"a\", \"b\"]", i);
    if (json_is_string(merge)) {
      VQ_TRY(append(text, used, &capacity, json_string_value(merge), '\n'));
      continue;
    }
    VQ_TRY(append(text, used, &capacity, a, ' '));
    VQ_TRY(append(text, used, &capacity, b, '\n'));
  }
  return VQ_OK;
}

static vq_status read_json(const vq_input *file, char **text, size_t *bytes)
{
  json_error_t error;
  json_t *root = json_loadb((const char *)file->data, file->bytes, 0, &error);
  if (!root)
    return vq_fail(VQ_ERR_FORMAT, "it is not JSON: line %d: %s", error.line, error.text);
  const json_t *merges = json_object_get(json_object_get(root, "model"), "merges");
  vq_status status = VQ_OK;
  if (json_array_size(merges))
    status = join(merges, text, bytes);
  else if (json_object_get(root, "<|endoftext|>"))
    status = vq_vocabulary_from_words(root, text, bytes);
  else
    status = vq_fail(
        VQ_ERR_FORMAT,
        "it has neither model.merges nor the word <|endoftext|>: name tokenizer.json, vocab.json or merges.txt");
  json_decref(root);
  return status;
}

static vq_status read_text(const vq_input *file, char **text, size_t *bytes)
{
  if (file->bytes > 2 && file->data[0] == 0x1f && file->data[1] == 0x8b)
    return unpack(file, text, bytes);
  if (file->data[0] == '{')
    return read_json(file, text, bytes);
  *text = file->bytes <= MOST_BYTES ? malloc(file->bytes + 1) : NULL;
  if (!*text)
    return vq_fail(VQ_ERR_FORMAT, "it is too large to be a vocabulary");
  memcpy(*text, file->data, file->bytes);
  *bytes = file->bytes;
  return VQ_OK;
}

vq_status vq_vocabulary_read(char **merges, size_t *bytes, const char *path, int count)
{
  vq_input file;
  char *text = NULL;
  size_t length = 0;
  *merges = NULL;
  VQ_TRY(vq_input_open(&file, path));
  vq_status status = read_text(&file, &text, &length);
  vq_input_close(&file);
  /* A last line need not end: what is kept of it does, and so does the text. */
  char *room = status ? NULL : realloc(text, length + 2);
  if (!status && !room)
    status = vq_fail(VQ_ERR_MEMORY, "no memory for the vocabulary");
  text = room ? room : text;
  if (!status)
    status = cut_lines(text, length, count, bytes);
  if (status) {
    free(text);
    return vq_fail_in(status, "%s", path);
  }
  text[*bytes] = 0;
  *merges = text;
  return VQ_OK;
}
