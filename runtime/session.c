/* session.c -- a run: settings and prompts, where z begins, step after step, the picture. vqgen.h is its contract. */
#include "runtime/session.h"

#include "base/rng.h"
#include "runtime/cutouts.h"
#include "runtime/fields.h"
#include "runtime/model_name.h"
#include "runtime/perceive.h"
#include "runtime/start.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *vq_version(void)
{
  return VQ_VERSION;
}

/* ---- settings ---- */

static vq_status check_latent(const vq_settings *s)
{
  if ((s->init_drops > 0) != (s->init_drop_every > 0) || s->init_drops < 0)
    return vq_fail(VQ_ERR_ARGUMENT, "what holds z falls in %lld drops, every %lld steps: give both or neither",
                   (long long)s->init_drops, (long long)s->init_drop_every);
  if (s->latent == VQ_LATENT_Z)
    return VQ_OK;
  if (s->start != VQ_START_RANDOM)
    return vq_fail(VQ_ERR_ARGUMENT,
                   "logits (--latent logits) begin at random and have no other start: add --init random");
  if (s->init_weight != 0)
    return vq_fail(VQ_ERR_ARGUMENT, "--init-weight holds z, and a run of logits (--latent logits) has none");
  return VQ_OK;
}

static vq_status check_settings(const vq_settings *s)
{
  VQ_TRY(vq_fields_check(s));
  if (!(s->lr_end >= 0 && s->lr_end <= 1000))
    return vq_fail(VQ_ERR_ARGUMENT, "the last learning rate is %g and must be from 0 to 1000", s->lr_end);
  if (s->start == VQ_START_FILE && !s->start_file)
    return vq_fail(VQ_ERR_ARGUMENT, "the start is a file and none is named");
  VQ_TRY(check_latent(s));
  if (s->cutout_chunk != VQ_CHUNK_AUTO && s->cutout_chunk < 8)
    return vq_fail(VQ_ERR_ARGUMENT, "%d cutouts at once are too few: they go through CLIP in groups of at most 8",
                   s->cutout_chunk);
  if (s->vram < 0)
    return vq_fail(VQ_ERR_ARGUMENT, "a run cannot take %lld bytes at most", (long long)s->vram);
  vq_augment list[VQ_MOST_AUGMENTS];
  int augments;
  VQ_TRY(vq_fail_in(vq_augments_parse(list, &augments, s->augment), "augment"));
  if (!s->vqgan || !s->clip)
    return vq_fail(VQ_ERR_ARGUMENT, "a VQGAN's and a CLIP's file are needed: vq_settings_load looks for them");
  return VQ_OK;
}

/* The two networks of a pair name it; a network that belongs to one sees nothing it knows in another's pictures. */
static vq_status check_pair(const vq_session *s)
{
  const char *a = vq_network_pair(s->vqgan), *b = vq_network_pair(s->clip);
  if (s->settings.force || (!a && !b) || (a && b && !strcmp(a, b)))
    return VQ_OK;
  return vq_fail(
      VQ_ERR_NETWORK,
      "%s (%s) and %s (%s) were not made for each other, and the picture would mean nothing: give two networks "
      "that belong together, or --force",
      vq_network_path(s->vqgan), a ? a : "of no pair", vq_network_path(s->clip), b ? b : "of no pair");
}

/* Latent and cutout sizes from the picture's. */
static vq_status measure(vq_session *s)
{
  const vq_settings *set = &s->settings;
  s->factor = vq_vqgan_factor(vq_network_vqgan(s->vqgan));
  s->w = set->width / s->factor;
  s->h = set->height / s->factor;
  if (!s->w || !s->h)
    return vq_fail(VQ_ERR_ARGUMENT, "%dx%d is smaller than one token of this VQGAN, which is %dx%d", set->width,
                   set->height, s->factor, s->factor);
  vq_boxes_range(&s->box_least, &s->box_most, set, s->w * s->factor, s->h * s->factor,
                 vq_network_clip(s->clip)->image_resolution);
  s->boxes = calloc((size_t)set->cutouts * 3, sizeof *s->boxes);
  return s->boxes ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for boxes");
}

static char *copy(const char *text)
{
  return text ? strdup(text) : NULL;
}

static vq_status open_networks(vq_session *s)
{
  const vq_settings *set = &s->settings;
  VQ_TRY(vq_network_open(&s->vqgan, set->vqgan, VQ_NETWORK_VQGAN,
                         &(vq_network_hints){.config = set->config, .log = &set->log}));
  VQ_TRY(vq_network_open(&s->clip, set->clip, VQ_NETWORK_CLIP,
                         &(vq_network_hints){.vocab = set->vocab, .log = &set->log}));
  VQ_TRY(check_pair(s));
  VQ_TRY(vq_network_tokenizer(&s->tokenizer, s->clip));
  s->settings.config = s->settings.vocab = NULL; /* the caller's, and read */
  return measure(s);
}

