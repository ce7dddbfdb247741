/* test_cuda_on_cpu.cpp -- the emulation itself: a right kernel is right in every schedule and no sanitizer says a word of it, and each
 * planted fault is seen in one: by its sums, by the emulation, by ThreadSanitizer or by AddressSanitizer, of which a build has one at most.
 *
 * Each launch is another run of this program, for a sanitizer may end it:
 *
 *   usage: test-cuda-on-cpu [BUG SCHEDULE]
 */
#include "planted.cu"

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#if defined __has_feature
#define HAS(x) __has_feature(x)
#else
#define HAS(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || HAS(address_sanitizer)
#define UNDER_ASAN true
#else
#define UNDER_ASAN false
#endif
#if defined __SANITIZE_THREAD__ || HAS(thread_sanitizer)
#define UNDER_TSAN true
#else
#define UNDER_TSAN false
#endif

#define BLOCKS 4
#define COUNT  (64 * BLOCKS)

static bool right(const float *y, const float *x, int count)
{
  for (int b = 0; b < BLOCKS; b++) {
    float expected = 0;
    for (int i = 64 * b; i < 64 * (b + 1); i++)
      expected += x[i] + x[i] * x[i];
    for (int i = 64 * b; i < 64 * (b + 1); i++)
      if (!(y[i] == expected))
        return false;
  }
  return count == COUNT;
}

/* One launch; what was wrong with it is said. */
static int run(int bug, int schedule)
{
  void *memory[3];
  for (void *&m : memory)
    if (cudaMalloc(&m, COUNT * sizeof(float)))
      return 2;
  float *x = static_cast<float *>(memory[0]), *y = static_cast<float *>(memory[1]);
  int *count = static_cast<int *>(memory[2]);
  *count = 0;
  for (int i = 0; i < COUNT; i++)
    x[i] = (float)(i % 7 - 3); /* whole numbers: sums are exact in any order */
  cuda_on_cpu::schedule = (cuda_on_cpu::Schedule)schedule;
  if (launch_sums(y, count, x, BLOCKS, bug))
    printf("the emulation: %s\n", cuda_on_cpu::fault.c_str());
  else if (!right(y, x, *count))
    printf("wrong sums\n");
  for (void *m : memory)
    cudaFree(m);
  return 0;
}

/* What another run of this program says; its first telling line. */
static std::string output_of(int bug, int schedule)
{
  char path[4096], line[1024];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length > 0 ? length : 0] = 0;
  std::string command =
      "'" + std::string(path) + "' " + std::to_string(bug) + " " + std::to_string(schedule) + " 2>&1";
  std::string said;
  FILE *f = popen(command.c_str(), "r");
  while (f && fgets(line, sizeof line, f))
    if (said.empty() && strspn(line, "=\n") != strlen(line))
      said = std::string(line, strcspn(line, "\n"));
  int status = f ? pclose(f) : -1;
  return said.empty() && status ? "it ended with " + std::to_string(status) : said;
}

int main(int argc, char **argv)
{
  /* What a build must see of each; PLAIN: any. */
  enum Seer { PLAIN, TSAN, ASAN };
  static const struct {
    const char *name;
    Seer seer;
    const char *word; /* of what is said */
  } planted[BUGS] = {
      {"none", PLAIN, ""},
      {"no barrier after a load", PLAIN, ""},
      {"no barrier before a buffer is used again", PLAIN, ""},
      {"outside a shared array", PLAIN, ""},
      {"return before a barrier", PLAIN, ""},
      {"+= instead of an atomic", TSAN, "data race"},
      {"two blocks add to one place", TSAN, "data race"},
      {"a shuffle instead of a barrier of the warp", TSAN, "data race"},
      {"past the end of an array", ASAN, "heap-buffer-overflow"},
  };
  if (argc == 3)
    return run(atoi(argv[1]), atoi(argv[2]));
  int wrong = 0;
  for (int bug = NONE; bug < BUGS; bug++) {
    int seen = 0;
    std::string last, word = planted[bug].word;
    bool race = UNDER_TSAN && (bug == NO_BARRIER_AFTER_LOAD || bug == NO_BARRIER_BEFORE_REUSE);
    if ((planted[bug].seer == TSAN && !UNDER_TSAN) || (planted[bug].seer == ASAN && !UNDER_ASAN))
      continue;
    for (int s = 0; s < cuda_on_cpu::SCHEDULES; s++) {
      std::string said = output_of(bug, s);
      bool told = !said.empty() && said.find(race ? "data race" : word) != said.npos;
      seen += told;
      last = said.empty() ? last : said;
    }
    printf("%s: seen in %d of %d schedules; %s\n", planted[bug].name, seen, cuda_on_cpu::SCHEDULES, last.c_str());
    wrong += bug == NONE ? seen != 0 : seen == 0;
  }
  return wrong != 0;
}
