/* inspect.c -- what a checkpoint holds. */
#include "loaders/image.h"
#include "loaders/sha256.h"
#include "runtime/convert.h"
#include "runtime/find_network.h"
#include "runtime/source_hash.h"
#include "tools/vqgen/tool.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct inspect_options {
  network_options network;
  const char *source;
  bool tensors, json, verify;
} inspect_options;

static const char *last_part(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}

/* "known: it is ViT-B-32.pt", "wrong: ...", "none recorded": never more than is known. */
static const char *verdict(const char *path, const char *hash)
{
  const char *name = vq_known_name(hash), *published = vq_known_hash(last_part(path));
  return name        ? "known: as published"
         : published ? "wrong: a file of this name is published with another; get it again"
                     : "none recorded: whether the file is as published cannot be told";
}

static const char *text_of(const json_t *d, const char *key)
{
  const char *text = json_string_value(json_object_get(d, key));
  return text ? text : "";
}

static json_t *shape_of(const vq_file_tensor *x)
{
  json_t *shape = json_array();
  for (int i = 0; i < x->rank; i++)
    json_array_append_new(shape, json_integer(x->dim[i]));
  return shape;
}

static json_t *tensors_of(const vq_checkpoint *file)
{
  json_t *all = json_array();
  for (int i = 0; i < vq_checkpoint_count(file); i++) {
    const vq_file_tensor *x = vq_checkpoint_at(file, i);
    json_array_append_new(
        all, json_pack("{ss ss so}", "name", x->name, "dtype", vq_file_dtype_name(x->dtype), "shape", shape_of(x)));
  }
  return all;
}

/* The hash of a checkpoint as `convert` records it; the caller frees it. */
static vq_status hash_of(char **out, vq_source_hash hash, const char *path)
{
  vq_checkpoint *file;
  *out = NULL;
  VQ_TRY(vq_checkpoint_open(&file, path));
  char *text = vq_source_hash_room(hash, file);
  vq_status status = text ? vq_source_hash_take(text, hash, file) : vq_fail(VQ_ERR_MEMORY, "no memory for hashes");
  vq_checkpoint_close(file);
  if (status)
    free(text);
  else
    *out = text;
  return status;
}

/* Whether the file that is named, or lies beside the converted one under the recorded name, is what that was made from. */
static vq_status check_source(json_t *d, const inspect_options *o, vq_source_hash hash, const char *path)
{
  const char *name = text_of(d, "source"), *slash = strrchr(path, '/');
  size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
  char *beside = malloc(folder + strlen(name) + 1), *found;
  if (!beside)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a path");
  memcpy(beside, path, folder);
  strcpy(beside + folder, name);
  const char *source = o->source ? o->source : beside;
  vq_status status = VQ_OK;
  if (o->source || (strcmp(beside, path) && !access(beside, R_OK))) {
    status = hash_of(&found, hash, source);
    if (!status) {
      bool same = !strcmp(found, text_of(d, vq_source_hash_key(hash)));
      json_object_set_new(
          d, "source_check",
          json_sprintf(same ? "right: %s is what it was made from" : "wrong: %s is another file", source));
      free(found);
    }
  }
  free(beside);
  return status;
}

