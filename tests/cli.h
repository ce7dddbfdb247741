/* cli.h -- runs the tool in the test's scratch folder and keeps what it says, and the pictures that it makes (gather.h). */
#ifndef VQ_TESTS_CLI_H
#define VQ_TESTS_CLI_H

#include "tests/gather.h"

#include <signal.h>

/* Of the build: VQ_TEST_TOOL, the tool; VQ_SOURCE_ROOT, the tree with its data and networks. */
#define TINY_VQGAN "--vqgan", VQ_SOURCE_ROOT "/tests/data/reference/vqgan_tiny.safetensors"
#define TINY_CLIP  "--clip", VQ_SOURCE_ROOT "/tests/data/reference/clip_tinyA.safetensors"
#define TINY       TINY_VQGAN, TINY_CLIP
#define QUICK      TINY, "-s", "16x16", "--cutouts", "2", "--threads", "2" /* a run whose steps take milliseconds */

typedef struct said {
  int status;      /* of the exit; 128 + number after a signal */
  char *out, *err; /* owned */
} said;

/* What the run that was begun last has, until it is waited for. */
static const char *tool_words[64];
static gather tool_before;

/* Starts it with stdin, stdout and stderr on these files of the scratch folder (NULL: /dev/null). */
static inline pid_t tool_start(const char *const *words, const char *in, const char *out, const char *err)
{
  const char *argv[64] = {VQ_TEST_TOOL};
  int count = 0;
  for (; words[count]; count++)
    argv[count + 1] = tool_words[count] = words[count];
  tool_words[count] = NULL;
  tool_before = *scratch ? gather_look() : (gather){NULL, 0};
  pid_t child = fork();
  cr_assert(child >= 0);
  if (child)
    return child;
  alarm(240); /* an endless run does not outlive a test that fails */
  bool good = chdir(scratch) == 0 && setenv("VQGEN_MODELS", VQ_SOURCE_ROOT "/weights", 1) == 0;
  int file[3] = {open(in ? in : "/dev/null", O_RDONLY),
                 open(out ? out : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600),
                 open(err ? err : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600)};
  for (int i = 0; i < 3; i++)
    good = good && file[i] >= 0 && dup2(file[i], i) >= 0;
  if (good)
    execv(argv[0], (char *const *)argv);
  _exit(99);
}

static inline int tool_wait(pid_t child)
{
  int status;
  cr_assert(waitpid(child, &status, 0) == child);
  gather_new(&tool_before, __BASE_FILE__, tool_words);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline said tool_run(const char *in, const char *const *words)
{
  size_t bytes;
  said s = {.status = tool_wait(tool_start(words, in, "stdout", "stderr"))};
  s.out = (char *)get_file(in_scratch("stdout"), &bytes);
  s.err = (char *)get_file(in_scratch("stderr"), &bytes);
  cr_assert(s.status != 99 && s.status < 128, "%s: %d\n%s", words[0], s.status, s.err);
  remove(in_scratch("stdout"));
  remove(in_scratch("stderr"));
  return s;
}

static inline void forget(said *s)
{
  free(s->out);
  free(s->err);
}

#define TOOL(...)            tool_run(NULL, (const char *const[]){__VA_ARGS__, NULL})
#define TOOL_FROM(in, ...)   tool_run(in, (const char *const[]){__VA_ARGS__, NULL})
#define TOOL_START(out, ...) tool_start((const char *const[]){__VA_ARGS__, NULL}, NULL, out, NULL)

/* Runs it, and fails unless it ends well. The caller forgets what it said. */
#define TOOL_OK(...) tool_ok(TOOL(__VA_ARGS__), #__VA_ARGS__)

static inline said tool_ok(said s, const char *words)
{
  cr_assert(s.status == 0, "%s: %d\n%s", words, s.status, s.err);
  return s;
}

#endif
