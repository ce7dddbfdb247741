/* engine.c -- the step. engine.h has it in five lines. */
#include "runtime/engine.h"

#include "autograd/repeat.h"
#include "base/rng.h"
#include "kernels/ops.h"
#include "runtime/cutouts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct vq_engine {
  vq_engine_config config;
  vq_device *device;
  vq_tape *tape;
  vq_vqgan *vqgan;
  vq_clip *clip;
  vq_cutouts *cutouts;
  vq_tensor *z, *m, *v;  /* [1,h,w,C]: the latent and the optimizer's state */
  vq_tensor *past;       /* [1,h,w,C]: the gradient before; NULL: the optimizer does not look at it */
  vq_tensor *low, *high; /* [C]: the codebook's range, by channel; NULL: z may leave it */
  vq_tensor *par;        /* what of the optimizer changes with the step */
  vq_tensor *uniform;    /* [1,h,w]: the step's draws of codes; NULL: z has no logits */
  vq_tensor *mean;       /* [1,h,w,C]: the average, when a picture is made of it; NULL: none */
  vq_real *average;      /* weighted sum of z after each update, and of the first, on the host; NULL: none */
  int64_t averaged;      /* z in it */
  vq_tensor *pull;       /* [1]: how strongly z is held; NULL: it is not */
  vq_tensor *home;       /* [1,h,w,C]: where; NULL: at 0 */
  vq_tensor *told;       /* what a step says of itself, read from the device at once: slots, below */
  vq_tensor *shown;      /* [1,H,W,3]: its picture, if somebody asks */
  vq_real *host;         /* on its way in a step: what that says, draws of codes, or z for its average */
  vq_tensor *target[VQ_MOST_PROMPTS];
  bool rests[VQ_MOST_PROMPTS];
  int quantum, padded; /* cutouts: of vq_cutouts_quanta; all, rounded up to whole quanta */
  int chunk;           /* cutouts that go through CLIP at once */
  int64_t updates;     /* since the optimizer began */
  vq_real verdict;     /* 0: the last gradient was finite */
  uint64_t seed;       /* of the augmentations and of codes */
  uint32_t step;
  vq_watch_fn watch;
  void *watch_user;
};

/* Slots of `told`: the loss of each target and cutout, then these. */
enum { TOLD_TV, TOLD_PULL, TOLD_FINITE, TOLD_OTHERS };

static int slot_of(const vq_engine *e, int other)
{
  return e->padded * e->config.targets + other;
}

/* ---- building, on a plan or on the real device ---- */

static int least(int a, int b)
{
  return a < b ? a : b;
}

static vq_status zeros(vq_tensor **out, vq_device *device, int rank, const int64_t *dim, bool wants)
{
  vq_shape s = vq_shape_make(VQ_REAL, rank, dim);
  void *host = device->plan ? NULL : calloc(1, vq_shape_bytes(&s));
  if (!host && !device->plan)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a tensor");
  vq_status status = vq_weight_create(out, device, &s, host, wants);
  free(host);
  return status;
}

/* The least and the largest value of each of the codebook's columns. */
static vq_status codebook_range(vq_engine *e)
{
  const vq_tensor *book = vq_vqgan_codebook(e->vqgan);
  int64_t K = book->dim[0], C = book->dim[1];
  vq_real *rows = calloc((size_t)(K * C), sizeof *rows), *range = malloc((size_t)(2 * C) * sizeof *range);
  vq_shape s = vq_shape_make(VQ_REAL, 1, &C);
  vq_status status = rows && range ? vq_tensor_read(e->device, book, rows) : vq_fail(VQ_ERR_MEMORY, "no memory");
  if (!status) {
    memcpy(range, rows, (size_t)C * sizeof *range);
    memcpy(range + C, rows, (size_t)C * sizeof *range);
    for (int64_t i = 0; i < K * C; i++) {
      vq_real *low = &range[i % C], *high = &range[C + i % C];
      *low = rows[i] < *low ? rows[i] : *low;
      *high = rows[i] > *high ? rows[i] : *high;
    }
    status = vq_weight_create(&e->low, e->device, &s, range, false);
  }
  if (!status)
    status = vq_weight_create(&e->high, e->device, &s, range + C, false);
  free(rows);
  free(range);
  return status;
}

