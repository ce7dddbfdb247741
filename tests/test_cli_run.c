/* test_cli_run.c -- the tool at work: pictures, their names, progress, interrupts, and the VQGAN's round trip. */
#include "tests/cli.h"

#include "loaders/image.h"

#include <jansson.h>
#include <math.h>
#include <time.h>

TestSuite(cli_run, .init = scratch_create, .fini = scratch_remove, .timeout = 300);

static vq_image picture(const char *name)
{
  vq_image image;
  expect_ok(vq_image_read(&image, in_scratch(name)));
  return image;
}

static bool same_pixels(const char *a, const char *b)
{
  vq_image x = picture(a), y = picture(b);
  bool same = x.width == y.width && x.height == y.height && !memcmp(x.rgb, y.rgb, (size_t)(x.width * x.height * 3));
  vq_image_free(&x);
  vq_image_free(&y);
  return same;
}

static bool is_there(const char *name)
{
  return access(in_scratch(name), F_OK) == 0;
}

Test(cli_run, makes_a_picture_and_says_how)
{
  said s = TOOL_OK("A red circle, on Blue:2 | fog:-0.5:-0.9", QUICK, "-s", "17x31", "-n", "2", "--seed", "7");
  cr_expect_str_eq(s.out, "a-red-circle-on-blue-fog.png\n");
  cr_expect(strstr(s.err, "\"A red circle, on Blue\"  weight 2\n") &&
            strstr(s.err, "\"fog\"  weight -0.5, stop -0.9"));
  cr_expect(strstr(s.err, "17x31 becomes 16x30") && strstr(s.err, "16x30, 2 steps, 2 cutouts") &&
                strstr(s.err, "seed     7\n") && strstr(s.err, "vqgan_tiny"),
            "%s", s.err);
  forget(&s);
  vq_image image = picture("a-red-circle-on-blue-fog.png");
  cr_expect(image.width == 16 && image.height == 30);
  vq_image_free(&image);
  cr_expect_eq(scratch_entries(), 1);
}

Test(cli_run, names_and_never_overwrites)
{
  said s = TOOL_OK("a cat", QUICK, "-n", "0");
  cr_expect_str_eq(s.out, "a-cat.png\n");
  cr_expect(strstr(s.err, "(drawn)"));
  forget(&s);
  s = TOOL_OK("generate", "a cat!", QUICK, "-n", "0");
  cr_expect_str_eq(s.out, "a-cat-2.png\n");
  forget(&s);
  s = TOOL_OK("?!", QUICK, "-n", "0");
  cr_expect_str_eq(s.out, "picture.png\n");
  forget(&s);
  s = TOOL_OK("one two three four five six seven eight nine ten eleven twelve thirteen fourteen", QUICK, "-n", "0");
  cr_expect_str_eq(s.out, "one-two-three-four-five-six-seven-eight-nine-ten-eleven-twelve.png\n");
  forget(&s);
  s = TOOL_OK("\xc3\xa9t\xc3\xa9", QUICK, "-n", "0");
  cr_expect_str_eq(s.out, "\xc3\xa9t\xc3\xa9.png\n");
  forget(&s);

  put_file(in_scratch("mine.png"), "mine", 4);
  s = TOOL("a cat", QUICK, "-n", "0", "-o", "mine.png");
  cr_expect(s.status == 1 && strstr(s.err, "mine.png") && strstr(s.err, "--force") && !strstr(s.err, "step"), "%s",
            s.err);
  forget(&s);
  size_t bytes;
  free(get_file(in_scratch("mine.png"), &bytes));
  cr_expect_eq(bytes, 4);
  s = TOOL_OK("a cat", QUICK, "-n", "0", "-o", "mine.png", "--force");
  cr_expect_str_eq(s.out, "mine.png\n");
  forget(&s);
  cr_expect(same_pixels("mine.png", "mine.png"));
}

