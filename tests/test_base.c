/* test_base.c -- base/: the generator, the pool, the threads, messages, the log. */
#include "base/log.h"
#include "base/pool.h"
#include "base/processor.h"
#include "base/rng.h"
#include "base/threads.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rng ---- */

/* Random123's kat_vectors, the lines "philox4x32 10": all zeros, all ones, the digits of pi. */
Test(rng, philox_gives_the_published_answers)
{
  static const struct {
    uint32_t counter[4], key[2], out[4];
  } known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    uint32_t out[4];
    vq_philox(out, known[i].counter, known[i].key);
    for (int j = 0; j < 4; j++)
      cr_expect(out[j] == known[i].out[j], "vector %zu, word %d: %08x", i, j, out[j]);
  }
}

/* A draw is the word of the block that rng.h says, all 64 bits of seed and index in it. */
Test(rng, bits_are_words_of_the_block)
{
  const uint64_t seed = 0x0123456789abcdef, index = (uint64_t)0x1234567890 * 4 + 3;
  const uint32_t counter[4] = {0x34567890, 0x12, 77, VQ_RNG_CUTOUTS}, key[2] = {0x89abcdef, 0x01234567};
  uint32_t out[4];
  vq_philox(out, counter, key);
  for (uint64_t word = 0; word < 4; word++)
    cr_expect(vq_rng_bits(seed, VQ_RNG_CUTOUTS, 77, index - 3 + word) == out[word], "word %d", (int)word);
}

#define DRAWS 20000

Test(rng, uniform_lies_in_its_range_with_its_mean)
{
  double sum = 0, square = 0, least = 1, most = 0;
  for (uint64_t i = 0; i < DRAWS; i++) {
    double u = (double)vq_rng_uniform(1, VQ_RNG_TOKENS, 0, i);
    cr_assert(u >= 0 && u < 1, "draw %d is %g", (int)i, u);
    sum += u;
    square += u * u;
    least = fmin(least, u);
    most = fmax(most, u);
  }
  /* Four deviations: 0.29 / sqrt(n) of the mean, 0.3 / sqrt(n) of the mean square. */
  cr_expect(fabs(sum / DRAWS - 0.5) < 4 * 0.29 / sqrt(DRAWS), "mean %g", sum / DRAWS);
  cr_expect(fabs(square / DRAWS - 1 / 3.) < 4 * 0.3 / sqrt(DRAWS), "mean square %g", square / DRAWS);
  cr_expect(least < 1e-3 && most > 1 - 1e-3, "from %g to %g", least, most);
}

Test(rng, below_reaches_every_number_equally_often)
{
  enum { N = 10 };
  int seen[N] = {0};
  for (uint64_t i = 0; i < DRAWS; i++) {
    uint32_t k = vq_rng_below(2, VQ_RNG_START, 3, i, N);
    cr_assert(k < N);
    seen[k]++;
  }
  for (int k = 0; k < N; k++)
    cr_expect(abs(seen[k] - DRAWS / N) < 4 * sqrt(DRAWS * 0.1 * 0.9), "%d came %d times", k, seen[k]);
  for (uint64_t i = 0; i < 100; i++)
    cr_expect(vq_rng_below(2, VQ_RNG_START, 3, i, 1) == 0);
}

Test(rng, normal_has_its_moments)
{
  double sum = 0, square = 0, cube = 0, fourth = 0, across = 0;
  for (uint64_t i = 0; i < DRAWS; i++) {
    double x = vq_rng_normal(3, VQ_RNG_WEIGHTS, 0, i);
    cr_assert(isfinite(x));
    sum += x;
    square += x * x;
    cube += x * x * x;
    fourth += x * x * x * x;
    across += x * vq_rng_normal(3, VQ_RNG_WEIGHTS, 0, i ^ 1); /* cosine and sine of one angle */
  }
  cr_expect(fabs(sum / DRAWS) < 4 / sqrt(DRAWS), "mean %g", sum / DRAWS);
  cr_expect(fabs(square / DRAWS - 1) < 4 * sqrt(2. / DRAWS), "variance %g", square / DRAWS);
  cr_expect(fabs(cube / DRAWS) < 4 * sqrt(15. / DRAWS), "third moment %g", cube / DRAWS);
  cr_expect(fabs(fourth / DRAWS - 3) < 4 * sqrt(96. / DRAWS), "fourth moment %g", fourth / DRAWS);
  cr_expect(fabs(across / DRAWS) < 4 * sqrt(2. / DRAWS), "pairs are correlated: %g", across / DRAWS);
}