static vq_status make_average(vq_engine *e, const int64_t z_dim[4])
{
  VQ_TRY(zeros(&e->mean, e->device, 4, z_dim, false));
  if (e->device->plan)
    return VQ_OK;
  e->average = calloc((size_t)vq_count(e->z), sizeof *e->average);
  return e->average ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for an average");
}

/* Once, so that steps ask the system for nothing. */
static vq_status make_host(vq_engine *e)
{
  int64_t most = vq_count(e->told), draws = e->uniform ? vq_count(e->uniform) : 0, z = e->mean ? vq_count(e->z) : 0;
  most = draws > most ? draws : most;
  most = z > most ? z : most;
  e->host = calloc((size_t)most, sizeof *e->host);
  return e->host ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for what a step says");
}

static vq_status build(vq_engine *e)
{
  const vq_engine_config *c = &e->config;
  int f = vq_vqgan_factor(c->vqgan);
  const int64_t z_dim[4] = {1, c->h, c->w, vq_engine_channels(e)}, parameters = c->optimizer == VQ_ADAM ? 2 : 3;
  VQ_TRY(vq_vqgan_create(&e->vqgan, e->device, c->vqgan, c->vqgan_weights, VQGAN_DECODER));
  VQ_TRY(vq_clip_create(&e->clip, e->device, c->clip, c->clip_weights, CLIP_IMAGE));
  VQ_TRY(zeros(&e->z, e->device, 4, z_dim, true));
  VQ_TRY(zeros(&e->m, e->device, 4, z_dim, false));
  VQ_TRY(zeros(&e->v, e->device, 4, z_dim, false));
  if (c->optimizer == VQ_DIFFGRAD)
    VQ_TRY(zeros(&e->past, e->device, 4, z_dim, false));
  VQ_TRY(zeros(&e->par, e->device, 1, &parameters, false));
  if (c->latent == VQ_LATENT_LOGITS)
    VQ_TRY(zeros(&e->uniform, e->device, 3, z_dim, false));
  else if (!c->unclamped)
    VQ_TRY(codebook_range(e));
  if (c->ema > 0)
    VQ_TRY(make_average(e, z_dim));
  if (c->pull)
    VQ_TRY(zeros(&e->pull, e->device, 1, &(int64_t){1}, false));
  if (c->pull && c->pull_to_start)
    VQ_TRY(zeros(&e->home, e->device, 4, z_dim, false));
  for (int i = 0; i < c->targets; i++) {
    const int64_t dim[2] = {c->target_rows[i], c->clip->embed_dim};
    VQ_TRY(zeros(&e->target[i], e->device, 2, dim, false));
  }
  e->padded = vq_cutouts_quanta(c->cutouts, &e->quantum) * e->quantum;
  e->chunk = vq_cutouts_chunk(c->cutouts, c->chunk);
  const int64_t slots = slot_of(e, TOLD_OTHERS), picture_dim[4] = {1, c->h * f, c->w * f, 3};
  VQ_TRY(zeros(&e->told, e->device, 1, &slots, false));
  VQ_TRY(make_host(e));
  VQ_TRY(zeros(&e->shown, e->device, 4, picture_dim, false));
  vq_cutouts_config cut = {c->cut_method, c->w * f,    c->h * f, c->clip->image_resolution,
                           c->box_least,  c->box_most, e->chunk};
  VQ_TRY(vq_cutouts_create(&e->cutouts, &cut));
  VQ_TRY(vq_tape_create(&e->tape, e->device));
  vq_tape_trap(e->tape, c->trap);
  return VQ_OK;
}

