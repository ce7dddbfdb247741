/* convert.c -- writes the project's own form; and the hashes that are known. Contract: convert.h. */
#include "runtime/convert.h"

#include "loaders/safetensors.h"
#include "loaders/xxh128.h"
#include "runtime/model_name.h"
#include "runtime/source_hash.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOME 4096 /* numbers that are converted at a time */

/* ---- known files ---- */

/* OpenAI's, whose addresses carry the hash. */
static const struct known {
  const char *name, *sha256;
} known[] = {
    {"ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"},
    {"ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"},
    {"ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"},
    {"ViT-L-14-336px.pt", "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"},
};
#define KNOWN (int)(sizeof known / sizeof *known)

const char *vq_known_name(const char *sha256)
{
  for (int i = 0; i < KNOWN; i++)
    if (!strcmp(known[i].sha256, sha256))
      return known[i].name;
  return NULL;
}

const char *vq_known_hash(const char *name)
{
  for (int i = 0; i < KNOWN; i++)
    if (!strcmp(known[i].name, name))
      return known[i].sha256;
  return NULL;
}

/* ---- the hash of what is converted, on a thread of its own: SHA-256 takes longer than all else ---- */

typedef struct hasher {
  const vq_checkpoint *file;
  vq_source_hash hash;
  char *text; /* "0..." until it is known */
  vq_status status;
  char message[512]; /* a thread's own is lost with it */
  pthread_t thread;
  bool apart; /* there is a thread, which has not been waited for */
} hasher;

static void *hash_all(void *user)
{
  hasher *h = user;
  h->status = vq_source_hash_take(h->text, h->hash, h->file);
  if (h->status)
    snprintf(h->message, sizeof h->message, "%s", vq_error_message());
  return NULL;
}

static vq_status hashes_begin(hasher *h, const vq_checkpoint *file, vq_source_hash hash)
{
  *h = (hasher){.file = file, .hash = hash, .text = vq_source_hash_room(hash, file)};
  if (!h->text)
    return vq_fail(VQ_ERR_MEMORY, "no memory for hashes");
  h->apart = !pthread_create(&h->thread, NULL, hash_all, h);
  return VQ_OK;
}

static vq_status hashes_end(hasher *h)
{
  if (h->apart)
    pthread_join(h->thread, NULL);
  else
    hash_all(h);
  h->apart = false;
  return h->status ? vq_fail(h->status, "%s", h->message) : VQ_OK;
}

static void hashes_free(hasher *h)
{
  if (h->apart)
    pthread_join(h->thread, NULL);
  free(h->text);
}

/* ---- writing ---- */

typedef struct writer {
  const vq_network *net;
  vq_convert_dtype dtype;
  hasher *hasher;
} writer;

static vq_file_dtype dtype_of(const vq_layout_weight *w, vq_convert_dtype dtype)
{
  bool number =
      w->dtype == VQ_FILE_F16 || w->dtype == VQ_FILE_BF16 || w->dtype == VQ_FILE_F32 || w->dtype == VQ_FILE_F64;
  return !number                    ? w->dtype
         : dtype == VQ_CONVERT_F32  ? VQ_FILE_F32
         : dtype == VQ_CONVERT_F16  ? VQ_FILE_F16
         : dtype == VQ_CONVERT_BF16 ? VQ_FILE_BF16
                                    : w->dtype;
}

/* From float to `dtype`; a number beyond it is an error. */
static vq_status narrow(const char *name, vq_file_dtype dtype, const float *from, size_t count, void *to)
{
  uint16_t *half = to;
  if (dtype == VQ_FILE_F32)
    memcpy(to, from, count * sizeof *from);
  for (size_t i = 0; i < count && dtype != VQ_FILE_F32; i++) {
    half[i] = dtype == VQ_FILE_F16 ? vq_f32_to_f16(from[i]) : vq_f32_to_bf16(from[i]);
    if (isfinite(from[i]) && !isfinite(dtype == VQ_FILE_F16 ? vq_f16_to_f32(half[i]) : vq_bf16_to_f32(half[i])))
      return vq_fail(VQ_ERR_NETWORK, "%s has a number, %g, that does not fit %s: choose --dtype f32", name,
                     (double)from[i], vq_file_dtype_name(dtype));
  }
  return VQ_OK;
}

/* One weight on its way into the file. */
typedef struct passage {
  const vq_layout_weight *weight;
  vq_file_dtype dtype;
  bool as_stored;
  vq_output *out;
} passage;

