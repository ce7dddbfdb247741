/* record.c -- the record's JSON, there and back. */
#include "runtime/record.h"

#include "runtime/fields.h"
#include "runtime/machine.h"
#include "runtime/place.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct vq_run_record {
  json_t *json;
  vq_settings settings; /* of its fields; texts borrowed from the JSON */
};

static const char *const network_keys[] = {[VQ_NETWORK_VQGAN] = "vqgan", [VQ_NETWORK_CLIP] = "clip"};

/* ---- writing ---- */

/* Settings and vocabulary as they are in force, wherever they come from. */
static vq_status settings_sum(uint32_t *sum, const vq_network *net)
{
  char *config = vq_network_config_json(net), *merges = NULL;
  size_t bytes = 0;
  if (!config)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a network's settings");
  uLong crc = crc32_z(0, (const Bytef *)config, strlen(config));
  free(config);
  if (vq_network_kind_of(net) == VQ_NETWORK_CLIP && !vq_network_merges(&merges, &bytes, net))
    crc = crc32_z(crc, (const Bytef *)merges, bytes);
  free(merges);
  *sum = (uint32_t)crc;
  return VQ_OK;
}

vq_status vq_record_network_of(vq_record_network *out, const vq_network *net)
{
  const vq_checkpoint *files = vq_network_checkpoint(net);
  const char *path = vq_network_path(net), *slash = strrchr(path, '/');
  *out = (vq_record_network){.settings = 0};
  snprintf(out->name, sizeof out->name, "%s", vq_network_name(net));
  snprintf(out->file.name, sizeof out->file.name, "%s", slash && slash[1] ? slash + 1 : path);
  for (char *end = out->file.name + strlen(out->file.name); end > out->file.name && end[-1] == '/';)
    *--end = 0;
  for (int i = 0; i < vq_checkpoint_files(files); i++)
    VQ_TRY(vq_identity_add(&out->file, vq_checkpoint_file(files, i, NULL)));
  return settings_sum(&out->settings, net);
}

bool vq_record_network_same(const vq_record_network *a, const vq_record_network *b)
{
  return vq_identity_same(&a->file, &b->file) && a->settings == b->settings;
}

vq_status vq_record_files_of(vq_record_files *out, const vq_settings *s, const vq_network *vqgan,
                             const vq_network *clip)
{
  int count, files = 0;
  const vq_field *field = vq_fields(&count);
  VQ_TRY(vq_record_network_of(&out->network[VQ_NETWORK_VQGAN], vqgan));
  VQ_TRY(vq_record_network_of(&out->network[VQ_NETWORK_CLIP], clip));
  for (int i = 0; i < count; i++)
    if (field[i].file && field[i].file(s) && files < VQ_RECORD_FILES)
      VQ_TRY(vq_identify(&out->file[files++], field[i].file(s)));
  return VQ_OK;
}

/* Names of files may be no UTF-8, which JSON must be. */
static json_t *plain_text(const char *text)
{
  json_t *value = json_string(text);
  char *plain = value ? NULL : strdup(text);
  for (char *p = plain; p && *p; p++)
    if ((unsigned char)*p >= 0x80)
      *p = '?';
  if (plain)
    value = json_string(plain);
  free(plain);
  return value;
}

static json_t *file_json(const vq_identity *file)
{
  char crc[16];
  snprintf(crc, sizeof crc, "%08x", (unsigned)file->crc);
  json_t *o = json_object();
  json_object_set_new(o, "file", plain_text(file->name));
  json_object_set_new(o, "bytes", json_integer(file->bytes));
  json_object_set_new(o, "crc32", json_string(crc));
  return o;
}

static json_t *network_json(const vq_record_network *net)
{
  json_t *o = json_object(), *file = file_json(&net->file);
  json_object_set_new(o, "name", plain_text(net->name));
  json_object_update(o, file);
  json_decref(file);
  char sum[16];
  snprintf(sum, sizeof sum, "%08x", (unsigned)net->settings);
  json_object_set_new(o, "settings", json_string(sum));
  return o;
}