void vq_engine_free(vq_engine *e)
{
  if (!e)
    return;
  vq_tape_free(e->tape);
  vq_cutouts_free(e->cutouts);
  vq_vqgan_free(e->vqgan);
  vq_clip_free(e->clip);
  vq_device_free(e->device);
  free(e->average);
  free(e->host);
  free(e);
}

static vq_status new_engine(vq_engine **out, const vq_engine_config *config)
{
  *out = calloc(1, sizeof **out);
  if (!*out)
    return vq_fail(VQ_ERR_MEMORY, "no memory for an engine");
  (*out)->config = *config;
  return VQ_OK;
}

/* One step, and one picture, on a device that only plans. */
static vq_status rehearse(vq_engine *e)
{
  vq_findings unused = {.tv_loss = 0};
  int32_t *boxes = calloc((size_t)e->config.cutouts * 3, sizeof *boxes);
  for (int i = 0; boxes && i < e->config.cutouts; i++)
    boxes[3 * i + 2] = e->config.box_most;
  vq_status status = boxes ? vq_engine_step(e, boxes, 0, &unused) : vq_fail(VQ_ERR_MEMORY, "no memory for a plan");
  free(boxes);
  vq_engine_watch(e, NULL, NULL);
  return status ? status : vq_engine_picture(e, NULL);
}

static vq_status plan(const vq_engine_config *config, const vq_place *place, vq_watch_fn watch, void *user,
                      vq_footprint *out)
{
  vq_engine *e;
  VQ_TRY(new_engine(&e, config));
  vq_status status = vq_place_plan(&e->device, place);
  if (!status)
    status = build(e);
  if (!status) {
    vq_engine_watch(e, watch, user);
    status = rehearse(e);
  }
  if (!status)
    vq_engine_used(e, out);
  vq_engine_free(e);
  return status;
}

vq_status vq_engine_plan(const vq_engine_config *config, const vq_place *place, vq_footprint *out)
{
  return plan(config, place, NULL, NULL, out);
}

vq_status vq_engine_record(const vq_engine_config *config, const vq_place *place, vq_watch_fn watch, void *user)
{
  vq_footprint unused;
  return plan(config, place, watch, user, &unused);
}

vq_status vq_engine_create(vq_engine **out, const vq_engine_config *config, const vq_place *place)
{
  vq_footprint need;
  vq_engine *e;
  *out = NULL;
  VQ_TRY(vq_engine_plan(config, place, &need));
  VQ_TRY(vq_memory_check(&need, place, "the picture"));
  VQ_TRY(new_engine(&e, config));
  vq_status status = vq_place_open(&e->device, place);
  if (!status)
    status = vq_device_reserve(e->device, need.step);
  if (!status)
    status = vq_weights_reserve(e->device, need.arena);
  if (!status)
    status = build(e);
  vq_memory_return();
  if (status)
    vq_engine_free(e);
  else
    *out = e;
  return status;
}

/* ---- state ---- */

int vq_engine_channels(const vq_engine *e)
{
  const vq_vqgan_config *vqgan = e->config.vqgan;
  return e->config.latent == VQ_LATENT_LOGITS ? vqgan->n_embed : vqgan->embed_dim;
}

void vq_engine_used(const vq_engine *e, vq_footprint *out)
{
  *out = (vq_footprint){vq_weights_kept(e->device), vq_device_peak(e->device), e->device->weight_bytes};
}

void vq_engine_watch(vq_engine *e, vq_watch_fn watch, void *user)
{
  e->watch = watch;
  e->watch_user = user;
  vq_tape_watch(e->tape, watch, user);
}

int vq_engine_padded_cutouts(const vq_engine *e)
{
  return e->padded;
}

