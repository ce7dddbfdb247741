/* noise.c -- noise on the CPU. Contract: noise.h. */
#include "kernels/noise/noise.h"

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"
#include "kernels/noise/normals.h"

#include <string.h>

enum { X, FACTOR, KEY };

#define COST 40 /* of one draw */

static vq_status noise_shape(const vq_call *c, vq_shape *out, vq_shape *saved)
{
  const vq_tensor *x = c->in[X];
  (void)saved;
  VQ_TRY(vq_check_types(c, "noise", 1u << KEY));
  if (!x->rank)
    return vq_fail(VQ_ERR_SHAPE, "noise: x is a scalar and must have a row for each cutout");
  VQ_TRY(vq_check_dims("noise", "factor", c->in[FACTOR], 1, x->dim[0], -1, -1, -1));
  VQ_TRY(vq_check_dims("noise", "key", c->in[KEY], 2, x->dim[0], 4, -1, -1));
  *out = vq_shape_of(x);
  return VQ_OK;
}

/* Draws that a cutout of `each` elements is made with, a block of VQ_NORMALS each. Its first element need not be the first of
 * a block of four: the first draws may belong to the cutout before. */
static int64_t draws_of(int64_t each)
{
  return (each + 3 + VQ_NORMALS - 1) / VQ_NORMALS;
}

static void forward_draws(const vq_call *c, int64_t from, int64_t to)
{
  int64_t each = vq_count(c->in[X]) / c->in[X]->dim[0], draws = draws_of(each);
  for (int64_t i = from; i < to; i++) {
    int64_t j = i / draws;
    const uint32_t *key = (const uint32_t *)vq_root(c->in[KEY])->data + 4 * j;
    uint64_t seed = key[0] | (uint64_t)key[1] << 32, start = (uint64_t)key[3] * (uint64_t)each;
    int64_t at = i % draws * VQ_NORMALS - (int64_t)(start % 4); /* in the cutout, of this draw's first normal */
    int64_t skip = at < 0 ? -at : 0, end = each - at < VQ_NORMALS ? each - at : VQ_NORMALS;
    const vq_real *x = vq_values(c->in[X]) + j * each + at;
    vq_real *y = vq_values(c->out) + j * each + at, factor = vq_values(c->in[FACTOR])[j];
    double normal[VQ_NORMALS];
    if (skip >= end)
      continue;
    if (factor == 0) {
      memcpy(y + skip, x + skip, (size_t)(end - skip) * sizeof *y);
      continue;
    }
    vq_normals(normal, seed, VQ_RNG_NOISE, key[2], start + (uint64_t)at);
    for (int64_t e = skip; e < end; e++)
      y[e] = x[e] + factor * (vq_real)normal[e];
  }
}

static vq_status noise_forward_cpu(const vq_call *c)
{
  int64_t n = c->in[X]->dim[0];
  vq_parallel_rows(c, n * draws_of(vq_count(c->in[X]) / n), COST * VQ_NORMALS, forward_draws);
  return VQ_OK;
}

const vq_op vq_op_noise = {
    .name = "noise",
    .passes = 1u << X,
    .gives = 1u << X,
    .shape = noise_shape,
    .forward = noise_forward_cpu,
};

vq_tensor *vq_noise(vq_tape *tape, vq_tensor *x, vq_tensor *factor, vq_tensor *key)
{
  return vq_record(tape, &vq_op_noise, VQ_INPUTS(x, factor, key), NULL);
}

void vq_noise_key(int32_t key[4], uint64_t seed, uint32_t step, uint32_t cutout)
{
  const uint32_t words[4] = {(uint32_t)seed, (uint32_t)(seed >> 32), step, cutout};
  memcpy(key, words, sizeof words);
}