/* What a prompt is besides a text that is always there; NULL: nothing. */
static json_t *prompt_kind_json(const vq_prompt *p, const vq_identity *picture)
{
  if (p->kind == VQ_PROMPT_IMAGE)
    return json_pack("{s:o}", "image", file_json(picture));
  if (p->kind == VQ_PROMPT_NOISE)
    return json_pack("{s:b}", "noise", 1);
  return p->phase == VQ_EVERY_PHASE ? NULL : json_pack("{s:i}", "phase", p->phase);
}

static json_t *prompt_json(const vq_prompt *p, const vq_identity *picture)
{
  json_t *o = json_array(), *kind = prompt_kind_json(p, picture);
  json_array_append_new(o, plain_text(p->kind == VQ_PROMPT_IMAGE ? picture->name : p->text));
  json_array_append_new(o, json_real(p->weight));
  json_array_append_new(o, isfinite(p->stop) ? json_real(p->stop) : json_null()); /* JSON has no infinity */
  if (kind)
    json_array_append_new(o, kind);
  return o;
}

static json_t *prompts_json(const vq_record_parts *p)
{
  json_t *list = json_array();
  for (int i = 0; i < p->prompts; i++)
    json_array_append_new(list, prompt_json(&p->prompt[i], &p->files->picture[i]));
  return list;
}

static void add_fields(json_t *o, const vq_settings *s, const vq_identity *file)
{
  int count;
  const vq_field *field = vq_fields(&count);
  for (int i = 0; i < count; i++) {
    bool named = field[i].file && field[i].file(s);
    json_object_set_new(o, field[i].name, named ? file_json(file++) : vq_field_to_json(&field[i], s));
  }
}

/* With as many digits as it takes to read the same numbers again. */
static char *shortest(const json_t *o)
{
  for (int digits = 15; digits <= 17; digits++) {
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(digits));
    json_t *again = text ? json_loads(text, 0, NULL) : NULL;
    bool same = again && json_equal(o, again);
    json_decref(again);
    if (same || digits == 17)
      return text;
    free(text);
  }
  return NULL;
}

vq_status vq_record_write(char **text, const vq_record_parts *p)
{
  char build[256], device[256];
  vq_place place;
  *text = NULL;
  VQ_TRY(vq_place_of(&place, p->settings));
  json_t *o = json_object();
  vq_machine_build(build, sizeof build);
  vq_place_name(&place, device, sizeof device);
  json_object_set_new(o, "version", json_string(VQ_VERSION));
  json_object_set_new(o, "build", plain_text(build));
  json_object_set_new(o, "device", plain_text(device));
  json_object_set_new(o, "step", json_integer(p->step));
  json_object_set_new(o, "prompts", prompts_json(p));
  add_fields(o, p->settings, p->files->file);
  for (int i = 0; i < 2; i++)
    json_object_set_new(o, network_keys[i], network_json(&p->files->network[i]));
  *text = shortest(o);
  json_decref(o);
  return *text ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a picture's settings");
}

/* ---- reading ---- */

static bool read_identity(vq_identity *out, const json_t *o)
{
  const char *name = json_string_value(json_object_get(o, "file"));
  const char *crc = json_string_value(json_object_get(o, "crc32"));
  const json_t *bytes = json_object_get(o, "bytes");
  *out = (vq_identity){.bytes = json_integer_value(bytes)};
  if (!name || !*name || strchr(name, '/') || strlen(name) >= sizeof out->name || !crc || !json_is_integer(bytes))
    return false;
  strcpy(out->name, name);
  out->crc = (uint32_t)strtoul(crc, NULL, 16);
  return true;
}