Test(rng, draws_depend_on_nothing_but_their_name)
{
  enum { N = 64 };
  double forwards[N], other[5] = {0};
  for (uint64_t i = 0; i < N; i++)
    forwards[i] = vq_rng_normal(9, VQ_RNG_TOKENS, 4, i);
  for (uint64_t i = N; i-- > 0;)
    cr_expect(vq_rng_normal(9, VQ_RNG_TOKENS, 4, i) == forwards[i], "draw %d depends on the order", (int)i);
  for (uint64_t i = 0; i < N; i++) {
    uint32_t bits = vq_rng_bits(9, VQ_RNG_TOKENS, 4, i);
    other[0] += bits == vq_rng_bits(10, VQ_RNG_TOKENS, 4, i);
    other[1] += bits == vq_rng_bits(9 + ((uint64_t)1 << 32), VQ_RNG_TOKENS, 4, i);
    other[2] += bits == vq_rng_bits(9, VQ_RNG_CUTOUTS, 4, i);
    other[3] += bits == vq_rng_bits(9, VQ_RNG_TOKENS, 5, i);
    other[4] += bits == vq_rng_bits(9, VQ_RNG_TOKENS, 4, i + N);
  }
  for (int k = 0; k < 5; k++)
    cr_expect(other[k] < 2, "another seed, high word, purpose, step or index (%d) gives the same", k);
}

/* ---- pool ---- */

#define U ((size_t)VQ_POOL_ALIGN)

static vq_pool *pool_of(size_t units)
{
  vq_pool *pool;
  cr_assert(!vq_pool_create(&pool, units * U), "%s", vq_error_message());
  return pool;
}

/* In units; SIZE_MAX when the pool is full. */
static size_t take(vq_pool *pool, vq_pool_end end, size_t units)
{
  size_t offset;
  vq_status status = vq_pool_take(pool, end, units * U, &offset);
  cr_assert(!status || status == VQ_ERR_MEMORY);
  cr_assert(status || offset % U == 0);
  return status ? SIZE_MAX : offset / U;
}

Test(pool, takes_the_first_place_that_fits_at_either_end)
{
  vq_pool *pool = pool_of(100);
  cr_expect(take(pool, VQ_POOL_LOW, 10) == 0);
  cr_expect(take(pool, VQ_POOL_LOW, 4) == 10);
  cr_expect(take(pool, VQ_POOL_LOW, 6) == 14);
  cr_expect(take(pool, VQ_POOL_HIGH, 10) == 90);
  cr_expect(take(pool, VQ_POOL_HIGH, 5) == 85);
  cr_expect(take(pool, VQ_POOL_HIGH, 1) == 84);
  cr_expect(vq_pool_used(pool) == 36 * U && vq_pool_peak(pool) == 36 * U);
  cr_expect(vq_pool_give(pool, 10 * U) == 4 * U);
  cr_expect(vq_pool_give(pool, 85 * U) == 5 * U);
  cr_expect(take(pool, VQ_POOL_LOW, 5) == 20, "the hole of 4 is too small for 5");
  cr_expect(take(pool, VQ_POOL_LOW, 3) == 10, "the hole of 4 fits 3");
  cr_expect(take(pool, VQ_POOL_LOW, 1) == 13, "what is left of it fits 1");
  cr_expect(take(pool, VQ_POOL_HIGH, 5) == 85, "the hole at the high end fits exactly");
  cr_expect(vq_pool_give(pool, 11 * U) == 0 && vq_pool_give(pool, 50 * U) == 0, "these were never taken");
  vq_pool_free(pool);
}

