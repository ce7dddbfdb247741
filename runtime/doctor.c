/* doctor.c -- the list of checks, the order of the groups, and what of it may be shown. Contract: doctor.h. */
#include "runtime/doctor.h"

#include "runtime/find_network.h"
#include "runtime/resize.h"
#include "vqgen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- checks ---- */

static char *format_text(const char *format, va_list args)
{
  char text[4096];
  vsnprintf(text, sizeof text, format, args);
  return strdup(text);
}

void vq_doctor_say(vq_doctor *d, const char *name, vq_verdict verdict, const char *advice, const char *format, ...)
{
  va_list args;
  if (d->checks == d->capacity) {
    int capacity = d->capacity ? 2 * d->capacity : 32;
    vq_check *grown = realloc(d->check, (size_t)capacity * sizeof *grown);
    if (!grown) {
      d->failed++;
      return;
    }
    d->check = grown;
    d->capacity = capacity;
  }
  vq_check *c = &d->check[d->checks++];
  va_start(args, format);
  *c = (vq_check){d->group, name, verdict, format_text(format, args),
                  strdup(verdict == VQ_CHECK_PASS ? "" : advice)};
  va_end(args);
  d->failed += verdict == VQ_CHECK_FAIL;
  if (d->options.tell)
    d->options.tell(d->options.user, c);
}

void vq_doctor_broken(vq_doctor *d, const char *name, const char *advice)
{
  char *message = strdup(vq_error_message());
  vq_doctor_say(d, name, VQ_CHECK_FAIL, advice, "%s", message ? message : "no memory");
  free(message);
}

/* ---- the whole ---- */

static vq_status find_paths(vq_doctor *d)
{
  const char *given[2] = {d->options.vqgan, d->options.clip};
  vq_settings found;
  if (!given[0] != !given[1])
    return vq_fail(VQ_ERR_ARGUMENT, "networks are used in pairs: give --vqgan and --clip, or neither");
  if (given[0]) {
    VQ_TRY(vq_network_find(&d->path[0], given[0]));
    return vq_network_find(&d->path[1], given[1]);
  }
  vq_settings_init(&found);
  vq_status status = vq_settings_load(&found);
  if (found.vqgan && found.clip) {
    d->path[0] = strdup(found.vqgan);
    d->path[1] = strdup(found.clip);
  }
  vq_settings_clear(&found);
  return status;
}

vq_status vq_doctor_run(vq_doctor *d, const vq_doctor_options *options)
{
  static const struct {
    const char *name;
    void (*check)(vq_doctor *d);
  } groups[] = {
      {"machine", vq_doctor_machine}, {"shipped", vq_doctor_shipped}, {"files", vq_doctor_files},
      {"clip", vq_doctor_clip},       {"vqgan", vq_doctor_vqgan},     {"gradient", vq_doctor_gradient},
      {"loop", vq_doctor_loop},
  };
  *d = (vq_doctor){.options = *options};
  VQ_TRY(vq_place_find(&d->place, options->device, options->precision, options->threads, NULL));
  VQ_TRY(find_paths(d));
  if (!d->path[0] || !d->path[1])
    return vq_fail(VQ_ERR_MEMORY, "no memory for file names");
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    d->group = groups[i].name;
    groups[i].check(d);
  }
  return VQ_OK;
}

void vq_doctor_free(vq_doctor *d)
{
  for (int i = 0; i < d->checks; i++) {
    free(d->check[i].found);
    free(d->check[i].advice);
  }
  free(d->check);
  vq_network_close(d->vqgan);
  vq_network_close(d->clip);
  free(d->path[0]);
  free(d->path[1]);
  vq_image_free(&d->sheet);
  vq_image_free(&d->trip);
  vq_image_free(&d->shuffled);
  vq_image_free(&d->last);
  *d = (vq_doctor){.checks = 0};
}

/* ---- what may be shown ---- */

static const char *last_part(const char *path, size_t bytes)
{
  const char *part = path;
  for (size_t i = 0; i + 1 < bytes; i++)
    if (path[i] == '/')
      part = path + i + 1;
  return part;
}

/* Where a path that stands in the text may begin: at its start, or after what cannot be part of one. */
static bool begins_path(const char *text, const char *at)
{
  bool after = at == text || strchr(" \t\n'\"(=,:;", at[-1]);
  return after && (*at == '/' || !strncmp(at, "./", 2) || !strncmp(at, "../", 3) || (at[0] == '~' && at[1] == '/'));
}

/* How many bytes of the text at `at` are a path: one of those that were given, or anything that begins as a path does. 0: it is none. */
static size_t path_length(const vq_doctor *d, const char *text, const char *at)
{
  const vq_doctor_options *o = &d->options;
  const char *known[] = {d->path[0], d->path[1], o->vqgan, o->clip, o->config, o->vocab, o->reference};
  size_t longest = 0;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    size_t n = known[i] && strchr(known[i], '/') ? strlen(known[i]) : 0;
    longest = n > longest && !strncmp(at, known[i], n) ? n : longest;
  }
  return longest ? longest : begins_path(text, at) ? strcspn(at, " \t\n'\"(),;:") : 0;
}

char *vq_doctor_without_paths(const vq_doctor *d, const char *text)
{
  char *out = malloc(strlen(text) + 1), *to = out;
  for (const char *at = text; out && *at;) {
    size_t n = path_length(d, text, at);
    if (n < 2) {
      *to++ = *at++;
      continue;
    }
    const char *part = last_part(at, n);
    memcpy(to, part, (size_t)(at + n - part));
    to += at + n - part;
    at += n;
  }
  if (out)
    *to = 0;
  return out;
}

#define EDGE 8

vq_status vq_doctor_picture(const vq_doctor *d, vq_image *out)
{
  const vq_image *all[] = {&d->sheet, &d->trip, &d->shuffled, &d->last};
  int64_t width = EDGE, height = 0, x = EDGE;
  for (int i = 0; i < 4; i++) {
    width += all[i]->rgb ? all[i]->width + EDGE : 0;
    height = all[i]->rgb && all[i]->height + 2 * EDGE > height ? all[i]->height + 2 * EDGE : height;
  }
  if (!height)
    return vq_fail(VQ_ERR_ARGUMENT, "no check has made a picture");
  VQ_TRY(vq_image_create(out, width, height));
  memset(out->rgb, 128, (size_t)(width * height) * 3);
  for (int i = 0; i < 4; i++) {
    for (int64_t y = 0; all[i]->rgb && y < all[i]->height; y++)
      memcpy(out->rgb + ((y + EDGE) * width + x) * 3, all[i]->rgb + y * all[i]->width * 3,
             (size_t)all[i]->width * 3);
    x += all[i]->rgb ? all[i]->width + EDGE : 0;
  }
  return VQ_OK;
}
