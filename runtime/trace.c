/* trace.c -- reads what is given, runs the engine's own steps, writes what it found in PyTorch's layouts. */
#include "runtime/trace.h"

#include "loaders/safetensors.h"
#include "runtime/augment_text.h"
#include "runtime/engine.h"
#include "runtime/fields.h"
#include "runtime/perceive.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ARRAYS  80
#define REAL_IN_FILE (sizeof(vq_real) == 4 ? VQ_FILE_F32 : VQ_FILE_F64)

typedef struct trace {
  const vq_network *vqgan, *clip;
  const vq_place *place;
  int C, h, w, side, width; /* of z; CLIP's input and feature sizes */
  int cutouts, prompts;
  char *text[VQ_MOST_PROMPTS];
  int32_t *boxes;
  vq_real *z, *text_features;
  double lr;
  int64_t steps;
  uint64_t seed; /* of the augmentations, and their step */
  uint32_t draw_step;
  bool *keep; /* [steps + 1] */
  vq_engine_config config;
  vq_engine *engine;
  vq_file_tensor array[MOST_ARRAYS]; /* what is to be written; names and data are owned */
  int arrays;
} trace;

static void *take(size_t count, size_t bytes, vq_status *status)
{
  void *memory = calloc(count + 1, bytes);
  if (!memory && !*status)
    *status = vq_fail(VQ_ERR_MEMORY, "no memory for a trace");
  return memory;
}

/* ---- in ---- */

static vq_status number(const vq_safetensors *file, const char *key, double least, double *out)
{
  const char *text = vq_safetensors_metadata(file, key);
  char *end = NULL;
  *out = text ? strtod(text, &end) : 0;
  if (!text || end == text || *end || !(*out >= least) || !isfinite(*out))
    return vq_fail(VQ_ERR_FORMAT, "its metadata has no usable number \"%s\"", key);
  return VQ_OK;
}

static json_t *list_of(const vq_safetensors *file, const char *key, vq_status *status)
{
  const char *text = vq_safetensors_metadata(file, key);
  json_error_t error;
  json_t *list = text ? json_loads(text, 0, &error) : NULL;
  if (!json_is_array(list)) {
    *status = vq_fail(VQ_ERR_FORMAT, "its metadata has no JSON list \"%s\"", key);
    json_decref(list);
    return NULL;
  }
  return list;
}

/* [text, weight, stop]; stop null, or a string for what JSON has no number for. */
static vq_status read_prompt(trace *t, const json_t *entry)
{
  const json_t *stop = json_array_get(entry, 2);
  const char *text = json_string_value(json_array_get(entry, 0));
  int i = t->prompts;
  if (!text || !json_is_number(json_array_get(entry, 1)) || i == VQ_MOST_PROMPTS)
    return vq_fail(VQ_ERR_FORMAT, "its prompts are not at most %d times [text, weight, stop]", VQ_MOST_PROMPTS);
  t->config.weight[i] = json_number_value(json_array_get(entry, 1));
  t->config.stop[i] = json_is_number(stop)   ? json_number_value(stop)
                      : json_is_string(stop) ? strtod(json_string_value(stop), NULL)
                                             : VQ_NO_STOP;
  t->config.target_rows[i] = 1;
  t->text[i] = strdup(text);
  if (!t->text[i])
    return vq_fail(VQ_ERR_MEMORY, "no memory for a prompt");
  t->prompts++;
  return VQ_OK;
}

static vq_status read_prompts(trace *t, const vq_safetensors *file)
{
  vq_status status = VQ_OK;
  json_t *list = list_of(file, "prompts", &status);
  for (size_t i = 0; i < json_array_size(list) && !status; i++)
    status = read_prompt(t, json_array_get(list, i));
  json_decref(list);
  if (!status && !t->prompts)
    return vq_fail(VQ_ERR_FORMAT, "its prompts are empty");
  return status;
}