vq_status vq_engine_restart_optimizer(vq_engine *e)
{
  vq_device *d = e->device;
  e->updates = 0;
  if (d->plan)
    return VQ_OK;
  VQ_TRY(d->backend->fill(d, VQ_REAL, vq_values(e->m), 0, vq_count(e->m)));
  VQ_TRY(d->backend->fill(d, VQ_REAL, vq_values(e->v), 0, vq_count(e->v)));
  return e->past ? d->backend->fill(d, VQ_REAL, vq_values(e->past), 0, vq_count(e->past)) : VQ_OK;
}

/* One more z into the average, as Crowson's EMATensor does it. */
static vq_status average_z(vq_engine *e)
{
  if (!e->average)
    return VQ_OK;
  size_t count = (size_t)vq_count(e->z);
  VQ_TRY(vq_tensor_read(e->device, e->z, e->host));
  for (size_t i = 0; i < count; i++)
    e->average[i] = (vq_real)(e->config.ema * (double)e->average[i] + (1 - e->config.ema) * (double)e->host[i]);
  e->averaged++;
  return VQ_OK;
}

vq_status vq_engine_set_z(vq_engine *e, const vq_real *z)
{
  VQ_TRY(vq_tensor_write(e->device, e->z, z));
  if (e->home)
    VQ_TRY(vq_tensor_write(e->device, e->home, z));
  if (e->average)
    memset(e->average, 0, (size_t)vq_count(e->z) * sizeof *e->average);
  e->averaged = 0;
  VQ_TRY(average_z(e));
  return vq_engine_restart_optimizer(e);
}

vq_status vq_engine_get_z(vq_engine *e, vq_real *z)
{
  return vq_tensor_read(e->device, e->z, z);
}

vq_status vq_engine_get_state(vq_engine *e, vq_engine_state *s)
{
  s->updates = e->updates;
  s->averaged = e->averaged;
  if (e->average)
    memcpy(s->average, e->average, (size_t)vq_count(e->z) * sizeof *e->average);
  VQ_TRY(vq_tensor_read(e->device, e->z, s->z));
  VQ_TRY(vq_tensor_read(e->device, e->m, s->m));
  if (e->past)
    VQ_TRY(vq_tensor_read(e->device, e->past, s->past));
  return vq_tensor_read(e->device, e->v, s->v);
}

vq_status vq_engine_set_state(vq_engine *e, const vq_engine_state *s)
{
  e->updates = s->updates;
  e->averaged = s->averaged;
  if (e->average)
    memcpy(e->average, s->average, (size_t)vq_count(e->z) * sizeof *e->average);
  VQ_TRY(vq_tensor_write(e->device, e->z, s->z));
  VQ_TRY(vq_tensor_write(e->device, e->m, s->m));
  if (e->past)
    VQ_TRY(vq_tensor_write(e->device, e->past, s->past));
  return vq_tensor_write(e->device, e->v, s->v);
}

vq_status vq_engine_set_target(vq_engine *e, int i, const vq_real *features)
{
  return vq_tensor_write(e->device, e->target[i], features);
}

void vq_engine_rest_target(vq_engine *e, int i, bool rests)
{
  e->rests[i] = rests;
}

/* ---- forward and back ---- */

/* A tensor's values, if somebody wants them. */
static vq_status find(vq_engine *e, const vq_tensor *x, void *into)
{
  VQ_TRY(vq_tape_status(e->tape));
  return into ? vq_tensor_read(e->device, x, into) : VQ_OK;
}

/* Keeps a loss, or the picture, for when the step is done. */
static vq_status copy_to(vq_engine *e, vq_real *to, const vq_tensor *x)
{
  VQ_TRY(vq_tape_status(e->tape));
  if (e->device->plan)
    return VQ_OK;
  VQ_TRY(e->device->backend->copy(e->device, to, vq_values(x), (size_t)vq_count(x) * sizeof *to));
  return vq_device_settle(e->device, "keeping what a step finds");
}

