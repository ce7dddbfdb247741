/* fiber.h -- a stack of its own for a function, and jumps between such stacks that the sanitizers are told of. */
#ifndef VQ_TESTS_FIBER_H
#define VQ_TESTS_FIBER_H

#include <cstddef>
#include <memory>

namespace cuda_on_cpu
{

class Fiber
{
public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber &) = delete;
  Fiber &operator=(const Fiber &) = delete;

  /* The next resume calls body() from its beginning. */
  void prepare(void (*body)());

  /* From outside: runs it until it pauses or returns. */
  void resume();

  /* From inside: back to who resumed it. */
  static void pause();

  struct Inside;

private:
  std::unique_ptr<Inside> in;
};

} // namespace cuda_on_cpu

#endif