static vq_status read_keep(trace *t, const vq_safetensors *file)
{
  vq_status status = VQ_OK;
  t->keep = take((size_t)t->steps + 1, sizeof *t->keep, &status);
  if (status || !vq_safetensors_metadata(file, "keep"))
    return status;
  json_t *list = list_of(file, "keep", &status);
  for (size_t i = 0; i < json_array_size(list); i++) {
    json_int_t step = json_integer_value(json_array_get(list, i));
    if (step < 0 || step > t->steps)
      status = vq_fail(VQ_ERR_FORMAT, "its \"keep\" names step %lld of %lld", (long long)step, (long long)t->steps);
    else
      t->keep[step] = true;
  }
  json_decref(list);
  return status;
}

static void read_reals(const vq_file_tensor *from, vq_real *to)
{
#ifdef VQ_DOUBLE
  vq_file_tensor_read_f64(from, to);
#else
  vq_file_tensor_read_f32(from, to);
#endif
}

/* Between PyTorch's [C, area] and the engine's [area, C]. */
static void swap_axes(vq_real *to, const vq_real *from, int64_t rows, int64_t columns)
{
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++)
      to[c * rows + r] = from[r * columns + c];
}

static vq_status read_arrays(trace *t, const vq_safetensors *file)
{
  const vq_file_tensor *z = vq_safetensors_find(file, "z"), *boxes = vq_safetensors_find(file, "boxes");
  const vq_file_tensor *text = vq_safetensors_find(file, "text_features");
  const vq_vqgan_config *vqgan = vq_network_vqgan(t->vqgan);
  vq_status status = VQ_OK;
  t->C = vqgan->embed_dim;
  t->side = vq_network_clip(t->clip)->image_resolution;
  t->width = vq_network_clip(t->clip)->embed_dim;
  if (!z || z->rank != 4 || z->dim[0] != 1 || z->dim[1] != t->C || z->dim[2] < 1 || z->dim[3] < 1 ||
      z->dim[2] > 4096 || z->dim[3] > 4096)
    return vq_fail(VQ_ERR_FORMAT, "it has no \"z\" of shape [1,%d,h,w]", t->C);
  if (!boxes || boxes->rank != 2 || boxes->dim[1] != 3 || boxes->dim[0] < 1 || boxes->dim[0] > 4096)
    return vq_fail(VQ_ERR_FORMAT, "it has no \"boxes\" of shape [n,3]");
  if (text && (text->rank != 2 || text->dim[0] != t->prompts || text->dim[1] != t->width))
    return vq_fail(VQ_ERR_FORMAT, "its \"text_features\" are not of shape [%d,%d]", t->prompts, t->width);
  t->h = (int)z->dim[2];
  t->w = (int)z->dim[3];
  t->cutouts = (int)boxes->dim[0];
  size_t count = vq_file_tensor_count(z);
  vq_real *stored = take(count, sizeof *stored, &status);
  t->z = take(count, sizeof *t->z, &status);
  t->boxes = take((size_t)t->cutouts * 3, sizeof *t->boxes, &status);
  t->text_features = take((size_t)t->prompts * (size_t)t->width, sizeof *t->text_features, &status);
  if (!status) {
    read_reals(z, stored);
    swap_axes(t->z, stored, t->C, (int64_t)t->h * t->w);
    status = vq_file_tensor_read_i32(boxes, t->boxes);
  }
  if (!status && text)
    read_reals(text, t->text_features);
  free(stored);
  return status;
}