static vq_status tell(vq_engine *e, int slot, const vq_tensor *loss)
{
  return copy_to(e, vq_values(e->told) + slot, loss);
}

/* z, or logits, to the picture; the tape then has everything that the walk back needs. uniform: NULL, or what codes are drawn by. */
static vq_status look(vq_engine *e, vq_tensor *z, vq_tensor *uniform, vq_findings *f, vq_tensor **picture)
{
  vq_tape *t = e->tape;
  bool logits = e->config.latent == VQ_LATENT_LOGITS;
  vq_tensor *ids = logits ? vq_choose(t, z, uniform) : vq_vqgan_nearest(t, e->vqgan, z);
  vq_tensor *z_q = logits ? vq_vqgan_soft_quantise(t, e->vqgan, z, ids) : vq_vqgan_quantise(t, e->vqgan, z, ids);
  VQ_TRY(find(e, ids, f->ids));
  vq_done(t, ids);
  vq_tensor *decoded = vq_vqgan_decode(t, e->vqgan, z_q);
  *picture = vq_clamp01(t, decoded);
  VQ_TRY(find(e, decoded, f->decoded));
  vq_done(t, decoded);
  return f->picture ? copy_to(e, vq_values(e->shown), *picture) : vq_tape_status(t);
}

/* One chunk: what its cutouts say, added up in the gradient of what they are taken of. */
static vq_status judge(vq_engine *e, vq_tensor *source, int first, const int32_t *boxes, vq_findings *f)
{
  vq_tape *t = e->tape;
  const vq_engine_config *c = &e->config;
  vq_mark mark = vq_tape_mark(t);
  int count = least(e->chunk, e->padded - first), rows = least(e->chunk, c->cutouts - first);
  int64_t side = c->clip->image_resolution, width = c->clip->embed_dim;
  const vq_cutouts_draws draws = {boxes, c->augment, c->augments, e->seed, e->step};
  vq_tape_batch(t, count, e->padded);
  vq_tensor *cutouts = vq_cutouts_draw(t, e->cutouts, source, &draws, first, rows, count);
  VQ_TRY(find(e, cutouts, f->cutouts ? f->cutouts + first * side * side * 3 : NULL));
  vq_tensor *features = vq_clip_image(t, e->clip, cutouts);
  VQ_TRY(find(e, features, f->features ? f->features + first * width : NULL));
  for (int i = 0; i < c->targets; i++) {
    if (e->rests[i])
      continue;
    vq_tensor *loss = vq_sphere(t, features, e->target[i], c->weight[i], c->stop[i], rows, c->cutouts);
    VQ_TRY(tell(e, i * e->padded + first, loss));
    vq_seed(t, loss, 1);
  }
  vq_done(t, features);
  vq_status status = vq_backward(t, NULL, mark);
  vq_tape_batch(t, 1, 1);
  return status;
}

static vq_status smooth(vq_engine *e, vq_tensor *picture)
{
  vq_mark mark = vq_tape_mark(e->tape);
  vq_tensor *loss = vq_total_variation(e->tape, picture, e->config.tv_weight);
  VQ_TRY(tell(e, slot_of(e, TOLD_TV), loss));
  return vq_backward(e->tape, loss, mark);
}

static vq_status hold(vq_engine *e)
{
  vq_mark mark = vq_tape_mark(e->tape);
  vq_tensor *loss = vq_mse(e->tape, e->z, e->home, e->pull);
  VQ_TRY(tell(e, slot_of(e, TOLD_PULL), loss));
  return vq_backward(e->tape, loss, mark);
}

static vq_status draw_codes(vq_engine *e)
{
  int64_t tokens = e->uniform ? vq_count(e->uniform) : 0;
  if (!tokens || e->device->plan)
    return VQ_OK;
  for (int64_t i = 0; i < tokens; i++)
    e->host[i] = (vq_real)vq_rng_uniform(e->seed, VQ_RNG_CODES, e->step, (uint64_t)i);
  return vq_tensor_write(e->device, e->uniform, e->host);
}

