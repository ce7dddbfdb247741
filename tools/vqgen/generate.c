/* generate.c -- the run: steps until there are enough or somebody says so, and the picture. */
#include "tools/vqgen/frames.h"
#include "tools/vqgen/interrupt.h"
#include "tools/vqgen/progress.h"

#include "loaders/image.h"
#include "loaders/output.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct run {
  request asked;
  vq_session *session;
  progress progress;
  stream output;
  char *name;   /* of the picture, if none was asked for */
  char *beside; /* progress.png; NULL: none */
  int64_t step; /* done */
  frames frames;
  char *note;                    /* in snapshots; NULL: there are none */
  bool beside_bad, snapshot_bad; /* it could not be written, which was said */
} run;

static vq_status find_output(run *r)
{
  const char *path = r->asked.output;
  vq_image_format format = VQ_IMAGE_PNG;
  if (!path) {
    VQ_TRY(request_name(&r->asked, &r->name));
    return stream_out(&r->output, r->name);
  }
  if (strcmp(path, "-")) {
    if (!vq_image_format_of(&format, path))
      return vq_fail(VQ_ERR_ARGUMENT, "-o %s: a picture's name ends in .png, .jpg or .webp", path);
    if (!r->asked.force && !access(path, F_OK))
      return vq_fail(VQ_ERR_WRITE, "%s is there already: name another file, or replace it by --force", path);
  } else if (r->asked.progress == PROGRESS_JSON) {
    return vq_fail(VQ_ERR_ARGUMENT, "-o - and --progress json would both write to standard output");
  }
  VQ_TRY(vq_image_check_format(format));
  if (format == VQ_IMAGE_JPEG && r->asked.settings.metadata & VQ_METADATA_STEGANO)
    vq_log_warning(&tool_log,
                   "%s: a JPEG keeps no hidden bits, and the stegano message is left out: name a .png or .webp",
                   path);
  return stream_out(&r->output, path);
}

static vq_status find_beside(run *r)
{
  static const char name[] = "progress.png";
  const char *slash = strrchr(r->output.path, '/');
  int folder = slash ? (int)(slash + 1 - r->output.path) : 0;
  if (r->output.temporary || !r->asked.save_every)
    return VQ_OK;
  r->beside = malloc((size_t)folder + sizeof name);
  if (!r->beside)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a file name");
  sprintf(r->beside, "%.*s%s", folder, r->output.path, name);
  return VQ_OK;
}

static vq_status find_snapshot(run *r)
{
  const request *a = &r->asked;
  const char *output = r->output.temporary ? NULL : r->output.path;
  if (!a->snapshot)
    return VQ_OK;
  VQ_TRY(vq_output_check(a->snapshot));
  r->note = origin_note(&a->settings, output, a->save_every, a->snapshot_every);
  return r->note ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a snapshot's note");
}

static vq_status prepare(run *r)
{
  vq_settings *s = &r->asked.settings;
  int width = s->width, height = s->height;
  VQ_TRY(vq_image_check_format(VQ_IMAGE_PNG)); /* progress.png */
  VQ_TRY(find_output(r));
  VQ_TRY(find_beside(r));
  VQ_TRY(find_snapshot(r));
  VQ_TRY(vq_session_create(&r->session, s));
  VQ_TRY(request_prompts(&r->asked, r->session));
  vq_session_size(r->session, &s->width, &s->height);
  if (s->width != width || s->height != height)
    vq_log_info(&tool_log, "%dx%d becomes %dx%d, whole tokens of this VQGAN", width, height, s->width, s->height);
  if (r->asked.origin.snapshot)
    r->step = vq_record_step(r->asked.origin.record);
  VQ_TRY(frames_open(&r->frames, &r->asked, r->session, r->step));
  progress_init(&r->progress, r->asked.progress, request_end(&r->asked), 0);
  progress_start(&r->progress, &r->asked, r->output.temporary ? "standard output" : r->output.path);
  VQ_TRY(vq_session_start(r->session));
  if (r->asked.origin.snapshot)
    VQ_TRY(vq_session_restore(r->session, r->asked.origin.path));
  progress_init(&r->progress, r->asked.progress, request_end(&r->asked), r->step); /* the clock starts here */
  return VQ_OK;
}

/* That one cannot be written is no reason to stop. */
static void take_snapshot(run *r)
{
  if (r->snapshot_bad)
    return;
  r->snapshot_bad = vq_session_snapshot(r->session, r->asked.snapshot, r->note) != VQ_OK;
  if (r->snapshot_bad)
    vq_log_warning(&tool_log, "%s", vq_error_message());
  else
    progress_saved(&r->progress, r->asked.snapshot, r->step);
}

/* What is told and saved on the way. That the picture beside cannot be written is no reason to stop. */
static void check_in(run *r, const vq_step_report *report)
{
  progress_losses(&r->progress, report);
  if (!r->beside || r->beside_bad)
    return;
  r->beside_bad = vq_session_save(r->session, r->beside) != VQ_OK;
  if (r->beside_bad)
    vq_log_warning(&tool_log, "%s", vq_error_message());
  else
    progress_saved(&r->progress, r->beside, report->step);
}

