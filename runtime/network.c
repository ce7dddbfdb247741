/* network.c -- opens networks, finds out their settings, and hands their weights to the nets. */
#include "runtime/network.h"

#include "loaders/vocabulary.h"
#include "runtime/published.h"
#include "runtime/vocabulary_search.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct vq_network {
  char *path;
  vq_network_kind kind;
  vq_checkpoint *file;
  vq_layout *layout;
  bool ours;
  char *config_file, *vocab; /* of a published one; NULL: none, and the search decides */
  vq_assumed assumed;
  vq_weight_source weights;
  vq_exchange exchange;
  vq_vqgan_config vqgan;
  vq_clip_config clip;
};

/* ---- weights by name ---- */

static bool find_shape(const void *user, const char *name, int *rank, int64_t *dim)
{
  const vq_layout_weight *w = vq_layout_weight_of(((const vq_network *)user)->layout, name);
  if (!w)
    return false;
  *rank = w->rank;
  for (int i = 0; i < w->rank && i < VQ_RANK; i++)
    dim[i] = w->dim[i];
  return true;
}

static bool is_exchanged(const vq_network *net, const char *name)
{
  switch (net->exchange) {
  case VQ_EXCHANGE_NOTHING: return false;
  case VQ_EXCHANGE_ENCODER: return !strncmp(name, "encoder.", 8);
  case VQ_EXCHANGE_DECODER: return !strncmp(name, "decoder.", 8);
  case VQ_EXCHANGE_IMAGE: return !strncmp(name, "visual.", 7);
  case VQ_EXCHANGE_TEXT: return !strncmp(name, "transformer.", 12);
  }
  return false;
}

/* The name of the other of a VQGAN's q and k: attn.q.weight for attn.k.weight. The caller frees it; NULL for other names. */
static char *other_of(const char *name)
{
  const char *letter = strstr(name, ".q."), *found = letter ? letter : strstr(name, ".k.");
  char *other = found ? strdup(name) : NULL;
  if (other)
    other[found + 1 - name] = letter ? 'k' : 'q';
  return other;
}

/* A CLIP has both in one tensor, q before k before v. */
static void exchange_thirds(vq_real *values, size_t elements)
{
  for (size_t i = 0; i < elements / 3; i++) {
    vq_real q = values[i];
    values[i] = values[elements / 3 + i];
    values[elements / 3 + i] = q;
  }
}

static vq_status read_values(const void *user, const char *name, vq_real *out)
{
  const vq_network *net = user;
  bool exchanged = is_exchanged(net, name);
  char *other = exchanged ? other_of(name) : NULL;
  const vq_layout_weight *w = vq_layout_weight_of(net->layout, other ? other : name);
  vq_status status = vq_layout_read(w, net->file, out);
  free(other);
  if (!status && exchanged && strstr(name, ".in_proj_"))
    exchange_thirds(out, vq_layout_elements(w));
  return status;
}

/* ---- is it whole, and what of it is used? ---- */

typedef struct asker {
  const vq_network *net;
  bool *asked; /* [weights of the layout], or NULL */
} asker;

static bool ask_shape(const void *user, const char *name, int *rank, int64_t *dim)
{
  const asker *a = user;
  const vq_layout_weight *w = vq_layout_weight_of(a->net->layout, name);
  if (w && a->asked)
    a->asked[w - a->net->layout->weight] = true;
  return find_shape(a->net, name, rank, dim);
}

