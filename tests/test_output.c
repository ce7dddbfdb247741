/* test_output.c -- a file is written whole or not at all. */
#define _GNU_SOURCE /* O_TMPFILE */
#include "tests/scratch.h"

#include "loaders/output.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(output, .init = scratch_create, .fini = scratch_remove);

static void expect_content(const char *path, const char *want)
{
  size_t bytes;
  char *got = (char *)get_file(path, &bytes);
  cr_expect_str_eq(got, want);
  free(got);
}

static vq_status write_text_by(vq_status (*open_by)(vq_output **, const char *), const char *path, const char *text)
{
  vq_output *out;
  VQ_TRY(open_by(&out, path));
  vq_output_write(out, text, strlen(text));
  return vq_output_commit(out);
}

static vq_status write_text(const char *path, const char *text)
{
  return write_text_by(vq_output_open, path, text);
}

/* Where no file can be without a name. */
Test(output, by_a_temporary_name)
{
  put_file(in_scratch("a"), "old", 3);
  expect_ok(write_text_by(vq_output_open_named, in_scratch("a"), "new"));
  expect_content(in_scratch("a"), "new");
  cr_expect_eq(scratch_entries(), 1);
}

Test(output, appears_on_commit_alone)
{
  const char *path = in_scratch("a");
  vq_output *out;
  put_file(path, "old", 3);
  expect_ok(vq_output_open(&out, path));
  vq_output_write(out, "new", 3);
  fprintf(vq_output_stream(out), " %d", 7);
  fflush(vq_output_stream(out));
  expect_content(path, "old");
  expect_ok(vq_output_commit(out));
  expect_content(path, "new 7");
  cr_expect_eq(scratch_entries(), 1);
}

Test(output, abandon_leaves_nothing)
{
  for (int named = 0; named < 2; named++) {
    vq_output *out;
    expect_ok((named ? vq_output_open_named : vq_output_open)(&out, in_scratch("a")));
    cr_expect_leq(scratch_entries(), 1);
    vq_output_abandon(out);
    vq_output_abandon(NULL);
    cr_expect_eq(scratch_entries(), 0);
  }
}

/* A program that is killed in the middle, where the folder's disk has files without names. */
Test(output, killed_leaves_nothing)
{
  int fd = open(scratch, O_TMPFILE | O_WRONLY, 0666);
  if (fd < 0)
    skip_test("no files without names in %s", scratch);
  close(fd);
  put_file(in_scratch("a"), "old", 3);
  pid_t child = fork();
  if (!child) {
    vq_output *out;
    if (!vq_output_open(&out, in_scratch("a"))) {
      vq_output_write(out, "half", 4);
      vq_output_sync(out);
      kill(getpid(), SIGKILL);
    }
    _exit(1);
  }
  int status;
  cr_assert(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
  cr_expect_eq(scratch_entries(), 1);
  expect_content(in_scratch("a"), "old");
}

Test(output, check_leaves_nothing)
{
  expect_ok(vq_output_check(in_scratch("a")));
  cr_expect_eq(scratch_entries(), 0);
}

Test(output, two_at_once_do_not_meet)
{
  vq_output *a, *b;
  expect_ok(vq_output_open(&a, in_scratch("a")));
  expect_ok(vq_output_open(&b, in_scratch("a")));
  vq_output_write(a, "first", 5);
  vq_output_write(b, "second", 6);
  expect_ok(vq_output_commit(b));
  expect_ok(vq_output_commit(a));
  expect_content(in_scratch("a"), "first");
}

Test(output, permissions_are_what_umask_leaves)
{
  struct stat s;
  umask(027);
  expect_ok(write_text(in_scratch("a"), "x"));
  cr_expect(stat(in_scratch("a"), &s) == 0 && (s.st_mode & 0777) == 0640, "mode %o", s.st_mode & 0777);
}

Test(output, follows_a_link)
{
  struct stat s;
  put_file(in_scratch("real"), "old", 3);
  cr_assert(symlink("real", in_scratch("link")) == 0);
  expect_ok(write_text(in_scratch("link"), "new"));
  expect_content(in_scratch("real"), "new");
  cr_expect(lstat(in_scratch("link"), &s) == 0 && S_ISLNK(s.st_mode));
}

Test(output, in_the_current_folder)
{
  cr_assert(chdir(scratch) == 0);
  expect_ok(write_text("a", "here"));
  expect_content(in_scratch("a"), "here");
}

Test(output, refusals)
{
  char longest[300];
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = 0;
  put_file(in_scratch("file"), "x", 1);
  expect_error(vq_output_check(scratch), VQ_ERR_WRITE, scratch, "is a folder");
  expect_error(vq_output_check(in_scratch("none/a")), VQ_ERR_WRITE, "none/a", "create it");
  expect_error(vq_output_check(in_scratch("new/")), VQ_ERR_WRITE, "new/", "create it");
  expect_error(vq_output_check(in_scratch("file/a")), VQ_ERR_WRITE, "file/a");
  expect_error(vq_output_check(in_scratch(longest)), VQ_ERR_WRITE, "shorter name");
  expect_error(vq_output_check("/dev/null"), VQ_ERR_WRITE, "/dev/null", "a device");
  expect_error(vq_output_check(""), VQ_ERR_WRITE, "no name");
  expect_error(vq_output_check(NULL), VQ_ERR_WRITE, "no name");
  cr_expect_eq(scratch_entries(), 1);
}

Test(output, write_protected)
{
  if (geteuid() == 0)
    skip_test("root may write everywhere");
  put_file(in_scratch("file"), "x", 1);
  chmod(in_scratch("file"), 0444);
  expect_error(vq_output_check(in_scratch("file")), VQ_ERR_WRITE, "file", "write-protected");
  chmod(scratch, 0500);
  expect_error(vq_output_check(in_scratch("new")), VQ_ERR_WRITE, "new", "may write to");
  chmod(scratch, 0700);
}

/* A limit on the size of files stands for a full disk: the write fails at the same place. Once through
 * vq_output_write and once through the stream; once where the buffer overflows and once at commit. */
Test(output, full_disk)
{
  static char much[100000];
  const char *path = in_scratch("a");
  struct rlimit limit = {20, 20};
  vq_output *out;
  put_file(path, "old", 3);
  signal(SIGXFSZ, SIG_IGN);
  cr_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  for (int i = 0; i < 4; i++) {
    size_t bytes = i & 1 ? sizeof much : 100;
    expect_ok(vq_output_open(&out, path));
    if (i & 2)
      vq_output_write(out, much, bytes);
    else
      fwrite(much, 1, bytes, vq_output_stream(out));
    expect_error(vq_output_commit(out), VQ_ERR_WRITE, path, i == 1 ? "cannot write" : "File too large");
    expect_content(path, "old");
    cr_expect_eq(scratch_entries(), 1, "case %d leaves a file behind", i);
  }
}