Test(cli_run, advises)
{
  said s = TOOL_OK("a", "cat", QUICK, "-n", "0");
  cr_expect(strstr(s.err, "vqgen \"a cat\""), "%s", s.err);
  forget(&s);
  s = TOOL_OK("a cat", "dog", QUICK, "-n", "0");
  cr_expect(!strstr(s.err, "quotes"), "%s", s.err);
  forget(&s);
  s = TOOL_OK("Blade Runner: 2049", QUICK, "-n", "0");
  cr_expect(strstr(s.err, "warning: \"Blade Runner\" has the weight 2049"), "%s", s.err);
  forget(&s);
  s = TOOL_OK("a cat:10", QUICK, "-n", "0");
  cr_expect(!strstr(s.err, "warning"), "%s", s.err);
  forget(&s);
}

Test(cli_run, refuses_what_does_not_fit_the_memory)
{
  said s = TOOL("a cat", TINY, "-s", "60000x60000", "-o", "big.png");
  cr_expect(s.status == 1 && strstr(s.err, "MiB") && !is_there("big.png"), "%d %s", s.status, s.err);
  forget(&s);
  s = TOOL_OK("plan", "a cat", TINY, "-s", "60000x60000");
  cr_expect(strstr(s.out, "does not fit"), "%s", s.out);
  forget(&s);
}

/* N is N updates and the last one is in the picture: 2 steps are what a longer run shows after its second. */
Test(cli_run, takes_the_steps_it_is_asked_for)
{
#define SAME QUICK, "--seed", "5", "--lr", "2"
  said s = TOOL_OK("a cat", SAME, "-n", "2", "-o", "two.png");
  forget(&s);
  s = TOOL_OK("a cat", SAME, "-n", "3", "-o", "three.png", "--save-every", "2");
  cr_expect(strstr(s.err, "step 2  loss ") && strstr(s.err, "= prompts "), "%s", s.err);
  forget(&s);
  cr_expect(same_pixels("two.png", "progress.png"));
  cr_expect(!same_pixels("three.png", "progress.png"));
  s = TOOL_OK("a cat", SAME, "-n", "2", "-o", "again.png", "--threads", "1", "--progress", "none", "--save-every",
              "0");
  forget(&s);
  cr_expect(same_pixels("two.png", "again.png"));
  s = TOOL_OK("a cat", SAME, "-n", "2", "-o", "other.png", "--seed", "6");
  forget(&s);
  cr_expect(!same_pixels("two.png", "other.png"));
}

/* Several pictures are what as many runs would make. */
Test(cli_run, counts_seeds)
{
  said s = TOOL_OK("a cat", QUICK, "-n", "2", "--seed", "7", "--count", "3", "-o", "many.png");
  cr_expect_str_eq(s.out, "many-1.png\nmany-2.png\nmany-3.png\n");
  forget(&s);
  for (int i = 1; i <= 3; i++) {
    char seed[8], name[16];
    snprintf(seed, sizeof seed, "%d", 6 + i);
    snprintf(name, sizeof name, "many-%d.png", i);
    s = TOOL_OK("a cat", QUICK, "-n", "2", "--seed", seed, "-o", "one.png", "--force");
    cr_expect(same_pixels("one.png", name), "%d", i);
    forget(&s);
  }
  cr_expect(!same_pixels("many-1.png", "many-2.png"));
  s = TOOL("a cat", QUICK, "--count", "2", "-o", "many.png");
  cr_expect(s.status == 1 && strstr(s.err, "many-1.png is there already"), "%s", s.err);
  forget(&s);
  s = TOOL_OK("a cat", QUICK, "-n", "0", "--count", "2");
  cr_expect_str_eq(s.out, "a-cat.png\na-cat-2.png\n");
  forget(&s);
  s = TOOL("a cat", QUICK, "--count", "2", "--video", "v.apng");
  cr_expect(s.status == 2 && strstr(s.err, "--video is for one picture"), "%s", s.err);
  forget(&s);
  s = TOOL("a cat", QUICK, "--count", "2", "-n", "-1");
  cr_expect(s.status == 2 && strstr(s.err, "endless"), "%s", s.err);
  forget(&s);
}

static json_t *next_event(char **text)
{
  json_error_t error;
  char *line = strtok_r(NULL, "\n", text);
  if (!line)
    return NULL;
  json_t *event = json_loads(line, JSON_REJECT_DUPLICATES, &error);
  cr_assert(event, "%s: %s", error.text, line);
  return event;
}

