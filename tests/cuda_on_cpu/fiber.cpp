/* fiber.cpp -- jumps by hand on x86-64, where they are 10 times faster than by ucontext, which asks the system for the signal mask
 * each time; by ucontext elsewhere. */
#include "fiber.h"

#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>

#if defined __x86_64__ && !defined __CET__
#define BY_HAND 1
#else
#include <ucontext.h>
#endif

#if defined __has_feature
#define HAS(x) __has_feature(x)
#else
#define HAS(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || HAS(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#define ASAN 1
#endif
#ifdef VQ_UNDER_TSAN /* the build's word: this file is not instrumented (races.h) */
#include <sanitizer/tsan_interface.h>
#define TSAN 1
#endif

namespace cuda_on_cpu
{

static const size_t STACK = 256 << 10;

struct Fiber::Inside {
  char *stack;
  void (*body)() = nullptr;
#ifdef BY_HAND
  void *at = nullptr; /* its stack pointer while it pauses */
#else
  ucontext_t context;
#endif
#ifdef TSAN
  void *tsan = __tsan_create_fiber(0);
#endif
};

namespace
{

Fiber::Inside *running; /* whose resume we are in */

#ifdef BY_HAND
void *outside;

/* Keeps what a function must keep, and the stack pointer in *from; goes on where `to` was kept. */
extern "C" void vq_fiber_jump(void **from, void *to);
asm(".text\n"
    ".globl vq_fiber_jump\n"
    ".type vq_fiber_jump, @function\n"
    "vq_fiber_jump:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n"
    ".size vq_fiber_jump, .-vq_fiber_jump\n");
#else
ucontext_t outside;
#endif

#ifdef ASAN
void *outside_fake;
const void *outside_bottom;
size_t outside_bytes;
#endif
#ifdef TSAN
void *outside_tsan;
#endif

void go_outside(bool for_good)
{
  Fiber::Inside *mine = running;
  (void)for_good;
#ifdef ASAN
  void *fake = nullptr;
  __sanitizer_start_switch_fiber(for_good ? nullptr : &fake, outside_bottom, outside_bytes);
#endif
#ifdef TSAN
  __tsan_switch_to_fiber(outside_tsan, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef BY_HAND
  vq_fiber_jump(&mine->at, outside);
#else
  swapcontext(&mine->context, &outside);
#endif
#ifdef ASAN
  __sanitizer_finish_switch_fiber(fake, &outside_bottom, &outside_bytes);
#endif
}

void enter()
{
#ifdef ASAN
  __sanitizer_finish_switch_fiber(nullptr, &outside_bottom, &outside_bytes);
#endif
  running->body();
  go_outside(true);
  abort(); /* a fiber that has returned is not resumed */
}

} // namespace

Fiber::Fiber() : in(new Inside)
{
  /* Pages that nobody touches cost nothing, and a system's stack is not used up. */
  in->stack = static_cast<char *>(
      mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (in->stack == MAP_FAILED)
    abort();
}

Fiber::~Fiber()
{
#ifdef TSAN
  __tsan_destroy_fiber(in->tsan);
#endif
  munmap(in->stack, STACK);
}

void Fiber::prepare(void (*body)())
{
  in->body = body;
#ifdef BY_HAND
  void **top = reinterpret_cast<void **>(in->stack + STACK - 64);
  *--top = nullptr; /* where enter would return to; it keeps the stack as a call would leave it */
  *--top = reinterpret_cast<void *>(enter);
  for (int i = 0; i < 6; i++)
    *--top = nullptr;
  in->at = top;
#else
  getcontext(&in->context);
  in->context.uc_stack.ss_sp = in->stack;
  in->context.uc_stack.ss_size = STACK;
  in->context.uc_link = nullptr;
  makecontext(&in->context, enter, 0);
#endif
}

void Fiber::resume()
{
  running = in.get();
#ifdef ASAN
  __sanitizer_start_switch_fiber(&outside_fake, in->stack, STACK);
#endif
#ifdef TSAN
  outside_tsan = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(in->tsan, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef BY_HAND
  vq_fiber_jump(&outside, in->at);
#else
  swapcontext(&outside, &in->context);
#endif
#ifdef ASAN
  __sanitizer_finish_switch_fiber(outside_fake, nullptr, nullptr);
#endif
}

void Fiber::pause()
{
  go_outside(false);
}

} // namespace cuda_on_cpu