Test(pool, rounds_up_to_the_alignment)
{
  vq_pool *pool = pool_of(8);
  size_t a, b, c;
  cr_assert(!vq_pool_take(pool, VQ_POOL_LOW, 0, &a) && !vq_pool_take(pool, VQ_POOL_LOW, U + 1, &b) &&
            !vq_pool_take(pool, VQ_POOL_HIGH, 1, &c));
  cr_expect(a == 0 && b == U && c == 7 * U, "%zu %zu %zu", a, b, c);
  cr_expect(vq_pool_used(pool) == 4 * U);
  cr_expect(vq_pool_capacity(pool) == 8 * U);
  vq_pool_free(pool);
}

Test(pool, refuses_when_the_ends_would_meet)
{
  vq_pool *pool = pool_of(10);
  size_t offset;
  cr_expect(take(pool, VQ_POOL_LOW, 6) == 0 && take(pool, VQ_POOL_HIGH, 4) == 6);
  cr_expect(take(pool, VQ_POOL_LOW, 1) == SIZE_MAX && take(pool, VQ_POOL_HIGH, 1) == SIZE_MAX);
  cr_expect(vq_pool_take(pool, VQ_POOL_LOW, 11 * U, &offset) == VQ_ERR_MEMORY &&
            vq_pool_take(pool, VQ_POOL_LOW, SIZE_MAX, &offset) == VQ_ERR_MEMORY);
  cr_expect(vq_pool_used(pool) == 10 * U && vq_pool_peak(pool) == 10 * U, "a refusal changes nothing");
  vq_pool_give(pool, 6 * U);
  cr_expect(take(pool, VQ_POOL_LOW, 4) == 6);
  vq_pool_give(pool, 6 * U);
  vq_pool_reset_peak(pool);
  cr_expect(vq_pool_peak(pool) == 6 * U);
  vq_pool_free(pool);
}

/* The same two ends as arrays of units: slow, and plain. Distances count from the end. */
#define UNITS 96
typedef struct model {
  bool taken[2][UNITS];
  size_t peak;
} model;

static size_t model_reach(const model *m, int end)
{
  size_t reach = 0;
  for (size_t i = 0; i < UNITS; i++)
    if (m->taken[end][i])
      reach = i + 1;
  return reach;
}

static size_t model_take(model *m, int end, size_t units)
{
  for (size_t from = 0; from + units <= UNITS; from++) {
    size_t blocked = 0;
    for (size_t i = 0; i < units; i++)
      blocked += m->taken[end][from + i];
    if (blocked)
      continue;
    if (from + units + model_reach(m, !end) > UNITS)
      return SIZE_MAX;
    memset(&m->taken[end][from], true, units);
    size_t both = model_reach(m, 0) + model_reach(m, 1);
    m->peak = both > m->peak ? both : m->peak;
    return end == VQ_POOL_LOW ? from : UNITS - from - units;
  }
  return SIZE_MAX;
}

typedef struct place {
  size_t at, units;
  vq_pool_end end;
} place;

static uint32_t dice(uint32_t run, uint64_t *n, uint32_t below)
{
  return vq_rng_below(17, VQ_RNG_WEIGHTS, run, (*n)++, below);
}

/* Takes and gives at random: every answer is the model's, and no two places share a unit. */
Test(pool, agrees_with_a_plain_model)
{
  int full = 0;
  for (uint32_t run = 0; run < 40; run++) {
    vq_pool *pool = pool_of(UNITS);
    model m = {.peak = 0};
    place held[UNITS];
    size_t count = 0, used = 0;
    uint64_t n = 0;
    for (int i = 0; i < 300; i++) {
      if (count && dice(run, &n, 100) < 45) {
        place *p = &held[dice(run, &n, (uint32_t)count)];
        size_t distance = p->end == VQ_POOL_LOW ? p->at : UNITS - p->at - p->units;
        cr_assert(vq_pool_give(pool, p->at * U) == p->units * U);
        memset(&m.taken[p->end][distance], false, p->units);
        used -= p->units;
        *p = held[--count];
        continue;
      }
      place p = {.units = 1 + dice(run, &n, 12), .end = (vq_pool_end)dice(run, &n, 2)};
      p.at = take(pool, p.end, p.units);
      cr_assert(p.at == model_take(&m, (int)p.end, p.units), "run %u, request %d", run, i);
      full += p.at == SIZE_MAX;
      if (p.at == SIZE_MAX)
        continue;
      for (size_t k = 0; k < count; k++)
        cr_assert(p.at + p.units <= held[k].at || held[k].at + held[k].units <= p.at, "run %u: overlap", run);
      held[count++] = p;
      used += p.units;
      cr_assert(vq_pool_used(pool) == used * U && vq_pool_peak(pool) == m.peak * U, "run %u, request %d", run, i);
    }
    vq_pool_free(pool);
  }
  cr_expect(full > 100, "the pools were hardly ever full (%d refusals): nothing was tested", full);
}

