/* doctor_loop.c -- a short run, as a user would make it: does the loss fall, what does a step take, and is it the same again?
 *
 * The picture is small (eight tokens a side, or CLIP's own size), the prompt one, the cutouts four. The loss of the last five steps must be below
 * that of the first five: from random codes the first twenty steps are the steepest of a run. Memory: what the process took for
 * networks and step is at most a tenth and 64 MiB above what the plan says, which is allocated before the first step.
 */
#include "runtime/doctor.h"

#include "vqgen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define STEPS 20
#define AGAIN 6 /* steps that are run twice */
#define MEAN  5

static const char broken[] = "mend what failed before it; if nothing did, report it with this report";

/* Anonymous memory of this process in bytes; 0: the system does not tell, or a sanitizer makes it meaningless. */
static double resident(void)
{
  unsigned long long kib = 0;
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
  char line[256];
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "RssAnon: %llu", &kib) == 1)
      break;
  if (f)
    fclose(f);
#endif
  return (double)kib * 1024;
}

static vq_status make_session(vq_doctor *d, vq_session **out, vq_settings *s)
{
  int f = vq_vqgan_factor(vq_network_vqgan(d->vqgan)), see = vq_network_clip(d->clip)->image_resolution;
  vq_settings_init(s);
  s->vqgan = d->path[0];
  s->clip = d->path[1];
  s->config = d->options.config;
  s->vocab = d->options.vocab;
  VQ_TRY(vq_settings_load(s));
  s->width = s->height = 8 * f > see ? 8 * f : (see + f - 1) / f * f;
  s->steps = STEPS;
  s->cutouts = 4;
  s->seed = 1;
  s->start = VQ_START_RANDOM;
  s->device = d->options.device;
  s->precision = d->options.precision;
  s->threads = d->options.threads;
  s->force = true;
  VQ_TRY(vq_session_create(out, s));
  return vq_session_prompt(*out, "a red circle on a blue background", 1, VQ_NO_STOP);
}

static vq_status take_steps(vq_session *session, int steps, double *losses, double *seconds)
{
  vq_step_report report;
  for (int i = 0; i < steps; i++) {
    VQ_TRY(vq_session_step(session, &report));
    losses[i] = report.prompt_loss[0];
    seconds[i] = report.seconds;
  }
  return VQ_OK;
}

static double mean(const double *values, int count)
{
  double sum = 0;
  for (int i = 0; i < count; i++)
    sum += values[i] / count;
  return sum;
}

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void check_memory(vq_doctor *d, const vq_plan *plan, double before, double after)
{
  double planned = (double)(plan->network_bytes + plan->step_bytes), taken = after - before, mib = 1 << 20;
  if (!after || d->place.cuda)
    vq_doctor_say(d, "memory", VQ_CHECK_SKIP, "", "planned are %.0f MiB; what was taken cannot be told here",
                  planned / mib);
  else
    vq_doctor_say(d, "memory", taken <= 1.1 * planned + 64 * mib ? VQ_CHECK_PASS : VQ_CHECK_FAIL,
                  "report it: plans are to be exact", "planned are %.0f MiB, taken were %.0f", planned / mib,
                  taken / mib);
}

static void check_fall(vq_doctor *d, const double *losses, double *seconds)
{
  double first = mean(losses, MEAN), last = mean(losses + STEPS - MEAN, MEAN);
  vq_doctor_say(d, "loss", last < first ? VQ_CHECK_PASS : VQ_CHECK_FAIL, broken,
                "falls from %.4f to %.4f in %d steps", first, last, STEPS);
  qsort(seconds, STEPS, sizeof *seconds, by_size);
  vq_doctor_say(d, "speed", VQ_CHECK_PASS, "", "%.3f s a step (the middle of %d), %.2f steps a second",
                seconds[STEPS / 2], STEPS, 1 / (seconds[STEPS / 2] > 0 ? seconds[STEPS / 2] : 1e-9));
}

static void check_repeat(vq_doctor *d, vq_session *session, const vq_image *once)
{
  double losses[STEPS], seconds[STEPS];
  vq_image again;
  vq_status status = vq_image_create(&again, once->width, once->height);
  if (!status)
    status = vq_session_restart(session, 1);
  if (!status)
    status = take_steps(session, AGAIN, losses, seconds);
  if (!status)
    status = vq_session_picture(session, again.rgb);
  if (status) {
    vq_doctor_broken(d, "bytes", broken);
  } else {
    size_t bytes = (size_t)once->width * (size_t)once->height * 3, differ = 0;
    for (size_t i = 0; i < bytes; i++)
      differ += once->rgb[i] != again.rgb[i];
    vq_doctor_say(
        d, "bytes", differ ? VQ_CHECK_FAIL : VQ_CHECK_PASS,
        "the machine's memory or processor may be unsound (overclocked?): run it again, and a memory test",
        "%zu of the picture's %zu bytes differ after %d steps from the same seed", differ, bytes, AGAIN);
  }
  vq_image_free(&again);
}

void vq_doctor_loop(vq_doctor *d)
{
  double losses[STEPS], seconds[STEPS], before = 0, after = 0;
  vq_settings settings;
  vq_session *session = NULL;
  vq_image once = {.rgb = NULL};
  vq_plan plan = {.network_bytes = 0};
  if (!d->vqgan || !d->clip) {
    vq_doctor_say(d, "loss", VQ_CHECK_SKIP, "mend the files first", "there are no two networks to run with");
    return;
  }
  vq_status status = make_session(d, &session, &settings);
  if (!status)
    status = vq_session_plan(session, &plan);
#ifdef __GLIBC__
  malloc_trim(0); /* what earlier checks have freed would hide what this run takes */
#endif
  before = resident();
  if (!status)
    status = vq_session_start(session);
  if (!status)
    status = vq_image_create(&once, plan.width, plan.height);
  if (!status)
    status = take_steps(session, AGAIN, losses, seconds);
  if (!status)
    status = vq_session_picture(session, once.rgb);
  if (!status)
    status = take_steps(session, STEPS - AGAIN, losses + AGAIN, seconds + AGAIN);
  after = resident();
  if (!status)
    status = vq_image_create(&d->last, plan.width, plan.height);
  if (!status)
    status = vq_session_picture(session, d->last.rgb);
  if (status) {
    vq_doctor_broken(d, "loss", broken);
  } else {
    check_fall(d, losses, seconds);
    check_memory(d, &plan, before, after);
    d->group = "repeat";
    check_repeat(d, session, &once);
  }
  vq_image_free(&once);
  vq_session_free(session);
  vq_settings_clear(&settings);
}
