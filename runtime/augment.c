/* augment.c -- draws for augmentations, and their ops. augment.h has the laws. */
#include "runtime/augment.h"

#include "base/rng.h"

#include <string.h>

/* ---- draws ---- */

enum { CHOICE, DRAWS }; /* numbers of a key's draws: whether it is chosen, then what each kind needs */
#define ALL 0xffffffu   /* the cutout that stands for all of a step */

static double draw(const vq_augment_key *key, bool together, int number)
{
  uint64_t cutout = together ? ALL : (uint64_t)key->cutout;
  uint64_t index = (uint64_t)key->place << 32 | cutout << 8 | (uint64_t)number;
  return (double)vq_rng_uniform(key->seed, VQ_RNG_AUGMENT, key->step, index);
}

static double between(const vq_augment *a, const vq_augment_key *key, int number, double low, double high)
{
  return low + (high - low) * draw(key, a->together, DRAWS + number);
}

bool vq_augment_chosen(const vq_augment *a, const vq_augment_key *key)
{
  return draw(key, a->together, CHOICE) < a->p;
}

double vq_augment_factor(const vq_augment *a, const vq_augment_key *key)
{
  bool sharpness = a->kind == VQ_AUGMENT_SHARPNESS;
  if (!vq_augment_chosen(a, key))
    return sharpness;
  return sharpness ? between(a, key, 0, 0, a->strength) : between(a, key, 0, a->noise[0], a->noise[1]);
}

void vq_augment_motion(vq_warp_motion *motion, const vq_augment *a, const vq_augment_key *key, int side)
{
  *motion = (vq_warp_motion){
      .degrees = between(a, key, 0, -a->degrees, a->degrees),
      .right = between(a, key, 1, -a->right, a->right) * side,
      .down = between(a, key, 2, -a->down, a->down) * side,
      .scale_x = 1,
      .scale_y = 1,
      .shear_x = between(a, key, 3, -a->shear, a->shear),
  };
}

static double turn(const vq_augment *a, const vq_augment_key *key)
{
  return between(a, key, 0, -a->degrees, a->degrees);
}

static void corners(double u[8], const vq_augment *a, const vq_augment_key *key)
{
  for (int i = 0; i < 8; i++)
    u[i] = between(a, key, i, 0, 1);
}

vq_status vq_augment_matrix(double M[9], const vq_augment *a, const vq_augment_key *key, int side)
{
  vq_warp_motion motion;
  double from[8], to[8], u[8];
  vq_warp_identity(M);
  if (!vq_augment_chosen(a, key))
    return VQ_OK;
  if (a->kind == VQ_AUGMENT_ROTATION)
    return vq_warp_rotation(M, side, side, turn(a, key));
  if (a->kind == VQ_AUGMENT_PERSPECTIVE) {
    corners(u, a, key);
    vq_warp_corners(from, to, side, side, a->strength, u);
    return vq_warp_perspective(M, side, side, from, to);
  }
  vq_augment_motion(&motion, a, key, side);
  return vq_warp_affine(M, side, side, &motion);
}

void vq_augment_colours(double factor[4], int order[4], const vq_augment *a, const vq_augment_key *key)
{
  const double range[4] = {a->brightness, a->contrast, a->saturation, a->hue};
  for (int i = 0; i < 4; i++) {
    double middle = i < 3, low = middle - range[i];
    factor[i] = between(a, key, i, i < 3 && low < 0 ? 0 : low, middle + range[i]);
    order[i] = i;
  }
  for (int i = 3; i > 0; i--) { /* one order for all */
    int j = (int)(draw(key, true, DRAWS + 4 + i) * (i + 1)), was = order[i];
    order[i] = order[j];
    order[j] = was;
  }
}

void vq_augment_box(int32_t box[4], const vq_augment *a, const vq_augment_key *key, int side)
{
  double low = a->ratio[0], high = a->ratio[1];
  memset(box, 0, 4 * sizeof *box);
  if (!vq_augment_chosen(a, key))
    return;
  if (low < 1 && high > 1) {
    bool flat = between(a, key, 4, 0, 1) < 0.5;
    low = flat ? low : 1;
    high = flat ? 1 : high;
  }
  vq_erase_box(box, side, side, between(a, key, 0, a->area[0], a->area[1]), between(a, key, 1, low, high),
               between(a, key, 2, 0, 1), between(a, key, 3, 0, 1));
}

