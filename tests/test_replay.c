/* test_replay.c -- pictures made again from what is in them, and runs that go on from a snapshot: to the same bytes. */
#include "tests/cli.h"

#include "loaders/image.h"
#include "loaders/safetensors.h"
#include "runtime/snapshot.h"
#include "vqgen.h"

#include <time.h>

TestSuite(replay, .init = scratch_create, .fini = scratch_remove, .timeout = 300);

static bool same_bytes(const char *a, const char *b)
{
  size_t n, m;
  uint8_t *x = get_file(in_scratch(a), &n), *y = get_file(in_scratch(b), &m);
  bool same = n == m && !memcmp(x, y, n);
  free(x);
  free(y);
  return same;
}

static bool is_there(const char *name)
{
  return access(in_scratch(name), F_OK) == 0;
}

static void wait_a_little(void)
{
  nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* ---- replay ---- */

/* One row a run whose picture must come back, byte for byte. */
static const char *const runs[][20] = {
    {"a cat", "-n", "3", "--seed", "5"},
    {"a cat:2:0.1 | fog:-0.5", "a \"dog\", \xc3\xbc\\: \\|", "-n", "2", "-s", "17x31", "--seed",
     "18446744073709551615"},
    {"a cat", "-n", "3", "--lr", "0.3", "--lr-schedule", "cosine:0.01", "--cut-method", "lanczos", "--cut-power",
     "0.5"},
    {"a cat", "-n", "2", "--init", "gray", "--tv-weight", "0.1", "--cut-size", "0.3:0.9", "--cutouts", "9"},
    {"a cat", "-n", "2", "--init", "pixels"},
    {"a cat", "-n", "2", "--init", "start.png", "--fit", "pad"},
    {"a cat", "-n", "0"},
    {"a cat", "-n", "3", "--optimizer", "adamw", "--weight-decay", "0.3"},
    {"a cat", "-n", "3", "--optimizer", "Adagrad", "--z-clamp", "no"},
    {"a cat", "-n", "3", "--optimizer", "adamax", "--ema", "0.9"},
    {"a cat", "-n", "7", "--optimizer", "radam", "--init-weight", "zero:1.5", "--init-drop", "2:2"},
    {"a cat", "-n", "3", "--optimizer", "DiffGrad"},
    {"a cat", "-n", "3", "--optimizer", "adamp", "--z-clamp", "no"},
    {"a cat", "-n", "3", "--optimizer", "rmsprop", "--latent", "logits", "--init", "random", "--seed", "7"},
};

Test(replay, gives_the_same_bytes)
{
  vq_image image;
  expect_ok(vq_image_create(&image, 20, 9));
  for (int i = 0; i < 20 * 9 * 3; i++)
    image.rgb[i] = (uint8_t)(i * 7);
  expect_ok(vq_image_write_png(in_scratch("start.png"), &image, NULL, 0));
  vq_image_free(&image);
  for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
    const char *words[64] = {QUICK, "-o", "a.png", "--progress", "none"};
    int n = 0;
    while (words[n])
      n++;
    for (int k = 0; k < 20 && runs[i][k]; k++)
      words[n++] = runs[i][k];
    said s = tool_ok(tool_run(NULL, words), runs[i][0]);
    forget(&s);
    s = TOOL_OK("replay", "a.png", TINY, "--threads", "1", "-o", "b.png");
    cr_expect(strstr(s.err, "replay   exact") && strstr(s.err, "every pixel is the same"), "%zu: %s", i, s.err);
    cr_expect(same_bytes("a.png", "b.png"), "run %zu", i);
    forget(&s);
    remove(in_scratch("a.png"));
    remove(in_scratch("b.png"));
  }
}

#ifdef VQ_TEST_CUDA_MODULE
/* Without a word of it, a replay computes where the picture was made and as exactly: on the (emulated) card, which would take bf16 by
 * itself, in fp32. */