/* Some numbers at a time: what is converted takes no memory of a tensor's size. */
static vq_status pass_on(void *user, const vq_file_tensor *piece)
{
  const passage *p = user;
  float from[SOME], to[SOME];
  if (piece->dtype == p->dtype) {
    vq_output_write(p->out, piece->data, piece->bytes);
    return VQ_OK;
  }
  if (p->as_stored)
    return vq_fail(VQ_ERR_UNSUPPORTED, "%s is of several types; choose one for all by --dtype", p->weight->name);
  size_t all = vq_file_tensor_count(piece), width = vq_file_dtype_bytes(piece->dtype);
  for (size_t at = 0, count; at < all; at += count) {
    count = all - at < SOME ? all - at : SOME;
    const vq_file_tensor part = {
        NULL, piece->dtype, 1, {(int64_t)count}, (const char *)piece->data + at * width, count * width};
    vq_file_tensor_read_f32(&part, from);
    VQ_TRY(narrow(p->weight->name, p->dtype, from, count, to));
    vq_output_write(p->out, to, count * vq_file_dtype_bytes(p->dtype));
  }
  return VQ_OK;
}

static vq_status put(void *user, const vq_file_tensor *tensor, vq_output *out)
{
  const writer *w = user;
  const vq_layout_weight *weight = vq_layout_weight_of(vq_network_layout(w->net), tensor->name);
  passage p = {weight, tensor->dtype, w->dtype == VQ_CONVERT_AS_STORED, out};
  return vq_layout_pieces(weight, vq_network_checkpoint(w->net), pass_on, &p);
}

static vq_status end(void *user)
{
  return hashes_end(((const writer *)user)->hasher);
}

static const char *last_part(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}

/* The name that a picture calls the network by: the file's, without its ending. */
static char *plain_name(const char *path)
{
  char *name = strdup(last_part(path)), *dot = name ? strrchr(name, '.') : NULL;
  if (dot && dot > name)
    *dot = 0;
  return name;
}

static vq_status write_all(const vq_network *net, const char *path, vq_convert_dtype dtype, const char *const *pair,
                           int pairs, hasher *h)
{
  const vq_layout *l = vq_network_layout(net);
  vq_file_tensor *tensor = calloc((size_t)l->count, sizeof *tensor);
  writer out = {net, dtype, h};
  if (!tensor)
    return vq_fail(VQ_ERR_MEMORY, "no memory for the names of %d tensors", l->count);
  for (int i = 0; i < l->count; i++) {
    const vq_layout_weight *w = &l->weight[i];
    vq_file_tensor *t = &tensor[i];
    *t = (vq_file_tensor){.name = w->name, .dtype = dtype_of(w, dtype), .rank = w->rank};
    memcpy(t->dim, w->dim, sizeof w->dim);
    t->bytes = vq_layout_elements(w) * vq_file_dtype_bytes(t->dtype);
  }
  vq_status status = vq_safetensors_write_each(path, tensor, l->count, pair, pairs, put, end, &out);
  free(tensor);
  return status;
}

/* Whether there is, or may be, a SHA-256 to compare the source's with. */
static bool has_published_hash(const vq_network *net, const char *path)
{
  const char *from = vq_network_path(net);
  return vq_checkpoint_container(vq_network_checkpoint(net)) == VQ_CONTAINER_TORCHSCRIPT || /* as OpenAI's are */
         vq_known_hash(last_part(from)) ||
         (vq_network_kind_of(net) == VQ_NETWORK_VQGAN && (vq_model_has_list(path) || vq_model_has_list(from)));
}

vq_status vq_convert(const vq_network *net, const char *path, vq_convert_dtype dtype, bool sha256,
                     const vq_log *log)
{
  const vq_checkpoint *file = vq_network_checkpoint(net);
  const char *pair[12];
  char *config = vq_network_config_json(net), *name = plain_name(vq_network_path(net)), *merges = NULL;
  hasher h = {.text = NULL};
  size_t bytes;
  int pairs = 0;
  bool clip = vq_network_kind_of(net) == VQ_NETWORK_CLIP;
  bool strong = sha256 || !vq_xxh128_is_there() || has_published_hash(net, path);
  vq_source_hash hash = strong ? VQ_SOURCE_SHA256 : VQ_SOURCE_XXH128;
  vq_status status = config && name ? vq_network_whole(net) : vq_fail(VQ_ERR_MEMORY, "no memory for the settings");
  if (!status && clip)
    status = vq_network_merges(&merges, &bytes, net);
  if (!status)
    status = hashes_begin(&h, file, hash);
  if (!status) {
    const char *kind = clip ? "clip" : vq_network_vqgan(net)->gumbel ? "gumbel" : "vqgan";
    const char *from = last_part(vq_network_path(net)), *key = vq_source_hash_key(hash);
    const char *texts[] = {"kind", kind, "config", config, "name", name, "source", from, key, h.text};
    for (; pairs < 5; pairs++) {
      pair[2 * pairs] = texts[2 * pairs];
      pair[2 * pairs + 1] = texts[2 * pairs + 1];
    }
    if (merges) {
      pair[2 * pairs] = "merges";
      pair[2 * pairs++ + 1] = merges;
    }
    if (vq_network_cut(net))
      vq_log_warning(log, "%s: %s", vq_network_path(net), vq_network_cut(net));
    status = write_all(net, path, dtype, pair, pairs, &h);
  }
  free(config);
  free(name);
  free(merges);
  hashes_free(&h);
  return status;
}
