/* weights.c -- from a source's layouts to the ops'. */
#include "nets/weights.h"

#include "base/bf16.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 256

vq_status vq_source_error(const vq_weight_source *source, vq_status status)
{
  return source->name ? vq_fail_in(status, "%s", source->name) : status;
}

static void note(vq_weight_reader *r, const char *text)
{
  size_t used = strlen(r->list);
  r->problems++;
  /* Room is kept for the count of those that are not named any more: see vq_reader_finish. */
  if (used + strlen(text) + 3 < sizeof r->list)
    snprintf(r->list + used, sizeof r->list - used, "%s%s", used ? ", " : "", text);
}

/* Is there a tensor of that name and shape? Notes it if not. */
static bool look(vq_weight_reader *r, const char *name, int rank, const int64_t *dim)
{
  int64_t found[VQ_RANK] = {1, 1, 1, 1};
  int found_rank = 0;
  char text[NAME_BYTES + 192];
  if (r->source->invent)
    return true;
  if (!r->source->shape(r->source->user, name, &found_rank, found)) {
    snprintf(text, sizeof text, "%s (missing)", name);
    note(r, text);
    return false;
  }
  bool fits = found_rank == rank;
  for (int i = 0; i < rank; i++)
    fits = fits && found[i] == dim[i];
  if (fits)
    return true;
  char is[96], must[96];
  vq_shape a = vq_shape_make(VQ_REAL, found_rank, found), b = vq_shape_make(VQ_REAL, rank, dim);
  /* The type that is named in a shape's text is of no interest here. */
  snprintf(text, sizeof text, "%s (is %s, must be %s)", name, strchr(vq_shape_text(is, sizeof is, &a), '['),
           strchr(vq_shape_text(must, sizeof must, &b), '['));
  note(r, text);
  return false;
}

typedef void (*layout_fn)(vq_real *to, const vq_real *from, const int64_t *dim);

/* No layout: read straight to where it is wanted. */
#define as_stored NULL

static void transpose(vq_real *to, const vq_real *from, const int64_t *dim)
{
  for (int64_t i = 0; i < dim[0]; i++)
    for (int64_t j = 0; j < dim[1]; j++)
      to[j * dim[0] + i] = from[i * dim[1] + j];
}

/* [O,I,kh,kw] to [O,kh,kw,I] */
static void channels_last(vq_real *to, const vq_real *from, const int64_t *dim)
{
  int64_t area = dim[2] * dim[3];
  for (int64_t o = 0; o < dim[0]; o++)
    for (int64_t i = 0; i < dim[1]; i++)
      for (int64_t p = 0; p < area; p++)
        to[(o * area + p) * dim[1] + i] = from[(o * dim[1] + i) * area + p];
}

/* Numbers to half as many bytes: what is read always lies at or behind what is written. */
static void round_in_place(vq_real *host, int64_t count)
{
  char *to = (char *)host;
  for (int64_t i = 0; i < count; i++) {
    uint16_t half = vq_bf16_from_float((float)host[i]);
    memcpy(to + 2 * i, &half, sizeof half);
  }
}

/* Room for that many numbers, kept from tensor to tensor: memory that is new costs more than what is done with it. */
static vq_real *room_for(vq_weight_reader *r, int which, size_t reals, const char *name)
{
  if (reals > r->reals[which]) {
    free(r->room[which]);
    r->room[which] = malloc(reals * sizeof(vq_real));
    r->reals[which] = r->room[which] ? reals : 0;
    if (!r->room[which])
      r->status = vq_fail(VQ_ERR_MEMORY, "no memory to read %s", name);
  }
  return r->room[which];
}

