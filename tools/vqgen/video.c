/* video.c -- ffmpeg as a child that reads raw frames. */
#include "tools/vqgen/video.h"

#include "loaders/apng.h"
#include "loaders/output.h"
#include "tools/vqgen/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct video {
  char *path;
  vq_apng *apng; /* NULL: ffmpeg writes it */
  size_t bytes;  /* of a frame */
  char *temporary;
  pid_t child; /* 0: none */
  int pipe;    /* its input; -1: closed */
  FILE *said;  /* its stderr, a file without a name */
  bool failed;
};

#define MOST_WORDS 48

/* ---- what ffmpeg is told ---- */

/* Odd sides get a line more where colours are halved; the matrix is told, or players guess. */
#define YUV                                                                                                  \
  "-vf", "scale=out_color_matrix=bt709,pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-colorspace", \
      "bt709", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1"
#define H264 "-c:v", "libx264", "-crf", "17", "-preset", "slow", YUV /* the notebook's quality */
#define OWN  "-q:v", "3", YUV /* for an ffmpeg without libx264: its own choice */

static const struct kind {
  const char *ending, *format;
  const char *first[20], *second[20]; /* the second is tried where the first does not work */
} kinds[] = {
    {".mp4", "mp4", {H264, "-movflags", "+faststart"}, {OWN}},
    {".m4v", "mp4", {H264, "-movflags", "+faststart"}, {OWN}},
    {".mov", "mov", {H264}, {OWN}},
    {".mkv", "matroska", {H264}, {OWN}},
    {".webm", "webm", {"-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", YUV}, {OWN}},
    {".gif",
     "gif",
     {"-filter_complex", "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"},
     {NULL}},
};

static const struct kind *kind_of(const char *path)
{
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot && i < sizeof kinds / sizeof *kinds; i++)
    if (!strcasecmp(dot, kinds[i].ending))
      return &kinds[i];
  return NULL;
}

static bool is_own(const char *path)
{
  const char *dot = strrchr(path, '.');
  return dot && (!strcasecmp(dot, ".png") || !strcasecmp(dot, ".apng"));
}

/* ---- the child ---- */

static vq_status start(video *v, const struct kind *kind, const char *const *how, const char *size, const char *fps)
{
  char target[4096 + 8];
  int ends[2], n = 0;
  const char *argv[MOST_WORDS];
  const char *const in[] = {"ffmpeg",   "-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-f",
                            "rawvideo", "-pix_fmt",     "rgb24",    "-s",        size,    "-r", fps,
                            "-i",       "pipe:0",       "-an"};
  snprintf(target, sizeof target, "file:%s", v->temporary);
  for (size_t i = 0; i < sizeof in / sizeof *in; i++)
    argv[n++] = in[i];
  while (*how)
    argv[n++] = *how++;
  argv[n++] = "-f";
  argv[n++] = kind->format;
  argv[n++] = target;
  argv[n] = NULL;

  v->said = tmpfile();
  if (!v->said || pipe(ends))
    return vq_fail(VQ_ERR_WRITE, "no pipe to ffmpeg: %s", strerror(errno));
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t how_to;
  sigset_t none, usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, fileno(v->said), STDERR_FILENO);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclose(&files, ends[0]);
  posix_spawnattr_init(&how_to);
  posix_spawnattr_setsigmask(&how_to, &none);
  posix_spawnattr_setsigdefault(&how_to, &usual);
  posix_spawnattr_setpgroup(&how_to, 0); /* Ctrl-C is ours to answer, and the video goes on to its end */
  posix_spawnattr_setflags(&how_to, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  int error = posix_spawnp(&v->child, "ffmpeg", &files, &how_to, (char *const *)argv, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&how_to);
  close(ends[0]);
  v->pipe = ends[1];
  if (!error)
    return VQ_OK;
  v->child = 0;
  return vq_fail(VQ_ERR_WRITE, "ffmpeg cannot be started: %s", strerror(error));
}

/* Waits for its end, and says what it said last if that was not a good one. */
static vq_status end(video *v)
{
  char text[1024] = "";
  int status = 0;
  if (v->pipe >= 0)
    close(v->pipe);
  v->pipe = -1;
  bool good =
      v->child && waitpid(v->child, &status, 0) == v->child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  v->child = 0;
  if (v->said) {
    rewind(v->said);
    text[fread(text, 1, sizeof text - 1, v->said)] = 0;
    fclose(v->said);
    v->said = NULL;
  }
  for (size_t n = strlen(text); n && strchr(" \r\n", text[n - 1]);)
    text[--n] = 0;
  const char *last = strrchr(text, '\n');
  if (good)
    return VQ_OK;
  return vq_fail(VQ_ERR_WRITE, "%s: ffmpeg ended before its time: %s", v->path,
                 *text                 ? last ? last + 1 : text
                 : WIFSIGNALED(status) ? "it was killed"
                                       : "it did not say why");
}

static vq_status send(video *v, const uint8_t *rgb)
{
  for (size_t sent = 0; sent < v->bytes;) {
    ssize_t n = write(v->pipe, rgb + sent, v->bytes - sent);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return VQ_ERR_WRITE;
    sent += (size_t)n;
  }
  return VQ_OK;
}

