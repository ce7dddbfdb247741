/* output.c -- a temporary file beside the target, flushed, synced and renamed. */
#define _XOPEN_SOURCE 700 /* realpath, fsync */
#include "loaders/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ATTEMPTS 100 /* names tried for the temporary file */

/* Bytes that the kernel is given at once: of a mapped file, larger pieces take it nearly twice as long. */
#define STEP ((size_t)1 << 20)

struct vq_output {
  FILE *stream;
  int error;       /* errno of the first write that failed; 0: none */
  uint64_t bytes;  /* that were given to vq_output_write */
  char *path;      /* as the caller gave it, for messages */
  char *target;    /* the file that is replaced: the path with its links followed */
  char *temporary; /* in the target's folder; NULL until it exists */
};

static const char *advice(int error)
{
  switch (error) {
  case ENOENT:
  case ENOTDIR: return "; the folder is not there: create it, or name another";
  case EACCES:
  case EPERM:
  case EROFS: return "; choose a place that you may write to";
  case ENOSPC:
  case EDQUOT: return "; free some space, or choose another disk";
  case EFBIG: return "; the limit on the size of files is too small";
  case ENAMETOOLONG: return "; choose a shorter name";
  default: return "";
  }
}

static vq_status cannot_write(const char *path, int error)
{
  return vq_fail(VQ_ERR_WRITE, "cannot write '%s': %s%s", path, strerror(error), advice(error));
}

/* Frees what there is, keeping the message of whatever failed. */
static void release(vq_output *out)
{
  if (out->stream)
    fclose(out->stream);
  if (out->temporary)
    unlink(out->temporary);
  free(out->temporary);
  free(out->target);
  free(out->path);
  free(out);
}

/* Sets the target, refusing what a rename must not replace: /dev/null would become a plain file. */
static vq_status find_target(vq_output *out)
{
  struct stat found;
  if (stat(out->path, &found)) {
    if (errno != ENOENT)
      return cannot_write(out->path, errno);
    out->target = strdup(out->path);
  } else if (S_ISDIR(found.st_mode)) {
    return vq_fail(VQ_ERR_WRITE, "cannot write '%s': it is a folder; name a file in it", out->path);
  } else if (!S_ISREG(found.st_mode)) {
    return vq_fail(VQ_ERR_WRITE, "cannot write '%s': it is a device or a pipe; name a file", out->path);
  } else if (access(out->path, W_OK)) {
    return vq_fail(VQ_ERR_WRITE, "cannot write '%s': it is write-protected; unprotect it, or choose another name",
                   out->path);
  } else {
    out->target = realpath(out->path, NULL);
  }
  return out->target ? VQ_OK : cannot_write(out->path, errno);
}

/* Creates a file that was not there before in the target's folder; its permissions are what umask leaves. */
static vq_status create_temporary(vq_output *out)
{
  const char *slash = strrchr(out->target, '/');
  int folder = slash ? (int)(slash - out->target) + 1 : 0, fd = -1;
  size_t room = (size_t)folder + 64;
  char *name = malloc(room);
  if (!name)
    return cannot_write(out->path, ENOMEM);
  for (int attempt = 0; attempt < ATTEMPTS && fd < 0; attempt++) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, room, "%.*s.vqgen-%ld-%09ld.tmp", folder, out->target, (long)getpid(), now.tv_nsec);
    fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno != EEXIST)
      break;
  }
  if (fd < 0) {
    free(name);
    return cannot_write(out->path, errno);
  }
  out->temporary = name;
  out->stream = fdopen(fd, "wb");
  if (!out->stream) {
    int error = errno;
    close(fd);
    return cannot_write(out->path, error);
  }
  return VQ_OK;
}

vq_status vq_output_open(vq_output **out, const char *path)
{
  vq_output *o = NULL;
  vq_status status;
  *out = NULL;
  if (!path || !*path)
    return vq_fail(VQ_ERR_WRITE, "cannot write a file that has no name; name one");
  o = calloc(1, sizeof *o);
  if (!o || !(o->path = strdup(path))) {
    free(o);
    return vq_fail(VQ_ERR_MEMORY, "no memory to write '%s'", path);
  }
  status = find_target(o);
  if (!status)
    status = create_temporary(o);
  if (status) {
    release(o);
    return status;
  }
  *out = o;
  return VQ_OK;
}

void vq_output_write(vq_output *out, const void *data, size_t bytes)
{
  const char *from = data;
  for (size_t at = 0, part; at < bytes && !out->error; at += part) {
    part = bytes - at < STEP ? bytes - at : STEP;
    if (fwrite(from + at, 1, part, out->stream) != part)
      out->error = errno ? errno : EIO;
  }
  out->bytes += bytes;
}

uint64_t vq_output_bytes(const vq_output *out)
{
  return out->bytes;
}

void vq_output_sync(vq_output *out)
{
  if (!out->error && (fflush(out->stream) || fsync(fileno(out->stream))))
    out->error = errno;
}

FILE *vq_output_stream(vq_output *out)
{
  return out->stream;
}

vq_status vq_output_commit(vq_output *out)
{
  vq_status status = VQ_OK;
  FILE *stream = out->stream;
  int error = out->error;
  if (!error && fflush(stream))
    error = errno;
  if (!error && ferror(stream)) /* a write through vq_output_stream() failed; its errno is long gone */
    error = EIO;
  if (!error && fsync(fileno(stream)))
    error = errno;
  out->stream = NULL;
  if (fclose(stream) && !error)
    error = errno;
  if (!error && rename(out->temporary, out->target))
    error = errno;
  if (error) {
    status = cannot_write(out->path, error);
  } else {
    free(out->temporary);
    out->temporary = NULL;
  }
  release(out);
  return status;
}

void vq_output_abandon(vq_output *out)
{
  if (out)
    release(out);
}

vq_status vq_output_check(const char *path)
{
  vq_output *out;
  VQ_TRY(vq_output_open(&out, path));
  vq_output_abandon(out);
  return VQ_OK;
}
