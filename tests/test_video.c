/* test_video.c -- the pictures on the way: as files, as an animated PNG of our own, through ffmpeg. */
#include "tests/cli.h"

#include "loaders/apng.h"
#include "loaders/image.h"

#include <sys/stat.h>
#include <time.h>
#include <zlib.h>

static void remove_all(void)
{
  char path[PATH_MAX];
  for (int i = 0; i < 100; i++) {
    snprintf(path, sizeof path, "%s/frames/%06d.png", scratch, i);
    remove(path);
  }
  remove(in_scratch("bin/ffmpeg"));
  scratch_remove();
}

TestSuite(video, .init = scratch_create, .fini = remove_all, .timeout = 300);

static bool is_there(const char *name)
{
  return access(in_scratch(name), F_OK) == 0;
}

static const char *frame(int step)
{
  static char name[64];
  snprintf(name, sizeof name, "frames/%06d.png", step);
  return name;
}

/* ---- files ---- */

/* Each frame is the picture of a run that ends there: its own settings make it again. */
Test(video, frames_show_the_step_that_they_say)
{
  said s = TOOL_OK("a cat", QUICK, "-n", "4", "--seed", "5", "--lr", "1", "--frames", "frames", "-o", "a.png");
  forget(&s);
  size_t n, m;
  uint8_t *before = NULL;
  for (int step = 0; step <= 4; step++) {
    s = TOOL_OK("replay", frame(step), TINY, "-o", "again.png", "--force");
    forget(&s);
    uint8_t *x = get_file(in_scratch(frame(step)), &n), *y = get_file(in_scratch("again.png"), &m);
    cr_expect(n == m && !memcmp(x, y, n), "step %d", step);
    cr_expect(!before || memcmp(x, before, n), "step %d is the one before", step);
    free(before);
    before = x;
    free(y);
  }
  uint8_t *last = get_file(in_scratch("a.png"), &m);
  cr_expect(n == m && !memcmp(before, last, n), "the last frame is the picture");
  free(before);
  free(last);
  cr_expect(!is_there(frame(5)));

  s = TOOL("a cat", QUICK, "-n", "4", "--frames", "frames", "-o", "b.png");
  cr_expect(s.status == 1 && strstr(s.err, "000000.png is there already"), "%s", s.err);
  forget(&s);
  s = TOOL_OK("a cat", QUICK, "-n", "4", "--frames", "frames", "-o", "b.png", "--force");
  forget(&s);
}

Test(video, frames_of_every_third_step_and_the_last)
{
  said s = TOOL_OK("a cat", QUICK, "-n", "7", "--frames", "frames", "--video-every", "3", "-o", "a.png");
  forget(&s);
  for (int step = 0; step < 9; step++)
    cr_expect_eq(is_there(frame(step)), step % 3 == 0 || step == 7, "step %d", step);
}

/* Numbers go on where they were: as if the run had never stopped. */
Test(video, frames_of_a_run_that_goes_on)
{
  said s = TOOL_OK("a cat", QUICK, "-n", "4", "--snapshot", "s.safetensors", "-o", "a.png");
  forget(&s);
  s = TOOL_OK("resume", "s.safetensors", "-n", "8", "--frames", "frames", "--video-every", "3", "-o", "b.png");
  forget(&s);
  for (int step = 0; step < 10; step++)
    cr_expect_eq(is_there(frame(step)), step == 6 || step == 8, "step %d", step);
}

/* ---- an animated PNG of our own ---- */