/* The network made on a plan, which takes shapes and reads nothing. */
static vq_status ask_all(const vq_network *net, bool *asked)
{
  const asker a = {net, asked};
  const vq_weight_source source = {.user = &a, .shape = ask_shape, .read = read_values};
  vq_device *plan;
  vq_clip *clip = NULL;
  vq_vqgan *vqgan = NULL;
  VQ_TRY(vq_plan_create(&plan, &vq_cpu_backend));
  vq_status status = net->kind == VQ_NETWORK_CLIP
                         ? vq_clip_create(&clip, plan, &net->clip, &source, CLIP_IMAGE | CLIP_TEXT)
                         : vq_vqgan_create(&vqgan, plan, &net->vqgan, &source, VQGAN_DECODER | VQGAN_ENCODER);
  vq_clip_free(clip);
  vq_vqgan_free(vqgan);
  vq_device_free(plan);
  return vq_fail_in(status, "%s", net->path);
}

vq_status vq_network_whole(const vq_network *net)
{
  return ask_all(net, NULL);
}

/* Tensors that have a network's names and that ours does not use are not part of it. If tensors are missing, that is said when they
 * are read. */
static vq_status leave_out_unused(vq_network *net)
{
  bool *asked = calloc((size_t)net->layout->count + 1, sizeof *asked);
  if (!asked)
    return vq_fail(VQ_ERR_MEMORY, "no memory for the names of the tensors");
  if (!ask_all(net, asked))
    vq_layout_keep(net->layout, asked);
  free(asked);
  return VQ_OK;
}

/* The project's own form keeps its texts in safetensors' metadata. */
static const char *metadata(const vq_network *net, const char *key)
{
  const vq_checkpoint_value *value = vq_checkpoint_container(net->file) == VQ_CONTAINER_SAFETENSORS
                                         ? vq_checkpoint_value_find(net->file, key)
                                         : NULL;
  return value && value->kind == VQ_VALUE_TEXT ? value->text : NULL;
}

/* ---- settings ---- */

/* A setting that is an integer; a missing or wrong one makes *status the error that names it. */
static int integer(const json_t *config, const char *key, vq_status *status)
{
  const json_t *value = json_object_get(config, key);
  if (*status)
    return 0;
  if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > 1 << 24)
    *status = vq_fail(VQ_ERR_NETWORK, "its config has no usable number \"%s\"", key);
  return *status ? 0 : (int)json_integer_value(value);
}

static int integers(const json_t *config, const char *key, int *out, int most, vq_status *status)
{
  const json_t *list = json_object_get(config, key);
  if (*status)
    return 0;
  bool good = json_is_array(list) && json_array_size(list) <= (size_t)most;
  int count = good ? (int)json_array_size(list) : 0;
  for (int i = 0; i < count; i++) {
    const json_t *value = json_array_get(list, (size_t)i);
    good = good && json_is_integer(value) && json_integer_value(value) > 0 && json_integer_value(value) < 1 << 20;
    out[i] = good ? (int)json_integer_value(value) : 0;
  }
  if (!good)
    *status = vq_fail(VQ_ERR_NETWORK, "its config has no usable list of numbers \"%s\"", key);
  return good ? count : 0;
}

static vq_status read_vqgan(vq_vqgan_config *c, const json_t *config, bool gumbel)
{
  vq_status status = VQ_OK;
  c->gumbel = gumbel;
  c->ch = integer(config, "ch", &status);
  c->levels = integers(config, "ch_mult", c->ch_mult, VQGAN_MOST_LEVELS, &status);
  c->num_res_blocks = integer(config, "num_res_blocks", &status);
  c->attn_count = integers(config, "attn_resolutions", c->attn_resolutions, VQGAN_MOST_LEVELS, &status);
  c->resolution = integer(config, "resolution", &status);
  c->z_channels = integer(config, "z_channels", &status);
  c->embed_dim = integer(config, "embed_dim", &status);
  c->n_embed = integer(config, "n_embed", &status);
  return status;
}

