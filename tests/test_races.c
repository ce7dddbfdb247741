/* test_races.c -- everything that runs on several threads, as a plain program: what ThreadSanitizer watches.
 *
 * Criterion's runner maps memory where ThreadSanitizer keeps its own, so this one stands alone. Every row of the table of
 * cases runs on four threads; then two sessions make pictures at once, each on two threads.
 */
#include "cases.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SEED 20210407

static int passed, failed;

static void count(bool good, const char *what)
{
  if (good)
    passed++;
  else
    failed++;
  if (!good)
    printf("FAILED: %s: %s\n", what, vq_error_message());
}

/* Once on one thread, once on four: no race, and the same bits. */
static bool run_row(const vq_case *c)
{
  vq_result one, four;
  bool good = !vq_case_run(c, 1, SEED, NULL, NULL, &one) && !vq_case_run(c, 4, SEED, NULL, NULL, &four);
  for (int i = 0; i <= VQ_IN && good; i++)
    good = one.count[i] == four.count[i] &&
           (!one.count[i] || !memcmp(one.value[i], four.value[i], (size_t)one.count[i] * sizeof(vq_real)));
  vq_result_free(&one);
  vq_result_free(&four);
  return good;
}

#ifdef VQ_TEST_NETWORKS

#include "vqgen.h"

/* Three steps of a run with the pair that ships. */
static void *make_picture(void *argument)
{
  double *loss = argument;
  vq_settings settings;
  vq_session *session = NULL;
  vq_step_report report = {.step = 0};
  vq_settings_init(&settings);
  settings.vqgan = VQ_TEST_NETWORKS "/vqgan.safetensors";
  settings.clip = VQ_TEST_NETWORKS "/clip.safetensors";
  vq_status status = vq_settings_load(&settings);
  settings.width = settings.height = 32;
  settings.threads = 2;
  if (!status)
    status = vq_session_create(&session, &settings);
  if (!status)
    status = vq_session_prompt(session, "a red circle on a blue background", 1, VQ_NO_STOP);
  if (!status)
    status = vq_session_start(session);
  for (int i = 0; i < 3 && !status; i++)
    status = vq_session_step(session, &report);
  *loss = status ? -1 : report.loss;
  vq_session_free(session);
  vq_settings_clear(&settings);
  return NULL;
}

static void two_sessions(void)
{
  pthread_t other;
  double mine = -1, theirs = -2;
  if (pthread_create(&other, NULL, make_picture, &theirs)) {
    count(false, "a thread for the second session");
    return;
  }
  make_picture(&mine);
  pthread_join(other, NULL);
  count(mine > 0 && mine == theirs, "two sessions at once");
}

#endif

int main(void)
{
  for (int i = 0; vq_case_at(i); i++)
    count(run_row(vq_case_at(i)), vq_case_at(i)->name);
#ifdef VQ_TEST_NETWORKS
  two_sessions();
#endif
  printf("races: %d passed, %d failed\n", passed, failed);
  return failed > 0;
}
