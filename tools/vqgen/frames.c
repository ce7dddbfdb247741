/* frames.c -- which steps are shown, and where they go. */
#include "tools/vqgen/frames.h"

#include "loaders/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LENGTH \
  15 /* seconds that a video lasts if its speed is not given, as the notebook's, within the bounds below */
#define SLOW 10
#define FAST 30

static double speed(const request *r, int64_t first)
{
  int64_t end = request_end(r);
  if (r->fps > 0)
    return r->fps;
  double wanted = end < 0 ? FAST : (double)((end - first) / r->video_every + 1) / LENGTH;
  return wanted < SLOW ? SLOW : wanted > FAST ? FAST : wanted;
}

static vq_status name_file(const frames *f, int64_t step, char *path, size_t bytes)
{
  if (snprintf(path, bytes, "%s/%06lld.png", f->folder, (long long)step) < (int)bytes)
    return VQ_OK;
  return vq_fail(VQ_ERR_WRITE, "%s: the folder's name is too long", f->folder);
}

static vq_status open_folder(const frames *f, const request *r, int64_t first)
{
  char path[4096];
  if (mkdir(f->folder, 0777) && errno != EEXIST)
    return vq_fail(VQ_ERR_WRITE, "--frames %s: %s", f->folder, strerror(errno));
  VQ_TRY(name_file(f, first, path, sizeof path));
  if (!r->force && !r->origin.snapshot && !access(path, F_OK))
    return vq_fail(VQ_ERR_WRITE, "%s is there already: name another folder, or replace its frames by --force",
                   path);
  return vq_output_check(path);
}

vq_status frames_open(frames *f, const request *r, const vq_session *session, int64_t first)
{
  int width, height;
  *f = (frames){.folder = r->frames, .every = r->video_every, .last = -1};
  if (!r->frames && !r->video)
    return VQ_OK;
  vq_session_size(session, &width, &height);
  f->rgb = malloc((size_t)width * (size_t)height * 3);
  if (!f->rgb)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a frame");
  if (r->frames)
    VQ_TRY(open_folder(f, r, first));
  return r->video ? video_open(&f->video, r->video, width, height, speed(r, first), r->force) : VQ_OK;
}

static bool wanted(const frames *f, int64_t step)
{
  return f->rgb && step != f->last && step % f->every == 0;
}

void frames_expect(frames *f, vq_session *session, int64_t step)
{
  vq_session_watch(session, wanted(f, step) ? f->rgb : NULL);
}

/* That a frame cannot be written is no reason to stop. */
static void tell(frames *f)
{
  vq_log_warning(&tool_log, "%s; the picture is made nevertheless", vq_error_message());
  f->failed = true;
}

static void put(frames *f, vq_session *session, int64_t step)
{
  char path[4096];
  f->last = step;
  if (f->video && video_frame(f->video, f->rgb))
    tell(f);
  if (!f->folder)
    return;
  vq_status status = name_file(f, step, path, sizeof path);
  if (!status)
    status = vq_session_save_picture(session, path, f->rgb, step); /* which may hide bits in it: last */
  if (status) {
    tell(f);
    f->folder = NULL;
  }
}

void frames_take(frames *f, vq_session *session, int64_t step)
{
  if (wanted(f, step))
    put(f, session, step);
}

vq_status frames_close(frames *f, vq_session *session, int64_t step)
{
  if (f->rgb && step != f->last && vq_session_picture(session, f->rgb))
    tell(f);
  else if (f->rgb && step != f->last)
    put(f, session, step);
  if (video_close(f->video))
    tell(f);
  f->video = NULL;
  frames_abandon(f);
  return f->failed ? vq_fail(VQ_ERR_WRITE, "not all frames were written, as was told above") : VQ_OK;
}

void frames_abandon(frames *f)
{
  video_abandon(f->video);
  f->video = NULL;
  free(f->rgb);
  f->rgb = NULL;
}