static bool is_event(const json_t *event, const char *name)
{
  const char *is = json_string_value(json_object_get(event, "event"));
  return is && !strcmp(is, name);
}

static double number(const json_t *event, const char *key)
{
  const json_t *value = json_object_get(event, key);
  cr_expect(json_is_number(value), "no number \"%s\"", key);
  return json_number_value(value);
}

Test(cli_run, tells_programs)
{
  said s = TOOL_OK("a cat|fog:-0.5", QUICK, "-n", "3", "--seed", "5", "-o", "a.png", "--save-every", "2",
                   "--tv-weight", "0.5", "--progress", "json");
  char *rest = s.out;
  int step = 0, saved = 0, done = 0;
  json_t *event = next_event(&rest);
  cr_assert(is_event(event, "start"));
  cr_expect(number(event, "seed") == 5 && number(event, "steps") == 3 && number(event, "cutouts") == 2);
  cr_expect(json_array_size(json_object_get(event, "prompts")) == 2);
  for (json_decref(event); (event = next_event(&rest)); json_decref(event)) {
    cr_expect(!done, "something follows the end");
    if (is_event(event, "step")) {
      const json_t *losses = json_object_get(event, "losses");
      double sum = number(event, "tv");
      for (size_t i = 0; i < json_array_size(losses); i++)
        sum += json_number_value(json_array_get(losses, i));
      cr_expect_eq((int)number(event, "step"), ++step);
      cr_expect(number(event, "steps") == 3 && number(event, "seconds") >= 0 && number(event, "eta") >= 0);
      cr_expect(json_array_size(losses) == 2 && fabs(sum - number(event, "loss")) < 1e-5,
                "the losses do not add up");
    } else if (is_event(event, "saved")) {
      cr_expect(step == 2 && number(event, "step") == 2);
      saved++;
    } else {
      cr_expect(is_event(event, "done") && number(event, "step") == 3);
      cr_expect_str_eq(json_string_value(json_object_get(event, "file")), "a.png");
      done++;
    }
  }
  cr_expect(step == 3 && saved == 1 && done == 1);
  forget(&s);

  s = TOOL("a cat", QUICK, "-n", "3", "-o", "nowhere/a.png", "--progress", "json");
  rest = s.out;
  event = next_event(&rest);
  cr_expect(s.status == 1 && is_event(event, "error"), "before the first step");
  cr_expect_str_eq(json_string_value(json_object_get(event, "code")), "VQ_ERR_WRITE");
  json_decref(event);
  cr_expect(!next_event(&rest));
  forget(&s);
  s = TOOL("a cat", QUICK, "-o", "-", "--progress", "json");
  cr_expect(s.status == 2 && strstr(s.err, "both write to standard output"), "%s", s.err);
  forget(&s);
}

/* Starts an endless run, signals it after its first steps, and expects the picture. */
static void interrupt(int number)
{
  char line[64] = "";
  pid_t child = TOOL_START("events", "a cat", QUICK, "-n", "-1", "-o", "endless.png", "--progress", "json");
  for (int i = 0; i < 60000 && !strstr(line, "step"); i++) {
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    FILE *f = fopen(in_scratch("events"), "r");
    for (int k = 0; f && k < 2; k++)
      if (!fgets(line, sizeof line, f) || !strchr(line, '\n'))
        while (f && fgetc(f) != '\n' && !feof(f))
          ;
    if (f)
      fclose(f);
  }
  kill(child, number);
  int status = tool_wait(child);
  cr_expect(status == 130, "ended with %d", status);
  cr_expect(is_there("endless.png"));
  size_t bytes;
  char *events = (char *)get_file(in_scratch("events"), &bytes);
  cr_expect(strstr(events, "\"eta\":null") && strstr(events, "\"interrupted\":true"), "%s", events);
  free(events);
  vq_image image = picture("endless.png");
  cr_expect(image.width == 16 && image.height == 16);
  vq_image_free(&image);
}

Test(cli_run, interrupted_by_the_user)
{
  interrupt(SIGINT);
}

Test(cli_run, interrupted_by_the_system)
{
  interrupt(SIGTERM);
}