static bool good_prompt(const json_t *p)
{
  const json_t *stop = json_array_get(p, 2), *kind = json_array_get(p, 3);
  const json_t *image = json_object_get(kind, "image"), *phase = json_object_get(kind, "phase");
  vq_identity file;
  return json_is_string(json_array_get(p, 0)) && json_is_number(json_array_get(p, 1)) &&
         (json_is_number(stop) || json_is_null(stop)) && (!kind || json_object_size(kind) == 1) &&
         (!image || read_identity(&file, image)) &&
         (!phase || (json_is_integer(phase) && json_integer_value(phase) >= 0 &&
                     json_integer_value(phase) < VQ_MOST_PROMPTS)) &&
         (!kind || image || phase || json_is_true(json_object_get(kind, "noise")));
}

static bool good_prompts(const json_t *list)
{
  size_t i;
  json_t *p;
  json_array_foreach (list, i, p) {
    if (!good_prompt(p))
      return false;
  }
  return json_is_array(list) && json_array_size(list) <= VQ_MOST_PROMPTS;
}

static vq_status read_field(vq_run_record *r, const vq_field *f, const json_t *value)
{
  vq_identity file;
  if (!f->file || !json_is_object(value)) {
    VQ_TRY(vq_fail_in(vq_field_from_json(f, &r->settings, value), "%s", f->name));
    return f->file && f->file(&r->settings)
               ? vq_fail(VQ_ERR_FORMAT, "%s: it says where a file lay, not which", f->name)
               : VQ_OK;
  }
  if (!read_identity(&file, value))
    return vq_fail(VQ_ERR_FORMAT, "%s: it names no file", f->name);
  return vq_field_read(f, &r->settings, json_string_value(json_object_get(value, "file")));
}

static bool is_listed(const char *key, const char *const *keys)
{
  while (*keys && strcmp(*keys, key))
    keys++;
  return *keys != NULL;
}

static vq_status check_record(vq_run_record *r)
{
  static const char *const others[] = {"version", "build", "device", "step", "prompts", "vqgan", "clip", NULL};
  const json_t *step = json_object_get(r->json, "step");
  const char *key, *version = json_string_value(json_object_get(r->json, "version"));
  json_t *value;
  int count;
  const vq_field *field = vq_fields(&count);
  if (!version || !json_is_integer(step) || json_integer_value(step) < 0 ||
      !good_prompts(json_object_get(r->json, "prompts")))
    return vq_fail(VQ_ERR_FORMAT, "the settings lack a version, a step or prompts: were they edited?");
  for (int i = 0; i < 2; i++) {
    const json_t *net = json_object_get(r->json, network_keys[i]);
    vq_identity file;
    if (!json_is_string(json_object_get(net, "name")) || !json_is_string(json_object_get(net, "settings")) ||
        !read_identity(&file, net))
      return vq_fail(VQ_ERR_FORMAT, "the settings do not say which %s it was: were they edited?", network_keys[i]);
  }
  json_object_foreach (r->json, key, value) {
    if (!is_listed(key, others) && !vq_field_find(key))
      return vq_fail(VQ_ERR_UNSUPPORTED, "the setting \"%s\" is of vqgen %s and not known to this one, %s", key,
                     version, VQ_VERSION);
  }
  for (int i = 0; i < count; i++) { /* a field that is younger than the record keeps the meaning of its absence */
    value = json_object_get(r->json, field[i].name);
    if (value)
      VQ_TRY(read_field(r, &field[i], value));
  }
  return VQ_OK;
}

vq_status vq_record_read(vq_run_record **out, const char *text)
{
  json_error_t error;
  vq_run_record *r = calloc(1, sizeof *r);
  *out = NULL;
  if (!r)
    return vq_fail(VQ_ERR_MEMORY, "no memory for settings");
  vq_settings_init(&r->settings);
  r->json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  vq_status status = json_is_object(r->json) ? check_record(r)
                                             : vq_fail(VQ_ERR_FORMAT, "the settings are not JSON: %s",
                                                       r->json ? "no object" : error.text);
  if (status)
    vq_record_free(r);
  else
    *out = r;
  return status;
}