vq_status vq_session_create(vq_session **out, const vq_settings *settings)
{
  *out = NULL;
  VQ_TRY(check_settings(settings));
  vq_session *s = calloc(1, sizeof *s);
  if (!s)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a session");
  s->settings = *settings;
  s->settings.vqgan = copy(settings->vqgan);
  s->settings.clip = copy(settings->clip);
  s->settings.start_file = copy(settings->start_file);
  s->settings.model_name = copy(settings->model_name);
  s->settings.augment = copy(settings->augment);
  s->settings.device = copy(settings->device);
  vq_status status = VQ_OK;
  if (!s->settings.vqgan || !s->settings.clip || (settings->start_file && !s->settings.start_file) ||
      (settings->model_name && !s->settings.model_name) || (settings->augment && !s->settings.augment) ||
      (settings->device && !s->settings.device))
    status = vq_fail(VQ_ERR_MEMORY, "no memory for a session");
  if (!status)
    status = vq_place_find(&s->place, settings->device, settings->precision, settings->threads, &settings->log);
  s->place.limit = (size_t)settings->vram;
  if (!status)
    status = open_networks(s);
  if (!status)
    status = vq_start_check(&s->settings, s->vqgan, s->h, s->w);
  if (status)
    vq_session_free(s);
  else
    *out = s;
  return status;
}

void vq_session_free(vq_session *s)
{
  if (!s)
    return;
  vq_engine_free(s->engine);
  for (int i = 0; i < s->prompts; i++) {
    free((char *)s->prompt[i].text);
    free(s->wanted[i]);
  }
  vq_tokenizer_free(s->tokenizer);
  vq_network_close(s->vqgan);
  vq_network_close(s->clip);
  free(s->boxes);
  free(s->seen);
  free(s->first);
  free(s->model);
  free((char *)s->settings.vqgan);
  free((char *)s->settings.clip);
  free((char *)s->settings.start_file);
  free((char *)s->settings.model_name);
  free((char *)s->settings.augment);
  free((char *)s->settings.device);
  free(s);
}

/* ---- the run ---- */

vq_status vq_session_engine_config(const vq_session *s, vq_engine_config *c)
{
  const vq_settings *set = &s->settings;
  *c = (vq_engine_config){
      .vqgan = vq_network_vqgan(s->vqgan),
      .clip = vq_network_clip(s->clip),
      .vqgan_weights = vq_network_weights(s->vqgan),
      .clip_weights = vq_network_weights(s->clip),
      .h = s->h,
      .w = s->w,
      .cutouts = set->cutouts,
      .cut_method = set->cut_method,
      .box_least = s->box_least,
      .box_most = s->box_most,
      .targets = s->prompts,
      .tv_weight = set->tv_weight,
      .pull = set->init_weight != 0,
      .pull_to_start = set->init_pull == VQ_PULL_START,
      .latent = set->latent,
      .optimizer = set->optimizer,
      .weight_decay = set->weight_decay,
      .unclamped = !set->z_clamp,
      .ema = set->ema,
      .trap = set->trap,
  };
  for (int i = 0; i < s->prompts; i++) {
    c->target_rows[i] = s->prompt[i].kind == VQ_PROMPT_IMAGE ? set->cutouts : 1;
    c->weight[i] = s->prompt[i].weight;
    c->stop[i] = s->prompt[i].stop;
  }
  return vq_augments_parse(c->augment, &c->augments, set->augment);
}

vq_status vq_session_plan(vq_session *s, vq_plan *out)
{
  vq_session_need fit;
  VQ_TRY(vq_session_measure(s, &fit));
  *out = (vq_plan){
      .network_bytes = (int64_t)fit.need.weights,
      .step_bytes = (int64_t)fit.need.step,
      .available_bytes = (int64_t)fit.free,
      .device_bytes = (int64_t)fit.all,
      .chunk = fit.config.chunk,
      .fits = fit.fits,
  };
  vq_session_size(s, &out->width, &out->height);
  vq_session_advise(s, &fit, out->advice, sizeof out->advice);
  return VQ_OK;
}

static void forget_start(vq_session *s)
{
  free(s->first);
  s->first = NULL;
}