Test(replay, computes_as_it_was_done)
{
  cr_assert(!setenv("VQGEN_CUDA_MODULE", VQ_TEST_CUDA_MODULE, 1));
  said s = TOOL_OK("a cat", QUICK, "-n", "1", "--device", "cuda", "--precision", "fp32", "-o", "a.png");
  forget(&s);
  s = TOOL_OK("replay", "a.png", TINY, "-o", "b.png");
  cr_expect(strstr(s.err, "replay   exact") && same_bytes("a.png", "b.png"), "%s", s.err);
  forget(&s);
  s = TOOL_OK("replay", "a.png", TINY, "--precision", "bf16", "-o", "c.png");
  cr_expect(strstr(s.err, "replay   close, not exact") && !same_bytes("a.png", "c.png"), "%s", s.err);
  forget(&s);
  s = TOOL_OK("replay", "a.png", TINY, "--device", "cpu", "-o", "d.png");
  cr_expect(strstr(s.err, "replay   close, not exact"), "%s", s.err);
  forget(&s);
  unsetenv("VQGEN_CUDA_MODULE");
}
#endif

/* An endless run is made again up to where it was stopped. */
Test(replay, of_an_interrupted_run)
{
  pid_t child =
      TOOL_START("events", "a cat", QUICK, "-n", "-1", "-o", "a.png", "--progress", "json", "--save-every", "1");
  for (int i = 0; i < 60000 && !is_there("progress.png"); i++)
    wait_a_little();
  kill(child, SIGTERM);
  cr_expect_eq(tool_wait(child), 130);
  said s = TOOL_OK("replay", "a.png", TINY, "-o", "b.png");
  cr_expect(same_bytes("a.png", "b.png"), "%s", s.err);
  forget(&s);
}

Test(replay, options_override)
{
  said s = TOOL_OK("a cat", QUICK, "-n", "2", "--seed", "5", "-o", "a.png");
  forget(&s);
  s = TOOL_OK("replay", "a.png", TINY, "--seed", "6", "-n", "3", "-o", "b.png");
  cr_expect(strstr(s.err, "another picture, for --steps, --seed changed") &&
                strstr(s.err, "% of the values differ"),
            "%s", s.err);
  forget(&s);
  s = TOOL_OK("a cat", QUICK, "-n", "3", "--seed", "6", "-o", "c.png");
  cr_expect(same_bytes("b.png", "c.png"));
  forget(&s);
  s = TOOL_OK("replay", "a.png", "a dog", "-o", "d.png", TINY);
  cr_expect(strstr(s.err, "for prompts changed") && strstr(s.err, "\"a dog\"") && !strstr(s.err, "\"a cat\""), "%s",
            s.err);
  forget(&s);
}

/* A recipe says how a run begins; what is in the picture says more. */
Test(replay, takes_no_recipe)
{
  said s = TOOL_OK("a cat", QUICK, "-n", "1", "--seed", "5", "-o", "a.png");
  forget(&s);
  s = TOOL("replay", "a.png", TINY, "--recipe", "crowson", "-o", "b.png");
  cr_expect(s.status == 2 && strstr(s.err, "goes by what is in a.png") && !is_there("b.png"), "%d %s", s.status,
            s.err);
  forget(&s);
}

Test(replay, says_what_is_missing)
{
  said s = TOOL_OK("a cat", QUICK, "-n", "1", "--seed", "5", "-o", "a.png");
  forget(&s);
  s = TOOL("replay", "a.png", "-o", "b.png");
  cr_expect(s.status == 1 && strstr(s.err, "vqgan_tiny.safetensors") && strstr(s.err, "name it by --vqgan"), "%s",
            s.err);
  forget(&s);
  s = TOOL("replay", "a.png", "-o", "b.png", "--vqgan", VQ_SOURCE_ROOT "/weights/vqgan.safetensors", TINY_CLIP,
           "--force");
  cr_expect(strstr(s.err, "is not the network that a.png was made with"), "%s", s.err);
  forget(&s);
  s = TOOL("replay");
  cr_expect(s.status == 2 && strstr(s.err, "no file"), "%s", s.err);
  forget(&s);
  vq_image image;
  expect_ok(vq_image_read(&image, in_scratch("a.png")));
  expect_ok(vq_image_write_png(in_scratch("bare.png"), &image, NULL, 0));
  vq_image_free(&image);
  s = TOOL("replay", "bare.png", TINY);
  cr_expect(s.status == 1 && strstr(s.err, "no settings") && strstr(s.err, "re-encoded"), "%s", s.err);
  forget(&s);
}

static void keep_settings(void *user, const char *key, const char *text)
{
  if (!strcmp(key, "vqgen"))
    *(char **)user = strdup(text);
}