/* A dry run in a huge pool tells the capacity with which the real one just succeeds, with the same places. */
Test(pool, peak_is_the_capacity_that_is_needed)
{
  enum { REQUESTS = 200 };
  place dry[REQUESTS];
  size_t peak = 0;
  for (int less = -1; less < 2; less++) { /* dry; exact; one unit less */
    size_t capacity = less < 0 ? (size_t)1 << 30 : peak - (size_t)less;
    vq_pool *pool = pool_of(capacity);
    uint64_t n = 0;
    bool failed = false;
    bool freed[REQUESTS] = {false};
    for (int i = 0; i < REQUESTS && !failed; i++) {
      place p = {.units = 1 + dice(1000, &n, 30), .end = (vq_pool_end)dice(1000, &n, 2)};
      uint32_t victim = dice(1000, &n, REQUESTS);
      p.at = take(pool, p.end, p.units);
      failed = p.at == SIZE_MAX;
      if (failed)
        break;
      if (p.end == VQ_POOL_HIGH)
        p.at = capacity - p.at; /* the same from the end */
      if (less < 0)
        dry[i] = p;
      cr_expect(p.at == dry[i].at, "request %d has moved", i);
      if ((int)victim <= i && !freed[victim]) {
        freed[victim] = true;
        vq_pool_give(pool, (dry[victim].end == VQ_POOL_HIGH ? capacity - dry[victim].at : dry[victim].at) * U);
      }
    }
    cr_expect(failed == (less == 1), "capacity %zu: %s", capacity, failed ? "full" : "not full");
    if (less < 0)
      peak = vq_pool_peak(pool) / U;
    vq_pool_free(pool);
  }
}

/* ---- threads ---- */

typedef struct tally {
  atomic_int seen[1000];
  int64_t tasks;
  vq_threads *inner; /* a pool of another device, or NULL */
  atomic_int outside, inner_sum;
} tally;

static void inner_task(void *context, int64_t task)
{
  atomic_fetch_add(&((tally *)context)->inner_sum, (int)task + 1);
}

static void count_task(void *context, int64_t task)
{
  tally *t = context;
  if (task < 0 || task >= t->tasks)
    atomic_fetch_add(&t->outside, 1);
  else
    atomic_fetch_add(&t->seen[task], 1);
  if (t->inner)
    vq_parallel(t->inner, 10, inner_task, t);
}

static void expect_all_once(vq_threads *threads, tally *t, int64_t tasks)
{
  memset(t->seen, 0, sizeof t->seen);
  t->tasks = tasks;
  atomic_store(&t->outside, 0);
  vq_parallel(threads, tasks, count_task, t);
  int wrong = 0;
  for (int64_t i = 0; i < tasks; i++)
    wrong += atomic_load(&t->seen[i]) != 1;
  cr_assert(!wrong && !t->outside, "%d threads: %d of %d tasks were not run once, %d are not there",
            vq_threads_count(threads), wrong, (int)tasks, t->outside);
}

static tally counts;
static atomic_int started;

static void note_start(void)
{
  atomic_fetch_add(&started, 1);
}

