/* document.c -- reads YAML by libyaml and JSON by jansson. Contract: document.h. */
#include "loaders/document.h"

#include "loaders/input.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef VQ_YAML
#include <yaml.h>
#endif

#define MOST_BYTES ((size_t)4 << 20)
#define MOST_DEPTH 32
#define WAY_BYTES  512

typedef struct entry {
  char *way, *text;
} entry;

struct vq_document {
  entry *entry;
  int count, capacity;
  char way[WAY_BYTES]; /* to where the reader is */
};

static vq_status add(vq_document *d, const char *text, size_t length)
{
  if (d->count == d->capacity) {
    int capacity = d->capacity ? 2 * d->capacity : 64;
    entry *grown = realloc(d->entry, (size_t)capacity * sizeof *grown);
    if (!grown)
      return vq_fail(VQ_ERR_MEMORY, "no memory for its settings");
    d->entry = grown;
    d->capacity = capacity;
  }
  entry e = {strdup(d->way), strndup(text, length)};
  if (!e.way || !e.text) {
    free(e.way);
    free(e.text);
    return vq_fail(VQ_ERR_MEMORY, "no memory for its settings");
  }
  d->entry[d->count++] = e;
  return VQ_OK;
}

/* One step further on the way; returns where it was, to go back to by leave(). */
static vq_status enter(vq_document *d, const char *key, size_t length, size_t *was)
{
  *was = strlen(d->way);
  if (*was + length + 2 > WAY_BYTES)
    return vq_fail(VQ_ERR_FORMAT, "its settings lie too deep, at %.80s...", d->way);
  snprintf(d->way + *was, WAY_BYTES - *was, "%s%.*s", *was ? "." : "", (int)length, key);
  return VQ_OK;
}

static void leave(vq_document *d, size_t was)
{
  d->way[was] = 0;
}

static vq_status enter_index(vq_document *d, size_t index, size_t *was)
{
  char number[24];
  int n = snprintf(number, sizeof number, "%zu", index);
  return enter(d, number, (size_t)n, was);
}

/* ---- JSON ---- */

static vq_status add_json(vq_document *d, const json_t *value, int depth)
{
  size_t was, i;
  const char *key;
  json_t *inner;
  char number[40];
  if (depth > MOST_DEPTH)
    return vq_fail(VQ_ERR_FORMAT, "its settings lie too deep, at %.80s...", d->way);
  switch (json_typeof(value)) {
  case JSON_OBJECT:
    json_object_foreach ((json_t *)value, key, inner) {
      VQ_TRY(enter(d, key, strlen(key), &was));
      VQ_TRY(add_json(d, inner, depth + 1));
      leave(d, was);
    }
    return VQ_OK;
  case JSON_ARRAY:
    json_array_foreach (value, i, inner) {
      VQ_TRY(enter_index(d, i, &was));
      VQ_TRY(add_json(d, inner, depth + 1));
      leave(d, was);
    }
    return VQ_OK;
  case JSON_STRING: return add(d, json_string_value(value), json_string_length(value));
  case JSON_INTEGER:
    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return add(d, number, strlen(number));
  case JSON_REAL:
    snprintf(number, sizeof number, "%.17g", json_real_value(value));
    return add(d, number, strlen(number));
  case JSON_TRUE: return add(d, "true", 4);
  case JSON_FALSE: return add(d, "false", 5);
  default: return add(d, "null", 4);
  }
}

static vq_status read_json(vq_document *d, const vq_input *file)
{
  json_error_t error;
  json_t *root = json_loadb((const char *)file->data, file->bytes, 0, &error);
  if (!root)
    return vq_fail(VQ_ERR_FORMAT, "it is not JSON: line %d: %s", error.line, error.text);
  vq_status status = add_json(d, root, 0);
  json_decref(root);
  return status;
}

/* ---- YAML ---- */

#ifdef VQ_YAML

static vq_status yaml_error(const yaml_parser_t *parser)
{
  return vq_fail(VQ_ERR_FORMAT, "it is not YAML: line %zu: %s", parser->problem_mark.line + 1,
                 parser->problem ? parser->problem : "the text is damaged");
}

static vq_status next(yaml_parser_t *parser, yaml_event_t *event)
{
  return yaml_parser_parse(parser, event) ? VQ_OK : yaml_error(parser);
}

static vq_status add_yaml(vq_document *d, yaml_parser_t *parser, const yaml_event_t *event, int depth);

static vq_status add_list(vq_document *d, yaml_parser_t *parser, int depth)
{
  for (size_t i = 0;; i++) {
    yaml_event_t event;
    size_t was;
    VQ_TRY(next(parser, &event));
    bool end = event.type == YAML_SEQUENCE_END_EVENT;
    vq_status status = end ? VQ_OK : enter_index(d, i, &was);
    if (!end && !status) {
      status = add_yaml(d, parser, &event, depth + 1);
      leave(d, was);
    }
    yaml_event_delete(&event);
    if (end || status)
      return status;
  }
}