static vq_status read_clip(vq_clip_config *c, const json_t *config)
{
  vq_status status = VQ_OK;
  const char *activation = json_string_value(json_object_get(config, "activation"));
  c->embed_dim = integer(config, "embed_dim", &status);
  c->image_resolution = integer(config, "image_resolution", &status);
  c->patch_size = integer(config, "vision_patch_size", &status);
  c->vision_width = integer(config, "vision_width", &status);
  c->vision_layers = integer(config, "vision_layers", &status);
  c->vision_heads = integer(config, "vision_heads", &status);
  c->context_length = integer(config, "context_length", &status);
  c->vocab_size = integer(config, "vocab_size", &status);
  c->text_width = integer(config, "transformer_width", &status);
  c->text_layers = integer(config, "transformer_layers", &status);
  c->text_heads = integer(config, "transformer_heads", &status);
  VQ_TRY(status);
  if (!activation || (strcmp(activation, "gelu") && strcmp(activation, "quick_gelu")))
    return vq_fail(VQ_ERR_NETWORK, "its config has no \"activation\" that is \"gelu\" or \"quick_gelu\"");
  c->exact_gelu = !strcmp(activation, "gelu");
  return VQ_OK;
}

static const char *kind_in_words(vq_network_kind kind)
{
  return kind == VQ_NETWORK_CLIP ? "a CLIP" : "a VQGAN";
}

/* Of the project's own form. */
static vq_status read_own_settings(vq_network *net, const char *kind)
{
  const char *text = metadata(net, "config");
  bool clip = !strcmp(kind, "clip");
  json_error_t error;
  if (!clip && strcmp(kind, "vqgan") && strcmp(kind, "gumbel"))
    return vq_fail(VQ_ERR_NETWORK, "its metadata calls it a \"%s\", which is neither a VQGAN nor a CLIP", kind);
  if (clip != (net->kind == VQ_NETWORK_CLIP))
    return vq_fail(VQ_ERR_NETWORK, "its metadata calls it a \"%s\", and its tensors are those of %s", kind,
                   kind_in_words(net->kind));
  if (!text)
    return vq_fail(VQ_ERR_NETWORK, "its metadata has a \"kind\" and no \"config\"");
  json_t *config = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (!config)
    return vq_fail(VQ_ERR_NETWORK, "its config is not JSON: %s", error.text);
  vq_status status =
      clip ? read_clip(&net->clip, config) : read_vqgan(&net->vqgan, config, !strcmp(kind, "gumbel"));
  json_decref(config);
  return status;
}

/* ---- networks as they were published ---- */

static bool is_folder(const char *path)
{
  struct stat found;
  return !stat(path, &found) && S_ISDIR(found.st_mode);
}

static bool is_file(const char *path)
{
  struct stat found;
  return !stat(path, &found) && S_ISREG(found.st_mode);
}

/* The first n letters of a, then b; NULL without memory. */
static char *joined(const char *a, size_t n, const char *b)
{
  char *text = malloc(n + strlen(b) + 1);
  if (text) {
    memcpy(text, a, n);
    strcpy(text + n, b);
  }
  return text;
}

/* The file of settings that lies beside a checkpoint: model.yaml for model.ckpt; config.json in a folder or beside model.safetensors. */
static char *config_beside(const char *path)
{
  static const char *const endings[] = {".yaml", ".yml"};
  static const char *const names[] = {"open_clip_config.json", "config.json", "config.yaml"};
  const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
  bool folder = is_folder(path);
  for (size_t i = 0; dot && !folder && i < sizeof endings / sizeof *endings; i++) {
    char *beside = joined(path, (size_t)(dot - path), endings[i]);
    if (beside && is_file(beside))
      return beside;
    free(beside);
  }
  char *in = folder ? joined(path, strlen(path), "/") : joined(path, slash ? (size_t)(slash + 1 - path) : 0, "");
  for (size_t i = 0; in && i < sizeof names / sizeof *names; i++) {
    char *beside = joined(in, strlen(in), names[i]);
    if (beside && is_file(beside)) {
      free(in);
      return beside;
    }
    free(beside);
  }
  free(in);
  return NULL;
}