static vq_status take_steps(run *r)
{
  const request *a = &r->asked;
  int64_t end = request_end(a);
  while (!interrupted() && (end < 0 || r->step < end)) {
    vq_step_report report;
    frames_expect(&r->frames, r->session, r->step);
    VQ_TRY(vq_session_step(r->session, &report));
    frames_take(&r->frames, r->session, r->step);
    r->step = report.step;
    progress_step(&r->progress, &report);
    if (a->save_every && report.step % a->save_every == 0)
      check_in(r, &report);
    if (r->note && r->step % a->snapshot_every == 0)
      take_snapshot(r);
  }
  return VQ_OK;
}

/* Another name, if somebody else has used it since. */
static vq_status name_again(run *r)
{
  if (!r->name || access(r->name, F_OK))
    return VQ_OK;
  stream_close(&r->output);
  free(r->name);
  r->name = NULL;
  VQ_TRY(request_name(&r->asked, &r->name));
  return stream_out(&r->output, r->name);
}

static vq_status save(run *r, bool stopped)
{
  VQ_TRY(name_again(r));
  VQ_TRY(vq_session_save(r->session, r->output.path));
  progress_done(&r->progress, r->output.temporary ? "-" : r->output.path, r->step, stopped);
  if (r->asked.origin.record && !r->asked.origin.snapshot)
    origin_compare(&r->asked.origin, r->output.path);
  return r->asked.progress == PROGRESS_JSON ? VQ_OK : stream_finish(&r->output, VQ_OK);
}

/* Saves what the last good step left, also after an error, which is then told. */
static vq_status finish(run *r, vq_status status)
{
  char why[4096] = "";
  if (status)
    snprintf(why, sizeof why, "%s", vq_error_message());
  if (r->note && (r->step % r->asked.snapshot_every || r->step == 0))
    take_snapshot(r);
  progress_clear(&r->progress);
  vq_status filmed = frames_close(&r->frames, r->session, r->step);
  if (filmed && !status) {
    status = filmed;
    snprintf(why, sizeof why, "%s", vq_error_message());
  }
  vq_status saved = save(r, interrupted() || status);
  if (status && !saved)
    vq_fail(status, "%s", why);
  else if (status)
    vq_fail(status, "%s; and the picture was not saved: %s", why, vq_error_message());
  return status ? status : saved;
}

static void clear(run *r)
{
  stream_close(&r->output);
  frames_abandon(&r->frames);
  vq_session_free(r->session);
  free(r->name);
  free(r->beside);
  free(r->note);
  request_clear(&r->asked);
}

int generate_run(const command *c, request *wanted)
{
  run r = {.asked = *wanted};
  int status;
  if (r.asked.plan) {
    status = plan_print(c, &r.asked);
    request_clear(&r.asked);
    return status;
  }
  signal(SIGPIPE, SIG_IGN); /* the picture matters more than whether somebody reads the progress */
  vq_status done = interrupt_watch();
  if (!done)
    done = prepare(&r);
  if (!done)
    done = finish(&r, take_steps(&r));
  if (done && r.asked.progress == PROGRESS_JSON)
    progress_error(done);
  status = tool_end(c, done);
  if (!done && interrupted() && r.step != request_end(&r.asked))
    status = EXIT_INTERRUPTED;
  clear(&r);
  return status;
}

static int generate(const command *c, int argc, char **argv)
{
  request r;
  int status;
  return request_read(&r, c, argc, argv, &status) ? generate_run(c, &r) : status;
}

const command command_generate = {
    .name = "generate",
    .usage = "[options] PROMPT...",
    .summary = "makes a picture of prompts",
    .text =
        "Makes a picture. The word generate may be left out.\n\n"
        "A prompt is text[:weight[:stop]]. A negative weight pushes away; stop is the loss below which a prompt "
        "pulls no further. Several prompts work together, given as several arguments or separated by |. The "
        "characters \\: \\| \\^ are meant literally, and - reads prompts from standard input.\n\n"
        "The picture's path is printed to standard output, all else to standard error. Ctrl-C and SIGTERM end a "
        "run after its present step with the picture saved, and exit status 130. The defaults below are those of "
        "the networks in use.\n\n"
        "Not in this version yet: --recipe, --optimizer, --augment, --cutout-chunk, --init-weight, --ema, "
        "--image-prompt, --noise-prompt, --phase-every, --mask, --count, --zoom, "
        "--preview, --config, --print-tape.",
    .examples = "  vqgen \"a red circle on a blue background\"\n"
                "  vqgen \"a house on a hill:2 | fog:-0.3\" -s 96x64 -n 200 --seed 7 -o house.png\n"
                "  vqgen -n -1 --progress json \"a boat with a red sail\" > progress.jsonl\n",
    .run = generate,
};
