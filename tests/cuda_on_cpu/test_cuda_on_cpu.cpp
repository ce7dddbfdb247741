/* test_cuda_on_cpu.cpp -- the emulation itself: a right kernel is right in every schedule, and each planted fault is seen in one. */
#include "planted.cu"

#include <cstdio>

int main()
{
  static const char *const name[] = {"none", "no barrier after a load", "no barrier before a buffer is used again",
                                     "outside a shared array", "return before a barrier"};
  const int blocks = 3, count = 64 * blocks;
  float x[count], y[count];
  int wrong = 0;
  for (int i = 0; i < count; i++)
    x[i] = (float)(i % 7 - 3); /* whole numbers: sums are exact in any order */
  for (int bug = NONE; bug <= EARLY_RETURN; bug++) {
    int seen = 0;
    for (int s = 0; s < cuda_on_cpu::SCHEDULES; s++) {
      cuda_on_cpu::schedule = (cuda_on_cpu::Schedule)s;
      bool caught = launch_sums(y, x, blocks, bug) != 0;
      for (int b = 0; b < blocks && !caught; b++) {
        float expected = 0;
        for (int i = 64 * b; i < 64 * (b + 1); i++)
          expected += x[i] + x[i] * x[i];
        for (int i = 64 * b; i < 64 * (b + 1); i++)
          caught = caught || !(y[i] == expected);
      }
      seen += caught;
    }
    printf("%s: seen in %d of %d schedules; %s\n", name[bug], seen, cuda_on_cpu::SCHEDULES,
           cuda_on_cpu::fault.c_str());
    wrong += bug == NONE ? seen != 0 : seen == 0;
  }
  return wrong != 0;
}