/* OpenAI's files are TorchScript, or a dict of their tensors that has three numbers too, of which this is one; open_clip puts it into a file's
 * name if its weights want the activation of OpenAI's. */
static bool by_openai(const vq_network *net)
{
  const char *slash = strrchr(net->path, '/');
  char *number = joined(net->layout->prefix, strlen(net->layout->prefix), "input_resolution");
  bool found =
      number && (vq_checkpoint_find(net->file, number) >= 0 || vq_checkpoint_value_find(net->file, number));
  free(number);
  return found || vq_checkpoint_container(net->file) == VQ_CONTAINER_TORCHSCRIPT ||
         strstr(slash ? slash + 1 : net->path, "quickgelu");
}

static vq_status read_published_settings(vq_network *net, const vq_network_hints *hints)
{
  vq_document *document = NULL;
  bool given = hints && hints->config;
  net->config_file = given ? strdup(hints->config) : config_beside(net->path);
  if (net->config_file) {
    vq_status status = vq_document_open(&document, net->config_file);
    if (status == VQ_ERR_UNSUPPORTED && !given) { /* not read, not needed */
      free(net->config_file);
      net->config_file = NULL;
    } else {
      VQ_TRY(status);
    }
  }
  if (document && !given && !vq_published_is_of(document, net->kind)) { /* another network's, in the same folder */
    vq_document_free(document);
    document = NULL;
    free(net->config_file);
    net->config_file = NULL;
  }
  vq_status status = net->kind == VQ_NETWORK_CLIP
                         ? vq_published_clip(&net->clip, net->layout, document, by_openai(net), &net->assumed)
                         : vq_published_vqgan(&net->vqgan, net->layout, document, &net->assumed);
  if (status && net->config_file)
    status = vq_fail_in(status, "%s", net->config_file);
  vq_document_free(document);
  return status;
}

const char *vq_network_cut(const vq_network *net)
{
  static const char *const names[] = {"visual.class_embedding", "visual.positional_embedding",
                                      "positional_embedding", "token_embedding.weight"};
  const vq_layout_weight *norm = vq_layout_weight_of(net->layout, "ln_final.weight");
  bool small = net->kind == VQ_NETWORK_CLIP && norm && !vq_network_pair(net);
  for (size_t i = 0; small && i < sizeof names / sizeof *names; i++) {
    const vq_layout_weight *w = vq_layout_weight_of(net->layout, names[i]);
    if (w && w->dtype == norm->dtype && (w->dtype == VQ_FILE_F16 || w->dtype == VQ_FILE_BF16))
      return w->dtype == VQ_FILE_F16 ? "all of it, embeddings and norms too, was cut to F16 by whoever saved it: "
                                       "features differ from the published network's by about a thousandth; for "
                                       "the published ones get a file in which embeddings have 32 bits"
                                     : "all of it, embeddings and norms too, was cut to BF16 by whoever saved it: "
                                       "features differ from the published network's by about a hundredth; for the "
                                       "published ones get a file in which embeddings have 32 bits";
  }
  return NULL;
}

static void tell(const vq_network *net, const vq_network_hints *hints)
{
  const vq_log *log = hints->log;
  const char *config = hints->config, *vocab = net->kind == VQ_NETWORK_CLIP ? hints->vocab : NULL;
  vq_log_info(log, "%s: %s, %s%s%s", net->path, vq_container_name(vq_checkpoint_container(net->file)),
              net->layout->family, net->config_file ? ", settings from " : "",
              net->config_file ? net->config_file : "");
  if (*net->assumed.text)
    vq_log_warning(log, "%s: assumed, as no file of settings tells: %s", net->path, net->assumed.text);
  if (vq_network_cut(net))
    vq_log_warning(log, "%s: %s", net->path, vq_network_cut(net));
  if (net->layout->superfluous_count)
    vq_log_warning(log,
                   "%s: %d of its tensors (%s ...) are no part of the network that vqgen knows, and not used: "
                   "vqgen inspect names them",
                   net->path, net->layout->superfluous_count,
                   vq_checkpoint_at(net->file, net->layout->superfluous[0])->name);
  vq_log_info(log, "it opens faster once it is converted: vqgen convert '%s'%s%s%s%s%s%s -o NAME.safetensors",
              net->path, config ? " --config '" : "", config ? config : "", config ? "'" : "",
              vocab ? " --vocab '" : "", vocab ? vocab : "", vocab ? "'" : "");
}