/* All that is known of a file, as JSON; a network is described where there is one. */
static vq_status describe(json_t **out, const inspect_options *o, const char *path)
{
  vq_checkpoint *file;
  vq_network *net;
  VQ_TRY(vq_checkpoint_open(&file, path));
  json_t *d = json_object(), *files = json_array(), *notes = json_array();
  *out = d;
  json_object_set_new(d, "container", json_string(vq_container_name(vq_checkpoint_container(file))));
  json_object_set_new(d, "files", files);
  vq_status status = VQ_OK;
  for (int i = 0; i < vq_checkpoint_files(file) && !status; i++) {
    uint64_t bytes;
    char hash[VQ_SHA256_HEX];
    const char *name = vq_checkpoint_file(file, i, &bytes);
    json_t *one = json_pack("{ss sI}", "path", name, "bytes", (json_int_t)bytes);
    json_array_append_new(files, one);
    if (o->verify && !(status = vq_sha256_file(name, hash))) {
      json_object_set_new(one, "sha256", json_string(hash));
      json_object_set_new(one, "verdict", json_string(verdict(name, hash)));
    }
  }
  for (int i = 0; i < vq_checkpoint_notes(file); i++)
    json_array_append_new(notes, json_string(vq_checkpoint_note(file, i)));
  json_object_set_new(d, "left_out", notes);
  json_object_set_new(d, "tensor_count", json_integer(vq_checkpoint_count(file)));
  if (o->tensors)
    json_object_set_new(d, "tensors", tensors_of(file));
  vq_checkpoint_close(file);
  VQ_TRY(status);
  if (vq_network_open_any(&net, path, &(vq_network_hints){o->network.config, o->network.vocab, NULL})) {
    json_object_set_new(d, "problem", json_string(vq_error_message()));
    return VQ_OK;
  }
  const vq_layout *l = vq_network_layout(net);
  char *config = vq_network_config_json(net), *merges = NULL;
  size_t bytes;
  bool clip = vq_network_kind_of(net) == VQ_NETWORK_CLIP;
  json_object_set_new(d, "kind", json_string(clip ? "clip" : vq_network_vqgan(net)->gumbel ? "gumbel" : "vqgan"));
  json_object_set_new(d, "converted", json_boolean(vq_network_is_ours(net)));
  json_object_set_new(d, "names", json_string(l->family));
  json_object_set_new(d, "prefix", json_string(l->prefix));
  json_object_set_new(d, "config", config ? json_loads(config, 0, NULL) : json_null());
  if (vq_network_config_file(net))
    json_object_set_new(d, "config_file", json_string(vq_network_config_file(net)));
  json_object_set_new(d, "assumed", json_string(vq_network_assumed(net)));
  if (vq_network_cut(net))
    json_object_set_new(d, "cut", json_string(vq_network_cut(net)));
  json_object_set_new(d, "needed", json_integer(l->count));
  json_t *superfluous = json_array();
  for (int i = 0; i < l->superfluous_count; i++)
    json_array_append_new(superfluous,
                          json_string(vq_checkpoint_at(vq_network_checkpoint(net), l->superfluous[i])->name));
  json_object_set_new(d, "superfluous", superfluous);
  json_object_set_new(d, "not_needed", json_integer(l->ignored));
  json_object_set_new(d, "missing", vq_network_whole(net) ? json_string(vq_error_message()) : json_string(""));
  if (clip)
    json_object_set_new(d, "vocabulary",
                        vq_network_merges(&merges, &bytes, net) ? json_string(vq_error_message())
                                                                : json_string(""));
  const vq_checkpoint_value *source = vq_checkpoint_value_find(vq_network_checkpoint(net), "source");
  vq_source_hash hash = VQ_SOURCE_SHA256;
  const char *recorded =
      vq_network_is_ours(net) ? vq_source_hash_recorded(&hash, vq_network_checkpoint(net)) : NULL;
  if (vq_network_is_ours(net) && source && source->kind == VQ_VALUE_TEXT)
    json_object_set_new(d, "source", json_string(source->text));
  if (recorded)
    json_object_set_new(d, vq_source_hash_key(hash), json_string(recorded));
  if (o->verify && recorded) {
    json_object_set_new(d, "source_verdict",
                        json_string(hash == VQ_SOURCE_SHA256
                                        ? verdict(text_of(d, "source"), recorded)
                                        : "no SHA-256: whether it was as published cannot be told"));
    status = check_source(d, o, hash, path);
  } else if (o->source) {
    status = vq_fail(VQ_ERR_ARGUMENT, "--source is for a converted file and with --verify");
  }
  free(config);
  free(merges);
  vq_network_close(net);
  return status;
}

static void print_list(const char *title, const json_t *list)
{
  for (size_t i = 0; i < json_array_size(list) && i < 12; i++)
    printf("%-12s %s%s\n", i ? "" : title, json_string_value(json_array_get(list, i)), i == 11 ? " ..." : "");
}

static void print_settings(const json_t *config)
{
  const char *key;
  json_t *value;
  const char *title = "settings";
  json_object_foreach ((json_t *)config, key, value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    printf("%-12s %s %s\n", title, key, text ? text : "?");
    free(text);
    title = "";
  }
}