/* The same settings, said to be of another build. */
Test(replay, of_another_build_is_close)
{
  said s = TOOL_OK("a cat", QUICK, "-n", "2", "--seed", "5", "-o", "a.png");
  forget(&s);
  vq_image image;
  char *text = NULL;
  expect_ok(vq_image_read(&image, in_scratch("a.png")));
  expect_ok(vq_image_read_texts(in_scratch("a.png"), keep_settings, &text));
  cr_assert(text);
  memcpy(strstr(text, "\"build\":\"") + 9, "9.9", 3);
  expect_ok(vq_image_write_png(in_scratch("b.png"), &image, (const char *[]){"vqgen", text}, 1));
  s = TOOL_OK("replay", "b.png", TINY, "-o", "c.png");
  cr_expect(strstr(s.err, "close, not exact: another build made it (9.9") &&
                strstr(s.err, "every pixel is the same"),
            "%s", s.err);
  forget(&s);
  image.rgb[7] ^= 1;
  expect_ok(vq_image_write_png(in_scratch("d.png"), &image, (const char *[]){"vqgen", text}, 1));
  s = TOOL_OK("replay", "d.png", TINY, "-o", "e.png");
  cr_expect(strstr(s.err, "0.13% of the values differ, by at most 1 of 255"), "%s", s.err);
  forget(&s);
  vq_image_free(&image);
  free(text);
}

Test(replay, a_start_that_is_missing_or_another_is_told)
{
  vq_image image;
  expect_ok(vq_image_create(&image, 16, 16));
  memset(image.rgb, 200, 16 * 16 * 3);
  expect_ok(vq_image_write_png(in_scratch("start.png"), &image, NULL, 0));
  said s = TOOL_OK("a cat", QUICK, "-n", "1", "--init", "start.png", "-o", "a.png");
  forget(&s);
  cr_assert(rename(in_scratch("start.png"), in_scratch("moved.png")) == 0);
  s = TOOL("replay", "a.png", TINY, "-o", "b.png");
  cr_expect(s.status == 1 && strstr(s.err, "start.png, which is neither beside it nor here: --init"), "%s", s.err);
  forget(&s);
  s = TOOL_OK("replay", "a.png", TINY, "--init", "moved.png", "-o", "b.png");
  cr_expect(strstr(s.err, "replay   exact") && strstr(s.err, "every pixel is the same"), "%s", s.err);
  forget(&s);
  memset(image.rgb, 10, 16 * 16 * 3);
  expect_ok(vq_image_write_png(in_scratch("start.png"), &image, NULL, 0));
  s = TOOL_OK("replay", "a.png", TINY, "-o", "c.png");
  cr_expect(strstr(s.err, "neither beside it") && strstr(s.err, "another picture, for --init changed"), "%s",
            s.err);
  forget(&s);
  vq_image_free(&image);
}

/* Found beside the picture, whatever the present folder is. */
Test(replay, finds_the_networks_beside_the_picture)
{
  static const char *const names[] = {"vqgan_tiny.safetensors", "clip_tinyA.safetensors"};
  said s = TOOL_OK("a cat", QUICK, "-n", "1", "--seed", "5", "-o", "a.png");
  forget(&s);
  for (int i = 0; i < 2; i++) {
    char from[PATH_MAX];
    size_t bytes;
    snprintf(from, sizeof from, VQ_SOURCE_ROOT "/tests/data/reference/%s", names[i]);
    uint8_t *data = get_file(from, &bytes);
    put_file(in_scratch(names[i]), data, bytes);
    free(data);
  }
  s = TOOL_OK("replay", "a.png", "-o", "b.png");
  cr_expect(same_bytes("a.png", "b.png"));
  forget(&s);
}

/* ---- resume ---- */

#define LONG "a cat", QUICK, "--seed", "5", "--lr", "0.3", "--init", "pixels"

/* The snapshot's step, read by the format's own reader; -1: there is none yet. */
static int step_of(const char *name)
{
  vq_safetensors *file;
  if (!is_there(name) || vq_safetensors_open(&file, in_scratch(name)))
    return -1;
  const char *step = vq_safetensors_metadata(file, "step");
  int value = step ? atoi(step) : -1;
  vq_safetensors_close(file);
  return value;
}

