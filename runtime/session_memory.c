/* session_memory.c -- what memory a run takes; how many cutouts go through CLIP at once, so that it fits; and, where nothing does, what
 * would.
 */
#include "runtime/session.h"

#include "runtime/cutouts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MIB (1 << 20)

static size_t all_of(const vq_footprint *need)
{
  return need->weights + need->step;
}

static bool fits(const vq_footprint *need, size_t room)
{
  return !room || all_of(need) <= room;
}

/* ---- the chunk ---- */

static vq_status plan_quanta(vq_session_need *fit, const vq_place *place, int quanta)
{
  int quantum;
  vq_cutouts_quanta(fit->config.cutouts, &quantum);
  fit->config.chunk = quanta * quantum;
  return vq_engine_plan(&fit->config, place, &fit->need);
}

/* The most quanta at once that take no more than `room`, one at least. */
static vq_status most_quanta(vq_session_need *fit, const vq_place *place, size_t room, int quanta, int *most)
{
  int low = 1, high = quanta;
  VQ_TRY(plan_quanta(fit, place, high));
  if (fits(&fit->need, room))
    low = high;
  while (high - low > 1) {
    int middle = low + (high - low) / 2;
    VQ_TRY(plan_quanta(fit, place, middle));
    if (fits(&fit->need, room))
      low = middle;
    else
      high = middle;
  }
  *most = low;
  return VQ_OK;
}

/* A CPU is as fast by one quantum as by more. On a GPU as many as fit, in chunks as equal as can be, leaving something to those who share the
 * card and to CUDA itself. */
static vq_status choose_chunk(vq_session_need *fit, const vq_place *place)
{
  int quantum, most = 1, quanta = vq_cutouts_quanta(fit->config.cutouts, &quantum);
  size_t room = fit->room == fit->free ? fit->room - fit->room / 16 : fit->room;
  if (place->cuda) {
    quanta = vq_cutouts_chunk(fit->config.cutouts, VQ_CHUNK_ALL) / quantum;
    VQ_TRY(most_quanta(fit, place, room, quanta, &most));
    int chunks = (quanta + most - 1) / most;
    most = (quanta + chunks - 1) / chunks;
  }
  return plan_quanta(fit, place, most);
}

static vq_status fit_to(const vq_session *s, const vq_place *place, vq_session_need *fit)
{
  int asked = s->settings.cutout_chunk;
  VQ_TRY(vq_session_engine_config(s, &fit->config));
  if (asked == VQ_CHUNK_AUTO)
    VQ_TRY(choose_chunk(fit, place));
  else {
    fit->config.chunk = vq_cutouts_chunk(fit->config.cutouts, asked);
    VQ_TRY(vq_engine_plan(&fit->config, place, &fit->need));
  }
  fit->fits = fits(&fit->need, fit->room);
  return VQ_OK;
}

vq_status vq_session_measure(const vq_session *s, vq_session_need *out)
{
  size_t limit = (size_t)s->settings.vram;
  *out = (vq_session_need){.room = limit};
  vq_place_memory(&s->place, &out->free, &out->all);
  if (out->free && (!limit || out->free < limit))
    out->room = out->free;
  return fit_to(s, &s->place, out);
}

/* ---- what would fit ---- */

/* The run as it would be with that many tokens and cutouts, by the smallest chunks, in the same room: for planning alone. */
static bool would_fit(const vq_session *s, const vq_place *place, const vq_session_need *fit, int w, int h,
                      int cutouts)
{
  vq_session other = *s;
  vq_session_need tried = {.room = fit->room};
  other.w = w;
  other.h = h;
  other.settings.cutouts = cutouts;
  other.settings.cutout_chunk = 8;
  vq_boxes_range(&other.box_least, &other.box_most, &other.settings, w * s->factor, h * s->factor,
                 vq_network_clip(s->clip)->image_resolution);
  return !fit_to(&other, place, &tried) && tried.fits;
}