static void print(const json_t *d, const vq_checkpoint *file)
{
  const json_t *files = json_object_get(d, "files");
  for (size_t i = 0; i < json_array_size(files); i++) {
    const json_t *one = json_array_get(files, i);
    printf("%-12s %s, %.1f MiB\n", i ? "" : "file", text_of(one, "path"),
           (double)json_integer_value(json_object_get(one, "bytes")) / (1 << 20));
    if (json_object_get(one, "sha256"))
      printf("%-12s %s\n%-12s %s\n", "sha256", text_of(one, "sha256"), "", text_of(one, "verdict"));
  }
  printf("%-12s %s, %lld tensors\n", "container", text_of(d, "container"),
         (long long)json_integer_value(json_object_get(d, "tensor_count")));
  print_list("left out", json_object_get(d, "left_out"));
  if (json_object_get(d, "problem")) {
    printf("%-12s none: %s\n", "network", text_of(d, "problem"));
  } else {
    printf("%-12s %s, %s%s%s\n", "network", text_of(d, "kind"), text_of(d, "names"),
           *text_of(d, "prefix") ? ", behind " : "", text_of(d, "prefix"));
    print_settings(json_object_get(d, "config"));
    if (*text_of(d, "config_file"))
      printf("%-12s %s\n", "read from", text_of(d, "config_file"));
    if (*text_of(d, "assumed"))
      printf("%-12s %s\n", "assumed", text_of(d, "assumed"));
    if (*text_of(d, "cut"))
      printf("%-12s %s\n", "precision", text_of(d, "cut"));
    printf("%-12s %lld needed, %lld not\n", "tensors", (long long)json_integer_value(json_object_get(d, "needed")),
           (long long)json_integer_value(json_object_get(d, "not_needed")));
    printf("%-12s %s\n", "missing", *text_of(d, "missing") ? text_of(d, "missing") : "nothing");
    print_list("superfluous", json_object_get(d, "superfluous"));
    if (json_object_get(d, "vocabulary"))
      printf("%-12s %s\n", "vocabulary", *text_of(d, "vocabulary") ? text_of(d, "vocabulary") : "there");
    if (*text_of(d, "source"))
      printf("%-12s %s\n", "made from", text_of(d, "source"));
    for (int i = 0; i < VQ_SOURCE_HASHES; i++)
      if (*text_of(d, vq_source_hash_key((vq_source_hash)i)))
        printf("%-12s %s %s\n", "", vq_source_hash_name((vq_source_hash)i),
               text_of(d, vq_source_hash_key((vq_source_hash)i)));
    if (*text_of(d, "source_verdict"))
      printf("%-12s %s\n", "", text_of(d, "source_verdict"));
    if (*text_of(d, "source_check"))
      printf("%-12s %s\n", "", text_of(d, "source_check"));
  }
  for (int i = 0; file && i < vq_checkpoint_count(file); i++) {
    const vq_file_tensor *x = vq_checkpoint_at(file, i);
    printf("%-5s [", vq_file_dtype_name(x->dtype));
    for (int k = 0; k < x->rank; k++)
      printf("%s%lld", k ? "," : "", (long long)x->dim[k]);
    printf("] %s\n", x->name);
  }
}

static vq_status inspect(const inspect_options *o, const char *name)
{
  char *path;
  json_t *found = NULL;
  vq_checkpoint *file = NULL;
  if (vq_image_is(name))
    return tool_reveal(name);
  VQ_TRY(vq_network_find(&path, name));
  vq_status status = describe(&found, o, path);
  if (!status && o->json) {
    json_dumpf(found, stdout, JSON_INDENT(2));
    putchar('\n');
  } else if (!status && !(status = o->tensors ? vq_checkpoint_open(&file, path) : VQ_OK)) {
    print(found, file);
  }
  bool wrong = !strncmp(text_of(found, "source_verdict"), "wrong", 5) ||
               !strncmp(text_of(found, "source_check"), "wrong", 5);
  for (size_t i = 0; !status && i < json_array_size(json_object_get(found, "files")); i++)
    wrong |= !strncmp(text_of(json_array_get(json_object_get(found, "files"), i), "verdict"), "wrong", 5);
  if (wrong)
    status = vq_fail(
        VQ_ERR_FORMAT,
        "%s: its SHA-256, or the hash of what it was made from, is not the published or the recorded one", path);
  vq_checkpoint_close(file);
  json_decref(found);
  free(path);
  return status;
}

static int run(const command *c, int argc, char **argv)
{
  inspect_options o = {.tensors = false};
  words rest = {0};
  int status;
  const option table[] = {
      {0, "tensors", NULL, set_flag, &o.tensors, "every tensor: type, shape, name"},
      {0, "json", NULL, set_flag, &o.json, "as JSON"},
      {0, "verify", NULL, set_flag, &o.verify,
       "compare the file's SHA-256 with the published one, if that is known, and of a converted file the recorded "
       "hash with what it was made from, if that is there"},
      {0, "source", "FILE", set_text, &o.source, "what a converted file was made from", "beside it"},
      OPTION_CONFIG(&o.network),
      OPTION_VOCAB(&o.network),
  };
  if (!tool_begin(c, table, ROWS(table), argc, argv, &rest, &status))
    return status;
  status =
      tool_end(c, rest.count == 1 ? inspect(&o, rest.word[0])
                                  : vq_fail(VQ_ERR_ARGUMENT, "%d files given where one is wanted", rest.count));
  words_free(&rest);
  return status;
}

const command command_inspect = {
    .name = "inspect",
    .usage = "[options] FILE|NAME",
    .summary = "tells what a checkpoint holds, and whether it is whole",
    .text = "Tells what a checkpoint is, whose names it uses, the network's settings and what of them was assumed, "
            "which tensors are missing or superfluous, and whether there is a vocabulary. Nothing is converted and "
            "nothing in it is run. Of a picture it tells what `vqgen reveal` tells.",
    .examples = "  vqgen inspect ViT-B-32.pt --verify\n"
                "  vqgen inspect vqgan.safetensors --tensors\n"
                "  vqgen inspect model.ckpt --json | jq .config\n",
    .run = run,
};
