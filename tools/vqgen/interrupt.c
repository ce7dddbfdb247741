/* interrupt.c -- a thread that does nothing but wait for signals, which all others block. A handler would not do: it runs
 * on the stack of whatever it interrupts, and what a program that uses this library links may have moved that
 * (oneDNN's products up to 3.11 do: its issue 4845).
 */
#include "tools/vqgen/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_bool noted; /* a signal belongs to the process, and so does this */

bool interrupted(void)
{
  return atomic_load(&noted);
}

static void end_by(int number, const sigset_t *waited)
{
  struct sigaction plain = {.sa_handler = SIG_DFL};
  sigaction(number, &plain, NULL);
  pthread_sigmask(SIG_UNBLOCK, waited, NULL);
  raise(number);
}

static void *wait_for_signals(void *user)
{
  sigset_t set;
  int number;
  (void)user;
  pthread_sigmask(SIG_BLOCK, NULL, &set); /* those that interrupt_watch has blocked */
  while (sigwait(&set, &number) == 0) {
    if (atomic_exchange(&noted, true))
      end_by(number, &set);
    fputs("\nvqgen: stopping after this step; once more ends it at once\n", stderr);
  }
  return NULL;
}

/* What is ignored already stays so: under nohup, or in the background of a script. */
static void add(sigset_t *set, int number)
{
  struct sigaction now;
  if (!sigaction(number, NULL, &now) && now.sa_handler != SIG_IGN)
    sigaddset(set, number);
}

vq_status interrupt_watch(void)
{
  sigset_t set;
  pthread_t thread;
  sigemptyset(&set);
  add(&set, SIGINT);
  add(&set, SIGTERM);
  add(&set, SIGHUP);
  pthread_sigmask(SIG_SETMASK, &set, NULL);
  if (pthread_create(&thread, NULL, wait_for_signals, NULL))
    return vq_fail(VQ_ERR_MEMORY, "no thread to wait for signals: too many processes?");
  pthread_detach(thread);
  return VQ_OK;
}
