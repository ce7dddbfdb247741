/* cuda_on_cpu.cpp -- blocks, barriers, warps and shared memory. A fiber runs until it waits or returns; the schedule chooses the
 * next. Shared memory is filled with 0xff, NaN as a float, and has as much again on either side, which is looked at after the
 * block. Whoever comes here from a kernel is Unseen by ThreadSanitizer (races.h) but where memory of the kernel's is used. */
#include "cuda_on_cpu.h"
#include "fiber.h"
#include "races.h"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace cuda_on_cpu
{

Schedule schedule = IN_ORDER;
std::string fault;
bool failed;
long launches;
unsigned most_in_y = 65535;
dim3 thread, block, threads, blocks;

namespace
{

const unsigned WARP = 32;
const size_t ZONE = 256;
const size_t SHARED = 48 << 10,
             MOST_SHARED = 99 << 10; /* bytes of a block: as it comes, and when they are allowed */
const unsigned char POISON = 0xff;

enum State { READY, AT_BARRIER, TOGETHER, DONE };

/* Done when it is asked for, when it is waited for, or at any time between: a kernel that waits too late sees what was there before, one
 * that asks too early takes it from who still reads it. In order, all are late; else the half of them. */
struct Copy {
  void *to;
  const void *from;
  bool there, done;

  void now()
  {
    if (there)
      memcpy(to, from, 16);
    else
      memset(to, 0, 16);
    done = true;
  }
};

struct Thread {
  Fiber fiber;
  State state;
  int line; /* of what it waits at */
  void *mine;
  void (*work)(void *const what[32]);
  std::vector<Copy> copies;             /* asked for, in no group yet */
  std::deque<std::vector<Copy>> groups; /* committed, not waited for */
};

struct Shared {
  std::string name;
  size_t bytes;
  std::vector<unsigned char> memory;
};

std::vector<std::unique_ptr<Thread>> set[SETS]; /* a fiber's stack is used again by later launches */
std::unique_ptr<Thread> *pool;                  /* the block's */
std::map<const void *, Shared> arrays;
std::vector<unsigned char> of_launch;
size_t of_launch_bytes, of_launch_allowed;
std::map<const void *, size_t> allowed; /* by kernel, where it is more than comes by itself */
std::deque<unsigned> ready;
unsigned count, current, at_barrier, done;
std::vector<unsigned> arrived; /* lanes of each warp that wait for the others */

/* Where threads meet, two places by turns: who has gone on to the next meeting has not yet been at it with those who have not. New
 * for each block, so that nothing is known there of another one. */
struct Meeting {
  unsigned long long place[2];
  unsigned turn;
};
std::unique_ptr<Meeting> of_block;
std::vector<Meeting> of_warp;
unsigned long long begun, ended; /* the same for a launch and its blocks */

/* $CUDA_ON_CPU_WITHOUT, looked at once. */
struct Without {
  std::string file;
  int line = 0;

  Without()
  {
    const char *text = getenv("CUDA_ON_CPU_WITHOUT"), *colon = text ? strrchr(text, ':') : nullptr;
    if (colon) {
      file.assign(text, colon);
      line = atoi(colon + 1);
    }
  }
  bool is(const Site &site) const
  {
    if (site.line != line)
      return false;
    size_t length = strlen(site.file);
    return length >= file.size() && site.file + length - file.size() == file;
  }
} without;

const std::function<void()> *kernel;
std::mt19937 random_words(1);

unsigned lanes(unsigned warp)
{
  return std::min(WARP, count - warp * WARP);
}

void enter()
{
  arrive(&begun);
  (*kernel)();
  leave(&ended);
  pool[current]->state = DONE;
}

void wait(State state, int line)
{
  pool[current]->state = state;
  pool[current]->line = line;
  Fiber::pause();
}

/* Threads [from, to) can go on. */
void make_ready(unsigned from, unsigned to)
{
  for (unsigned i = from; i < to; i++) {
    pool[i]->state = READY;
    if (schedule == WARP_GREEDY) /* before the other warps, in order */
      ready.insert(ready.begin() + (i - from), i);
    else if (schedule == REVERSED)
      ready.insert(ready.begin() + (i - from), to - 1 - (i - from));
    else
      ready.push_back(i);
  }
}

unsigned next()
{
  size_t at = schedule == SHUFFLED ? random_words() % ready.size() : 0;
  unsigned i = ready[at];
  ready[at] = ready.front();
  ready.pop_front();
  return i;
}

/* The last lane has come: if all came to the same place, their common work is done and they go on. */
void finish_together(unsigned warp)
{
  void *what[WARP] = {};
  unsigned from = warp * WARP, to = from + lanes(warp);
  for (unsigned i = from; i < to; i++) {
    if (pool[i]->state != TOGETHER || pool[i]->line != pool[from]->line)
      return; /* they never will: explain_halt */
    what[i - from] = pool[i]->mine;
  }
  if (pool[from]->work)
    pool[from]->work(what);
  arrived[warp] = 0;
  of_warp[warp].turn ^= 1;
  make_ready(from, to);
}

void finish_barrier()
{
  for (unsigned i = 1; i < count; i++)
    if (pool[i]->line != pool[0]->line)
      return;
  at_barrier = 0;
  of_block->turn ^= 1;
  make_ready(0, count);
}

void explain_halt()
{
  std::string waiting, returned;
  for (unsigned i = 0; i < count; i++) {
    const Thread &t = *pool[i];
    if (t.state == DONE && returned.empty())
      returned = "thread " + std::to_string(i) + " returned";
    if (t.state != DONE && waiting.empty())
      waiting = "thread " + std::to_string(i) + " waits " +
                (t.state == AT_BARRIER ? "at the barrier" : "for its warp") + " of line " + std::to_string(t.line);
  }
  fault = waiting + (returned.empty() ? " and others wait elsewhere" : " and " + returned);
}

void look_at_zones(const std::string &name, const std::vector<unsigned char> &memory, size_t bytes)
{
  for (size_t i = 0; i < ZONE; i++)
    if (memory[i] != POISON || memory[ZONE + bytes + i] != POISON)
      fault = "the shared array " + name + " was written outside its bounds";
}

void look_at_copies()
{
  for (unsigned i = 0; i < count; i++)
    if (!pool[i]->copies.empty())
      fault = "thread " + std::to_string(i) + " returned with asynchronous copies that it never committed";
}

void look_at_room()
{
  size_t bytes = of_launch_bytes;
  for (const auto &entry : arrays)
    bytes += entry.second.bytes;
  if (bytes > MOST_SHARED || (bytes > SHARED && of_launch_bytes > of_launch_allowed))
    fault = "a block takes " + std::to_string(bytes) + " bytes of shared memory, of which its launch asked for " +
            std::to_string(of_launch_bytes) + " and was allowed " + std::to_string(of_launch_allowed);
}

void run_block()
{
  arrays.clear();
  of_launch = std::vector<unsigned char>(); /* given back first: a block's shared memory was no other block's */
  of_launch = std::vector<unsigned char>(of_launch_bytes ? of_launch_bytes + 2 * ZONE : 0, POISON);
  ready.clear();
  arrived.assign((count + WARP - 1) / WARP, 0);
  of_block.reset();
  of_block.reset(new Meeting());
  of_warp = std::vector<Meeting>();
  of_warp = std::vector<Meeting>(arrived.size());
  at_barrier = done = 0;
  for (unsigned i = 0; i < count; i++) {
    pool[i]->copies.clear();
    pool[i]->groups.clear();
    pool[i]->fiber.prepare(enter);
  }
  make_ready(0, count);
  while (!ready.empty()) {
    current = next();
    Thread &t = *pool[current];
    thread = dim3(current % threads.x, current / threads.x % threads.y, current / threads.x / threads.y);
    t.fiber.resume();
    if (t.state == DONE)
      done++;
    else if (t.state == AT_BARRIER && ++at_barrier == count)
      finish_barrier();
    else if (t.state == TOGETHER && ++arrived[current / WARP] == lanes(current / WARP))
      finish_together(current / WARP);
  }
  if (done < count)
    explain_halt();
  else
    look_at_copies();
  look_at_room();
  for (const auto &entry : arrays)
    look_at_zones(entry.second.name, entry.second.memory, entry.second.bytes);
  if (of_launch_bytes)
    look_at_zones("of the launch", of_launch, of_launch_bytes);
}

} // namespace

/* $CUDA_ON_CPU_FAULT is the number of a launch, from 1, that does nothing but fail later. */
static bool fails_later()
{
  const char *number = getenv("CUDA_ON_CPU_FAULT");
  return number && atol(number) == launches;
}

int allow_shared(const void *name, size_t bytes)
{
  if (bytes > MOST_SHARED)
    return cudaErrorInvalidValue;
  Unseen unseen;
  allowed[name] = bytes;
  return cudaSuccess;
}

int launch(dim3 grid, dim3 size, size_t bytes, const void *name, const std::function<void()> &body)
{
  unsigned grid_count = grid.x * grid.y * grid.z;
  leave(&begun);
  Unseen unseen;
  launches++;
  if (fails_later())
    failed = true;
  if (failed)
    return cudaSuccess;
  fault.clear();
  kernel = &body;
  blocks = grid;
  threads = size;
  count = size.x * size.y * size.z;
  of_launch_bytes = bytes;
  of_launch_allowed = allowed.count(name) ? allowed[name] : 0;
  if (!count || count > 1024 || !grid_count || grid.y > most_in_y || grid.z > most_in_y || grid.x > 0x7fffffffu)
    fault = "a launch of " + std::to_string(grid_count) + " blocks of " + std::to_string(count) + " threads";
  for (auto &threads_of_set : set)
    while (threads_of_set.size() < count && fault.empty())
      threads_of_set.emplace_back(new Thread);
  for (unsigned i = 0; i < grid_count && fault.empty(); i++) {
    unsigned b = schedule == REVERSED ? grid_count - 1 - i : i;
    block = dim3(b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y);
    pool = set[i % SETS].data();
    run_block();
  }
  arrive(&ended);
  return fault.empty() ? cudaSuccess : cudaErrorLaunchFailure;
}

void barrier(Site site)
{
  if (without.is(site))
    return;
  unsigned long long *place = &of_block->place[of_block->turn];
  leave(place);
  wait(AT_BARRIER, site.line);
  arrive(place);
}

void warp_barrier(Site site)
{
  if (!without.is(site))
    together(nullptr, nullptr, site.line);
}

unsigned lane()
{
  return current % WARP;
}

void *shared(const void *site, const char *name, size_t bytes)
{
  Unseen unseen;
  Shared &s = arrays[site];
  if (s.memory.empty())
    s = {name, bytes, std::vector<unsigned char>(bytes + 2 * ZONE, POISON)};
  return s.memory.data() + ZONE;
}

void *shared_of_launch()
{
  return of_launch.data() + ZONE;
}

/* ---- what a warp does together ---- */

/* Of these, only __syncwarp, which does nothing else, orders memory. */
void together(void *mine, void (*work)(void *const what[32]), int line)
{
  Meeting *meeting = &of_warp[current / WARP];
  unsigned long long *place = work ? nullptr : &meeting->place[meeting->turn];
  pool[current]->mine = mine;
  pool[current]->work = work;
  if (place)
    leave(place);
  wait(TOGETHER, line);
  if (place)
    arrive(place);
}

void shuffle(void *const what[32])
{
  for (unsigned i = 0; i < WARP; i++) {
    const Shuffle *s = static_cast<const Shuffle *>(what[i]);
    if (s && s->from < WARP && what[s->from])
      memcpy(s->theirs, static_cast<const Shuffle *>(what[s->from])->mine, s->bytes);
  }
}

namespace
{

struct Vote {
  bool yes;
  unsigned all;
};

void count_votes(void *const what[32])
{
  unsigned all = 0;
  for (unsigned i = 0; i < WARP; i++)
    if (what[i] && static_cast<const Vote *>(what[i])->yes)
      all |= 1u << i;
  for (unsigned i = 0; i < WARP; i++)
    if (what[i])
      static_cast<Vote *>(what[i])->all = all;
}

struct Mma {
  float *d;
  const uint32_t *a, *b;
};

float half_of(uint32_t word, unsigned upper)
{
  return vq_bf16_to_float((uint16_t)(word >> 16 * upper));
}

/* As the tables of the PTX manual have it (kernels/cuda/mma.cuh): products exact, added up in float. */
void multiply(void *const what[32])
{
  float a[16][16], b[16][8];
  for (unsigned l = 0; l < WARP; l++) {
    const Mma *m = static_cast<const Mma *>(what[l]);
    unsigned g = l / 4, t = l % 4;
    for (unsigned word = 0; word < 4; word++)
      for (unsigned upper = 0; upper < 2; upper++)
        a[g + 8 * (word % 2)][2 * t + upper + 8 * (word / 2)] = half_of(m->a[word], upper);
    for (unsigned word = 0; word < 2; word++)
      for (unsigned upper = 0; upper < 2; upper++)
        b[2 * t + upper + 8 * word][g] = half_of(m->b[word], upper);
  }
  for (unsigned l = 0; l < WARP; l++) {
    const Mma *m = static_cast<const Mma *>(what[l]);
    unsigned g = l / 4, t = l % 4;
    for (unsigned i = 0; i < 4; i++) {
      float sum = m->d[i];
      for (unsigned k = 0; k < 16; k++)
        sum += a[g + 8 * (i / 2)][k] * b[k][2 * t + i % 2];
      m->d[i] = sum;
    }
  }
}

struct Load {
  uint32_t *out;
  const void *row;
  bool transposed;
};

void load(void *const what[32])
{
  for (unsigned l = 0; l < WARP; l++) {
    const Load *mine = static_cast<const Load *>(what[l]);
    for (unsigned matrix = 0; matrix < 4; matrix++) {
      uint16_t half[2];
      for (unsigned i = 0; i < 2; i++) {
        unsigned row = mine->transposed ? 2 * (l % 4) + i : l / 4,
                 column = mine->transposed ? l / 4 : 2 * (l % 4) + i;
        const Load *owner = static_cast<const Load *>(what[8 * matrix + row]);
        memcpy(&half[i], static_cast<const char *>(owner->row) + 2 * column, 2);
      }
      mine->out[matrix] = half[0] | (uint32_t)half[1] << 16;
    }
  }
}

} // namespace

unsigned ballot(bool yes, int line)
{
  Vote vote = {yes, 0};
  together(&vote, count_votes, line);
  return vote.all;
}

void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2], int line)
{
  Mma m = {d, a, b};
  together(&m, multiply, line);
}