/* Tokens of a picture of the same shape whose longer side has `longer`. */
static void shape_of(const vq_session *s, int longer, int *w, int *h)
{
  int side = s->w > s->h ? s->w : s->h;
  *w = (s->w * longer + side / 2) / side;
  *h = (s->h * longer + side / 2) / side;
  *w = *w < 1 ? 1 : *w;
  *h = *h < 1 ? 1 : *h;
}

/* The longer side, in tokens, of the largest picture of the same shape that fits; 0: none. */
static int largest_side(const vq_session *s, const vq_session_need *fit)
{
  int low = 0, high = s->w > s->h ? s->w : s->h, w, h;
  while (high - low > 1) {
    int middle = low + (high - low) / 2;
    shape_of(s, middle, &w, &h);
    if (would_fit(s, &s->place, fit, w, h, s->settings.cutouts))
      low = middle;
    else
      high = middle;
  }
  return low;
}

typedef struct text {
  char *at;
  size_t bytes;
} text;

static void add(text *t, const char *format, ...)
{
  size_t used = strlen(t->at);
  va_list list;
  va_start(list, format);
  vsnprintf(t->at + used, t->bytes - used, format, list);
  va_end(list);
}

static const char *comma(const text *t)
{
  return *t->at ? ", or " : "";
}

void vq_session_advise(const vq_session *s, const vq_session_need *fit, char *advice, size_t bytes)
{
  text t = {advice, bytes};
  int cutouts = s->settings.cutouts, quantum, quanta = vq_cutouts_quanta(cutouts, &quantum), w, h;
  vq_place bf16 = s->place;
  bf16.products = VQ_BF16;
  *advice = 0;
  if (fit->fits)
    return;
  if (fit->config.chunk > quantum && would_fit(s, &s->place, fit, s->w, s->h, cutouts)) {
    vq_session_need chunk = *fit;
    if (!most_quanta(&chunk, &s->place, fit->room, quanta, &quanta))
      add(&t, "--cutout-chunk %d", quanta * quantum < 8 ? 8 : quanta * quantum);
    return;
  }
  bool has_bf16 = s->place.cuda || vq_place_cpu_has_bf16();
  if (has_bf16 && s->place.products != VQ_BF16 && would_fit(s, &bf16, fit, s->w, s->h, cutouts))
    add(&t, "--precision bf16");
  shape_of(s, largest_side(s, fit), &w, &h);
  if (would_fit(s, &s->place, fit, w, h, cutouts))
    add(&t, "%s-s %dx%d", comma(&t), w * s->factor, h * s->factor);
  for (int fewer = quantum - 1; fewer > 0; fewer--)
    if (would_fit(s, &s->place, fit, s->w, s->h, fewer)) {
      add(&t, "%s--cutouts %d", comma(&t), fewer);
      break;
    }
}

vq_status vq_session_refuse(const vq_session *s, const vq_session_need *fit)
{
  char has[160], advice[512];
  const char *device = s->place.cuda ? "GPU" : "machine";
  vq_session_advise(s, fit, advice, sizeof advice);
  if (fit->room != fit->free)
    snprintf(has, sizeof has, "--vram allows %.0f MiB", (double)fit->room / MIB);
  else if (s->place.cuda)
    snprintf(has, sizeof has, "this GPU has %.0f MiB free of %.0f, the rest being in use (nvidia-smi says by whom)",
             (double)fit->free / MIB, (double)fit->all / MIB);
  else
    snprintf(has, sizeof has, "this machine has %.0f MiB free: close other programs", (double)fit->free / MIB);
  return vq_fail(
      VQ_ERR_MEMORY, "the picture needs %.0f MiB (%.0f for networks, %.0f for a step) and %s; %s%s",
      (double)all_of(&fit->need) / MIB, (double)fit->need.weights / MIB, (double)fit->need.step / MIB, has,
      *advice ? "what would fit: " : "no smaller picture would fit, it takes smaller networks or another ",
      *advice ? advice : device);
}
