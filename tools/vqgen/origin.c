/* origin.c -- records of pictures and snapshots, and the files that they speak of, found again. */
#include "tools/vqgen/origin.h"

#include "loaders/image.h"
#include "runtime/fields.h"
#include "runtime/find_network.h"
#include "runtime/reveal.h"
#include "runtime/snapshot.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- opening ---- */

/* The notebook's six fields, from either of the places where it wrote them. */
static vq_status open_notebook(origin *o, const json_t *found)
{
  const json_t *both = json_object_get(found, "notebook"), *hidden = json_object_get(both, "stegano");
  json_t *fields = json_copy((json_t *)(hidden ? hidden : json_object_get(both, "xmp")));
  const char *program = json_object_iter_key(json_object_iter((json_t *)found));
  if (json_is_string(json_object_get(fields, "title"))) {
    o->notebook = fields;
    return VQ_OK;
  }
  json_decref(fields);
  if (program)
    return vq_fail(
        VQ_ERR_UNSUPPORTED,
        "the settings inside are not vqgen's but of another kind (%s), which it cannot follow; vqgen reveal "
        "prints them",
        program);
  return vq_fail(VQ_ERR_FORMAT, "there are no settings inside: was it edited or re-encoded?");
}

vq_status origin_open_picture(origin *o, const char *path)
{
  json_t *found;
  o->path = path;
  VQ_TRY(vq_reveal(&found, path));
  const json_t *ours = json_object_get(found, "vqgen");
  char *text = ours ? json_dumps(ours, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
  vq_status status = text ? vq_record_read(&o->record, text) : VQ_OK;
  free(text);
  if (!ours)
    status = open_notebook(o, found);
  json_decref(found);
  return vq_fail_in(status, "%s", path);
}

vq_status origin_open_snapshot(origin *o, const char *path)
{
  vq_snapshot snapshot;
  o->path = path;
  o->snapshot = true;
  VQ_TRY(vq_snapshot_read(&snapshot, path));
  vq_status status = vq_fail_in(vq_record_read(&o->record, snapshot.record), "%s", path);
  o->note = snapshot.note ? json_loads(snapshot.note, 0, NULL) : NULL;
  vq_snapshot_free(&snapshot);
  return status;
}

void origin_clear(origin *o)
{
  vq_record_free(o->record);
  json_decref(o->note);
  json_decref(o->notebook);
  for (int i = 0; i < ORIGIN_FILES; i++)
    free(o->found[i]);
  *o = (origin){.path = NULL};
}

const char *origin_noted(const origin *o, const char *key)
{
  return json_string_value(json_object_get(o->note, key));
}

void origin_noted_count(const origin *o, const char *key, int64_t *count)
{
  const json_t *value = json_object_get(o->note, key);
  if (json_is_integer(value))
    *count = json_integer_value(value);
}

/* ---- files ---- */

static bool is_it(const char *path, const vq_identity *file)
{
  vq_identity other;
  return path && !vq_identify(&other, path) && vq_identity_same(&other, file);
}

/* Where a file of that name may lie now: where it lay, beside the picture, or in the present folder. False: nowhere else. */
static bool place(const origin *o, const char *key, const char *name, int i, char *path, size_t bytes)
{
  const char *slash = strrchr(o->path, '/'), *noted = origin_noted(o, key);
  switch (i) {
  case 0: snprintf(path, bytes, "%s", noted ? noted : name); return true;
  case 1: snprintf(path, bytes, "%.*s%s", slash ? (int)(slash + 1 - o->path) : 0, o->path, name); return true;
  case 2: snprintf(path, bytes, "%s", name); return true;
  }
  return false;
}

static char *find_file(const origin *o, const char *key, const vq_identity *file)
{
  char path[2 * PATH_MAX];
  for (int i = 0; place(o, key, file->name, i, path, sizeof path); i++)
    if (is_it(path, file))
      return strdup(path);
  return NULL;
}

/* The path of the network that this file or name stands for, if it is the one that is wanted. */
static char *if_wanted(const char *name, vq_network_kind kind, const char *config, const char *vocab,
                       const vq_record_network *wanted)
{
  char *path = NULL;
  vq_network *net;
  vq_record_network mine;
  bool same = false;
  if (!name || vq_network_find(&path, name))
    return NULL;
  if (!vq_network_open(&net, path, kind, &(vq_network_hints){config, vocab, NULL})) {
    same = !vq_record_network_of(&mine, net) && vq_record_network_same(&mine, wanted);
    vq_network_close(net);
  }
  if (!same)
    free(path);
  return same ? path : NULL;
}

/* Where it may lie, by its name in the folders of models, and in the pair that is found without options. */
static char *search(const origin *o, vq_network_kind kind, const network_options *n,
                    const vq_record_network *wanted)
{
  char path[2 * PATH_MAX], stem[256], *found = NULL;
  const char *name = wanted->file.name, *dot = strrchr(name, '.');
  for (int i = 0; !found && place(o, kind == VQ_NETWORK_CLIP ? "clip" : "vqgan", name, i, path, sizeof path); i++)
    if (!access(path, F_OK))
      found = if_wanted(path, kind, n->config, n->vocab, wanted);
  snprintf(stem, sizeof stem, "%.*s", dot ? (int)(dot - name) : 255, name);
  if (!found)
    found = if_wanted(stem, kind, n->config, n->vocab, wanted);
  if (found)
    return found;
  vq_settings pair;
  vq_settings_init(&pair);
  if (!vq_settings_load(&pair))
    found = if_wanted(kind == VQ_NETWORK_CLIP ? pair.clip : pair.vqgan, kind, n->config, n->vocab, wanted);
  vq_settings_clear(&pair);
  return found;
}

static vq_status find_network(origin *o, vq_network_kind kind, const network_options *n, const char **given)
{
  vq_record_network net;
  vq_record_network_at(o->record, kind, &net);
  if (*given) {
    char *path = if_wanted(*given, kind, n->config, n->vocab, &net);
    if (!path)
      vq_log_warning(&tool_log, "%s is not the network that %s was made with, which was %s (%s)", *given, o->path,
                     net.name, net.file.name);
    free(path);
    return VQ_OK;
  }
  *given = o->found[kind] = search(o, kind, n, &net);
  if (*given)
    return VQ_OK;
  return vq_fail(VQ_ERR_FILE,
                 "%s was made with %s (%s, %lld bytes, CRC-32 %08x), which is not found: name it by --%s", o->path,
                 net.name, net.file.name, (long long)net.file.bytes, (unsigned)net.file.crc,
                 kind == VQ_NETWORK_CLIP ? "clip" : "vqgan");
}

/* What is not told of device and precision is as it was, where this machine has that. */
static void find_place(const origin *o, network_options *n)
{
  const char *name = vq_record_device(o->record), *device;
  vq_precision precision;
  vq_place place;
  if (!name)
    return;
  vq_place_of_name(name, &device, &precision);
  bool told = n->device && strcmp(n->device, "auto");
  if (told && strncmp(n->device, device, strlen(device)))
    return;
  if (n->precision != VQ_PRECISION_AUTO)
    precision = (vq_precision)n->precision;
  if (vq_place_find(&place, told ? n->device : device, precision, n->threads, NULL))
    return; /* origin_tell says that it is another */
  n->device = told ? n->device : device;
  n->precision = (int)precision;
}

vq_status origin_networks(origin *o, network_options *n)
{
  if (!o->record)
    return VQ_OK;
  find_place(o, n);
  n->config = n->config ? n->config : origin_noted(o, "config");
  n->vocab = n->vocab ? n->vocab : origin_noted(o, "vocab");
  VQ_TRY(find_network(o, VQ_NETWORK_VQGAN, n, &n->vqgan));
  return find_network(o, VQ_NETWORK_CLIP, n, &n->clip);
}

/* A number of the notebook's, which is a text in XMP. */
static void notebook_number(const origin *o, const char *key, const char *field, vq_settings *s)
{
  const json_t *value = json_object_get(o->notebook, key);
  char text[32];
  snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
  /* what does not fit stays as it was: nothing more exact is promised */
  if (vq_field_read(vq_field_find(field), s,
                    json_is_integer(value)  ? text
                    : json_is_string(value) ? json_string_value(value)
                                            : ""))
    vq_log_warning(&tool_log, "%s: its \"%s\" is not understood", o->path, key);
}

/* Seed and step, and the size, which the picture itself has. */
static vq_status notebook_settings(const origin *o, vq_settings *s)
{
  vq_image image;
  VQ_TRY(vq_image_read(&image, o->path));
  s->width = image.width;
  s->height = image.height;
  vq_image_free(&image);
  notebook_number(o, "i", "steps", s);
  notebook_number(o, "seed", "seed", s);
  return VQ_OK;
}

vq_status origin_settings(origin *o, vq_settings *s)
{
  const char *field;
  vq_identity file;
  if (!o->record)
    return notebook_settings(o, s);
  VQ_TRY(vq_record_settings(o->record, s));
  for (int i = 0; vq_record_file(o->record, i, &field, &file) && i + 2 < ORIGIN_FILES; i++) {
    free(o->found[2 + i]);
    o->found[2 + i] = find_file(o, field, &file);
    if (o->found[2 + i])
      VQ_TRY(vq_field_read(vq_field_find(field), s, o->found[2 + i]));
    else /* an option may still name it */
      vq_log_warning(&tool_log, "%s was made with %s, which is neither beside it nor here: --%s names it", o->path,
                     file.name, field);
  }
  return VQ_OK;
}

/* What a snapshot's note calls the place of a prompt's picture. */
static const char *prompt_key(int i, char key[32])
{
  snprintf(key, 32, "prompt_%d", i);
  return key;
}

vq_status origin_prompt_text(const origin *o, int i, vq_prompt *prompt)
{
  char key[32];
  vq_identity file;
  bool picture = vq_record_prompt_file(o->record, i, &file);
  prompt->text = picture ? find_file(o, prompt_key(i, key), &file) : strdup(prompt->text);
  if (!prompt->text && picture)
    return vq_fail(VQ_ERR_FILE,
                   "%s was made with the picture prompt %s (%lld bytes, CRC-32 %08x), which is neither beside it "
                   "nor here: put it there, or give other prompts",
                   o->path, file.name, (long long)file.bytes, (unsigned)file.crc);
  return prompt->text ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a prompt");
}

/* ---- what is said ---- */

/* The options that are not as they were, as "--seed, --lr". */
static void changes(const origin *o, const vq_settings *s, char *text, size_t bytes)
{
  vq_settings its;
  int count, files = 0;
  const vq_field *field = vq_fields(&count);
  size_t used = 0;
  vq_settings_init(&its);
  *text = 0;
  if (vq_record_settings(o->record, &its))
    return;
  for (int i = 0; i < count; i++) {
    char a[VQ_FIELD_BYTES], b[VQ_FIELD_BYTES];
    const char *path = field[i].file ? field[i].file(s) : NULL, *name;
    vq_identity file;
    vq_field_write(&field[i], &its, a, sizeof a);
    vq_field_write(&field[i], s, b, sizeof b);
    bool same = !strcmp(a, b);
    if (!strcmp(field[i].name,
                "steps")) /* a run may go on for longer; but what falls over the steps falls otherwise */
      same = same || (o->snapshot && s->lr_schedule == VQ_LR_CONSTANT);
    if (path && field[i].file(&its))
      same = vq_record_file(o->record, files++, &name, &file) && is_it(path, &file);
    if (!same && used < bytes)
      used += (size_t)snprintf(text + used, bytes - used, "%s--%s", used ? ", " : "", field[i].name);
  }
  for (char *p = text; *p; p++)
    *p = *p == '_' ? '-' : *p;
}

/* As JSON and as Python say it. */
static bool is_true(const json_t *value)
{
  const char *text = json_string_value(value);
  return json_is_true(value) || (text && !strcmp(text, "True"));
}

static bool other_networks(const origin *o, const vq_settings *s)
{
  bool other = false;
  for (int kind = 0; kind < 2; kind++) {
    vq_record_network its;
    vq_record_network_at(o->record, (vq_network_kind)kind, &its);
    char *path =
        if_wanted(kind == VQ_NETWORK_CLIP ? s->clip : s->vqgan, (vq_network_kind)kind, s->config, s->vocab, &its);
    other = other || !path;
    free(path);
  }
  return other;
}

void origin_tell(const origin *o, const vq_settings *s, bool other_prompts)
{
  char changed[512], why[1024] = "";
  vq_place place;
  const char *what = o->snapshot ? "resume  " : "replay  ";
  if (!o->record) {
    const char *model = json_string_value(json_object_get(o->notebook, "model"));
    fprintf(stderr,
            "%s alike at best: the notebook wrote down its prompts, model (%s), seed and step; its learning rate, "
            "cutouts, "
            "CLIP and %srandom numbers are not known\n",
            what, model ? model : "unknown",
            is_true(json_object_get(o->notebook, "input_images")) ? "pictures and " : "");
    return;
  }
  changes(o, s, changed, sizeof changed);
  if (*changed || other_prompts || other_networks(o, s))
    fprintf(stderr, "%s another picture, for %s%s%s changed\n", what, changed,
            *changed && other_prompts ? ", " : "",
            other_prompts ? "prompts"
            : *changed    ? ""
                          : "a network");
  else if (vq_place_of(&place, s)) /* the run itself will say why */
    fprintf(stderr, "%s close at best\n", what);
  else if (vq_record_exact(o->record, &place, why, sizeof why))
    fprintf(stderr, "%s exact: this build on this device made it\n", what);
  else
    fprintf(stderr, "%s close, not exact: %s\n", what, why);
}

void origin_compare(const origin *o, const char *made)
{
  vq_image a, b;
  vq_status status = vq_image_read(&a, o->path);
  if (!status && vq_image_read(&b, made)) {
    vq_image_free(&a);
    status = VQ_ERR_FILE;
  }
  if (status) {
    fprintf(stderr, "replay   not compared: %s\n", vq_error_message());
    return;
  }
  size_t values = (size_t)a.width * (size_t)a.height * 3, other = 0;
  int most = 0;
  if (a.width != b.width || a.height != b.height) {
    fprintf(stderr, "replay   another size: %dx%d was %dx%d\n", b.width, b.height, a.width, a.height);
  } else {
    for (size_t i = 0; i < values; i++) {
      int apart = abs(a.rgb[i] - b.rgb[i]);
      other += apart > 0;
      most = apart > most ? apart : most;
    }
    if (other)
      fprintf(stderr, "replay   %.3g%% of the values differ, by at most %d of 255\n",
              100.0 * (double)other / (double)values, most);
    else
      fprintf(stderr, "replay   every pixel is the same\n");
  }
  vq_image_free(&a);
  vq_image_free(&b);
}

/* ---- a snapshot's note ---- */

static void note_path(json_t *note, const char *key, const char *path)
{
  char folder[PATH_MAX], absolute[2 * PATH_MAX];
  if (!path)
    return;
  if (*path != '/' && getcwd(folder, sizeof folder))
    snprintf(absolute, sizeof absolute, "%s/%s", folder, path);
  else
    snprintf(absolute, sizeof absolute, "%s", path);
  json_object_set_new(note, key,
                      json_string(absolute)); /* one that is not UTF-8 is left out, and to be given again */
}

char *origin_note(const vq_settings *s, const vq_prompt *prompt, int prompts, const char *output,
                  int64_t save_every, int64_t snapshot_every)
{
  int count;
  const vq_field *field = vq_fields(&count);
  json_t *note = json_object();
  note_path(note, "vqgan", s->vqgan);
  note_path(note, "clip", s->clip);
  note_path(note, "config", s->config);
  note_path(note, "vocab", s->vocab);
  note_path(note, "output", output);
  for (int i = 0; i < count; i++)
    note_path(note, field[i].name, field[i].file ? field[i].file(s) : NULL);
  for (int i = 0; i < prompts; i++)
    if (prompt[i].kind == VQ_PROMPT_IMAGE)
      note_path(note, prompt_key(i, (char[32]){0}), prompt[i].text);
  json_object_set_new(note, "save_every", json_integer(save_every));
  json_object_set_new(note, "snapshot_every", json_integer(snapshot_every));
  char *text = json_dumps(note, JSON_COMPACT);
  json_decref(note);
  return text;
}
