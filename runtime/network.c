/* network.c -- reads a network's settings from its file's metadata and hands its weights to the nets. */
#include "runtime/network.h"

#include "loaders/input.h"
#include "loaders/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct vq_network {
  char *path;
  vq_safetensors *file;
  vq_weight_source weights;
  vq_vqgan_config vqgan;
  vq_clip_config clip;
};

/* ---- weights by name ---- */

static bool find_shape(const void *user, const char *name, int *rank, int64_t *dim)
{
  const vq_file_tensor *x = vq_safetensors_find(((const vq_network *)user)->file, name);
  if (!x)
    return false;
  *rank = x->rank;
  for (int i = 0; i < x->rank && i < VQ_RANK; i++)
    dim[i] = x->dim[i];
  return true;
}

static vq_status read_values(const void *user, const char *name, vq_real *out)
{
  const vq_network *net = user;
  const vq_file_tensor *tensor = vq_safetensors_find(net->file, name);
#ifdef VQ_DOUBLE
  vq_file_tensor_read_f64(tensor, out);
#else
  vq_file_tensor_read_f32(tensor, out);
#endif
  vq_input_forget(tensor->data, tensor->bytes);
  return VQ_OK;
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

static const char *kind_in_words(const char *kind)
{
  return !strcmp(kind, "clip") ? "a CLIP" : !strcmp(kind, "vqgan") || !strcmp(kind, "gumbel") ? "a VQGAN" : kind;
}

static vq_status read_settings(vq_network *net, vq_network_kind wanted)
{
  const char *kind = vq_safetensors_metadata(net->file, "kind");
  const char *text = vq_safetensors_metadata(net->file, "config");
  const char *must = wanted == VQ_NETWORK_CLIP ? "a CLIP" : "a VQGAN";
  if (!kind || !text)
    return vq_fail(
        VQ_ERR_NETWORK,
        "its metadata has no \"%s\", so it is not a network in vqgen's own form; %s in that form is wanted here",
        kind ? "config" : "kind", must);
  if (strcmp(kind_in_words(kind), must))
    return vq_fail(VQ_ERR_NETWORK, "it holds %s, and %s is wanted here: are --vqgan and --clip exchanged?",
                   kind_in_words(kind), must);
  json_error_t error;
  json_t *config = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (!config)
    return vq_fail(VQ_ERR_NETWORK, "its config is not JSON: %s", error.text);
  vq_status status = wanted == VQ_NETWORK_CLIP ? read_clip(&net->clip, config)
                                               : read_vqgan(&net->vqgan, config, !strcmp(kind, "gumbel"));
  json_decref(config);
  return status;
}

vq_status vq_network_open(vq_network **out, const char *path, vq_network_kind kind)
{
  *out = NULL;
  vq_network *net = calloc(1, sizeof *net);
  if (!net || !(net->path = strdup(path))) {
    free(net);
    return vq_fail(VQ_ERR_MEMORY, "no memory to open %s", path);
  }
  net->weights = (vq_weight_source){net, find_shape, read_values};
  vq_status status = vq_safetensors_open(&net->file, path);
  if (!status)
    status = vq_fail_in(read_settings(net, kind), "%s", path);
  if (status)
    vq_network_close(net);
  else
    *out = net;
  return status;
}

void vq_network_close(vq_network *net)
{
  if (!net)
    return;
  vq_safetensors_close(net->file);
  free(net->path);
  free(net);
}

const char *vq_network_path(const vq_network *net)
{
  return net->path;
}

const char *vq_network_name(const vq_network *net)
{
  const char *name = vq_safetensors_metadata(net->file, "name"), *slash = strrchr(net->path, '/');
  return name ? name : slash ? slash + 1 : net->path;
}

const char *vq_network_defaults(const vq_network *net)
{
  return vq_safetensors_metadata(net->file, "defaults");
}

const char *vq_network_pair(const vq_network *net)
{
  return vq_safetensors_metadata(net->file, "pair");
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

vq_status vq_network_make_vqgan(vq_vqgan **out, const vq_network *net, vq_device *device, unsigned parts)
{
  return vq_fail_in(vq_vqgan_create(out, device, &net->vqgan, &net->weights, parts), "%s", net->path);
}

vq_status vq_network_make_clip(vq_clip **out, const vq_network *net, vq_device *device, unsigned parts)
{
  return vq_fail_in(vq_clip_create(out, device, &net->clip, &net->weights, parts), "%s", net->path);
}

vq_status vq_network_tokenizer(vq_tokenizer **out, const vq_network *net)
{
  const char *merges = vq_safetensors_metadata(net->file, "merges");
  *out = NULL;
  if (!merges)
    return vq_fail(VQ_ERR_NETWORK, "%s: its metadata has no \"merges\", so texts cannot be made into tokens",
                   net->path);
  return vq_fail_in(
      vq_tokenizer_create(out, merges, strlen(merges), net->clip.vocab_size, net->clip.context_length), "%s",
      net->path);
}
