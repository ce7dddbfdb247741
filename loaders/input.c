/* input.c -- maps files; a table of the beginnings by which the usual mistakes are told. */
#define _DEFAULT_SOURCE /* madvise */
#include "loaders/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* AddressSanitizer cannot see where a file ends in its last page: it is told. */
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)   ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

#define BLOCK ((size_t)256 << 10) /* stays in a core's own cache */

/* Bytes between the end of the file and that of its mapping. */
static size_t slack(const vq_input *input)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (page - input->bytes % page) % page;
}

/* A plain file that is not empty. */
static vq_status open_plain(int *out, size_t *bytes, const char *path)
{
  struct stat found;
  int fd, error;
  if (!path || !*path)
    return vq_fail(VQ_ERR_FILE, "cannot open a file that has no name; name one");
  fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused below, not waited for */
  if (fd < 0)
    return vq_fail(VQ_ERR_FILE, "cannot open '%s': %s%s", path, strerror(errno),
                   errno == ENOENT   ? "; check the spelling"
                   : errno == EACCES ? "; you may not read it"
                                     : "");
  if (fstat(fd, &found)) {
    error = errno;
    close(fd);
    return vq_fail(VQ_ERR_FILE, "cannot open '%s': %s", path, strerror(error));
  }
  if (!S_ISREG(found.st_mode)) {
    close(fd);
    return vq_fail(VQ_ERR_FILE, "cannot read '%s': it is %s", path,
                   S_ISDIR(found.st_mode) ? "a folder; name a file in it"
                                          : "a device or a pipe; save it as a file first");
  }
  if (found.st_size == 0) {
    close(fd);
    return vq_fail(VQ_ERR_FORMAT, "'%s' is empty: a download or a copy failed; get it again", path);
  }
  *out = fd;
  *bytes = (size_t)found.st_size;
  return VQ_OK;
}

vq_status vq_input_open(vq_input *out, const char *path)
{
  size_t bytes;
  int fd;
  *out = (vq_input){0};
  VQ_TRY(open_plain(&fd, &bytes, path));
  void *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  int error = errno;
  close(fd); /* the mapping stays */
  if (data == MAP_FAILED)
    return vq_fail(VQ_ERR_FILE, "cannot read '%s': %s", path, strerror(error));
  *out = (vq_input){data, bytes};
  ASAN_POISON_MEMORY_REGION(out->data + out->bytes, slack(out));
  return VQ_OK;
}

vq_status vq_input_each(const char *path, void (*take)(void *user, const void *block, size_t bytes), void *user)
{
  size_t bytes;
  ssize_t got;
  int fd;
  VQ_TRY(open_plain(&fd, &bytes, path));
  char *block = malloc(BLOCK);
  while (block && ((got = read(fd, block, BLOCK)) > 0 || (got < 0 && errno == EINTR)))
    if (got > 0)
      take(user, block, (size_t)got);
  int error = block ? errno : ENOMEM;
  bool failed = !block || got < 0;
  free(block);
  close(fd);
  return failed ? vq_fail(VQ_ERR_FILE, "cannot read '%s': %s", path, strerror(error)) : VQ_OK;
}

void vq_input_close(vq_input *input)
{
  if (input->data) {
    ASAN_UNPOISON_MEMORY_REGION(input->data + input->bytes, slack(input));
    munmap((void *)input->data, input->bytes);
  }
  *input = (vq_input){0};
}

void vq_input_want(const void *data, size_t bytes)
{
#ifdef MADV_POPULATE_READ
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)data / page * page;
  if (bytes)
    (void)madvise((void *)from, (uintptr_t)data + bytes - from, MADV_POPULATE_READ); /* a hint, as below */
#else
  (void)data, (void)bytes;
#endif
}

void vq_input_forget(const void *data, size_t bytes)
{
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)data + page - 1) / page * page;
  uintptr_t to = ((uintptr_t)data + bytes) / page * page;
  if (from < to)
    (void)madvise((void *)from, to - from, MADV_DONTNEED); /* a hint: nothing depends on it */
}

#define PICTURE  "convert it to PNG or JPEG", true
#define DOWNLOAD "the download did not bring the file: get it again", false
#define TORCH    "if it holds a network, make a safetensors file of it by vqgen convert", false
#define OTHER    "name another file", false