static vq_status open_parts(vq_network *net, const vq_network_hints *hints)
{
  VQ_TRY(vq_checkpoint_open(&net->file, net->path));
  vq_status status = vq_layout_find(&net->layout, net->file);
  if (status)
    return vq_fail_in(status, "%s", net->path);
  net->kind = net->layout->kind;
  const char *kind = metadata(net, "kind");
  net->ours = kind != NULL;
  if (kind)
    return vq_fail_in(read_own_settings(net, kind), "%s", net->path);
  if (hints && hints->vocab && !(net->vocab = strdup(hints->vocab)))
    return vq_fail(VQ_ERR_MEMORY, "no memory to open %s", net->path);
  status = read_published_settings(net, hints);
  if (!status)
    status = leave_out_unused(net);
  if (!status && hints && hints->log)
    tell(net, hints);
  return vq_fail_in(status, "%s", net->path);
}

vq_status vq_network_open_any(vq_network **out, const char *path, const vq_network_hints *hints)
{
  *out = NULL;
  vq_network *net = calloc(1, sizeof *net);
  if (!net || !(net->path = strdup(path))) {
    free(net);
    return vq_fail(VQ_ERR_MEMORY, "no memory to open %s", path);
  }
  net->weights = (vq_weight_source){.user = net, .name = net->path, .shape = find_shape, .read = read_values};
  vq_status status = open_parts(net, hints);
  if (status)
    vq_network_close(net);
  else
    *out = net;
  return status;
}

vq_status vq_network_open(vq_network **out, const char *path, vq_network_kind kind, const vq_network_hints *hints)
{
  VQ_TRY(vq_network_open_any(out, path, hints));
  vq_network_kind is = (*out)->kind;
  if (is == kind)
    return VQ_OK;
  vq_network_close(*out);
  *out = NULL;
  return vq_fail(VQ_ERR_NETWORK, "%s: it holds %s, and %s is wanted here: are --vqgan and --clip exchanged?", path,
                 kind_in_words(is), kind_in_words(kind));
}

void vq_network_close(vq_network *net)
{
  if (!net)
    return;
  vq_layout_free(net->layout);
  vq_checkpoint_close(net->file);
  free(net->config_file);
  free(net->vocab);
  free(net->path);
  free(net);
}

vq_network_kind vq_network_kind_of(const vq_network *net)
{
  return net->kind;
}

bool vq_network_is_ours(const vq_network *net)
{
  return net->ours;
}

const char *vq_network_assumed(const vq_network *net)
{
  return net->assumed.text;
}

const char *vq_network_config_file(const vq_network *net)
{
  return net->config_file;
}

const vq_layout *vq_network_layout(const vq_network *net)
{
  return net->layout;
}

const vq_checkpoint *vq_network_checkpoint(const vq_network *net)
{
  return net->file;
}

const char *vq_network_path(const vq_network *net)
{
  return net->path;
}

const char *vq_network_name(const vq_network *net)
{
  const char *name = metadata(net, "name"), *slash = strrchr(net->path, '/');
  return name ? name : slash ? slash + 1 : net->path;
}

const char *vq_network_defaults(const vq_network *net)
{
  return metadata(net, "defaults");
}

const char *vq_network_pair(const vq_network *net)
{
  return metadata(net, "pair");
}

const vq_vqgan_config *vq_network_vqgan(const vq_network *net)
{
  return &net->vqgan;
}