/* In a run that would end only at its next step, the second signal does not wait for it. */
Test(cli_run, second_signal_ends_at_once)
{
  pid_t child = TOOL_START("events", "a cat", TINY, "-s", "512x512", "--cutouts", "4096", "-o", "slow.png",
                           "--threads", "1", "--progress", "json");
  char *events = NULL;
  for (size_t bytes = 0, i = 0; i < 60000 && !bytes; i++) {
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    free(events);
    events = is_there("events") ? (char *)get_file(in_scratch("events"), &bytes) : NULL;
  }
  free(events);
  kill(child, SIGTERM);
  nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  kill(child, SIGTERM);
  cr_expect_eq(tool_wait(child), 128 + SIGTERM);
  cr_expect(!is_there("slow.png"));
}

/* ---- standard input and output ---- */

Test(cli_run, pipes)
{
  put_file(in_scratch("prompt"), "a cat\n", 6);
  pid_t child = tool_start((const char *const[]){"-", QUICK, "-n", "1", "--seed", "5", "-o", "-", NULL}, "prompt",
                           "p.png", NULL);
  cr_assert_eq(tool_wait(child), 0);
  said s = TOOL_OK("a cat", QUICK, "-n", "1", "--seed", "5", "-o", "q.png");
  forget(&s);
  cr_expect(same_pixels("p.png", "q.png"));
}

Test(cli_run, encodes_decodes_and_scores)
{
  vq_image image;
  expect_ok(vq_image_create(&image, 65, 48));
  for (int i = 0; i < 65 * 48; i++)
    memcpy(image.rgb + 3 * i, (const uint8_t[]){200, 40, 30}, 3);
  expect_ok(vq_image_write_png(in_scratch("red.png"), &image, NULL, 0));
  vq_image_free(&image);
  said s = TOOL_OK("encode", "red.png", "-o", "z.safetensors");
  cr_expect_str_eq(s.out, "z.safetensors\n");
  cr_expect(strstr(s.err, "16x12 tokens"), "%s", s.err);
  forget(&s);
  s = TOOL_OK("decode", "z.safetensors", "-o", "back.png");
  forget(&s);
  image = picture("back.png");
  cr_expect(image.width == 64 && image.height == 48);
  double mean[3] = {0};
  for (int i = 0; i < 64 * 48 * 3; i++)
    mean[i % 3] += image.rgb[i] / (64 * 48.0);
  cr_expect(mean[0] > 150 && mean[1] < 90 && mean[2] < 90, "red comes back as %.0f %.0f %.0f", mean[0], mean[1],
            mean[2]);
  vq_image_free(&image);

  /* the same by pipes */
  cr_assert_eq(tool_wait(tool_start((const char *const[]){"encode", "-", "-o", "-", NULL}, "red.png", "z", NULL)),
               0);
  cr_assert_eq(tool_wait(tool_start((const char *const[]){"decode", "-", "-o", "-", NULL}, "z", "back2.png", NULL)),
               0);
  cr_expect(same_pixels("back.png", "back2.png"));

  /* a latent of another network */
  s = TOOL("decode", "z.safetensors", "-o", "no.png", TINY_VQGAN);
  cr_expect(s.status != 0 && strstr(s.err, "channels") && !is_there("no.png"), "%s", s.err);
  forget(&s);

  s = TOOL_OK("score", "--json", "red.png", "back.png", "--prompt", "a red background", "a blue background");
  json_t *o = json_loads(s.out, 0, NULL), *rows = json_object_get(o, "cosine");
  cr_assert(json_array_size(rows) == 2, "%s", s.out);
  double red = json_real_value(json_array_get(json_array_get(rows, 0), 0));
  double blue = json_real_value(json_array_get(json_array_get(rows, 0), 1));
  cr_expect(red > blue && red <= 1 && blue >= -1, "red %g, blue %g", red, blue);
  json_decref(o);
  forget(&s);
  s = TOOL_OK("score", "red.png", "--prompt", "a red background", "a blue background");
  cr_expect(strstr(s.out, "a blue background\nred.png  "), "%s", s.out);
  forget(&s);
}
