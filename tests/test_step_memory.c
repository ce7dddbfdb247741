/* test_step_memory.c -- from the third step on, a step asks for no memory: no malloc, and fewer than 100 page faults. */
#define _DEFAULT_SOURCE /* getrusage's ru_minflt */
#include "tests/shipped.h"

#include "base/processor.h"
#include "tools/vqbench/allocations.h"
#include "vqgen.h"

#include <sys/resource.h>

#define SIDE        32
#define WARM_UP     2
#define STEPS       6
#define MOST_FAULTS 100 /* a step */

/* Enough cutouts for two quanta. */
static vq_settings small(void)
{
  return shipped_pair(SIDE, 9, 2);
}

static long faults(void)
{
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_minflt;
}

/* What each of some steps asks for; somebody may watch. */
static void expect_quiet(const char *what, const vq_settings *s, bool watched)
{
  static uint8_t rgb[SIDE * SIDE * 3];
  vq_session *session;
  expect_ok(vq_session_create(&session, s));
  expect_ok(vq_session_prompt(session, "a red circle", 1, VQ_NO_STOP));
  expect_ok(vq_session_prompt(session, "blue", -0.5, VQ_NO_STOP));
  expect_ok(vq_session_start(session));
  vq_session_watch(session, watched ? rgb : NULL);
  for (int i = 0; i < WARM_UP + STEPS; i++) {
    vq_step_report report;
    int64_t calls = bench_allocations();
    long before = faults();
    expect_ok(vq_session_step(session, &report));
    calls = bench_allocations() - calls;
    before = faults() - before;
    cr_expect(i < WARM_UP || calls == 0, "%s: step %d calls malloc %d times", what, i + 1, (int)calls);
    cr_expect(i < WARM_UP || before < MOST_FAULTS, "%s: step %d has %ld page faults", what, i + 1, before);
  }
  vq_session_free(session);
}

/* The counter is there and counts: else the tests below would prove nothing. */
Test(step_memory, allocations_are_counted)
{
  int64_t before = bench_allocations();
  void *volatile kept[3] = {malloc(10), calloc(3, 5), aligned_alloc(64, 128)};
  void *volatile grown = realloc(kept[0], 100);
  cr_expect(bench_allocations() - before == 4, "%d of 4 were counted", (int)(bench_allocations() - before));
  free(grown);
  free(kept[1]);
  free(kept[2]);
}

Test(step_memory, steps_ask_for_none)
{
  vq_settings s = small();
  expect_quiet("plain", &s, false);
  expect_quiet("watched", &s, true);
  s.threads = 1;
  expect_quiet("one thread", &s, false);
  s.device = "cpu";
  s.precision = VQ_PRECISION_BF16;
  if (vq_processor_has_bf16())
    expect_quiet("bf16", &s, false);
}

Test(step_memory, cutouts_ask_for_none)
{
  vq_settings s = small();
  s.cut_method = VQ_CUT_LANCZOS;
  expect_quiet("lanczos", &s, false);
  s.cut_method = VQ_CUT_WHOLE;
  expect_quiet("whole pictures", &s, false);
  s.cut_method = VQ_CUT_POOL;
  s.augment =
      "flip:0.5,sharpness:0.4:strength=0.3,affine:0.8:degrees=30:down=0.1:padding=border,rotation:0.5:degrees=20,"
      "perspective:0.5:strength=0.5,jitter:0.7:hue=0.1:saturation=0.1,erase:0.5:area=0.1..0.3:ratio=0.5..2,"
      "noise:1:noise=0..0.1,clamp";
  expect_quiet("augmentations", &s, false);
}

Test(step_memory, what_moves_z_asks_for_none)
{
  vq_settings s = small();
  s.init_weight = 1;
  s.init_drop_every = s.init_drops = 2; /* the optimizer begins anew at steps 4 and 6 */
  s.ema = 0.9;
  expect_quiet("average and drops", &s, true);
  s = small();
  s.optimizer = VQ_RADAM;
  expect_quiet("RAdam", &s, false);
  s = small();
  s.latent = VQ_LATENT_LOGITS;
  s.start = VQ_START_RANDOM;
  expect_quiet("logits", &s, true);
}
