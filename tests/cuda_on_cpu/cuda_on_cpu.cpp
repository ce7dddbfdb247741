/* cuda_on_cpu.cpp -- fibers, barriers and shared memory. A fiber runs until it waits or returns; the schedule chooses the next.
 * Shared memory is filled with 0xff, NaN as a float, and has as much again on either side, which is looked at after the block. */
#include "cuda_on_cpu.h"

#include <map>
#include <memory>
#include <random>
#include <ucontext.h>
#include <vector>

namespace cuda_on_cpu {

Schedule schedule = IN_ORDER;
std::string fault;
dim3 thread, block, threads, blocks;

namespace {

const unsigned WARP = 32;
const size_t STACK = 64 << 10, ZONE = 256;
const unsigned char POISON = 0xff;

enum State { READY, AT_BARRIER, AT_SHUFFLE, DONE };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  State state = READY;
  int line = 0;                /* of the barrier that it waits at */
  unsigned char value[16] = {}; /* what it gives in a shuffle */
};

struct Shared {
  std::string name;
  size_t bytes;
  std::vector<unsigned char> memory;
};

std::vector<Fiber> fibers;
std::map<const void *, Shared> arrays;
ucontext_t scheduler;
unsigned current;
const std::function<void()> *kernel;
std::mt19937 random_words(1);

void enter()
{
  (*kernel)();
  fibers[current].state = DONE;
  swapcontext(&fibers[current].context, &scheduler);
}

void wait(State state)
{
  fibers[current].state = state;
  swapcontext(&fibers[current].context, &scheduler);
}

/* The next fiber that is ready, or the number of fibers. */
unsigned choose()
{
  unsigned n = (unsigned)fibers.size();
  std::vector<unsigned> ready;
  for (unsigned i = 0; i < n; i++) {
    unsigned at = schedule == REVERSED ? (current + n - 1 - i) % n : (current + 1 + i) % n;
    if (fibers[at].state == READY)
      ready.push_back(at);
  }
  if (ready.empty())
    return n;
  if (schedule == SHUFFLED)
    return ready[random_words() % ready.size()];
  if (schedule == WARP_GREEDY)
    for (unsigned at : ready)
      if (at / WARP == current / WARP)
        return at;
  return ready[0];
}

/* Lets those go on that all wait at the same place; false if nobody could. */
bool release(unsigned from, unsigned to, State state)
{
  for (unsigned i = from; i < to; i++)
    if (fibers[i].state != state || fibers[i].line != fibers[from].line)
      return false;
  for (unsigned i = from; i < to; i++)
    fibers[i].state = READY;
  return true;
}

void release_warps()
{
  unsigned n = (unsigned)fibers.size();
  for (unsigned w = 0; w < n; w += WARP)
    release(w, w + WARP < n ? w + WARP : n, AT_SHUFFLE);
}

void explain_halt()
{
  std::string waiting, returned;
  for (unsigned i = 0; i < fibers.size(); i++) {
    if (fibers[i].state == DONE && returned.empty())
      returned = "thread " + std::to_string(i) + " returned";
    if (fibers[i].state != DONE && waiting.empty())
      waiting = "thread " + std::to_string(i) + " waits" +
                (fibers[i].state == AT_BARRIER ? " at the barrier of line " + std::to_string(fibers[i].line) : " in a shuffle");
  }
  fault = waiting + (returned.empty() ? " and others wait elsewhere" : " and " + returned);
}

void look_at_zones()
{
  for (auto &entry : arrays) {
    const Shared &s = entry.second;
    for (size_t i = 0; i < ZONE; i++)
      if (s.memory[i] != POISON || s.memory[ZONE + s.bytes + i] != POISON)
        fault = "the shared array " + s.name + " was written outside its bounds";
  }
}

void run_block()
{
  unsigned n = (unsigned)fibers.size();
  arrays.clear();
  for (Fiber &fiber : fibers) {
    fiber.state = READY;
    fiber.line = 0;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = STACK;
    makecontext(&fiber.context, enter, 0);
  }
  current = schedule == REVERSED ? 0 : n - 1;
  for (;;) {
    release_warps();
    unsigned next = choose();
    if (next == n && release(0, n, AT_BARRIER))
      continue;
    if (next == n)
      break;
    current = next;
    thread = dim3(current % threads.x, current / threads.x % threads.y, current / threads.x / threads.y);
    swapcontext(&scheduler, &fibers[current].context);
  }
  for (const Fiber &fiber : fibers)
    if (fiber.state != DONE) {
      explain_halt();
      return;
    }
  look_at_zones();
}

} // namespace

int launch(dim3 grid, dim3 size, const std::function<void()> &body)
{
  unsigned count = grid.x * grid.y * grid.z;
  fault.clear();
  kernel = &body;
  blocks = grid;
  threads = size;
  fibers = std::vector<Fiber>(size.x * size.y * size.z);
  for (Fiber &fiber : fibers)
    fiber.stack.reset(new char[STACK]);
  for (unsigned i = 0; i < count && fault.empty(); i++) {
    unsigned b = schedule == REVERSED ? count - 1 - i : i;
    block = dim3(b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y);
    run_block();
  }
  return !fault.empty();
}

void barrier(int line)
{
  fibers[current].line = line;
  wait(AT_BARRIER);
}

void *shared(const void *site, const char *name, size_t bytes)
{
  Shared &s = arrays[site];
  if (s.memory.empty())
    s = {name, bytes, std::vector<unsigned char>(bytes + 2 * ZONE, POISON)};
  return s.memory.data() + ZONE;
}

unsigned lane()
{
  return current % WARP;
}

void shuffle(const void *mine, void *theirs, size_t bytes, unsigned from)
{
  fibers[current].line = 0;
  memcpy(fibers[current].value, mine, bytes);
  wait(AT_SHUFFLE);
  memcpy(theirs, fibers[current / WARP * WARP + from].value, bytes);
  wait(AT_SHUFFLE); /* nobody gives the next value before all have read this one */
}

} // namespace cuda_on_cpu