void vq_record_free(vq_run_record *r)
{
  if (!r)
    return;
  json_decref(r->json);
  free(r);
}

vq_status vq_record_settings(const vq_run_record *r, vq_settings *s)
{
  int count;
  const vq_field *field = vq_fields(&count);
  for (int i = 0; i < count; i++) {
    const json_t *value = json_object_get(r->json, field[i].name);
    if (json_is_object(value))
      value = json_object_get(value, "file");
    if (value)
      VQ_TRY(vq_field_from_json(&field[i], s, value));
  }
  return VQ_OK;
}

bool vq_record_file(const vq_run_record *r, int i, const char **name, vq_identity *file)
{
  int count;
  const vq_field *field = vq_fields(&count);
  for (int j = 0; j < count; j++) {
    const json_t *value = json_object_get(r->json, field[j].name);
    if (!json_is_object(value) || i-- > 0)
      continue;
    *name = field[j].name;
    return read_identity(file, value);
  }
  return false;
}

int vq_record_prompts(const vq_run_record *r)
{
  return (int)json_array_size(json_object_get(r->json, "prompts"));
}

vq_prompt vq_record_prompt_at(const vq_run_record *r, int i)
{
  const json_t *p = json_array_get(json_object_get(r->json, "prompts"), (size_t)i), *stop = json_array_get(p, 2);
  const json_t *kind = json_array_get(p, 3), *phase = json_object_get(kind, "phase");
  return (vq_prompt){
      .kind = json_object_get(kind, "image")   ? VQ_PROMPT_IMAGE
              : json_object_get(kind, "noise") ? VQ_PROMPT_NOISE
                                               : VQ_PROMPT_TEXT,
      .text = json_string_value(json_array_get(p, 0)),
      .weight = json_number_value(json_array_get(p, 1)),
      .stop = json_is_null(stop) ? VQ_NO_STOP : json_number_value(stop),
      .phase = phase ? (int)json_integer_value(phase) : VQ_EVERY_PHASE,
  };
}

bool vq_record_prompt_file(const vq_run_record *r, int i, vq_identity *file)
{
  const json_t *p = json_array_get(json_object_get(r->json, "prompts"), (size_t)i);
  const json_t *image = json_object_get(json_array_get(p, 3), "image");
  return image && read_identity(file, image);
}

int64_t vq_record_step(const vq_run_record *r)
{
  return json_integer_value(json_object_get(r->json, "step"));
}

void vq_record_network_at(const vq_run_record *r, vq_network_kind kind, vq_record_network *out)
{
  const json_t *net = json_object_get(r->json, network_keys[kind]);
  snprintf(out->name, sizeof out->name, "%s", json_string_value(json_object_get(net, "name")));
  read_identity(&out->file, net);
  out->settings = (uint32_t)strtoul(json_string_value(json_object_get(net, "settings")), NULL, 16);
}

const char *vq_record_device(const vq_run_record *r)
{
  return json_string_value(json_object_get(r->json, "device"));
}

bool vq_record_exact(const vq_run_record *r, const vq_place *place, char *why, size_t bytes)
{
  char build[256], device[256];
  const char *its_build = json_string_value(json_object_get(r->json, "build"));
  const char *its_device = vq_record_device(r);
  vq_machine_build(build, sizeof build);
  vq_place_name(place, device, sizeof device);
  bool same_build = its_build && !strcmp(its_build, build), same_device = its_device && !strcmp(its_device, device);
  *why = 0;
  if (!same_build)
    snprintf(why, bytes, "another build made it (%s; this is %s)", its_build ? its_build : "unknown", build);
  if (!same_device)
    snprintf(why + strlen(why), bytes - strlen(why), "%sit was made on another device (%s; this is %s)",
             same_build ? "" : ", and ", its_device ? its_device : "unknown", device);
  return same_build && same_device;
}