Test(threads, run_every_task_once)
{
  for (int count = 1; count <= 8; count++) {
    vq_threads *threads;
    atomic_store(&started, 0);
    cr_assert(!vq_threads_create(&threads, count, note_start), "%s", vq_error_message());
    cr_expect(vq_threads_count(threads) == count);
    static const int64_t sizes[] = {0, 1, 2, 7, 8, 9, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      expect_all_once(threads, &counts, sizes[i]);
    for (int post = 0; post < 200; post++)
      expect_all_once(threads, &counts, post % 13);
    vq_threads_free(threads);
    cr_expect(started == count - 1, "%d of %d threads were told to start", started, count - 1);
  }
}

Test(threads, no_pool_is_the_caller_alone)
{
  expect_all_once(NULL, &counts, 100);
  cr_expect(vq_threads_count(NULL) == 1);
  vq_threads_free(NULL);
}

/* A pool that is freed before, or soon after, its threads have come up. */
Test(threads, come_and_go)
{
  for (int i = 0; i < 50; i++) {
    vq_threads *threads;
    cr_assert(!vq_threads_create(&threads, 1 + i % 8, NULL));
    if (i % 2)
      expect_all_once(threads, &counts, 3);
    vq_threads_free(threads);
  }
}

typedef struct user {
  vq_threads *threads, *inner;
  tally counts;
} user;

static void *use_pools(void *argument)
{
  user *u = argument;
  for (int i = 0; i < 50; i++) {
    u->counts.inner = NULL;
    expect_all_once(u->threads, &u->counts, 11);
  }
  return NULL;
}

/* A task may use the pool of another device; and two devices may work at once. */
Test(threads, pools_are_independent)
{
  static user one, two;
  vq_threads *single;
  pthread_t other;
  cr_assert(!vq_threads_create(&one.threads, 3, NULL) && !vq_threads_create(&two.threads, 2, NULL));
  cr_assert(!pthread_create(&other, NULL, use_pools, &two));
  use_pools(&one);
  pthread_join(other, NULL);
  /* One outer task at a time posts to the inner pool: an outer pool of one thread, and no outer pool. */
  cr_assert(!vq_threads_create(&single, 1, NULL));
  one.counts.inner = two.threads;
  atomic_store(&one.counts.inner_sum, 0);
  expect_all_once(single, &one.counts, 20);
  expect_all_once(one.threads, &one.counts, 1);
  expect_all_once(NULL, &one.counts, 20);
  cr_expect(one.counts.inner_sum == 41 * 55, "%d", one.counts.inner_sum);
  vq_threads_free(single);
  vq_threads_free(one.threads);
  vq_threads_free(two.threads);
}

Test(threads, refuse_impossible_numbers)
{
  vq_threads *threads = (vq_threads *)&counts;
  cr_expect(vq_threads_create(&threads, -1, NULL) == VQ_ERR_ARGUMENT && !threads);
  cr_expect(strstr(vq_error_message(), "-1 threads") != NULL, "%s", vq_error_message());
  cr_expect(vq_threads_create(&threads, 1 << 20, NULL) == VQ_ERR_ARGUMENT && !threads);
  cr_assert(!vq_threads_create(&threads, 0, NULL));
  cr_expect(vq_threads_count(threads) >= 1);
  vq_threads_free(threads);
}

/* ---- status ---- */

Test(status, keeps_the_last_message)
{
  cr_expect(!*vq_error_message(), "there is none before the first failure");
  cr_expect(vq_fail(VQ_ERR_SHAPE, "%s has %d", "x", 3) == VQ_ERR_SHAPE);
  cr_expect(!strcmp(vq_error_message(), "x has 3"));
  cr_expect(vq_fail(VQ_ERR_FILE, "again: %s", vq_error_message()) == VQ_ERR_FILE, "the message quoted in the next");
  cr_expect(!strcmp(vq_error_message(), "again: x has 3"), "%s", vq_error_message());
}

Test(status, takes_a_context)
{
  vq_fail(VQ_ERR_FORMAT, "is damaged");
  cr_expect(vq_fail_in(VQ_ERR_FORMAT, "file %d", 7) == VQ_ERR_FORMAT);
  cr_expect(!strcmp(vq_error_message(), "file 7: is damaged"), "%s", vq_error_message());
  cr_expect(vq_fail_in(VQ_OK, "nothing") == VQ_OK);
  cr_expect(!strcmp(vq_error_message(), "file 7: is damaged"), "success changes no message");
}

Test(status, cuts_what_is_too_long)
{
  static char text[6000];
  memset(text, 'a', sizeof text - 1);
  vq_fail(VQ_ERR_FILE, "%s", text);
  cr_expect(strlen(vq_error_message()) == 4095, "%zu", strlen(vq_error_message()));
  vq_fail_in(VQ_ERR_FILE, "here");
  cr_expect(strlen(vq_error_message()) == 4095 && !strncmp(vq_error_message(), "here: aaa", 9));
  text[3000] = 0;
  vq_fail(VQ_ERR_FILE, "%s!", text);
  vq_fail_in(VQ_ERR_FILE, "here");
  cr_expect(strlen(vq_error_message()) == 6 + 3001 && vq_error_message()[3006] == '!', "what fits is not cut: %zu",
            strlen(vq_error_message()));
  text[3000] = 'a';
  vq_fail_in(VQ_ERR_FILE, "%s", text);
  cr_expect(strlen(vq_error_message()) <= 4095 && strstr(vq_error_message(), ": here: "), "a context is cut, too");
}

static void *fail_elsewhere(void *first)
{
  *(bool *)first = !*vq_error_message();
  vq_fail(VQ_ERR_FILE, "elsewhere");
  return NULL;
}

Test(status, is_a_threads_own)
{
  pthread_t other;
  bool empty = false;
  vq_fail(VQ_ERR_FILE, "here");
  cr_assert(!pthread_create(&other, NULL, fail_elsewhere, &empty));
  pthread_join(other, NULL);
  cr_expect(empty && !strcmp(vq_error_message(), "here"));
}

Test(status, every_code_has_a_name_and_a_meaning_of_its_own)
{
  static const struct {
    const char *name, *meaning;
    int number;
  } row[] = {
#define ROW(name, number, meaning) {#name, meaning, number},
      VQ_STATUS_LIST(ROW)
#undef ROW
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    cr_expect(!strcmp(vq_status_name((vq_status)row[i].number), row[i].name) &&
              !strcmp(vq_status_meaning((vq_status)row[i].number), row[i].meaning) && *row[i].meaning);
    for (size_t j = 0; j < i; j++)
      cr_expect(strcmp(row[i].meaning, row[j].meaning) && row[i].number != row[j].number);
  }
  cr_expect(!strcmp(vq_status_name((vq_status)9999), "unknown") &&
            !strcmp(vq_status_meaning((vq_status)9999), "unknown"));
}

/* ---- log ---- */

typedef struct heard {
  int lines;
  vq_log_level level;
  char text[8192];
} heard;

static void hear(void *to, vq_log_level level, const char *message)
{
  heard *h = to;
  h->lines++;
  h->level = level;
  snprintf(h->text, sizeof h->text, "%s", message);
}

Test(log, hands_lines_to_the_caller)
{
  static heard h;
  static char text[6000];
  vq_log log = {hear, &h}, silent = {0};
  vq_log_info(&log, "step %d of %s", 3, "x");
  cr_expect(h.lines == 1 && h.level == VQ_LOG_INFO && !strcmp(h.text, "step 3 of x"));
  vq_log_warning(&log, "100%%");
  cr_expect(h.lines == 2 && h.level == VQ_LOG_WARNING && !strcmp(h.text, "100%"));
  memset(text, 'a', sizeof text - 1);
  vq_log_info(&log, "%s", text);
  cr_expect(h.lines == 3 && strlen(h.text) == 4095);
  vq_log_info(&silent, "nobody hears");
  vq_log_warning(NULL, "nobody hears");
  cr_expect(h.lines == 3);
}

/* ---- processor ---- */

Test(processor, what_is_asked_of_it)
{
  cr_expect(!setenv("VQGEN_CPU", "plain", 1) && !vq_processor_check());
  cr_expect(!setenv("VQGEN_CPU", "", 1) && !vq_processor_check());
  cr_expect(!setenv("VQGEN_CPU", "sse", 1));
  cr_expect_eq(vq_processor_check(), VQ_ERR_ARGUMENT);
  cr_expect_not_null(strstr(vq_error_message(), "\"sse\""));
  cr_expect(!unsetenv("VQGEN_CPU") && !vq_processor_check());
}