static const struct beginning {
  size_t offset, length;
  const char *bytes;
  vq_input_kind kind;
} beginnings[] = {
    {0, 8, "\x89PNG\r\n\x1a\n", {"a PNG picture", OTHER}},
    {0, 3, "\xff\xd8\xff", {"a JPEG picture", OTHER}},
    {8, 4, "WEBP", {"a WebP picture", OTHER}},
    {0, 4, "GIF8", {"a GIF picture", PICTURE}},
    {0, 2, "BM", {"a BMP picture", PICTURE}},
    {0, 4, "II*\0", {"a TIFF picture", PICTURE}},
    {0, 4, "MM\0*", {"a TIFF picture", PICTURE}},
    {4, 8, "ftypavif", {"an AVIF picture", PICTURE}},
    {4, 8, "ftypavis", {"an AVIF picture", PICTURE}},
    {4, 7, "ftyphei", {"a HEIC picture", PICTURE}},
    {4, 8, "ftypmif1", {"a HEIF picture", PICTURE}},
    {0, 2, "\xff\x0a", {"a JPEG XL picture", PICTURE}},
    {4, 8, "JXL \r\n\x87\n", {"a JPEG XL picture", PICTURE}},
    {4, 8, "jP  \r\n\x87\n", {"a JPEG 2000 picture", PICTURE}},
    {0, 4, "8BPS", {"a Photoshop picture", PICTURE}},
    {0, 3, "P6\n", {"a PPM picture", PICTURE}},
    {0, 4, "PK\3\4", {"a zip archive, as PyTorch's .pt and .ckpt files are", TORCH}},
    {0, 2, "\x80\2", {"a pickle, as old PyTorch checkpoints are", TORCH}},
    {0, 6, "\x93NUMPY", {"a NumPy array", OTHER}},
    {0, 4, "GGUF", {"a GGUF file", OTHER}},
    {0, 8, "\x89HDF\r\n\x1a\n", {"an HDF5 file", OTHER}},
    {257, 5, "ustar", {"a tar archive", "unpack it first", false}},
    {0, 6, "7z\xbc\xaf\x27\x1c", {"a 7-Zip archive", "unpack it first", false}},
    {0, 4, "Rar!", {"a RAR archive", "unpack it first", false}},
    {0, 2, "\x1f\x8b", {"compressed with gzip", "unpack it first", false}},
    {0, 4, "%PDF", {"a PDF document", OTHER}},
    {0,
     24,
     "version https://git-lfs.",
     {"a Git LFS pointer, not the file itself", "run 'git lfs pull' there", false}},
};

/* Pages begin with any space, in any case of letters. */
static const vq_input_kind page = {"a web page", DOWNLOAD};
static const vq_input_kind svg = {"an SVG drawing", PICTURE};
static const vq_input_kind xml = {"an XML document", DOWNLOAD};

static const vq_input_kind *guess_markup(const char *text, size_t bytes)
{
  size_t at = bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
  while (at < bytes && at < 1024 && strchr(" \t\r\n", text[at]) && text[at])
    at++;
#define STARTS(word) (bytes - at >= sizeof word - 1 && !strncasecmp(text + at, word, sizeof word - 1))
  return STARTS("<!doctype html") || STARTS("<html") || STARTS("<head") ? &page
         : STARTS("<svg")                                               ? &svg
         : STARTS("<?xml")                                              ? &xml
                                                                        : NULL;
#undef STARTS
}

const vq_input_kind *vq_input_guess(const void *data, size_t bytes)
{
  for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
    const struct beginning *b = &beginnings[i];
    if (bytes >= b->offset + b->length && !memcmp((const char *)data + b->offset, b->bytes, b->length))
      return &b->kind;
  }
  return guess_markup(data, bytes);
}

vq_status vq_input_mistaken(const vq_input *input, const char *path, const char *wanted)
{
  const vq_input_kind *kind = vq_input_guess(input->data, input->bytes);
  if (kind)
    return vq_fail(VQ_ERR_FORMAT, "'%s' is not %s but %s; %s", path, wanted, kind->name, kind->advice);
  return vq_fail(VQ_ERR_FORMAT, "'%s' is not %s, or it is damaged; check which file this is", path, wanted);
}
