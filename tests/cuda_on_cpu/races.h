/* races.h -- what ThreadSanitizer is told of CUDA's threads. To it each fiber is a thread, and a switch between two orders nothing;
 * what does, on a card, is said here: the start of a launch and its end, barriers, and warps that synchronise. Two threads that meet
 * in memory without one of these between them are a data race, in whatever order the schedule ran them.
 *
 * The emulation itself is built without instrumentation (tests/meson.build), and what it calls of the libraries is Unseen: its own
 * memory is no kernel's. Without VQ_UNDER_TSAN, nothing of this does anything. */
#ifndef VQ_TESTS_RACES_H
#define VQ_TESTS_RACES_H

#ifdef VQ_UNDER_TSAN
#include <sanitizer/tsan_interface.h>

extern "C" {
void __tsan_ignore_thread_begin(void);
void __tsan_ignore_thread_end(void);
void __tsan_read16(void *at);
void __tsan_write16(void *at);
}
#endif

namespace cuda_on_cpu
{

#ifdef VQ_UNDER_TSAN

/* While one lives, what this fiber reads and writes is no kernel's; memory that is allocated or freed is as if new. */
struct Unseen {
  Unseen()
  {
    __tsan_ignore_thread_begin();
  }
  ~Unseen()
  {
    __tsan_ignore_thread_end();
  }
  Unseen(const Unseen &) = delete;
  Unseen &operator=(const Unseen &) = delete;
};

/* What came before `leave` at a place comes before what follows `arrive` there. */
static inline void leave(void *place)
{
  __tsan_release(place);
}
static inline void arrive(void *place)
{
  __tsan_acquire(place);
}

/* This fiber reads or writes 16 bytes, though code does it that is not instrumented. */
static inline void reads16(const void *at)
{
  __tsan_read16(const_cast<void *>(at));
}
static inline void writes16(void *at)
{
  __tsan_write16(at);
}

/* Blocks take turns with so many sets of fibers, so that neighbours are strangers. */
const unsigned SETS = 2;

#else

struct Unseen {
  Unseen()
  {
  }
};
static inline void leave(void *)
{
}
static inline void arrive(void *)
{
}
static inline void reads16(const void *)
{
}
static inline void writes16(void *)
{
}
const unsigned SETS = 1;

#endif

} // namespace cuda_on_cpu

#endif