Test(replay, a_run_that_was_killed_ends_in_the_same_bytes)
{
  char end[32];
  pid_t child = TOOL_START("events", LONG, "-n", "1000000", "-o", "a.png", "--snapshot", "run.safetensors",
                           "--snapshot-every", "3");
  for (int i = 0; i < 60000 && step_of("run.safetensors") < 6; i++)
    wait_a_little();
  kill(child, SIGKILL);
  cr_expect_eq(tool_wait(child), 128 + SIGKILL);
  int step = step_of("run.safetensors");
  cr_assert(step >= 6 && step % 3 == 0 && !is_there("a.png"), "killed at %d", step);
  snprintf(end, sizeof end, "%d", step + 4);
  said s = TOOL_OK("resume", "run.safetensors", "-n", end);
  cr_expect_str_eq(strrchr(s.out, '/') ? strrchr(s.out, '/') : "", "/a.png\n", "%s", s.out);
  cr_expect(step_of("run.safetensors") == step + 4, "snapshots went on");
  forget(&s);
  s = TOOL_OK(LONG, "-n", end, "-o", "whole.png");
  cr_expect(same_bytes("whole.png", "a.png"));
  forget(&s);
  s = TOOL_OK("replay", "a.png", TINY, "-o", "again.png");
  cr_expect(same_bytes("whole.png", "again.png"), "of a run that was resumed");
  forget(&s);
}

/* What else a run may carry from step to step: the state of each optimizer, drops, an average, logits. */
static const char *const carried[][12] = {
    {"--optimizer", "adamw", "--weight-decay", "0.3"},
    {"--optimizer", "adagrad"},
    {"--optimizer", "adamax", "--z-clamp", "no"},
    {"--optimizer", "rmsprop", "--ema", "0.8"},
    {"--optimizer", "radam"},
    {"--optimizer", "diffgrad"},
    {"--optimizer", "adamp"},
    {"--init-weight", "zero:1.5", "--init-drop", "2:3", "--lr", "0.5"},
    {"--init-weight", "start:1.5", "--init-drop", "4:1"},
    {"--latent", "logits", "--init", "random", "--ema", "0.5"},
    {"--recipe", "mse", "--cutouts", "2"},
    {"--recipe", "codebook", "--cutouts", "2"},
};

Test(replay, what_a_run_carries_is_resumed)
{
  for (size_t i = 0; i < sizeof carried / sizeof *carried; i++) {
    const char *words[40] = {"a cat", QUICK, "--seed", "5", "--save-every", "0", "--progress", "none"};
    int n = 0;
    while (words[n])
      n++;
    for (int k = 0; carried[i][k]; k++)
      words[n++] = carried[i][k];
    int more = n;
    const char *whole[] = {"-n", "9", "-o", "whole.png"},
               *part[] = {"-n", "5", "-o", "part.png", "--snapshot", "s"};
    for (int k = 0; k < 4; k++)
      words[more + k] = whole[k];
    said s = tool_ok(tool_run(NULL, words), carried[i][1]);
    forget(&s);
    for (int k = 0; k < 6; k++)
      words[more + k] = part[k];
    s = tool_ok(tool_run(NULL, words), carried[i][1]);
    forget(&s);
    s = TOOL_OK("resume", "s", "-n", "9", "-o", "resumed.png");
    cr_expect(same_bytes("whole.png", "resumed.png"), "%s %s", carried[i][0], carried[i][1]);
    cr_expect(!same_bytes("part.png", "resumed.png"), "%s %s: four more steps do nothing", carried[i][0],
              carried[i][1]);
    forget(&s);
    remove(in_scratch("whole.png"));
    remove(in_scratch("part.png"));
    remove(in_scratch("resumed.png"));
    remove(in_scratch("s"));
  }
}

/* The library's own: a falling learning rate goes on falling from where it was. */
Test(replay, a_session_goes_on_from_a_snapshot)
{
  uint8_t rgb[2][16 * 16 * 3];
  vq_settings set;
  vq_settings_init(&set);
  set.vqgan = VQ_SOURCE_ROOT "/tests/data/reference/vqgan_tiny.safetensors";
  set.clip = VQ_SOURCE_ROOT "/tests/data/reference/clip_tinyA.safetensors";
  set.width = set.height = 16;
  set.cutouts = 2;
  set.threads = 1;
  set.steps = 8;
  set.lr_schedule = VQ_LR_COSINE;
  set.lr_end = 0.001;
  for (int k = 0; k < 2; k++) {
    vq_session *session;
    vq_step_report report = {.step = 0};
    expect_ok(vq_session_create(&session, &set));
    expect_ok(vq_session_prompt(session, "a cat", 1, VQ_NO_STOP));
    expect_error(vq_session_snapshot(session, in_scratch("s"), NULL), VQ_ERR_ARGUMENT, "not started");
    expect_error(vq_session_restore(session, in_scratch("s")), VQ_ERR_ARGUMENT, "not started");
    expect_ok(vq_session_start(session));
    if (k)
      expect_ok(vq_session_restore(session, in_scratch("s")));
    while (report.step < set.steps) {
      expect_ok(vq_session_step(session, &report));
      if (!k && report.step == 3)
        expect_ok(vq_session_snapshot(session, in_scratch("s"), NULL));
    }
    expect_ok(vq_session_picture(session, rgb[k]));
    vq_session_free(session);
  }
  cr_expect(!memcmp(rgb[0], rgb[1], sizeof rgb[0]));
}