/* No trace of the last step on the tape. */
static void clear(vq_engine *e)
{
  vq_grad_drop(e->tape, e->z);
  vq_rewind(e->tape, VQ_TAPE_START);
}

typedef struct pass {
  vq_engine *e;
  const int32_t *boxes;
  vq_findings *f;
} pass;

/* All of a step that is queued on the device. */
static vq_status there_and_back(void *user)
{
  const pass *p = user;
  vq_engine *e = p->e;
  vq_tensor *picture;
  clear(e);
  VQ_TRY(look(e, e->z, e->uniform, p->f, &picture));
  vq_tensor *source = vq_cutouts_source(e->tape, e->cutouts, picture);
  for (int first = 0; first < e->padded; first += e->chunk)
    VQ_TRY(judge(e, source, first, p->boxes, p->f));
  if (source != picture)
    vq_done(e->tape, source);
  if (e->config.tv_weight != 0)
    VQ_TRY(smooth(e, picture));
  vq_done(e->tape, picture);
  if (e->pull)
    VQ_TRY(hold(e));
  VQ_TRY(vq_backward(e->tape, NULL, VQ_TAPE_START));
  if (e->device->plan || !e->z->grad)
    return VQ_OK;
  VQ_TRY(e->device->backend->look(e->device, e->z, true, vq_values(e->told) + slot_of(e, TOLD_FINITE)));
  return vq_device_settle(e->device, "looking at the gradient");
}

/* Before anything that is not finite reaches z: z stays what the last good step made it. */
static vq_status check_finite(const vq_engine *e, const vq_findings *f)
{
  double sum = f->tv_loss + f->pull_loss;
  for (int i = 0; i < e->config.targets; i++)
    sum += e->rests[i] ? 0 : f->losses[i];
  if (isfinite(sum) && e->verdict == 0)
    return VQ_OK;
  return vq_fail(
      VQ_ERR_NAN,
      "the %s of step %lld has values that are not finite: lower the learning rate, or find the operation that "
      "makes them with --trap",
      isfinite(sum) ? "gradient" : "loss", (long long)e->updates + 1);
}

/* What the step has said of itself. */
static vq_status listen(vq_engine *e, vq_findings *f)
{
  int targets = e->config.targets;
  vq_real *told = e->host;
  memset(told, 0, (size_t)vq_count(e->told) * sizeof *told);
  vq_status status = vq_tensor_read(e->device, e->told, told);
  for (int i = 0; i < targets; i++) {
    f->losses[i] = e->rests[i] ? NAN : 0;
    for (int j = 0; j < e->config.cutouts && !e->rests[i]; j++)
      f->losses[i] += (double)told[i * e->padded + j];
  }
  f->tv_loss = e->config.tv_weight != 0 ? (double)told[slot_of(e, TOLD_TV)] : 0;
  f->pull_loss = e->pull ? (double)told[slot_of(e, TOLD_PULL)] : 0;
  e->verdict = told[slot_of(e, TOLD_FINITE)];
  return status;
}

static vq_status forward_and_back(vq_engine *e, const int32_t *boxes, vq_findings *f)
{
  pass p = {e, boxes, f};
  bool read_in_midst = f->ids || f->decoded || f->cutouts || f->features || e->config.trap || e->watch;
  VQ_TRY(draw_codes(e));
  VQ_TRY(read_in_midst ? there_and_back(&p) : vq_device_repeat(e->device, there_and_back, &p));
  VQ_TRY(listen(e, f));
  if (f->picture)
    VQ_TRY(vq_tensor_read(e->device, e->shown, f->picture));
  return f->dz ? vq_grad_read(e->device, e->z, f->dz) : VQ_OK;
}

