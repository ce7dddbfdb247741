/* output.c -- a file without a name, or a temporary one, beside the target: flushed, synced, named and renamed. */
#define _GNU_SOURCE /* realpath, fsync; O_TMPFILE where there is that */
#include "loaders/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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
  char *temporary; /* in the target's folder; NULL: it has no name yet */
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

/* Where the target's name begins in its path: what is before it, if anything, is its folder with a slash. */
static size_t folder_of(const vq_output *out)
{
  const char *slash = strrchr(out->target, '/');
  return slash ? (size_t)(slash - out->target) + 1 : 0;
}

/* Calls `make` with names in the target's folder until one is free, and keeps that. Returns what `make` does; < 0: errno tells. */
static int make_temporary(vq_output *out, int (*make)(const char *name, int fd), int fd)
{
  size_t folder = folder_of(out), room = folder + 64;
  char *name = malloc(room);
  int made = -1;
  for (int attempt = 0; name && attempt < ATTEMPTS && made < 0; attempt++) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, room, "%.*s.vqgen-%ld-%09ld.tmp", (int)folder, out->target, (long)getpid(), now.tv_nsec);
    made = make(name, fd);
    if (made < 0 && errno != EEXIST)
      break;
  }
  if (made >= 0) {
    out->temporary = name;
  } else {
    int error = name ? errno : ENOMEM;
    free(name);
    errno = error;
  }
  return made;
}

static int make_named(const char *name, int fd)
{
  (void)fd;
  return open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

#ifdef O_TMPFILE

static void path_of(char path[32], int fd)
{
  snprintf(path, 32, "/proc/self/fd/%d", fd);
}

/* A file without a name, of which nothing is left when the program is killed; -1: there is no such thing here. */
static int open_nameless(const vq_output *out)
{
  size_t folder = folder_of(out);
  char *path = folder ? strndup(out->target, folder) : strdup("."), link[32];
  int fd = path ? open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;
  free(path);
  if (fd < 0)
    return -1;
  path_of(link, fd);
  if (access(link, F_OK)) { /* it could not be given a name */
    close(fd);
    return -1;
  }
  return fd;
}

static int give_name(const char *name, int fd)
{
  char link[32];
  path_of(link, fd);
  return linkat(AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

#else

static int open_nameless(const vq_output *out)
{
  (void)out;
  return -1;
}

static int give_name(const char *name, int fd)
{
  (void)name, (void)fd;
  errno = ENOSYS;
  return -1;
}

#endif

/* Creates a file in the target's folder, without a name where that can be; its permissions are what umask leaves. */
static vq_status create_temporary(vq_output *out, bool named)
{
  int fd = named ? -1 : open_nameless(out);
  if (fd < 0 && (fd = make_temporary(out, make_named, -1)) < 0)
    return cannot_write(out->path, errno);
  out->stream = fdopen(fd, "wb");
  if (!out->stream) {
    int error = errno;
    close(fd);
    return cannot_write(out->path, error);
  }
  return VQ_OK;
}

static vq_status open_output(vq_output **out, const char *path, bool named)
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
    status = create_temporary(o, named);
  if (status) {
    release(o);
    return status;
  }
  *out = o;
  return VQ_OK;
}

vq_status vq_output_open(vq_output **out, const char *path)
{
  return open_output(out, path, false);
}

vq_status vq_output_open_named(vq_output **out, const char *path)
{
  return open_output(out, path, true);
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
  if (!error && !out->temporary && make_temporary(out, give_name, fileno(stream)) < 0)
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