static vq_status check_boxes(trace *t)
{
  int f = vq_vqgan_factor(vq_network_vqgan(t->vqgan)), W = t->w * f, H = t->h * f;
  t->config.box_least = t->config.box_most = t->boxes[2];
  for (int i = 0; i < t->cutouts; i++) {
    int x = t->boxes[3 * i], y = t->boxes[3 * i + 1], size = t->boxes[3 * i + 2];
    if (size < 1 || x < 0 || y < 0 || size > W || size > H || x > W - size || y > H - size)
      return vq_fail(VQ_ERR_FORMAT, "its box %d, %d,%d of size %d, is not inside the picture of %dx%d", i, x, y,
                     size, W, H);
    t->config.box_least = size < t->config.box_least ? size : t->config.box_least;
    t->config.box_most = size > t->config.box_most ? size : t->config.box_most;
  }
  return VQ_OK;
}

/* A setting by its field, if it is there. */
static vq_status setting(const vq_safetensors *file, const char *key, vq_settings *s)
{
  const char *text = vq_safetensors_metadata(file, key);
  return text ? vq_fail_in(vq_field_read(vq_field_find(key), s, text), "its metadata's \"%s\"", key) : VQ_OK;
}

static vq_status read_cutouts(trace *t, const vq_safetensors *file)
{
  vq_settings s;
  double step = 0;
  vq_settings_init(&s);
  s.seed = 0;
  VQ_TRY(setting(file, "cut_method", &s));
  VQ_TRY(setting(file, "augment", &s));
  VQ_TRY(setting(file, "seed", &s));
  if (vq_safetensors_metadata(file, "step"))
    VQ_TRY(number(file, "step", 0, &step));
  if (step > UINT32_MAX)
    return vq_fail(VQ_ERR_FORMAT, "its step is %g and below 2^32", step);
  t->seed = s.seed;
  t->draw_step = (uint32_t)step;
  t->config.cut_method = s.cut_method;
  return vq_augments_parse(t->config.augment, &t->config.augments, s.augment);
}

static vq_status read_given(trace *t, const vq_safetensors *file)
{
  double steps;
  VQ_TRY(number(file, "lr", 0, &t->lr));
  VQ_TRY(number(file, "steps", 0, &steps));
  if (steps > 1e6)
    return vq_fail(VQ_ERR_FORMAT, "its steps are %g and may be a million at most", steps);
  t->steps = (int64_t)steps;
  VQ_TRY(read_prompts(t, file));
  VQ_TRY(read_keep(t, file));
  VQ_TRY(read_arrays(t, file));
  VQ_TRY(read_cutouts(t, file));
  return check_boxes(t);
}

/* Features of the prompts' texts, where the file gave none. */
static vq_status read_texts(trace *t)
{
  vq_tokenizer *tokenizer;
  int context = vq_network_clip(t->clip)->context_length, tokens;
  vq_status status = VQ_OK;
  VQ_TRY(vq_network_tokenizer(&tokenizer, t->clip));
  int32_t *ids = take((size_t)t->prompts * (size_t)context, sizeof *ids, &status);
  for (int i = 0; i < t->prompts && !status; i++)
    status = vq_tokenizer_encode(tokenizer, ids + i * context, &tokens, t->text[i], strlen(t->text[i]),
                                 VQ_TOO_LONG_FAIL);
  if (!status)
    status = vq_text_features(t->clip, ids, t->prompts, t->place, t->text_features);
  free(ids);
  vq_tokenizer_free(tokenizer);
  return status;
}

/* ---- out ---- */

/* Adds an array of that shape to what is written and returns its memory, or NULL. */
static void *add(trace *t, const char *name, vq_file_dtype dtype, int rank, const int64_t *dim, vq_status *status)
{
  vq_file_tensor *x = &t->array[t->arrays];
  if (*status || t->arrays == MOST_ARRAYS) {
    if (!*status)
      *status = vq_fail(VQ_ERR_FORMAT, "its \"keep\" names more than %d steps", MOST_ARRAYS - 32);
    return NULL;
  }
  *x = (vq_file_tensor){.dtype = dtype, .rank = rank};
  memcpy(x->dim, dim, (size_t)rank * sizeof *dim);
  size_t count = 1;
  for (int i = 0; i < rank; i++)
    count *= (size_t)dim[i];
  x->bytes = count * vq_file_dtype_bytes(dtype);
  void *data = take(count, vq_file_dtype_bytes(dtype), status);
  x->data = data;
  x->name = strdup(name);
  if (!x->name && !*status)
    *status = vq_fail(VQ_ERR_MEMORY, "no memory for a trace");
  t->arrays++;
  return *status ? NULL : data;
}