/* `count` tensors of one stored shape, laid out by `layout` one after the other, as one weight of shape `out`. */
static vq_tensor *take(vq_weight_reader *r, const char *const *names, int count, int rank, const int64_t *dim,
                       layout_fn layout, vq_dtype dtype, int out_rank, const int64_t *out_dim)
{
  int64_t full[VQ_RANK] = {1, 1, 1, 1};
  bool all = true;
  vq_tensor *w = NULL;
  memcpy(full, dim, (size_t)rank * sizeof *dim);
  int64_t each = full[0] * full[1] * full[2] * full[3];
  for (int i = 0; i < count; i++) {
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%s", r->prefix, names[i]);
    all = look(r, name, rank, dim) && all;
  }
  if (!all || r->status)
    return NULL;
  vq_shape shape = vq_shape_make(dtype, out_rank, out_dim);
  vq_real *host = NULL;
  if (!r->device->plan) {
    bool straight = !layout;
    host = room_for(r, 1, (size_t)(count * each), names[0]);
    vq_real *stored = straight ? host : room_for(r, 0, (size_t)each, names[0]);
    for (int i = 0; i < count && !r->status; i++) {
      char name[NAME_BYTES];
      snprintf(name, sizeof name, "%s%s", r->prefix, names[i]);
      vq_real *to = straight ? host + i * each : stored;
      r->status = r->source->invent ? r->source->invent(r->source->user, name, rank, full, to)
                                    : r->source->read(r->source->user, name, to);
      if (!r->status && !straight)
        layout(host + i * each, stored, full);
    }
  }
  if (host && dtype == VQ_BF16)
    round_in_place(host, count * each);
  if (!r->status)
    r->status = vq_weight_create(&w, r->device, &shape, host, false);
  return r->status ? NULL : w;
}

vq_tensor *vq_read_vector(vq_weight_reader *r, const char *name, int64_t n)
{
  return take(r, &name, 1, 1, &n, as_stored, VQ_REAL, 1, &n);
}

vq_tensor *vq_read_matrix(vq_weight_reader *r, const char *name, int64_t rows, int64_t cols, vq_dtype dtype)
{
  const int64_t dim[2] = {rows, cols};
  return take(r, &name, 1, 2, dim, as_stored, dtype, 2, dim);
}

vq_tensor *vq_read_transposed(vq_weight_reader *r, const char *name, int64_t rows, int64_t cols)
{
  const int64_t dim[2] = {rows, cols}, out[2] = {cols, rows};
  return take(r, &name, 1, 2, dim, transpose, VQ_REAL, 2, out);
}

vq_tensor *vq_read_conv(vq_weight_reader *r, const char *name, int64_t O, int64_t I, int64_t k, vq_dtype dtype)
{
  const int64_t dim[4] = {O, I, k, k}, out[4] = {O, k, k, I};
  return take(r, &name, 1, 4, dim, channels_last, dtype, 4, out);
}

vq_tensor *vq_read_patches(vq_weight_reader *r, const char *name, int64_t O, int64_t I, int64_t k)
{
  const int64_t dim[4] = {O, I, k, k}, out[2] = {O, k * k * I};
  return take(r, &name, 1, 4, dim, channels_last, r->device->products, 2, out);
}

vq_tensor *vq_read_conv1(vq_weight_reader *r, const char *name, int64_t O, int64_t I, vq_dtype dtype)
{
  const int64_t dim[4] = {O, I, 1, 1};
  return take(r, &name, 1, 4, dim, as_stored, dtype, 2, dim);
}

vq_tensor *vq_read_conv1_stack(vq_weight_reader *r, const char *const *names, int count, int64_t O, int64_t I)
{
  const int64_t dim[4] = {O, I, 1, 1}, out[4] = {count * O, 1, 1, I};
  return take(r, names, count, 4, dim, as_stored, r->device->products, 4, out);
}

vq_tensor *vq_read_vector_stack(vq_weight_reader *r, const char *const *names, int count, int64_t n)
{
  const int64_t out = count * n;
  return take(r, names, count, 1, &n, as_stored, VQ_REAL, 1, &out);
}

static vq_status outcome(const vq_weight_reader *r, const char *network)
{
  if (r->problems)
    return vq_fail(
        VQ_ERR_NETWORK,
        "%s: %d tensor%s that it needs %s missing or of another shape: %s%s. Is it the right file, and whole?",
        network, r->problems, r->problems > 1 ? "s" : "", r->problems > 1 ? "are" : "is", r->list,
        strlen(r->list) + NAME_BYTES > sizeof r->list ? " ..." : "");
  return r->status;
}

vq_status vq_reader_finish(vq_weight_reader *r, const char *network)
{
  for (int i = 0; i < 2; i++) {
    free(r->room[i]);
    r->room[i] = NULL;
    r->reals[i] = 0;
  }
  return vq_source_error(r->source, outcome(r, network));
}