static vq_status add_map(vq_document *d, yaml_parser_t *parser, int depth)
{
  for (;;) {
    yaml_event_t key, value;
    size_t was;
    VQ_TRY(next(parser, &key));
    if (key.type != YAML_SCALAR_EVENT) {
      bool end = key.type == YAML_MAPPING_END_EVENT;
      size_t line = key.start_mark.line + 1;
      yaml_event_delete(&key);
      return end ? VQ_OK : vq_fail(VQ_ERR_FORMAT, "line %zu: a key that is not a word", line);
    }
    vq_status status = enter(d, (const char *)key.data.scalar.value, key.data.scalar.length, &was);
    yaml_event_delete(&key);
    VQ_TRY(status);
    VQ_TRY(next(parser, &value));
    status = add_yaml(d, parser, &value, depth + 1);
    yaml_event_delete(&value);
    leave(d, was);
    VQ_TRY(status);
  }
}

/* A value, whose first event has been read. What an alias stands for is not looked up: no settings need one. */
static vq_status add_yaml(vq_document *d, yaml_parser_t *parser, const yaml_event_t *event, int depth)
{
  if (depth > MOST_DEPTH)
    return vq_fail(VQ_ERR_FORMAT, "its settings lie too deep, at %.80s...", d->way);
  switch (event->type) {
  case YAML_SCALAR_EVENT: return add(d, (const char *)event->data.scalar.value, event->data.scalar.length);
  case YAML_SEQUENCE_START_EVENT: return add_list(d, parser, depth);
  case YAML_MAPPING_START_EVENT: return add_map(d, parser, depth);
  case YAML_ALIAS_EVENT: return VQ_OK;
  default: return vq_fail(VQ_ERR_FORMAT, "it is not YAML: line %zu", event->start_mark.line + 1);
  }
}

static vq_status read_yaml(vq_document *d, const vq_input *file)
{
  yaml_parser_t parser;
  vq_status status = VQ_OK;
  if (!yaml_parser_initialize(&parser))
    return vq_fail(VQ_ERR_MEMORY, "no memory for its settings");
  yaml_parser_set_input_string(&parser, file->data, file->bytes);
  for (bool found = false; !status && !found;) {
    yaml_event_t event;
    status = next(&parser, &event);
    if (status)
      break;
    bool begins = event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT;
    if (event.type == YAML_STREAM_END_EVENT)
      status = vq_fail(VQ_ERR_FORMAT, "it holds no settings");
    else if (!begins)
      status = add_yaml(d, &parser, &event, 0);
    found = !begins;
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  return status;
}

#else

static vq_status read_yaml(vq_document *d, const vq_input *file)
{
  (void)d;
  (void)file;
  return vq_fail(VQ_ERR_UNSUPPORTED, "this build reads no YAML: install libyaml and build again, or leave the file "
                                     "out (settings are then worked out from the tensors)");
}

#endif

/* JSON, and YAML that is written in one line: {model: {target: ...}}. What is neither is told to be no JSON. */
static vq_status read_braces(vq_document *d, const vq_input *file)
{
  char message[256];
  vq_status status = read_json(d, file);
  if (status != VQ_ERR_FORMAT || d->count)
    return status;
  snprintf(message, sizeof message, "%s", vq_error_message());
  return read_yaml(d, file) ? vq_fail(status, "%s", message) : VQ_OK;
}

static vq_status read_any(vq_document *d, const vq_input *file)
{
  size_t i = 0;
  if (file->bytes > MOST_BYTES)
    return vq_fail(VQ_ERR_FORMAT, "it is too large to be a file of settings");
  while (i < file->bytes && strchr(" \t\r\n", file->data[i]))
    i++;
  return i < file->bytes && file->data[i] == '{' ? read_braces(d, file) : read_yaml(d, file);
}

vq_status vq_document_open(vq_document **out, const char *path)
{
  vq_input file;
  *out = NULL;
  VQ_TRY(vq_input_open(&file, path));
  vq_document *d = calloc(1, sizeof *d);
  vq_status status = d ? read_any(d, &file) : vq_fail(VQ_ERR_MEMORY, "no memory for its settings");
  vq_input_close(&file);
  if (status) {
    vq_document_free(d);
    return vq_fail_in(status, "%s", path);
  }
  *out = d;
  return VQ_OK;
}

void vq_document_free(vq_document *d)
{
  for (int i = 0; d && i < d->count; i++) {
    free(d->entry[i].way);
    free(d->entry[i].text);
  }
  if (d)
    free(d->entry);
  free(d);
}

int vq_document_count(const vq_document *d)
{
  return d->count;
}

const char *vq_document_way(const vq_document *d, int index)
{
  return d->entry[index].way;
}

const char *vq_document_text(const vq_document *d, int index)
{
  return d->entry[index].text;
}

const char *vq_document_find(const vq_document *d, const char *base, const char *key)
{
  size_t n = strlen(base);
  for (int i = 0; i < d->count; i++) {
    const char *way = d->entry[i].way;
    if (!strncmp(way, base, n) && (!n || way[n] == '.') && !strcmp(way + n + (n > 0), key))
      return d->entry[i].text;
  }
  return NULL;
}
