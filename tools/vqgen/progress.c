/* progress.c -- the bar, the lines and the objects. */
#include "tools/vqgen/progress.h"

#include "runtime/fields.h"

#include <jansson.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LINE_SECONDS 10   /* plain lines come at most so far apart */
#define BAR_SECONDS  0.05 /* and the bar moves at most so often */

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void progress_init(progress *p, progress_kind kind, int64_t steps, int64_t first)
{
  if (kind == PROGRESS_AUTO)
    kind = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_PLAIN;
  *p = (progress){.kind = kind, .steps = steps, .first = first, .started = now()};
}

/* Seconds for a step, the mean so far. */
static double pace(const progress *p, const vq_step_report *r)
{
  return (now() - p->started) / (double)(r->step - p->first);
}

/* Seconds to the end, by the mean so far; NAN when there is no end. */
static double left(const progress *p, const vq_step_report *r)
{
  return p->steps < 0 ? NAN : pace(p, r) * (double)(p->steps - r->step);
}

/* ---- objects ---- */

static json_t *number(double x)
{
  return isfinite(x) ? json_real(x) : json_null();
}

/* Names of files may be no UTF-8, which JSON must be. */
static json_t *text(const char *s)
{
  char plain[4096];
  json_t *value = json_string(s ? s : "");
  if (value)
    return value;
  snprintf(plain, sizeof plain, "%s", s);
  for (char *p = plain; *p; p++)
    if ((unsigned char)*p >= 0x80)
      *p = '?';
  return json_string(plain);
}

static json_t *event(const char *name)
{
  json_t *o = json_object();
  json_object_set_new(o, "event", json_string(name));
  return o;
}

static void emit(json_t *o)
{
  json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
  putchar('\n');
  fflush(stdout);
  json_decref(o);
}

static void emit_start(const request *r, const char *output)
{
  const vq_settings *s = &r->settings;
  json_t *o = event("start"), *prompts = json_array();
  int fields;
  const vq_field *field = vq_fields(&fields);
  for (int i = 0; i < r->prompts; i++) {
    json_t *p = json_array();
    json_array_append_new(p, text(r->prompt[i].text));
    json_array_append_new(p, number(r->prompt[i].weight));
    json_array_append_new(p, number(r->prompt[i].stop));
    if (r->prompt[i].kind != VQ_PROMPT_TEXT)
      json_array_append_new(p, json_string(r->prompt[i].kind == VQ_PROMPT_IMAGE ? "image" : "noise"));
    else if (r->prompt[i].phase != VQ_EVERY_PHASE)
      json_array_append_new(p, json_integer(r->prompt[i].phase));
    json_array_append_new(prompts, p);
  }
  json_object_set_new(o, "version", json_string(vq_version()));
  json_object_set_new(o, "prompts", prompts);
  for (int i = 0; i < fields; i++) {
    const char *file = field[i].file ? field[i].file(s) : NULL;
    json_object_set_new(o, field[i].name, file ? text(file) : vq_field_to_json(&field[i], s));
  }
  json_object_set_new(o, "vqgan", text(s->vqgan));
  json_object_set_new(o, "clip", text(s->clip));
  json_object_set_new(o, "threads", json_integer(s->threads));
  json_object_set_new(o, "save_every", json_integer(r->save_every));
  json_object_set_new(o, "output", text(output));
  emit(o);
}

static void emit_step(const progress *p, const vq_step_report *r)
{
  json_t *o = event("step"), *losses = json_array();
  for (int i = 0; i < r->losses; i++)
    json_array_append_new(losses, number(r->prompt_loss[i]));
  json_object_set_new(o, "step", json_integer(r->step));
  json_object_set_new(o, "steps", json_integer(p->steps));
  json_object_set_new(o, "loss", number(r->loss));
  json_object_set_new(o, "losses", losses);
  json_object_set_new(o, "tv", number(r->tv_loss));
  json_object_set_new(o, "init", number(r->init_loss));
  json_object_set_new(o, "seconds", number(r->seconds));
  json_object_set_new(o, "eta", number(left(p, r)));
  emit(o);
}

void progress_error(vq_status status)
{
  json_t *o = event("error");
  json_object_set_new(o, "code", json_string(vq_status_name(status)));
  json_object_set_new(o, "message", text(vq_error_message()));
  emit(o);
}

/* ---- lines ---- */

static void print_duration(char *out, size_t bytes, double seconds)
{
  int64_t s = (int64_t)(seconds + 0.5);
  if (s < 60)
    snprintf(out, bytes, "%d s", (int)s);
  else if (s < 3600)
    snprintf(out, bytes, "%d:%02d min", (int)(s / 60), (int)(s % 60));
  else
    snprintf(out, bytes, "%lld:%02d h", (long long)(s / 3600), (int)(s / 60 % 60));
}

/* "step 37/100  loss 0.8123  0.210 s/step  13 s left" */
static void print_step(char *out, size_t bytes, const progress *p, const vq_step_report *r)
{
  char steps[32] = "", time_left[48] = "";
  double seconds = pace(p, r);
  if (p->steps >= 0) {
    snprintf(steps, sizeof steps, "/%lld", (long long)p->steps);
    strcpy(time_left, "  ");
    print_duration(time_left + 2, sizeof time_left - 8, left(p, r));
    strcat(time_left, " left");
  }
  snprintf(out, bytes, "step %lld%s  loss %.4f  %.3g s/step%s", (long long)r->step, steps, r->loss, seconds,
           time_left);
}