/* ---- the video ---- */

static bool ffmpeg_is_there(void)
{
  const char *folder = getenv("PATH");
  char name[4096];
  while (folder && *folder) {
    int length = (int)strcspn(folder, ":");
    snprintf(name, sizeof name, "%.*s/ffmpeg", length, folder);
    if (!access(name, X_OK))
      return true;
    folder += length + (folder[length] == ':');
  }
  return false;
}

static vq_status name_temporary(video *v)
{
  const char *slash = strrchr(v->path, '/');
  int folder = slash ? (int)(slash + 1 - v->path) : 0;
  v->temporary = malloc((size_t)folder + 64);
  if (!v->temporary)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a file name");
  sprintf(v->temporary, "%.*s.vqgen-%ld-video.tmp", folder, v->path, (long)getpid());
  return VQ_OK;
}

static vq_status try_one_frame(video *v, const struct kind *kind, const char *const *how, const char *size,
                               const char *fps)
{
  uint8_t *black = calloc(1, v->bytes);
  vq_status status = black ? start(v, kind, how, size, fps) : vq_fail(VQ_ERR_MEMORY, "no memory for a frame");
  if (!status)
    send(v, black); /* if it dies, end() says why */
  free(black);
  if (!status)
    status = end(v);
  unlink(v->temporary);
  return status;
}

static vq_status open_ffmpeg(video *v, const struct kind *kind, int width, int height, double fps)
{
  char size[32], rate[32];
  snprintf(size, sizeof size, "%dx%d", width, height);
  snprintf(rate, sizeof rate, "%.3f", fps);
  VQ_TRY(name_temporary(v));
  vq_status status = try_one_frame(v, kind, kind->first, size, rate);
  const char *const *how = kind->first;
  if (status && kind->second[0]) {
    how = kind->second;
    status = try_one_frame(v, kind, how, size, rate);
  }
  return status ? status : start(v, kind, how, size, rate);
}

static vq_status choose_path(video *v, const char *path, bool *own)
{
  const char *dot = strrchr(path, '.');
  *own = is_own(path);
  if (!*own && !kind_of(path))
    return vq_fail(VQ_ERR_ARGUMENT,
                   "--video %s: a video's name ends in .mp4, .mkv, .mov, .webm, .gif, .apng or .png", path);
  bool without = !*own && !ffmpeg_is_there();
  v->path = malloc(strlen(path) + 8);
  if (!v->path)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a file name");
  if (without)
    sprintf(v->path, "%.*s.apng", (int)(dot - path), path);
  else
    strcpy(v->path, path);
  if (without)
    vq_log_warning(&tool_log, "there is no ffmpeg: the video becomes an animated PNG, %s", v->path);
  *own = *own || without;
  return VQ_OK;
}

vq_status video_open(video **out, const char *path, int width, int height, double fps, bool force)
{
  bool own;
  *out = NULL;
  video *v = calloc(1, sizeof *v);
  if (!v)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a video");
  v->pipe = -1;
  v->bytes = (size_t)width * (size_t)height * 3;
  vq_status status = choose_path(v, path, &own);
  if (!status && !force && !access(v->path, F_OK))
    status = vq_fail(VQ_ERR_WRITE, "%s is there already: name another file, or replace it by --force", v->path);
  if (!status)
    status = vq_output_check(v->path);
  if (!status)
    status = own ? vq_apng_open(&v->apng, v->path, width, height, fps)
                 : open_ffmpeg(v, kind_of(v->path), width, height, fps);
  if (status)
    video_abandon(v);
  else
    *out = v;
  return status;
}

const char *video_path(const video *v)
{
  return v->path;
}

vq_status video_frame(video *v, const uint8_t *rgb)
{
  vq_status status = VQ_OK;
  if (v->failed)
    return VQ_OK;
  if (v->apng)
    status = vq_apng_frame(v->apng, rgb);
  else if (send(v, rgb)) {
    status = end(v);
    if (!status)
      status = vq_fail(VQ_ERR_WRITE, "%s: ffmpeg stopped reading", v->path);
  }
  v->failed = status != VQ_OK;
  return status;
}

static void release(video *v)
{
  if (v->child)
    end(v);
  if (v->said)
    fclose(v->said);
  vq_apng_abandon(v->apng);
  if (v->temporary)
    unlink(v->temporary);
  free(v->temporary);
  free(v->path);
  free(v);
}

void video_abandon(video *v)
{
  if (v)
    release(v);
}

vq_status video_close(video *v)
{
  vq_status status = VQ_OK;
  if (!v)
    return VQ_OK;
  if (v->apng && !v->failed) {
    status = vq_apng_close(v->apng);
    v->apng = NULL;
  } else if (!v->failed) {
    status = end(v);
    if (!status && rename(v->temporary, v->path))
      status = vq_fail(VQ_ERR_WRITE, "cannot write '%s': %s", v->path, strerror(errno));
  }
  release(v);
  return status;
}