const vq_clip_config *vq_network_clip(const vq_network *net)
{
  return &net->clip;
}

const vq_weight_source *vq_network_weights(const vq_network *net)
{
  return &net->weights;
}

void vq_network_exchange(vq_network *net, vq_exchange what)
{
  net->exchange = what;
}

vq_status vq_network_make_vqgan(vq_vqgan **out, const vq_network *net, vq_device *device, unsigned parts)
{
  return vq_vqgan_create(out, device, &net->vqgan, &net->weights, parts);
}

vq_status vq_network_make_clip(vq_clip **out, const vq_network *net, vq_device *device, unsigned parts)
{
  return vq_clip_create(out, device, &net->clip, &net->weights, parts);
}

static json_t *list_of(const int *values, int count)
{
  json_t *list = json_array();
  for (int i = 0; list && i < count; i++)
    json_array_append_new(list, json_integer(values[i]));
  return list;
}

char *vq_network_config_json(const vq_network *net)
{
  const vq_vqgan_config *g = &net->vqgan;
  const vq_clip_config *c = &net->clip;
  json_t *config =
      net->kind == VQ_NETWORK_VQGAN
          ? json_pack("{si so si so si si si si si si}", "ch", g->ch, "ch_mult", list_of(g->ch_mult, g->levels),
                      "num_res_blocks", g->num_res_blocks, "attn_resolutions",
                      list_of(g->attn_resolutions, g->attn_count), "resolution", g->resolution, "z_channels",
                      g->z_channels, "embed_dim", g->embed_dim, "n_embed", g->n_embed, "in_channels", 3, "out_ch",
                      3)
          : json_pack("{si si si si si si si si si si si ss}", "embed_dim", c->embed_dim, "image_resolution",
                      c->image_resolution, "vision_layers", c->vision_layers, "vision_width", c->vision_width,
                      "vision_patch_size", c->patch_size, "vision_heads", c->vision_heads, "context_length",
                      c->context_length, "vocab_size", c->vocab_size, "transformer_width", c->text_width,
                      "transformer_heads", c->text_heads, "transformer_layers", c->text_layers, "activation",
                      c->exact_gelu ? "gelu" : "quick_gelu");
  char *text = config ? json_dumps(config, 0) : NULL;
  json_decref(config);
  return text;
}

vq_status vq_network_merges(char **merges, size_t *bytes, const vq_network *net)
{
  const char *own = metadata(net, "merges");
  int count = net->clip.vocab_size - 514; /* 512 bytes and the two ends have no merge */
  *merges = NULL;
  if (own) {
    *bytes = strlen(own);
    *merges = strdup(own);
    return *merges ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for the vocabulary");
  }
  if (net->ours)
    return vq_fail(VQ_ERR_NETWORK, "%s: its metadata has no \"merges\", so texts cannot be made into tokens",
                   net->path);
  char *found = net->vocab ? strdup(net->vocab) : vq_vocabulary_search(net->path);
  if (!found)
    return vq_fail(VQ_ERR_NETWORK,
                   "%s: there is no vocabulary beside it (bpe_simple_vocab_16e6.txt.gz, merges.txt, tokenizer.json "
                   "or vocab.json) nor in an installed openai-clip or open_clip: get one by "
                   "tools/get-vocabulary.sh, and put it there or name it by --vocab",
                   net->path);
  vq_status status = vq_vocabulary_read(merges, bytes, found, count);
  free(found);
  return status;
}

vq_status vq_network_tokenizer(vq_tokenizer **out, const vq_network *net)
{
  char *merges;
  size_t bytes;
  *out = NULL;
  VQ_TRY(vq_network_merges(&merges, &bytes, net));
  vq_status status = vq_tokenizer_create(out, merges, bytes, net->clip.vocab_size, net->clip.context_length);
  free(merges);
  return vq_fail_in(status, "%s", net->path);
}