static double now(void)
{
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Which of optimiser.h's an optimizer is that is not Adam. */
static vq_optimiser kind_of(vq_optimizer optimizer)
{
  return (vq_optimiser)(optimizer - VQ_ADAMW);
}

/* The order is the same in both. */
_Static_assert(VQ_ADAMW - VQ_ADAM == 1 && (int)VQ_ADAMP - (int)VQ_ADAMW == (int)VQ_OPTIMISER_ADAMP, "optimizers");

/* The update is not on the tape, so who watches is told of it here. */
static vq_status tell_update(vq_engine *e, double start)
{
  bool adam = e->config.optimizer == VQ_ADAM;
  const vq_attr attr = {.i = {adam ? 0 : kind_of(e->config.optimizer)}};
  const vq_call call = {
      .device = e->device, .attr = &attr, .in = {e->z, e->m, e->v, e->par, e->low, e->high, e->past}, .out = e->z};
  if (e->device->backend->wait && !e->device->plan)
    VQ_TRY(e->device->backend->wait(e->device));
  e->watch(e->watch_user, adam ? &vq_op_adam_clamp : &vq_op_optimise, &call, false, now() - start);
  return VQ_OK;
}

static vq_status update(vq_engine *e, double lr)
{
  vq_real par[3];
  const vq_engine_config *c = &e->config;
  if (c->optimizer == VQ_ADAM)
    vq_adam_parameters(par, lr, ++e->updates);
  else
    vq_optimiser_parameters(par, kind_of(c->optimizer), lr, c->weight_decay, ++e->updates);
  VQ_TRY(vq_tensor_write(e->device, e->par, par));
  double start = e->watch ? now() : 0;
  if (c->optimizer == VQ_ADAM)
    VQ_TRY(vq_adam_clamp(e->device, e->z, e->m, e->v, e->par, e->low, e->high));
  else
    VQ_TRY(vq_optimise(e->device, kind_of(c->optimizer), e->z, e->m, e->v, e->par, e->low, e->high, e->past));
  if (e->watch)
    VQ_TRY(tell_update(e, start));
  return average_z(e);
}

static vq_status finish(vq_engine *e, vq_status status)
{
  clear(e);
  return status;
}

void vq_engine_set_draws(vq_engine *e, uint64_t seed, uint32_t step)
{
  e->seed = seed;
  e->step = step;
}

vq_status vq_engine_set_pull(vq_engine *e, double weight)
{
  vq_real value = (vq_real)weight;
  return e->pull ? vq_tensor_write(e->device, e->pull, &value) : VQ_OK;
}

vq_status vq_engine_gradient(vq_engine *e, const int32_t *boxes, vq_findings *f)
{
  return finish(e, forward_and_back(e, boxes, f));
}

vq_status vq_engine_step(vq_engine *e, const int32_t *boxes, double lr, vq_findings *f)
{
  vq_status status = forward_and_back(e, boxes, f);
  if (!status)
    status = check_finite(e, f);
  if (!status)
    status = update(e, lr);
  return finish(e, status);
}

/* The weights of all z so far are 1 - ema^averaged together. */
static vq_status show_average(vq_engine *e)
{
  size_t count = (size_t)vq_count(e->z);
  double all = 1 - pow(e->config.ema, (double)e->averaged);
  for (size_t i = 0; i < count; i++)
    e->host[i] = (vq_real)((double)e->average[i] / all);
  return vq_tensor_write(e->device, e->mean, e->host);
}

vq_status vq_engine_picture(vq_engine *e, vq_real *picture)
{
  vq_findings f = {.picture = picture};
  vq_tensor *unused;
  vq_status status = e->average ? show_average(e) : VQ_OK;
  e->z->wants = false; /* nothing is kept for a walk back */
  if (!status)
    status = look(e, e->mean ? e->mean : e->z, NULL, &f, &unused);
  if (!status && picture)
    status = vq_tensor_read(e->device, e->shown, picture);
  e->z->wants = true;
  return finish(e, status);
}