/* What depends on the seed: what pictures want, and, but for a file's, the first z. */
static vq_status make_start(vq_session *s)
{
  const vq_vqgan_config *c = vq_network_vqgan(s->vqgan);
  size_t channels = (size_t)(s->settings.latent == VQ_LATENT_LOGITS ? c->n_embed : c->embed_dim);
  VQ_TRY(vq_session_encode_pictures(s));
  if (s->first)
    return VQ_OK;
  s->first = calloc((size_t)s->h * (size_t)s->w * channels, sizeof *s->first);
  vq_status status = s->first ? vq_start_make(&s->settings, s->vqgan, s->h, s->w, s->first)
                              : vq_fail(VQ_ERR_MEMORY, "no memory for z");
  if (status)
    forget_start(s);
  return status;
}

static vq_status begin(vq_session *s)
{
  VQ_TRY(vq_session_want(s));
  s->step = 0;
  vq_status status = vq_engine_set_z(s->engine, s->first);
  if (vq_start_is_drawn(&s->settings))
    forget_start(s);
  return status;
}

/* Whether a network is asked again when the seed is another. */
static bool asks_again(const vq_session *s)
{
  bool pictures = false;
  for (int i = 0; i < s->prompts; i++)
    pictures = pictures || s->prompt[i].kind == VQ_PROMPT_IMAGE;
  return pictures || (vq_start_is_encoded(&s->settings) && vq_start_is_drawn(&s->settings));
}

static vq_status must_fit(const vq_session *s, vq_session_need *fit)
{
  VQ_TRY(vq_session_measure(s, fit));
  return fit->fits ? VQ_OK : vq_session_refuse(s, fit);
}

/* What is free may have become less meanwhile: then it is told again what would fit. */
static vq_status make_engine(vq_session *s)
{
  vq_session_need fit;
  VQ_TRY(must_fit(s, &fit));
  if (s->settings.cutout_chunk == VQ_CHUNK_AUTO && s->place.cuda && fit.config.chunk < fit.config.cutouts)
    vq_log_info(&s->settings.log,
                "cutouts go through CLIP %d at a time, for which %.0f of the GPU's %.0f MiB are %s",
                fit.config.chunk, (double)fit.room / (1 << 20), (double)fit.all / (1 << 20),
                fit.room == fit.free ? "free" : "allowed by --vram");
  vq_status status = vq_engine_create(&s->engine, &fit.config, &s->place);
  if (status == VQ_ERR_MEMORY && !vq_session_measure(s, &fit) && !fit.fits)
    return vq_session_refuse(s, &fit);
  return status;
}

static void drop_engine(vq_session *s)
{
  vq_engine_free(s->engine);
  s->engine = NULL;
  vq_memory_return();
}

static vq_status make_and_begin(vq_session *s)
{
  vq_status status = make_start(s);
  if (!status && !s->engine)
    status = make_engine(s);
  if (!status)
    status = begin(s);
  if (status)
    drop_engine(s);
  return status;
}

vq_status vq_session_start(vq_session *s)
{
  vq_session_need fit;
  if (s->engine)
    return vq_fail(VQ_ERR_ARGUMENT, "the session has started already");
  VQ_TRY(vq_session_check_prompts(s));
  if (s->settings.metadata & (VQ_METADATA_STEGANO | VQ_METADATA_XMP) && !s->settings.model_name && !s->model)
    VQ_TRY(vq_model_name(&s->model, s->vqgan));
  VQ_TRY(vq_session_check_metadata(s));
  VQ_TRY(vq_record_files_of(&s->files, &s->settings, s->vqgan, s->clip));
  VQ_TRY(must_fit(s, &fit));
  VQ_TRY(vq_session_encode_texts(s));
  return make_and_begin(s);
}

vq_status vq_session_restart(vq_session *s, uint64_t seed)
{
  if (!s->engine)
    return vq_fail(VQ_ERR_ARGUMENT, "the session has not started");
  s->settings.seed = seed;
  if (asks_again(s)) /* alone, as before the first picture: what the plan tells is all that is ever taken */
    drop_engine(s);
  return make_and_begin(s);
}

/* The learning rate of the step that comes after `done` of them. */
static double learning_rate(const vq_settings *s, int64_t done)
{
  double t = s->steps > 0 ? (double)done / (double)s->steps : 0;
  switch (s->lr_schedule) {
  case VQ_LR_CONSTANT: return s->lr;
  case VQ_LR_LINEAR: return s->lr + (s->lr_end - s->lr) * (t < 1 ? t : 1);
  case VQ_LR_COSINE:
    return s->lr_end + (s->lr - s->lr_end) * (1 + cos(3.14159265358979323846 * (t < 1 ? t : 1))) / 2;
  }
  return s->lr;
}