void vq_augment_row(double row[VQ_AUGMENT_ROW], const vq_augment *a, const vq_augment_key *key, int side)
{
  double from[8], u[8], *number = row + 1;
  vq_warp_motion m;
  int32_t box[4];
  int order[4];
  memset(row, 0, VQ_AUGMENT_ROW * sizeof *row);
  row[0] = vq_augment_chosen(a, key);
  if (row[0] == 0)
    return;
  switch (a->kind) {
  case VQ_AUGMENT_FLIP:
  case VQ_AUGMENT_CLAMP: break;
  case VQ_AUGMENT_SHARPNESS:
  case VQ_AUGMENT_NOISE: number[0] = vq_augment_factor(a, key); break;
  case VQ_AUGMENT_AFFINE:
    vq_augment_motion(&m, a, key, side);
    memcpy(number, (double[]){m.degrees, m.right, m.down, m.scale_x, m.scale_y, m.shear_x, m.shear_y}, sizeof m);
    break;
  case VQ_AUGMENT_ROTATION: number[0] = turn(a, key); break;
  case VQ_AUGMENT_PERSPECTIVE:
    corners(u, a, key);
    vq_warp_corners(from, number, side, side, a->strength, u);
    break;
  case VQ_AUGMENT_JITTER:
    vq_augment_colours(number, order, a, key);
    for (int i = 0; i < 4; i++)
      number[4 + i] = order[i];
    break;
  case VQ_AUGMENT_ERASE:
    vq_augment_box(box, a, key, side);
    for (int i = 0; i < 4; i++)
      number[i] = box[i];
    break;
  }
}

/* ---- checks ---- */

static bool range(double low, double high, double least, double most)
{
  return low >= least && high >= low && high <= most; /* a NaN is in none */
}

static const char *wrong_with(const vq_augment *a, int place)
{
  if (!range(a->p, a->p, 0, 1))
    return "its probability is not from 0 to 1";
  switch (a->kind) {
  case VQ_AUGMENT_FLIP: return place ? "a flip comes first" : NULL;
  case VQ_AUGMENT_SHARPNESS: return range(0, a->strength, 0, 1e6) ? NULL : "its factor is below 0";
  case VQ_AUGMENT_AFFINE:
    return range(0, a->degrees, 0, 360) && range(0, a->right, 0, 1) && range(0, a->down, 0, 1) &&
                   range(0, a->shear, 0, 89)
               ? NULL
               : "it turns by at most 360 degrees, moves by at most 1 side and shears by less than 90 degrees";
  case VQ_AUGMENT_ROTATION: return range(0, a->degrees, 0, 360) ? NULL : "it turns by at most 360 degrees";
  case VQ_AUGMENT_PERSPECTIVE:
    return range(0, a->strength, 0, 0.99) ? NULL : "its distortion is from 0 to 0.99: at 1, corners can meet";
  case VQ_AUGMENT_JITTER:
    return range(0, a->brightness, 0, 1) && range(0, a->contrast, 0, 1e6) && range(0, a->saturation, 0, 1e6) &&
                   range(0, a->hue, 0, 0.5)
               ? NULL
               : "brightness is from 0 to 1, contrast and saturation are 0 or more, hue from 0 to 0.5";
  case VQ_AUGMENT_ERASE:
    return range(a->area[0], a->area[1], 0, 1) && range(a->ratio[0], a->ratio[1], 1e-3, 1e3)
               ? NULL
               : "its areas are from 0 to 1, its ratios above 0, the lower of each first";
  case VQ_AUGMENT_NOISE:
    return range(a->noise[0], a->noise[1], 0, 1e6) ? NULL : "its factors are 0 or more, the lower first";
  case VQ_AUGMENT_CLAMP: return a->p == 1 ? NULL : "a clamp is for all cutouts";
  }
  return "there is no such augmentation";
}

vq_status vq_augment_check(const vq_augment *list, int count)
{
  for (int i = 0; i < count; i++) {
    const char *wrong = wrong_with(&list[i], i);
    if (wrong)
      return vq_fail(VQ_ERR_ARGUMENT, "augmentation %d: %s", i + 1, wrong);
  }
  return VQ_OK;
}

/* ---- on the tape ---- */

static vq_augment_key key_of(uint64_t seed, uint32_t step, int place, int cutout)
{
  return (vq_augment_key){seed, step, place, cutout};
}

void vq_augment_mirrors(bool *mirror, const vq_augment *list, int count, uint64_t seed, uint32_t step, int first,
                        int n)
{
  for (int j = 0; j < n; j++) {
    vq_augment_key key = key_of(seed, step, 0, first + j);
    mirror[j] = count && list[0].kind == VQ_AUGMENT_FLIP && vq_augment_chosen(&list[0], &key);
  }
}

/* What an augmentation hands to its room, for n cutouts. */
typedef struct parameters {
  double *matrix;  /* [n,9] */
  vq_real *amount; /* [n], or [n,VQ_JITTER_STAGES] */
  int32_t *number; /* [n,4], or [n,VQ_JITTER_STAGES] */
} parameters;