void load_matrices(uint32_t out[4], const void *row, bool transposed, int line)
{
  Load mine = {out, row, transposed};
  reads16(row);
  if (reinterpret_cast<uintptr_t>(row) % 16)
    fault = "a matrix's row is not at a multiple of 16 bytes, line " + std::to_string(line);
  together(&mine, load, line);
}

/* ---- asynchronous copies: memory is used from when they are asked for to when they are waited for ---- */

void copy_async(void *to, const void *from, bool there)
{
  if (there)
    reads16(from);
  writes16(to);
  Unseen unseen;
  if (reinterpret_cast<uintptr_t>(to) % 16 || (there && reinterpret_cast<uintptr_t>(from) % 16))
    fault = "an asynchronous copy that is not at a multiple of 16 bytes";
  Copy copy = {to, from, there, false};
  if (schedule != IN_ORDER && random_words() % 2)
    copy.now();
  pool[current]->copies.push_back(copy);
}

void copy_commit()
{
  Unseen unseen;
  Thread &t = *pool[current];
  t.groups.push_back(std::move(t.copies));
  t.copies.clear();
}

void copy_wait(int later, Site site)
{
  Thread &t = *pool[current];
  later += without.is(site); /* for one group fewer, which is harder to see than for none */
  for (; t.groups.size() > (size_t)later;) {
    for (Copy &c : t.groups.front()) {
      if (c.there)
        reads16(c.from);
      writes16(c.to);
      Unseen unseen;
      if (!c.done)
        c.now();
    }
    Unseen unseen;
    t.groups.pop_front();
  }
}

} // namespace cuda_on_cpu