#define DIMS(...)                                          \
  (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (int64_t[]) \
  {                                                        \
    __VA_ARGS__                                            \
  }

/* An array that the engine has as `n` times [area, channels], as n times [channels, area]. */
static void add_swapped(trace *t, const char *name, const vq_real *from, int64_t n, int64_t channels, int64_t h,
                        int64_t w, vq_status *status)
{
  vq_real *to = add(t, name, REAL_IN_FILE, DIMS(n, channels, h, w), status);
  for (int64_t i = 0; to && i < n; i++)
    swap_axes(to + i * channels * h * w, from + i * channels * h * w, h * w, channels);
}

static void add_losses(trace *t, const char *name, int64_t rows, const vq_real *from, vq_status *status)
{
  vq_real *to = rows ? add(t, name, REAL_IN_FILE, DIMS(rows, t->prompts), status)
                     : add(t, name, REAL_IN_FILE, DIMS(t->prompts), status);
  if (to)
    memcpy(to, from, (size_t)((rows ? rows : 1) * t->prompts) * sizeof *to);
}

static void add_draws(trace *t, vq_status *status)
{
  for (int k = 0; k < t->config.augments; k++) {
    char name[32];
    snprintf(name, sizeof name, "draws_%d", k);
    double *row = add(t, name, VQ_FILE_F64, DIMS(t->cutouts, VQ_AUGMENT_ROW), status);
    for (int j = 0; row && j < t->cutouts; j++) {
      vq_augment_key key = {t->seed, t->draw_step, k, j};
      vq_augment_row(row + j * VQ_AUGMENT_ROW, &t->config.augment[k], &key, t->side);
    }
  }
}

static vq_status first_look(trace *t)
{
  int64_t f = vq_vqgan_factor(vq_network_vqgan(t->vqgan)), H = t->h * f, W = t->w * f;
  size_t padded = (size_t)vq_engine_padded_cutouts(t->engine), area = (size_t)t->side * (size_t)t->side;
  vq_status status = VQ_OK;
  vq_real losses[VQ_MOST_PROMPTS];
  vq_findings found = {
      .ids = add(t, "indices", VQ_FILE_I32, DIMS(1, t->h, t->w), &status),
      .decoded = take((size_t)(H * W * 3), sizeof(vq_real), &status),
      .picture = take((size_t)(H * W * 3), sizeof(vq_real), &status),
      .cutouts = take(padded * area * 3, sizeof(vq_real), &status),
      .features = take(padded * (size_t)t->width, sizeof(vq_real), &status),
      .dz = take((size_t)t->C * (size_t)t->h * (size_t)t->w, sizeof(vq_real), &status),
  };
  if (!status)
    status = vq_engine_gradient(t->engine, t->boxes, &found);
  for (int i = 0; i < t->prompts; i++)
    losses[i] = (vq_real)found.losses[i];
  add_swapped(t, "decode", found.decoded, 1, 3, H, W, &status);
  add_swapped(t, "image", found.picture, 1, 3, H, W, &status);
  add_swapped(t, "cutouts", found.cutouts, t->cutouts, 3, t->side, t->side, &status);
  add_swapped(t, "grad_z", found.dz, 1, t->C, t->h, t->w, &status);
  add_losses(t, "losses", 0, losses, &status);
  add_draws(t, &status);
  vq_real *features = add(t, "image_features", REAL_IN_FILE, DIMS(t->cutouts, t->width), &status);
  if (features)
    memcpy(features, found.features, (size_t)t->cutouts * (size_t)t->width * sizeof *features);
  features = add(t, "text_features", REAL_IN_FILE, DIMS(t->prompts, t->width), &status);
  if (features)
    memcpy(features, t->text_features, (size_t)t->prompts * (size_t)t->width * sizeof *features);
  free(found.decoded);
  free(found.picture);
  free(found.cutouts);
  free(found.features);
  free(found.dz);
  return status;
}

static vq_status run_steps(trace *t)
{
  int64_t f = vq_vqgan_factor(vq_network_vqgan(t->vqgan)), H = t->h * f, W = t->w * f;
  vq_status status = VQ_OK;
  vq_real *trajectory = take((size_t)(t->steps * t->prompts), sizeof *trajectory, &status);
  vq_real *picture = take((size_t)(H * W * 3), sizeof *picture, &status);
  for (int64_t step = 1; step <= t->steps && !status; step++) {
    vq_findings found = {.tv_loss = 0};
    char name[48];
    status = vq_engine_step(t->engine, t->boxes, t->lr, &found);
    for (int i = 0; i < t->prompts; i++)
      trajectory[(step - 1) * t->prompts + i] = (vq_real)found.losses[i];
    if (status || !t->keep[step])
      continue;
    status = vq_engine_get_z(t->engine, t->z);
    snprintf(name, sizeof name, "z_after_%lld", (long long)step);
    add_swapped(t, name, t->z, 1, t->C, t->h, t->w, &status);
  }
  if (!status)
    status = vq_engine_picture(t->engine, picture);
  if (t->steps)
    add_losses(t, "trajectory", t->steps, trajectory, &status);
  add_swapped(t, "image_final", picture, 1, 3, H, W, &status);
  free(trajectory);
  free(picture);
  return status;
}

static vq_status run(trace *t, const char *given, const char *out)
{
  vq_safetensors *file;
  VQ_TRY(vq_safetensors_open(&file, given));
  bool texts = !vq_safetensors_find(file, "text_features");
  vq_status status = vq_fail_in(read_given(t, file), "%s", given);
  vq_safetensors_close(file);
  VQ_TRY(status);
  if (texts)
    VQ_TRY(read_texts(t));
  t->config.vqgan = vq_network_vqgan(t->vqgan);
  t->config.clip = vq_network_clip(t->clip);
  t->config.vqgan_weights = vq_network_weights(t->vqgan);
  t->config.clip_weights = vq_network_weights(t->clip);
  t->config.h = t->h;
  t->config.w = t->w;
  t->config.cutouts = t->cutouts;
  t->config.targets = t->prompts;
  VQ_TRY(vq_engine_create(&t->engine, &t->config, t->place));
  for (int i = 0; i < t->prompts; i++)
    VQ_TRY(vq_engine_set_target(t->engine, i, t->text_features + (int64_t)i * t->width));
  VQ_TRY(vq_engine_set_z(t->engine, t->z));
  vq_engine_set_draws(t->engine, t->seed, t->draw_step);
  VQ_TRY(first_look(t));
  VQ_TRY(run_steps(t));
  return vq_safetensors_write(out, t->array, t->arrays, NULL, 0);
}

vq_status vq_trace(const vq_network *vqgan, const vq_network *clip, const char *given, const char *out,
                   const vq_place *place)
{
  trace *t = calloc(1, sizeof *t);
  if (!t)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a trace");
  t->vqgan = vqgan;
  t->clip = clip;
  t->place = place;
  vq_status status = run(t, given, out);
  vq_engine_free(t->engine);
  for (int i = 0; i < t->arrays; i++) {
    free((char *)t->array[i].name);
    free((void *)t->array[i].data);
  }
  for (int i = 0; i < t->prompts; i++)
    free(t->text[i]);
  free(t->boxes);
  free(t->z);
  free(t->text_features);
  free(t->keep);
  free(t);
  return status;
}
