/* reveal.c -- texts and hidden bits, told apart by the keys and forms that the programs document. */
#include "runtime/reveal.h"

#include "loaders/image.h"
#include "loaders/xmp.h"
#include "runtime/notebook.h"
#include "runtime/stegano.h"

#include <stdlib.h>
#include <string.h>

/* The object under a key, made where there is none. */
static json_t *under(json_t *o, const char *key)
{
  json_t *inner = json_object_get(o, key);
  if (!inner) {
    inner = json_object();
    json_object_set_new(o, key, inner);
  }
  return inner;
}

/* JSON as what it means, all else as text. */
static json_t *value_of(const char *text)
{
  json_t *value = json_loads(text, 0, NULL);
  return value ? value : json_string(text);
}

/* ---- the form of AUTOMATIC1111's web interface ----
 *
 *   the prompt, lines of it
 *   Negative prompt: the same, where there is one
 *   Steps: 20, Sampler: Euler a, Lora hashes: "a: 1, b: 2", ...
 */

/* Key: value, ... ; a value in quotes is a JSON string and may have commas in it. */
static void read_list(json_t *o, const char *p)
{
  while (*p) {
    char key[64];
    p += strspn(p, " \t\r\n,");
    size_t n = strcspn(p, ":");
    if (!p[n] || n >= sizeof key)
      return;
    snprintf(key, sizeof key, "%.*s", (int)n, p);
    p += n + 1;
    p += strspn(p, " ");
    const char *begin = p;
    if (*p == '"') {
      for (p++; *p && *p != '"'; p++)
        p += *p == '\\' && p[1];
      p += *p == '"';
    }
    p += strcspn(p, ",");
    json_t *text = json_stringn(begin, (size_t)(p - begin));
    if (*begin == '"' && text) {
      json_t *inside = json_loads(json_string_value(text), JSON_DECODE_ANY, NULL);
      if (inside) {
        json_decref(text);
        text = inside;
      }
    }
    if (text)
      json_object_set_new(o, key, text);
  }
}

/* The last line that begins so, or NULL. */
static const char *last_line(const char *text, const char *words)
{
  const char *found = NULL;
  for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
    if (!strncmp(p, words, strlen(words)))
      found = p;
  return found;
}

static void put_part(json_t *o, const char *key, const char *begin, const char *end)
{
  while (end > begin && strchr(" \r\n", end[-1]))
    end--;
  json_object_set_new(o, key, json_stringn(begin, (size_t)(end - begin)));
}

static bool read_parameters(json_t *found, const char *text)
{
  static const char negative[] = "Negative prompt:";
  const char *steps = last_line(text, "Steps: "), *not = last_line(text, negative);
  if (!steps)
    return false;
  json_t *o = under(found, "automatic1111");
  if (not &&not > steps)
    not = NULL;
  put_part(o, "prompt", text, not ? not : steps);
  if (not )
    put_part(o, "negative_prompt", not +sizeof negative - 1 + strspn(not +sizeof negative - 1, " "), steps);
  read_list(o, steps);
  return true;
}

/* ---- texts by their keys ---- */

static void keep_property(void *user, const char *uri, const char *name, const char *text)
{
  json_t *found = user;
  static const char *const ours[] = {"creator", "title", "i", "model", "seed", "input_images"};
  if (!strcmp(uri, VQ_XMP_VQGEN) && !strcmp(name, "settings"))
    json_object_set_new(found, "vqgen", value_of(text));
  for (size_t i = 0; !strcmp(uri, VQ_XMP_DC) && i < sizeof ours / sizeof *ours; i++)
    if (!strcmp(name, ours[i]))
      json_object_set_new(under(under(found, "notebook"), "xmp"), name, json_string(text));
}

typedef struct finding {
  json_t *found;
  bool unread; /* there is XMP, and this build does not read it */
} finding;

