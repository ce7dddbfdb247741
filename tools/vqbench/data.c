/* data.c -- values for every op. Contract: data.h. */
#include "tools/vqbench/data.h"

#include "base/bf16.h"
#include "base/rng.h"
#include "kernels/ops.h"
#include "runtime/cutouts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64: Philox is made for draws that are part of a run's identity, and takes twenty times as long. */
static uint64_t mix(uint64_t x)
{
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/* The sum of four uniform numbers, which is near enough to normal. */
void bench_normals(float *out, int64_t count, uint64_t seed, double mean, double spread)
{
  float scale = (float)(spread * sqrt(3) / 65536), middle = (float)(mean - 2 * 65535 * spread * sqrt(3) / 65536);
  uint64_t key = mix(seed);
  for (int64_t i = 0; i < count; i++) {
    uint64_t bits = mix(key + (uint64_t)i);
    out[i] =
        middle + scale * (float)((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
  }
}

static void uniforms(float *out, int64_t count, uint64_t seed, double low, double high)
{
  uint64_t key = mix(seed);
  for (int64_t i = 0; i < count; i++)
    out[i] = (float)(low + (high - low) * (double)(mix(key + (uint64_t)i) >> 40) * 0x1p-24);
}

static void below(int32_t *out, int64_t count, uint64_t seed, int64_t n)
{
  uint64_t key = mix(seed);
  for (int64_t i = 0; i < count; i++)
    out[i] = (int32_t)(mix(key + (uint64_t)i) % (uint64_t)n);
}

static double unit(uint64_t seed, int64_t i)
{
  return (double)(mix(mix(seed) + (uint64_t)i) >> 11) * 0x1p-53;
}

/* ---- ops whose inputs are more than numbers ---- */

/* Which op, and what its input number i is filled with; true: it is. */
static bool fill_ids(const bench_case *c, int i, uint64_t seed, void *host)
{
  int64_t count = vq_shape_count(&c->in[i].shape);
  const vq_shape *first = &c->in[0].shape;
  if (c->in[i].shape.dtype != VQ_I32)
    return false;
  if (c->op == &vq_op_quantise || c->op == &vq_op_soft_quantise || c->op == &vq_op_embed)
    below(host, count, seed, c->in[1].shape.dim[0]);
  else if (c->op == &vq_op_take_row || c->op == &vq_op_cross_entropy)
    below(host, count, seed, first->dim[1]);
  else
    return false;
  return true;
}

static void fill_matrices(const bench_case *c, uint64_t seed, double *M)
{
  int H = (int)c->in[0].shape.dim[1], W = (int)c->in[0].shape.dim[2];
  for (int64_t j = 0; j < c->in[1].shape.dim[0]; j++) {
    vq_warp_motion m = {.degrees = 60 * unit(seed, 3 * j) - 30,
                        .down = 0.2 * H * (unit(seed, 3 * j + 1) - 0.5),
                        .scale_x = 1,
                        .scale_y = 1};
    if (vq_warp_affine(M + 9 * j, W, H, &m))
      vq_warp_identity(M + 9 * j);
  }
}

static void fill_stages(const bench_case *c, uint64_t seed, int32_t *stage, float *amount)
{
  static const int order[4] = {2, 0, 3, 1};
  vq_real made[VQ_JITTER_STAGES];
  int32_t stages[VQ_JITTER_STAGES];
  for (int64_t j = 0; j < c->in[1].shape.dim[0]; j++) {
    double factor[4] = {0, 0, 0, 0.2 * unit(seed, 4 * j) - 0.1};
    for (int k = 0; k < 3; k++)
      factor[k] = 0.9 + 0.2 * unit(seed, 4 * j + k + 1);
    vq_jitter_stages(stages, made, (vq_jitter_meaning)c->attr.i[0], factor, order);
    for (int k = 0; k < VQ_JITTER_STAGES; k++) {
      if (stage)
        stage[VQ_JITTER_STAGES * j + k] = stages[k];
      if (amount)
        amount[VQ_JITTER_STAGES * j + k] = (float)made[k];
    }
  }
}

static void fill_boxes(const bench_case *c, uint64_t seed, int32_t *box)
{
  int H = (int)c->in[0].shape.dim[1], W = (int)c->in[0].shape.dim[2];
  for (int64_t j = 0; j < c->in[1].shape.dim[0]; j++)
    vq_erase_box(box + 4 * j, W, H, 0.1 + 0.3 * unit(seed, 4 * j), 0.5 + unit(seed, 4 * j + 1),
                 unit(seed, 4 * j + 2), unit(seed, 4 * j + 3));
}

/* The tables of one axis, both of them; those that are not wanted are thrown away. */
static vq_status fill_tables(const bench_case *c, int i, uint64_t seed, void *host)
{
  const vq_bands *b = &c->bands;
  bool down = i == 1 || i == 2, index = i % 2;
  vq_shape shapes[2] = {vq_bands_index(b, down ? b->height : b->width),
                        vq_bands_weight(b, down ? b->height : b->width)};
  int32_t *boxes = malloc((size_t)b->count * 3 * sizeof *boxes);
  void *other = malloc(vq_shape_bytes(&shapes[index]));
  double *room = malloc((size_t)b->most * sizeof *room);
  vq_status status = boxes && other && room ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for the tables of cutouts");
  if (!status && !vq_shape_equal(&shapes[!index], &c->in[i].shape))
    status = vq_fail(VQ_ERR_SHAPE, "resample: the recorded tables are not those of its boxes");
  if (!status) {
    vq_boxes_draw(boxes, b->count, b->width, b->height, b->least, b->most, 1, seed & ~(uint64_t)0xff, 0);
    status = vq_bands_fill(b, boxes, NULL, down, index ? host : other, index ? other : host, room);
  }
  free(boxes);
  free(other);
  free(room);
  return status;
}

static void fill_keys(int64_t rows, int32_t *key)
{
  for (int64_t j = 0; j < rows; j++)
    vq_noise_key(key + 4 * j, 1, 1, (uint32_t)j);
}

/* z, m, v, what changes with the step, the range, and the gradient before. */
static void fill_update(const bench_case *c, int i, int64_t count, uint64_t seed, float *host)
{
  vq_real par[3] = {0};
  bench_normals(host, count, seed, 0, i == 0 ? 1 : 0.01);
  if (c->op == &vq_op_optimise)
    vq_optimiser_parameters(par, (vq_optimiser)c->attr.i[0], 0.1, 0.01, 10);
  else
    vq_adam_parameters(par, 0.1, 10);
  for (int64_t e = 0; e < count; e++)
    if (i == 2)
      host[e] *= host[e];
    else if (i == 3)
      host[e] = (float)par[e];
    else if (i == 4 || i == 5)
      host[e] = i == 4 ? -2 : 2;
}

/* ---- all of them ---- */

static bool sees_a_picture(const vq_op *op)
{
  return op == &vq_op_patchify || op == &vq_op_resample || op == &vq_op_warp || op == &vq_op_jitter ||
         op == &vq_op_sharpen || op == &vq_op_erase || op == &vq_op_noise || op == &vq_op_max_pool ||
         op == &vq_op_total_variation;
}

static void fill_reals(const bench_case *c, int i, uint64_t seed, float *host)
{
  const bench_input *in = &c->in[i];
  int64_t count = vq_shape_count(&in->shape);
  bool matrix = in->frozen && in->shape.rank > 1 && c->op != &vq_op_nearest && c->op != &vq_op_quantise &&
                c->op != &vq_op_soft_quantise;
  if (bench_is_update(c->op))
    fill_update(c, i, count, seed, host);
  else if (c->op == &vq_op_choose && i == 1)
    uniforms(host, count, seed, 0, 1);
  else if (i == 0 && sees_a_picture(c->op))
    uniforms(host, count, seed, 0, 1);
  else if (c->op == &vq_op_sharpen || c->op == &vq_op_noise)
    uniforms(host, count, seed, 0, 0.3);
  else if (in->frozen && in->shape.rank == 1)
    bench_normals(host, count, seed, 0.5, 0.2);
  else
    bench_normals(host, count, seed, 0, matrix ? 1 / sqrt((double)count / (double)in->shape.dim[0]) : 1);
}

static vq_status fill_halves(const bench_case *c, int i, uint64_t seed, uint16_t *host)
{
  int64_t count = vq_shape_count(&c->in[i].shape);
  float *wide = malloc((size_t)count * sizeof *wide + 1);
  if (!wide)
    return vq_fail(VQ_ERR_MEMORY, "no memory for values");
  fill_reals(c, i, seed, wide);
  for (int64_t e = 0; e < count; e++)
    host[e] = vq_bf16_from_float(wide[e]);
  free(wide);
  return VQ_OK;
}

static vq_status fill(const bench_case *c, int i, uint64_t seed, void *host)
{
  if (c->op == &vq_op_resample && i > 0)
    return fill_tables(c, i, seed, host);
  if (fill_ids(c, i, seed, host))
    return VQ_OK;
  if (c->op == &vq_op_warp && i == 1)
    fill_matrices(c, seed, host);
  else if (c->op == &vq_op_jitter && i > 0)
    fill_stages(c, seed & ~(uint64_t)0xff, i == 1 ? host : NULL, i == 2 ? host : NULL);
  else if (c->op == &vq_op_erase && i == 1)
    fill_boxes(c, seed, host);
  else if (c->op == &vq_op_noise && i == 2)
    fill_keys(c->in[i].shape.dim[0], host);
  else if (c->in[i].shape.dtype == VQ_F32)
    fill_reals(c, i, seed, host);
  else if (c->in[i].shape.dtype == VQ_BF16)
    return fill_halves(c, i, seed, host);
  else
    return vq_fail(VQ_ERR_UNSUPPORTED, "%s: vqbench has no values for its input %d", c->op->name, i);
  return VQ_OK;
}

/* Input i's own seed: the last byte is the input. */
static uint64_t seed_of(uint64_t seed, int i)
{
  return seed << 8 | (uint64_t)i;
}

vq_status bench_data_draw(bench_data *out, const bench_case *c, uint64_t seed)
{
  vq_status status = VQ_OK;
  *out = (bench_data){{0}, NULL};
  for (int i = 0; i < VQ_IN && !status; i++) {
    if (!c->in[i].there || c->in[i].same_as >= 0)
      continue;
    out->in[i] = calloc(1, vq_shape_bytes(&c->in[i].shape) + 1);
    status = out->in[i] ? fill(c, i, seed_of(seed, i), out->in[i]) : vq_fail(VQ_ERR_MEMORY, "no memory for values");
  }
  if (!status && (c->backward || bench_is_update(c->op))) {
    int64_t count = vq_shape_count(&c->out);
    out->dy = malloc((size_t)count * sizeof *out->dy + 1);
    if (out->dy)
      bench_normals(out->dy, count, seed_of(seed, VQ_IN), 0, c->op == &vq_op_warp ? 1e-3 : 1);
    for (int64_t e = 0; out->dy && c->out.dtype == VQ_BF16 && e < count; e++) /* the reference has the same */
      out->dy[e] = vq_bf16_to_float(vq_bf16_from_float(out->dy[e]));
    if (!out->dy)
      status = vq_fail(VQ_ERR_MEMORY, "no memory for values");
  }
  if (status)
    bench_data_free(out);
  return status;
}

void bench_data_free(bench_data *data)
{
  for (int i = 0; i < VQ_IN; i++)
    free(data->in[i]);
  free(data->dy);
  *data = (bench_data){{0}, NULL};
}