/* In the tape's room, all zero. */
static bool parameters_take(parameters *p, vq_tape *t, int n)
{
  size_t matrices = (size_t)n * 9, stages = (size_t)n * VQ_JITTER_STAGES;
  p->matrix = vq_tape_room(t, matrices * sizeof *p->matrix + stages * (sizeof *p->amount + sizeof *p->number));
  if (!p->matrix)
    return false;
  p->amount = (vq_real *)(p->matrix + matrices);
  p->number = (int32_t *)(p->amount + stages);
  return true;
}

static vq_status fill(const parameters *p, const vq_augment *a, const vq_augment_key *key, int j, int side)
{
  double factor[4];
  int order[4];
  switch (a->kind) {
  case VQ_AUGMENT_FLIP:
  case VQ_AUGMENT_CLAMP: break;
  case VQ_AUGMENT_AFFINE:
  case VQ_AUGMENT_ROTATION:
  case VQ_AUGMENT_PERSPECTIVE: return vq_augment_matrix(p->matrix + 9 * j, a, key, side);
  case VQ_AUGMENT_SHARPNESS: p->amount[j] = (vq_real)vq_augment_factor(a, key); break;
  case VQ_AUGMENT_ERASE: vq_augment_box(p->number + 4 * j, a, key, side); break;
  case VQ_AUGMENT_NOISE:
    p->amount[j] = (vq_real)vq_augment_factor(a, key);
    vq_noise_key(p->number + 4 * j, key->seed, key->step, (uint32_t)key->cutout);
    break;
  case VQ_AUGMENT_JITTER:
    if (vq_augment_chosen(a, key)) { /* else all stages are VQ_JITTER_NONE */
      vq_augment_colours(factor, order, a, key);
      vq_jitter_stages(p->number + VQ_JITTER_STAGES * j, p->amount + VQ_JITTER_STAGES * j, a->meaning, factor,
                       order);
    }
    break;
  }
  return VQ_OK;
}

/* A leaf [n,b,c]; a rank that is not used has size 0. */
static vq_tensor *leaf(vq_tape *t, vq_dtype dtype, const void *host, int64_t n, int64_t b, int64_t c)
{
  vq_shape s = vq_shape_make(dtype, c ? 3 : b ? 2 : 1, (int64_t[]){n, b, c});
  return vq_leaf(t, &s, host, false);
}

static vq_tensor *record(vq_tape *t, vq_tensor *x, const vq_augment *a, const parameters *p)
{
  int64_t n = x->dim[0], K = VQ_JITTER_STAGES;
  vq_tensor *y = NULL, *one = NULL, *two = NULL;
  switch (a->kind) {
  case VQ_AUGMENT_FLIP: break;
  case VQ_AUGMENT_SHARPNESS:
    one = leaf(t, VQ_REAL, p->amount, n, 0, 0);
    y = vq_sharpen(t, x, one);
    break;
  case VQ_AUGMENT_AFFINE:
  case VQ_AUGMENT_ROTATION:
  case VQ_AUGMENT_PERSPECTIVE:
    one = leaf(t, VQ_F64, p->matrix, n, 3, 3);
    y = vq_warp(t, x, one, a->kind == VQ_AUGMENT_AFFINE ? a->padding : VQ_WARP_ZEROS);
    break;
  case VQ_AUGMENT_JITTER:
    one = leaf(t, VQ_I32, p->number, n, K, 0);
    two = leaf(t, VQ_REAL, p->amount, n, K, 0);
    y = vq_jitter(t, x, one, two, a->meaning);
    break;
  case VQ_AUGMENT_ERASE:
    one = leaf(t, VQ_I32, p->number, n, 4, 0);
    y = vq_erase(t, x, one, 0);
    break;
  case VQ_AUGMENT_NOISE:
    one = leaf(t, VQ_REAL, p->amount, n, 0, 0);
    two = leaf(t, VQ_I32, p->number, n, 4, 0);
    y = vq_noise(t, x, one, two);
    break;
  case VQ_AUGMENT_CLAMP: y = vq_clamp(t, x); break;
  }
  vq_done(t, one);
  vq_done(t, two);
  vq_done(t, x);
  return y;
}

vq_tensor *vq_augment_cutouts(vq_tape *t, vq_tensor *x, const vq_augment *list, int count, uint64_t seed,
                              uint32_t step, int first)
{
  for (int place = 0; x && place < count; place++) {
    const vq_augment *a = &list[place];
    parameters p;
    int n = (int)x->dim[0], side = (int)x->dim[2];
    if (a->kind == VQ_AUGMENT_FLIP)
      continue;
    if (!parameters_take(&p, t, n))
      return NULL;
    vq_status status = VQ_OK;
    for (int j = 0; j < n && !status; j++) {
      vq_augment_key key = key_of(seed, step, place, first + j);
      status = fill(&p, a, &key, j, side);
    }
    x = status ? vq_tape_fail(t, status) : record(t, x, a, &p);
  }
  return x;
}