/* Drops of what holds z before it. The MSE notebook's: the first comes after step `every`, counted from 0, so after `every` + 1
 * updates. */
static int64_t drops_before(const vq_settings *s, int64_t done)
{
  int64_t drops = s->init_drops && done > 0 ? (done - 1) / s->init_drop_every : 0;
  return drops < s->init_drops ? drops : s->init_drops;
}

/* How strongly z is held in it. */
static double pull_weight(const vq_settings *s, int64_t done)
{
  double weight = s->init_weight / 2;
  if (s->init_drops)
    weight *= (double)(s->init_drops - drops_before(s, done)) / (double)s->init_drops;
  return s->init_pull == VQ_PULL_ZERO_DECAY ? weight / (double)(2 * done + 1) : weight;
}

/* Which texts the step that comes after `done` of them looks at. */
static void begin_phase(vq_session *s, int64_t done)
{
  int phase = s->phases > 1 ? (int)(done / s->settings.phase_every % s->phases) : 0;
  for (int i = 0; i < s->prompts; i++)
    vq_engine_rest_target(s->engine, i, s->prompt[i].phase != VQ_EVERY_PHASE && s->prompt[i].phase != phase);
}

static double seconds(void)
{
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* The step looks at z itself, and at codes that it draws: a picture to show is another where it shows an average or the likeliest. */
static bool shows_what_it_looks_at(const vq_session *s)
{
  return s->settings.latent == VQ_LATENT_Z && !(s->settings.ema > 0);
}

static vq_status take_step(vq_session *s, vq_step_report *report, vq_real *picture)
{
  const vq_settings *set = &s->settings;
  bool at_hand = shows_what_it_looks_at(s);
  vq_findings found = {.picture = at_hand ? picture : NULL};
  double start = seconds();
  if (picture && !at_hand)
    VQ_TRY(vq_engine_picture(s->engine, picture));
  if (s->step > 0 && drops_before(set, s->step) > drops_before(set, s->step - 1))
    VQ_TRY(vq_engine_restart_optimizer(s->engine));
  vq_boxes_draw(s->boxes, set->cutouts, s->w * s->factor, s->h * s->factor, s->box_least, s->box_most,
                set->cut_power, set->seed, (uint32_t)s->step);
  vq_engine_set_draws(s->engine, set->seed, (uint32_t)s->step);
  begin_phase(s, s->step);
  VQ_TRY(vq_engine_set_pull(s->engine, pull_weight(set, s->step)));
  VQ_TRY(vq_engine_step(s->engine, s->boxes, learning_rate(set, s->step), &found));
  *report = (vq_step_report){.step = ++s->step,
                             .losses = s->prompts,
                             .loss = found.tv_loss + found.pull_loss,
                             .tv_loss = found.tv_loss,
                             .init_loss = found.pull_loss};
  for (int i = 0; i < s->prompts; i++) {
    report->prompt_loss[i] = found.losses[i];
    report->loss +=
        isnan(found.losses[i]) ? 0 : found.losses[i]; /* a step whose losses are no numbers has failed */
  }
  report->seconds = seconds() - start;
  return VQ_OK;
}

static size_t values_of(const vq_session *s)
{
  return (size_t)(s->w * s->factor) * (size_t)(s->h * s->factor) * 3;
}

static vq_status make_seen(vq_session *s)
{
  if (!s->seen)
    s->seen = malloc(values_of(s) * sizeof *s->seen);
  return s->seen ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a picture");
}

vq_status vq_session_step(vq_session *s, vq_step_report *report)
{
  if (!s->engine)
    return vq_fail(VQ_ERR_ARGUMENT, "the session has not started");
  if (!s->watch)
    return take_step(s, report, NULL);
  VQ_TRY(make_seen(s));
  VQ_TRY(take_step(s, report, s->seen));
  vq_levels(s->watch, s->seen, values_of(s));
  return VQ_OK;
}

void vq_session_watch(vq_session *s, uint8_t *rgb)
{
  s->watch = rgb;
}

void vq_session_size(const vq_session *s, int *width, int *height)
{
  *width = s->w * s->factor;
  *height = s->h * s->factor;
}

vq_status vq_session_picture(vq_session *s, uint8_t *rgb)
{
  if (!s->engine)
    return vq_fail(VQ_ERR_ARGUMENT, "the session has not started");
  VQ_TRY(make_seen(s));
  VQ_TRY(vq_engine_picture(s->engine, s->seen));
  vq_levels(rgb, s->seen, values_of(s));
  return VQ_OK;
}