static uint32_t big32(const uint8_t *p)
{
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void append(uint8_t *png, size_t *bytes, const char *name, const uint8_t *data, uint32_t n)
{
  uint8_t *to = png + *bytes;
  uint8_t length[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
  memcpy(to, length, 4);
  memcpy(to + 4, name, 4);
  if (n)
    memcpy(to + 8, data, n);
  uint32_t crc = (uint32_t)crc32(0, to + 4, n + 4);
  uint8_t sum[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc};
  memcpy(to + 8 + n, sum, 4);
  *bytes += 12 + n;
}

typedef struct animation {
  int frames, played; /* as the file says; as its chunks are */
  unsigned numerator, denominator;
  vq_image image[40];
} animation;

/* Takes it apart by the specification: checksums, numbers in sequence, and each frame as a PNG that libpng reads. */
static void take_apart(animation *a, const char *path)
{
  size_t bytes, used = 0;
  uint8_t *file = get_file(path, &bytes), *png = calloc(1, bytes + 100);
  uint32_t sequence = 0;
  const uint8_t *head = NULL;
  *a = (animation){.frames = -1};
  cr_assert(!memcmp(file, "\x89PNG\r\n\x1a\n", 8));
  for (size_t at = 8; at < bytes;) {
    const uint8_t *chunk = file + at, *data = chunk + 8;
    uint32_t n = big32(chunk);
    cr_assert(at + 12 + n <= bytes && (uint32_t)crc32(0, chunk + 4, n + 4) == big32(data + n), "checksum at %zu",
              at);
    bool end = !memcmp(chunk + 4, "fcTL", 4) || !memcmp(chunk + 4, "IEND", 4);
    if (end && used) {
      append(png, &used, "IEND", NULL, 0);
      put_file(in_scratch("one.png"), png, used);
      expect_ok(vq_image_read(&a->image[a->played++], in_scratch("one.png")));
      used = 0;
    }
    if (!memcmp(chunk + 4, "IHDR", 4))
      head = data;
    else if (!memcmp(chunk + 4, "acTL", 4))
      a->frames = (int)big32(data);
    else if (!memcmp(chunk + 4, "fcTL", 4)) {
      cr_assert(big32(data) == sequence++ && !memcmp(data + 4, head, 8));
      a->numerator = (unsigned)data[20] << 8 | data[21];
      a->denominator = (unsigned)data[22] << 8 | data[23];
      memcpy(png, file, 8);
      used = 8;
      append(png, &used, "IHDR", head, 13);
    } else if (!memcmp(chunk + 4, "IDAT", 4)) {
      cr_assert(a->played == 0 && used);
      append(png, &used, "IDAT", data, n);
    } else if (!memcmp(chunk + 4, "fdAT", 4)) {
      cr_assert(a->played > 0 && used && big32(data) == sequence++);
      append(png, &used, "IDAT", data + 4, n - 4);
    }
    at += 12 + n;
  }
  free(png);
  free(file);
}

static void forget_animation(animation *a)
{
  for (int i = 0; i < a->played; i++)
    vq_image_free(&a->image[i]);
}

static void expect_same(const vq_image *a, const vq_image *b, int number)
{
  cr_expect(a->width == b->width && a->height == b->height &&
                !memcmp(a->rgb, b->rgb, (size_t)a->width * (size_t)a->height * 3),
            "frame %d", number);
}

Test(video, apng_gives_back_its_frames)
{
  static const int sizes[][2] = {{1, 1}, {7, 5}, {301, 203}};
  for (int k = 0; k < 3; k++) {
    vq_image image[4];
    vq_apng *apng;
    animation a;
    expect_ok(vq_apng_open(&apng, in_scratch("a.png"), sizes[k][0], sizes[k][1], 29.97));
    for (int i = 0; i < 4; i++) {
      expect_ok(vq_image_create(&image[i], sizes[k][0], sizes[k][1]));
      for (int p = 0; p < sizes[k][0] * sizes[k][1] * 3; p++) /* flat, smooth, noise */
        image[i].rgb[p] = i == 0   ? 77
                          : i == 1 ? (uint8_t)(p / 9)
                                   : (uint8_t)vq_rng_bits((uint64_t)i, VQ_RNG_WEIGHTS, 0, (uint64_t)p);
      expect_ok(vq_apng_frame(apng, image[i].rgb));
    }
    expect_ok(vq_apng_close(apng));
    take_apart(&a, in_scratch("a.png"));
    cr_expect(a.frames == 4 && a.played == 4 && a.numerator == 100 && a.denominator == 2997);
    for (int i = 0; i < 4; i++) {
      expect_same(&a.image[i], &image[i], i);
      vq_image_free(&image[i]);
    }
    forget_animation(&a);
  }
  vq_apng *apng;
  expect_error(vq_apng_open(&apng, in_scratch("b.png"), 0, 1, 10), VQ_ERR_ARGUMENT, "0 x 1");
  expect_error(vq_apng_open(&apng, in_scratch("b.png"), 1, 1, 0), VQ_ERR_ARGUMENT, "frames a second");
  expect_error(vq_apng_open(&apng, in_scratch("none/b.png"), 1, 1, 10), VQ_ERR_WRITE, "none/b.png");
  expect_ok(vq_apng_open(&apng, in_scratch("b.png"), 1, 1, 10));
  expect_error(vq_apng_close(apng), VQ_ERR_ARGUMENT, "without a frame");
  cr_expect(!is_there("b.png"));
}

Test(video, without_ffmpeg_an_animated_png)
{
  animation a;
  setenv("PATH", scratch, 1);
  said s = TOOL_OK("a cat", QUICK, "-n", "6", "--video", "v.mp4", "--video-every", "4", "--fps", "12.5", "--frames",
                   "frames", "-o", "a.png");
  cr_expect(strstr(s.err, "no ffmpeg") && strstr(s.err, "v.apng") && !is_there("v.mp4"), "%s", s.err);
  forget(&s);
  take_apart(&a, in_scratch("v.apng"));
  cr_expect(a.frames == 3 && a.played == 3 && a.denominator == 1250, "%d", a.frames);
  static const int steps[] = {0, 4, 6};
  for (int i = 0; i < a.played && i < 3; i++) {
    vq_image file;
    expect_ok(vq_image_read(&file, in_scratch(frame(steps[i]))));
    expect_same(&a.image[i], &file, steps[i]);
    vq_image_free(&file);
  }
  forget_animation(&a);
}

Test(video, ends_well_when_the_run_is_stopped)
{
  animation a;
  pid_t child = TOOL_START("events", "a cat", QUICK, "-n", "-1", "-o", "a.png", "--video", "v.apng",
                           "--video-every", "5", "--save-every", "10", "--progress", "json");
  for (int i = 0; i < 60000 && !is_there("progress.png"); i++)
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  kill(child, SIGINT);
  cr_expect_eq(tool_wait(child), 130);
  take_apart(&a, in_scratch("v.apng"));
  cr_expect(a.frames >= 3 && a.frames == a.played, "%d and %d", a.frames, a.played);
  vq_image last;
  expect_ok(vq_image_read(&last, in_scratch("a.png")));
  expect_same(&a.image[a.played - 1], &last, a.played - 1);
  vq_image_free(&last);
  forget_animation(&a);
}

/* ---- ffmpeg ---- */

static int counted(const char *name)
{
  char line[3 * PATH_MAX];
  size_t bytes;
  snprintf(
      line, sizeof line,
      "ffprobe -v error -count_frames -select_streams v -show_entries stream=nb_read_frames -of csv=p=0 '%s' >'%s'",
      in_scratch(name), in_scratch("count"));
  cr_assert(system(line) == 0, "ffprobe refuses %s", name);
  char *text = (char *)get_file(in_scratch("count"), &bytes);
  int count = atoi(text);
  free(text);
  return count;
}

Test(video, ffprobe_counts_the_frames)
{
  static const char *const names[] = {"v.mp4", "v.mkv", "v.webm", "v.gif", "v.apng"};
  if (system("ffmpeg -version >/dev/null 2>&1 && ffprobe -version >/dev/null 2>&1"))
    skip_test("no ffmpeg and ffprobe: videos are not compared");
  for (int i = 0; i < 5; i++) {
    said s = TOOL_OK("a cat", QUICK, "-s", "18x14", "-n", "9", "--video", names[i], "--video-every", "2", "-o",
                     "a.png", "--force");
    forget(&s);
    cr_expect_eq(counted(names[i]), 6, "%s: %d", names[i], counted(names[i]));
  }
  cr_expect_eq(scratch_entries(), 7, "the videos, the picture and the count");
}

/* In the place of ffmpeg, a script; its first run is the trial. */
static void put_ffmpeg(const char *script)
{
  char path[3 * PATH_MAX];
  mkdir(in_scratch("bin"), 0700);
  put_file(in_scratch("bin/ffmpeg"), script, strlen(script));
  chmod(in_scratch("bin/ffmpeg"), 0700);
  snprintf(path, sizeof path, "%s:%s", in_scratch("bin"), getenv("PATH"));
  setenv("PATH", path, 1);
}

Test(video, its_death_does_not_lose_the_picture)
{
  put_ffmpeg("#!/bin/sh\nif [ -e tried ]; then head -c 2000 >/dev/null; echo 'the disk is full' >&2; exit 1; fi\n"
             "cat >/dev/null; touch tried\n");
  said s = TOOL("a cat", QUICK, "-n", "40", "--video", "v.mp4", "--frames", "frames", "-o", "a.png");
  cr_expect(s.status == 1 && is_there("a.png") && !is_there("v.mp4"), "%d %s", s.status, s.err);
  cr_expect(
      strstr(s.err, "v.mp4: ffmpeg ended before its time: the disk is full; the picture is made nevertheless"),
      "%s", s.err);
  cr_expect(strstr(s.err, "step 40/40") && strstr(s.err, "not all frames were written"), "%s", s.err);
  cr_expect(is_there(frame(40)), "the files go on");
  cr_expect_str_eq(s.out, "a.png\n");
  forget(&s);
  cr_expect_eq(scratch_entries(), 4, "bin, tried, frames and the picture");
}

Test(video, what_cannot_work_is_told_before_the_first_step)
{
  put_ffmpeg("#!/bin/sh\necho 'Unknown encoder' >&2\nexit 1\n");
  said s = TOOL("a cat", QUICK, "--video", "v.mp4", "-o", "a.png");
  cr_expect(s.status == 1 && strstr(s.err, "Unknown encoder") && !strstr(s.err, "step 1"), "%d %s", s.status,
            s.err);
  forget(&s);
  cr_expect_eq(scratch_entries(), 1);
  static const struct {
    int status;
    const char *says, *words[4];
  } wrong[] = {
      {2, "ends in .mp4", {"--video", "v.avi"}},
      {2, "--fps is a video's", {"--fps", "5"}},
      {1, "v.apng is there already", {"--video", "v.apng"}},
      {1, "nowhere", {"--video", "nowhere/v.apng"}},
      {1, "--frames nowhere/f", {"--frames", "nowhere/f"}},
      {2, "is not from", {"--video", "w.apng", "--fps", "0"}},
  };
  put_file(in_scratch("v.apng"), "mine", 4);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    const char *words[32] = {"a cat", QUICK, "-o", "a.png"};
    int n = 0;
    while (words[n])
      n++;
    for (int k = 0; k < 4 && wrong[i].words[k]; k++)
      words[n++] = wrong[i].words[k];
    s = tool_run(NULL, words);
    cr_expect(s.status == wrong[i].status && strstr(s.err, wrong[i].says) && !strstr(s.err, "step 1"), "%d %s",
              s.status, s.err);
    forget(&s);
  }
  cr_expect_eq(scratch_entries(), 2);
}