static vq_status try_snapshot(const char *path)
{
  vq_snapshot snapshot;
  vq_status status = vq_snapshot_read(&snapshot, path);
  vq_snapshot_free(&snapshot);
  return status;
}

/* Written whole or not at all, and never believed when a part is missing. */
Test(replay, a_damaged_snapshot_is_refused)
{
  said s = TOOL_OK("a cat", QUICK, "-n", "1", "-o", "a.png", "--snapshot", "run.safetensors");
  forget(&s);
  cr_expect_eq(plant_damage(in_scratch("run.safetensors"), 1000, try_snapshot), 0, "a part passed for the whole");
  size_t bytes;
  uint8_t *data = get_file(in_scratch("run.safetensors"), &bytes);
  put_file(in_scratch("short.safetensors"), data, bytes - 1);
  free(data);
  s = TOOL("resume", "short.safetensors");
  cr_expect(s.status == 1 && strstr(s.err, "short.safetensors"), "%s", s.err);
  forget(&s);
}

Test(replay, a_finished_run_goes_on)
{
  said s = TOOL_OK("a cat", QUICK, "--seed", "5", "-n", "6", "-o", "whole.png");
  forget(&s);
  s = TOOL_OK("a cat", QUICK, "--seed", "5", "-n", "4", "-o", "a.png", "--snapshot", "run.safetensors");
  forget(&s);
  s = TOOL_OK("resume", "run.safetensors", "-n", "6", "-o", "b.png");
  cr_expect(same_bytes("whole.png", "b.png"), "%s", s.err);
  forget(&s);
  /* its z is a start too */
  s = TOOL_OK("a cat", QUICK, "--init", "run.safetensors", "-n", "0", "-o", "c.png");
  forget(&s);
  vq_image b, c;
  expect_ok(vq_image_read(&b, in_scratch("b.png")));
  expect_ok(vq_image_read(&c, in_scratch("c.png")));
  cr_expect(!memcmp(b.rgb, c.rgb, (size_t)(b.width * b.height * 3)));
  vq_image_free(&b);
  vq_image_free(&c);
}

Test(replay, refuses_another_run)
{
  static const struct {
    const char *words[8], *says;
  } others[] = {
      {{"--lr", "0.5"}, "the learning rate was 0.1 there and is 0.5 here"},
      {{"--seed", "6"}, "the seed"},
      {{"a dog"}, "other prompts"},
      {{"-s", "32x16"}, "the size was 16x16 there and is 32x16 here"},
      {{"--clip", VQ_SOURCE_ROOT "/tests/data/reference/clip_tinyB.safetensors"}, "another CLIP, clip_tinyA"},
  };
  said s = TOOL_OK("a cat", QUICK, "--seed", "5", "-n", "1", "-o", "a.png", "--snapshot", "run.safetensors");
  forget(&s);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    const char *words[16] = {"resume", "run.safetensors", "-o", "b.png"};
    for (int k = 0; others[i].words[k]; k++)
      words[4 + k] = others[i].words[k];
    s = tool_run(NULL, words);
    cr_expect(s.status == 2 && strstr(s.err, others[i].says) && !is_there("b.png"), "%s: %d %s", others[i].says,
              s.status, s.err);
    forget(&s);
  }
  s = TOOL("resume", "a.png");
  cr_expect(s.status == 1, "%s", s.err);
  forget(&s);
  s = TOOL("resume", VQ_SOURCE_ROOT "/weights/vqgan.safetensors");
  cr_expect(s.status == 1 && strstr(s.err, "no snapshot"), "%s", s.err);
  forget(&s);
  s = TOOL("a cat", QUICK, "-o", "c.png", "--snapshot", "nowhere/s");
  cr_expect(s.status == 1 && strstr(s.err, "nowhere") && !strstr(s.err, "step"), "%s", s.err);
  forget(&s);
}