static void draw_bar(progress *p, const vq_step_report *r)
{
  char line[160];
  struct winsize window = {0};
  int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col ? window.ws_col : 80;
  print_step(line, sizeof line, p, r);
  int room = columns - 1 - (int)strlen(line) - 4; /* the last column stays empty: some terminals wrap there */
  fputs("\r\033[K", stderr);
  if (p->steps > 0 && room >= 10) {
    int width = room < 40 ? room : 40, done = (int)(width * r->step / p->steps);
    fputc('[', stderr);
    for (int i = 0; i < width; i++)
      fputc(i < done ? '#' : '.', stderr);
    fputs("]  ", stderr);
  }
  fprintf(stderr, "%.*s", columns - 1, line);
  fflush(stderr);
  p->bar = true;
}

void progress_clear(progress *p)
{
  if (p->bar)
    fputs("\r\033[K", stderr);
  p->bar = false;
}

void progress_start(progress *p, const request *r, const char *output)
{
  const vq_settings *s = &r->settings;
  char schedule[64], optimizer[32], steps[32] = "until stopped";
  vq_field_write(vq_field_find("lr_schedule"), s, schedule, sizeof schedule);
  if (s->steps >= 0)
    snprintf(steps, sizeof steps, "%lld steps", (long long)s->steps);
  for (int i = 0; i < r->prompts; i++) {
    static const char *const kinds[] = {"", "picture ", "noise "};
    fprintf(stderr, "%s %s\"%s\"  weight %g", i == 0 ? "prompt  " : "        ", kinds[r->prompt[i].kind],
            r->prompt[i].text, r->prompt[i].weight);
    if (r->prompt[i].phase != VQ_EVERY_PHASE)
      fprintf(stderr, ", phase %d", r->prompt[i].phase + 1);
    if (isfinite(r->prompt[i].stop))
      fprintf(stderr, ", stop %g", r->prompt[i].stop);
    fputc('\n', stderr);
  }
  vq_field_write(vq_field_find("optimizer"), s, optimizer, sizeof optimizer);
  fprintf(stderr, "picture  %dx%d, %s, %d cutouts, %s%slr %g %s\n", s->width, s->height, steps, s->cutouts,
          s->optimizer == VQ_ADAM ? "" : optimizer, s->optimizer == VQ_ADAM ? "" : ", ", s->lr, schedule);
  fprintf(stderr, "seed     %llu%s\n", (unsigned long long)s->seed,
          request_given(r, "seed") || r->origin.path ? "" : " (drawn)");
  fprintf(stderr, "networks %s, %s\n", s->vqgan, s->clip);
  fprintf(stderr, "output   %s\n", output);
  if (r->origin.path)
    origin_tell(&r->origin, s, r->words.count > 1 || r->images.count || r->noises.count);
  if (p->kind == PROGRESS_JSON)
    emit_start(r, output);
  p->started = now();
}

void progress_next(progress *p, const request *r, const char *output)
{
  fprintf(stderr, "seed     %llu\noutput   %s\n", (unsigned long long)r->settings.seed, output);
  if (p->kind == PROGRESS_JSON)
    emit_start(r, output);
}

void progress_step(progress *p, const vq_step_report *r)
{
  char line[160];
  bool last = r->step == p->steps;
  if (p->kind == PROGRESS_JSON)
    emit_step(p, r);
  if (p->kind == PROGRESS_BAR && (last || now() - p->shown >= BAR_SECONDS)) {
    draw_bar(p, r);
    p->shown = now();
  }
  if (p->kind == PROGRESS_PLAIN && (last || r->step == p->first + 1 || now() - p->shown >= LINE_SECONDS)) {
    print_step(line, sizeof line, p, r);
    fprintf(stderr, "%s\n", line);
    p->shown = now();
  }
}

void progress_losses(progress *p, const vq_step_report *r)
{
  if (p->kind != PROGRESS_BAR && p->kind != PROGRESS_PLAIN)
    return;
  progress_clear(p);
  fprintf(stderr, "step %lld  loss %.4f = prompts", (long long)r->step, r->loss);
  for (int i = 0; i < r->losses; i++)
    if (isnan(r->prompt_loss[i]))
      fprintf(stderr, "%s-", i ? ", " : " "); /* it rests in this phase */
    else
      fprintf(stderr, "%s%.4f", i ? ", " : " ", r->prompt_loss[i]);
  if (r->tv_loss != 0)
    fprintf(stderr, " + total variation %.4f", r->tv_loss);
  if (r->init_loss != 0)
    fprintf(stderr, " + init %.4f", r->init_loss);
  fputc('\n', stderr);
}

void progress_saved(progress *p, const char *file, int64_t step)
{
  if (p->kind != PROGRESS_JSON)
    return;
  json_t *o = event("saved");
  json_object_set_new(o, "file", text(file));
  json_object_set_new(o, "step", json_integer(step));
  emit(o);
}

void progress_done(progress *p, const char *file, int64_t step, bool interrupted)
{
  char time_taken[48];
  double seconds = now() - p->started;
  print_duration(time_taken, sizeof time_taken, seconds);
  progress_clear(p);
  if (p->kind != PROGRESS_NONE)
    fprintf(stderr, "%s %lld step%s in %s\n", interrupted ? "stopped after" : "done:", (long long)step,
            step == 1 ? "" : "s", time_taken);
  if (p->kind != PROGRESS_JSON)
    return;
  json_t *o = event("done");
  json_object_set_new(o, "file", text(file));
  json_object_set_new(o, "step", json_integer(step));
  json_object_set_new(o, "seconds", number(seconds));
  json_object_set_new(o, "interrupted", json_boolean(interrupted));
  emit(o);
}
