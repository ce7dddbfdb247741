/* generate.c -- the run: steps until there are enough or somebody says so, and the picture. */
#include "tools/vqgen/frames.h"
#include "tools/vqgen/interrupt.h"
#include "tools/vqgen/progress.h"

#include "loaders/image.h"
#include "loaders/output.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct run {
  request asked;
  vq_session *session;
  progress progress;
  stream output;
  char *name;   /* of the picture; NULL: standard output */
  int number;   /* of the picture, from 1 */
  char *beside; /* progress.png; NULL: none */
  int64_t step; /* done */
  frames frames;
  char *note;                    /* in snapshots; NULL: there are none */
  bool beside_bad, snapshot_bad; /* it could not be written, which was said */
} run;

/* What is asked for, if one picture is; else with a number before its ending. The caller frees it. */
static char *numbered(const char *path, int number, int count)
{
  const char *dot = strrchr(path, '.');
  char *name = malloc(strlen(path) + 16);
  if (name && count == 1)
    strcpy(name, path);
  else if (name)
    sprintf(name, "%.*s-%d%s", (int)(dot - path), path, number, dot);
  return name;
}

static vq_status check_free(const request *a, int number)
{
  char *name = numbered(a->output, number, a->count);
  vq_status status = name ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a file name");
  if (name && !a->force && !access(name, F_OK))
    status = vq_fail(VQ_ERR_WRITE, "%s is there already: name another file, or replace it by --force", name);
  free(name);
  return status;
}

/* Can the run, with all of its pictures, be written as it is asked for? */
static vq_status check_output(const request *a)
{
  vq_image_format format;
  if (!a->output)
    return VQ_OK;
  if (!strcmp(a->output, "-"))
    return a->progress == PROGRESS_JSON
               ? vq_fail(VQ_ERR_ARGUMENT, "-o - and --progress json would both write to standard output")
               : VQ_OK;
  if (!vq_image_format_of(&format, a->output))
    return vq_fail(VQ_ERR_ARGUMENT, "-o %s: a picture's name ends in .png, .jpg or .webp", a->output);
  for (int i = 1; i <= a->count; i++)
    VQ_TRY(check_free(a, i));
  if (format == VQ_IMAGE_JPEG && a->settings.metadata & VQ_METADATA_STEGANO)
    vq_log_warning(&tool_log,
                   "%s: a JPEG keeps no hidden bits, and the stegano message is left out: name a .png or .webp",
                   a->output);
  return vq_image_check_format(format);
}

static vq_status find_output(run *r)
{
  const request *a = &r->asked;
  free(r->name);
  r->name = NULL;
  if (a->output && !strcmp(a->output, "-"))
    return stream_out(&r->output, a->output);
  if (!a->output)
    VQ_TRY(request_name(a, &r->name));
  else if (!(r->name = numbered(a->output, r->number, a->count)))
    return vq_fail(VQ_ERR_MEMORY, "no memory for a file name");
  return stream_out(&r->output, r->name);
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
  r->note = origin_note(&a->settings, a->prompt, a->prompts, output, a->save_every, a->snapshot_every);
  return r->note ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a snapshot's note");
}

/* Would both be written to one file, whatever it is called? */
static bool same_file(const char *a, const char *b)
{
  const char *path[2] = {a, b}, *name[2];
  struct stat folder[2];
  for (int i = 0; i < 2; i++) {
    char text[4096];
    const char *slash = strrchr(path[i], '/');
    name[i] = slash ? slash + 1 : path[i];
    snprintf(text, sizeof text, "%.*s", slash ? (int)(slash + 1 - path[i]) : 1, slash ? path[i] : ".");
    if (stat(text, &folder[i]))
      return false; /* who opens it will say so */
  }
  return !strcmp(name[0], name[1]) && folder[0].st_dev == folder[1].st_dev && folder[0].st_ino == folder[1].st_ino;
}

/* Says that the run writes over what it begins with, which its picture's settings name. */
static void warn_of_loss(const char *read, const char *written)
{
  if (read && written && same_file(read, written))
    vq_log_warning(&tool_log,
                   "%s is read and then written over: without it this picture cannot be made again by vqgen replay",
                   read);
}

static void check_inputs(const run *r)
{
  const request *a = &r->asked;
  const char *written[] = {r->output.temporary ? NULL : r->output.path, r->beside};
  for (int i = 0; i < 2; i++) {
    warn_of_loss(a->settings.start == VQ_START_FILE ? a->settings.start_file : NULL, written[i]);
    for (int j = 0; j < a->prompts; j++)
      warn_of_loss(a->prompt[j].kind == VQ_PROMPT_IMAGE ? a->prompt[j].text : NULL, written[i]);
  }
}

/* Everything that is written has a file of its own. */
static vq_status check_apart(const run *r)
{
  const request *a = &r->asked;
  const struct {
    const char *what, *path;
  } file[] = {{"the picture", r->output.temporary ? NULL : r->output.path},
              {"the picture on the way (--save-every)", r->beside},
              {"--video", a->video},
              {"--snapshot", a->snapshot}};
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < i; j++)
      if (file[i].path && file[j].path && same_file(file[i].path, file[j].path))
        return vq_fail(VQ_ERR_ARGUMENT, "%s would be written over by %s: both are %s", file[j].what, file[i].what,
                       file[i].path);
  return VQ_OK;
}

static vq_status prepare(run *r)
{
  vq_settings *s = &r->asked.settings;
  int width = s->width, height = s->height;
  VQ_TRY(vq_image_check_format(VQ_IMAGE_PNG)); /* progress.png */
  VQ_TRY(check_output(&r->asked));
  VQ_TRY(find_output(r));
  VQ_TRY(find_beside(r));
  VQ_TRY(find_snapshot(r));
  VQ_TRY(check_apart(r));
  check_inputs(r);
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

/* Another name, if none was asked for and somebody else has used it since. */
static vq_status name_again(run *r)
{
  if (r->asked.output || access(r->name, F_OK))
    return VQ_OK;
  stream_close(&r->output);
  return find_output(r);
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

static vq_status make_next(run *r)
{
  request *a = &r->asked;
  r->number++;
  r->step = 0;
  a->settings.seed++;
  stream_close(&r->output);
  VQ_TRY(find_output(r));
  progress_next(&r->progress, a, r->output.path);
  VQ_TRY(vq_session_restart(r->session, a->settings.seed));
  progress_init(&r->progress, a->progress, request_end(a), 0);
  return finish(r, take_steps(r));
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
  run r = {.asked = *wanted, .number = 1};
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
  while (!done && !interrupted() && r.number < r.asked.count)
    done = make_next(&r);
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
        "pulls no further. Several prompts work together, given as several arguments or separated by |; ^ "
        "separates phases, which follow each other (--phase-every). The characters \\: \\| \\^ are meant "
        "literally, and - reads prompts from standard input.\n\n"
        "The picture's path is printed to standard output, all else to standard error. Ctrl-C and SIGTERM end a "
        "run after its present step with the picture saved, and exit status 130. The defaults below are those of "
        "the networks in use.\n\n"
        "Not in this version yet: --mask, --zoom, --preview, --print-tape.",
    .examples = "  vqgen \"a red circle on a blue background\"\n"
                "  vqgen \"a house on a hill:2 | fog:-0.3\" -s 96x64 -n 200 --seed 7 -o house.png\n"
                "  vqgen -n -1 --progress json \"a boat with a red sail\" > progress.jsonl\n",
    .run = generate,
};
