/* cutouts.c -- boxes drawn as the notebooks draw them, and their tables for the resample room. */
#include "runtime/cutouts.h"

#include "base/rng.h"
#include "kernels/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define QUANTUM      8
#define MOST_AT_ONCE 1024

int vq_cutouts_quanta(int cutouts, int *quantum)
{
  int quanta = (cutouts + QUANTUM - 1) / QUANTUM;
  *quantum = (cutouts + quanta - 1) / quanta;
  return quanta;
}

int vq_cutouts_chunk(int cutouts, int at_once)
{
  int quantum, quanta = vq_cutouts_quanta(cutouts, &quantum),
               fit = (at_once < MOST_AT_ONCE ? at_once : MOST_AT_ONCE) / quantum;
  return quantum * (fit < 1 ? 1 : fit < quanta ? fit : quanta);
}

static int part_of(double part, int side)
{
  int pixels = (int)(part * side + 0.5);
  return pixels < 1 ? 1 : pixels > side ? side : pixels;
}

void vq_boxes_range(int *least, int *most, const vq_settings *s, int width, int height, int see)
{
  int side = width < height ? width : height;
  *most = part_of(s->cut_most, side);
  *least = s->cut_least > 0 ? part_of(s->cut_least, side) : see < *most ? see : *most;
}

void vq_boxes_draw(int32_t *boxes, int count, int width, int height, int least, int most, double power,
                   uint64_t seed, uint32_t step)
{
  for (int i = 0; i < count; i++) {
    uint64_t k = 3 * (uint64_t)i;
    double u = (double)vq_rng_uniform(seed, VQ_RNG_CUTOUTS, step, k);
    int size = (int)(pow(u, power) * (most - least) + least);
    boxes[3 * i] = (int32_t)vq_rng_below(seed, VQ_RNG_CUTOUTS, step, k + 1, (uint32_t)(width - size + 1));
    boxes[3 * i + 1] = (int32_t)vq_rng_below(seed, VQ_RNG_CUTOUTS, step, k + 2, (uint32_t)(height - size + 1));
    boxes[3 * i + 2] = size;
  }
}

/* One axis's tables on the host. */
typedef struct table {
  vq_shape index_shape, weight_shape;
  int32_t *index;
  vq_real *weight;
} table;

struct vq_cutouts {
  vq_bands bands;
  bool whole;
  int32_t *boxes; /* [most_count,3], padded */
  bool *mirror;   /* [most_count], padded */
  table axis[2];  /* across, down */
};

static vq_status make_table(table *t, const vq_bands *bands, int length)
{
  t->index_shape = vq_bands_index(bands, length);
  t->weight_shape = vq_bands_weight(bands, length);
  t->index = malloc(vq_shape_bytes(&t->index_shape));
  t->weight = malloc(vq_shape_bytes(&t->weight_shape));
  return t->index && t->weight ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for the tables of cutouts");
}

vq_status vq_cutouts_create(vq_cutouts **out, const vq_cutouts_config *c)
{
  *out = NULL;
  vq_cutouts *k = calloc(1, sizeof *k);
  if (!k)
    return vq_fail(VQ_ERR_MEMORY, "no memory for cutouts");
  k->whole = c->method == VQ_CUT_WHOLE;
  k->bands = (vq_bands){
      .kind = c->method == VQ_CUT_LANCZOS ? VQ_RESAMPLE_LANCZOS : VQ_RESAMPLE_AVERAGE,
      .width = k->whole ? c->side : c->width,
      .height = k->whole ? c->side : c->height,
      .side = c->side,
      .count = c->most_count,
      .least = k->whole ? c->side : c->least,
      .most = k->whole ? c->side : c->most,
  };
  vq_status status = vq_bands_measure(&k->bands);
  if (!status)
    status = make_table(&k->axis[0], &k->bands, k->bands.width);
  if (!status)
    status = make_table(&k->axis[1], &k->bands, k->bands.height);
  k->boxes = malloc((size_t)c->most_count * 3 * sizeof *k->boxes);
  k->mirror = calloc((size_t)c->most_count, sizeof *k->mirror);
  if (!status && (!k->boxes || !k->mirror))
    status = vq_fail(VQ_ERR_MEMORY, "no memory for cutouts");
  if (status)
    vq_cutouts_free(k);
  else
    *out = k;
  return status;
}

void vq_cutouts_free(vq_cutouts *k)
{
  if (!k)
    return;
  for (int i = 0; i < 2; i++) {
    free(k->axis[i].index);
    free(k->axis[i].weight);
  }
  free(k->boxes);
  free(k->mirror);
  free(k);
}

vq_tensor *vq_cutouts_source(vq_tape *t, const vq_cutouts *k, vq_tensor *picture)
{
  return k->whole ? vq_max_pool(t, picture, k->bands.side, 0.5) : picture;
}

/* The axis's tables for the boxes at hand, as leaves. */
static vq_status fill_axis(vq_tape *t, vq_cutouts *k, int which, vq_tensor **index, vq_tensor **weight)
{
  table *axis = &k->axis[which];
  axis->index_shape.dim[0] = axis->weight_shape.dim[0] = k->bands.count;
  double *room = vq_tape_room(t, (size_t)k->bands.most * sizeof *room);
  if (!room)
    return vq_tape_status(t);
  VQ_TRY(vq_bands_fill(&k->bands, k->boxes, which == 0 ? k->mirror : NULL, which, axis->index, axis->weight, room));
  *index = vq_leaf(t, &axis->index_shape, axis->index, false);
  *weight = vq_leaf(t, &axis->weight_shape, axis->weight, false);
  return VQ_OK;
}

static vq_tensor *take(vq_tape *t, vq_cutouts *k, vq_tensor *source, const int32_t *boxes, int rows)
{
  vq_tensor *index[2], *weight[2];
  const int32_t whole[3] = {0, 0, (int32_t)k->bands.side};
  for (int i = 0; i < k->bands.count; i++)
    memcpy(k->boxes + 3 * i, k->whole ? whole : boxes + 3 * (i < rows ? i : rows - 1), sizeof whole);
  for (int i = 0; i < 2; i++) {
    vq_status status = fill_axis(t, k, i, &index[i], &weight[i]);
    if (status)
      return vq_tape_fail(t, status);
  }
  vq_tensor *y = vq_resample(t, source, index[1], weight[1], index[0], weight[0], &k->bands);
  for (int i = 0; i < 2; i++) {
    vq_done(t, index[i]);
    vq_done(t, weight[i]);
  }
  return y;
}

vq_tensor *vq_cutouts_draw(vq_tape *t, vq_cutouts *k, vq_tensor *source, const vq_cutouts_draws *d, int first,
                           int rows, int count)
{
  k->bands.count = count;
  vq_augment_mirrors(k->mirror, d->augment, d->augments, d->seed, d->step, first, rows);
  for (int i = rows; i < count; i++)
    k->mirror[i] = k->mirror[rows - 1];
  vq_tensor *cutouts = take(t, k, source, d->boxes + 3 * first, rows);
  return vq_augment_cutouts(t, cutouts, d->augment, d->augments, d->seed, d->step, first);
}