static void read_xmp(finding *f, const char *packet)
{
  json_t *mine = json_object(), *found = f->found;
  vq_status status = vq_xmp_read(packet, keep_property, mine);
  f->unread = f->unread || status == VQ_ERR_UNSUPPORTED;
  if (!status) {
    /* a creator and a title alone may be anybody's, but for one who says that it is the notebook */
    const json_t *xmp = json_object_get(json_object_get(mine, "notebook"), "xmp");
    const char *creator = json_string_value(json_object_get(xmp, "creator"));
    if (xmp && !json_object_get(xmp, "seed") && (!creator || strcmp(creator, "VQGAN+CLIP")))
      json_object_del(mine, "notebook");
    json_object_update(found, mine);
  }
  json_decref(mine);
}

typedef struct known_key {
  const char *key, *program, *name;
  bool json; /* only if it is that */
} known_key;

static const known_key keys[] = {
    {"vqgen", "vqgen", NULL, true},
    {"comment", "nerdyrodent", "comment", false},
    {"prompt", "comfyui", "prompt", true},
    {"workflow", "comfyui", "workflow", true},
    {"Dream", "invokeai", "Dream", false},
    {"sd-metadata", "invokeai", "sd-metadata", true},
    {"invokeai_metadata", "invokeai", "invokeai_metadata", true},
    {"invokeai_workflow", "invokeai", "invokeai_workflow", true},
};

static void keep_text(void *user, const char *key, const char *text)
{
  finding *f = user;
  json_t *found = f->found;
  if (!strcmp(key, VQ_TEXT_XMP)) {
    read_xmp(f, text);
  } else if (!strcmp(key, "parameters") || !strcmp(key, VQ_TEXT_EXIF_COMMENT)) {
    read_parameters(found, text);
  } else if (!strncmp(key, "pixray_", 7)) {
    json_object_set_new(under(found, "pixray"), key + 7, value_of(text));
  } else if (!strcmp(key, "Comment") || !strcmp(key, "Description") || !strcmp(key, "Source") ||
             !strcmp(key, "Software")) {
    /* NovelAI's, if Software says so: see below */
    json_object_set_new(under(found, "novelai"), key, value_of(text));
  }
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    if (strcmp(key, keys[i].key))
      continue;
    json_t *value = value_of(text);
    if (keys[i].json && !json_is_object(value))
      json_decref(value);
    else if (keys[i].name)
      json_object_set_new(under(found, keys[i].program), keys[i].name, value);
    else
      json_object_set_new(found, keys[i].program, value);
  }
}

/* ---- hidden bits ---- */

static vq_status read_hidden(json_t *found, const char *path)
{
  vq_image image;
  char *text;
  VQ_TRY(vq_image_read(&image, path));
  vq_status status = vq_stegano_reveal(&text, &image);
  vq_image_free(&image);
  if (status || !text)
    return status;
  json_t *value = value_of(text);
  if (json_is_string(json_object_get(value, "notebook")))
    json_object_set(under(found, "notebook"), "stegano", value);
  else
    json_object_set(found, "stegano", value);
  json_decref(value);
  free(text);
  return VQ_OK;
}

vq_status vq_reveal(json_t **out, const char *path)
{
  json_t *found = json_object();
  *out = NULL;
  if (!found)
    return vq_fail(VQ_ERR_MEMORY, "no memory for settings");
  finding f = {found, false};
  vq_status status = vq_image_read_texts(path, keep_text, &f);
  const char *software = json_string_value(json_object_get(json_object_get(found, "novelai"), "Software"));
  if (!software || strcmp(software, "NovelAI"))
    json_object_del(found, "novelai");
  if (!status)
    status = read_hidden(found, path);
  if (!status && f.unread && json_object_size(found) == 0)
    status = vq_fail(VQ_ERR_UNSUPPORTED,
                     "'%s' has settings in XMP, which this build does not read: build it with expat", path);
  if (status)
    json_decref(found);
  else
    *out = found;
  return status;
}
