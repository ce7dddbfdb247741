/* test_sense.c -- options that contradict each other, and prompts of every kind, as the tool takes them. */
#include "tests/cli.h"

TestSuite(sense, .init = scratch_create, .fini = scratch_remove, .timeout = 240);

/* Each is refused before anything is computed or written, by a sentence that says why. */
Test(sense, contradictions_have_a_sentence_each)
{
  static const struct {
    const char *words[7], *says;
  } rows[] = {
      {{"a", "--fit", "pad"}, "begins with none"},
      {{"a", "--fit", "pad", "--init", "z.safetensors"}, "begins with a z"},
      {{"a", "--init", "https://example.org/a.png"}, "nothing is downloaded"},
      {{"a", "--image-prompt", "https://example.org/a.png"}, "nothing is downloaded"},
      {{"a", "--cut-method", "whole", "--cut-power", "2", "--augment", "flip:0.5"}, "crops nothing"},
      {{"a", "--cut-method", "whole", "--cut-size", "0.2:1", "--augment", "flip:0.5"}, "crops nothing"},
      {{"a", "--cut-method", "whole"}, "would all be the same"},
      {{"a", "--cut-method", "whole", "--augment", "none"}, "would all be the same"},
      {{"a", "--recipe", "nerdyrodent", "--augment", "clamp"}, "would all be the same"},
      {{"a", "--recipe", "nerdyrodent", "--augment", "flip:0"}, "would all be the same"},
      {{"a", "--quality", "50"}, "keeps every pixel"},
      {{"a", "--quality", "50", "-o", "a.webp"}, "keeps every pixel"},
      {{"a", "--video", "a.png", "-o", "a.png"}, "the picture would be written over by --video"},
      {{"a", "--snapshot", "a.png", "-o", "./a.png"}, "the picture would be written over by --snapshot"},
      {{"a", "--snapshot", "v.apng", "--video", "v.apng"}, "--video would be written over by --snapshot"},
      {{"a", "--save-every", "2", "-o", "progress.png"}, "on the way (--save-every)"},
      {{"a", "--cut-power", "2", "--cut-size", "0.5:0.5"}, "they are the same"},
      {{"a", "-n", "-1", "--lr-schedule", "linear:0"}, "an endless"},
      {{"a", "--lr", "0"}, "nothing would ever change"},
      {{"a", "--weight-decay", "0.1"}, "adamw's"},
      {{"a", "--z-clamp", "no", "--latent", "logits", "--init", "random"}, "has no z"},
      {{"a", "--latent", "logits", "--init", "gray"}, "begin at random"},
      {{"a", "--latent", "logits", "--init-weight", "1"}, "has none"},
      {{"a", "--init-drop", "5:2"}, "nothing holds it"},
      {{"a", "--init-drop", "5:2", "--init-weight", "zero-decay:1"}, "falls by itself"},
      {{"a", "--init-drop", "5"}, "EVERY:TIMES"},
      {{"a", "--optimizer", "adadelta"}, "is none of adam|"},
      {{"a", "--ema", "1"}, "0.999999"},
      {{"a", "--snapshot-every", "5"}, "no snapshot is asked for"},
      {{"a", "--video-every", "5"}, "none is asked for"},
      {{"a", "--fps", "5"}, "none is asked for"},
      {{"a", "--metadata", "text", "--model-name", "X"}, "add stegano or xmp"},
      {{"a", "--gumbel-noise"}, "not encoded"},
      {{"a", "--gumbel-noise", "--init", "gray"}, "only a GumbelVQ"},
      {{"a ^ b"}, "--phase-every N"},
      {{"a", "--phase-every", "5"}, "one phase only"},
      {{"a ^ b", "--phase-every", "5", "-n", "5"}, "end before the last"},
      {{"a:0"}, "nothing would move"},
      {{"a:-1:0.5"}, "never push"},
      {{"a:1:7"}, "never pull"},
      {{"--noise-prompt", "much"}, "SEED"},
      {{"--image-prompt", "nowhere.png"}, "nowhere.png"},
      {{"a", "--init-weight", "sideways:2"}, "zero-decay"},
      {{"--save-every", "5"}, "no prompt"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const char *words[24] = {"generate", QUICK};
    int n = 0;
    while (words[n])
      n++;
    for (int k = 0; k < 7 && rows[i].words[k]; k++)
      words[n++] = rows[i].words[k];
    said s = tool_run(NULL, words);
    cr_expect((s.status == 2 || s.status == 1) && strstr(s.err, rows[i].says) && !*s.out, "row %d (%s): %d\n%s",
              (int)i, rows[i].says, s.status, s.err);
    cr_expect(scratch_entries() == 0, "row %d (%s) leaves something behind", (int)i, rows[i].says);
    forget(&s);
  }
}

/* Pictures and noise alone are a run; what was understood is told; and replay makes the same bytes, with the picture found by its
 * checksum. */
Test(sense, runs_of_every_kind_of_prompt_are_replayed)
{
  said s = TOOL_OK("generate", QUICK, "a star", "-n", "0", "-o", "seen.png", "--seed", "3");
  forget(&s);
  s = TOOL_OK("generate", QUICK, "--image-prompt", "seen.png:0.5", "--noise-prompt", "9:-0.1", "-n", "3", "--seed",
              "4", "-o", "alone.png", "--save-every", "0");
  cr_expect(strstr(s.err, "picture \"seen.png\"  weight 0.5") && strstr(s.err, "noise \"9\"  weight -0.1"), "%s",
            s.err);
  forget(&s);
  s = TOOL_OK("generate", QUICK, "dawn | mist ^ dusk:2", "the sea", "--image-prompt", "seen.png", "--phase-every",
              "2", "-n", "5", "--seed", "4", "-o", "phases.png", "--save-every", "1", "--init-weight",
              "zero-decay:0.5");
  cr_expect(strstr(s.err, "\"dusk\"  weight 2, phase 2") && strstr(s.err, " + init ") &&
                strstr(s.err, "prompts -, -, "),
            "%s", s.err);
  forget(&s);
  static const char *const made[] = {"alone.png", "phases.png"};
  for (int i = 0; i < 2; i++) {
    s = TOOL_OK("replay", TINY, made[i], "-o", "again.png", "--force", "--save-every", "0");
    cr_expect(strstr(s.err, "exact") && strstr(s.err, "every pixel is the same"), "%s: %s", made[i], s.err);
    forget(&s);
    size_t a, b;
    uint8_t *first = get_file(in_scratch(made[i]), &a), *second = get_file(in_scratch("again.png"), &b);
    cr_expect(a == b && !memcmp(first, second, a), "%s: other bytes", made[i]);
    free(first);
    free(second);
  }
  cr_assert(rename(in_scratch("seen.png"), in_scratch("gone.png")) == 0);
  s = TOOL("replay", TINY, "alone.png", "-o", "never.png");
  cr_expect(s.status == 1 && strstr(s.err, "picture prompt seen.png"), "%d %s", s.status, s.err);
  forget(&s);
}

/* A run that is stopped between phases and taken up goes on where it was. */
Test(sense, phases_are_resumed)
{
#define PHASES "generate", QUICK, "dawn ^ dusk", "--image-prompt", "seen.png", "--phase-every", "3", "--seed", "4"
  said s = TOOL_OK("generate", QUICK, "a star", "-n", "0", "-o", "seen.png", "--seed", "3");
  forget(&s);
  s = TOOL_OK(PHASES, "-n", "8", "-o", "whole.png", "--save-every", "0", "--init-weight", "0.3");
  forget(&s);
  s = TOOL_OK(PHASES, "-n", "4", "-o", "part.png", "--save-every", "0", "--init-weight", "0.3", "--snapshot",
              "s.safetensors");
  forget(&s);
  s = TOOL_OK("resume", "s.safetensors", TINY, "-n", "8", "-o", "resumed.png", "--save-every", "0");
  forget(&s);
  said a = TOOL_OK("reveal", "whole.png"), b = TOOL_OK("reveal", "resumed.png");
  cr_expect_str_eq(a.out, b.out);
  forget(&a);
  forget(&b);
  size_t m, n;
  uint8_t *first = get_file(in_scratch("whole.png"), &m), *second = get_file(in_scratch("resumed.png"), &n);
  cr_expect(m == n && !memcmp(first, second, m));
  free(first);
  free(second);
}

Test(sense, what_is_read_and_written_over_is_told)
{
#define LOSS "is read and then written over"
  said s = TOOL_OK("generate", QUICK, "a star", "-n", "0", "-o", "seen.png", "--seed", "3");
  cr_expect(!strstr(s.err, LOSS), "%s", s.err);
  forget(&s);
  s = TOOL_OK("generate", QUICK, "a star", "-n", "1", "--init", "seen.png", "--image-prompt", "seen.png", "-o",
              "a.png");
  cr_expect(!strstr(s.err, LOSS), "%s", s.err);
  forget(&s);
  size_t bytes;
  uint8_t *data = get_file(in_scratch("seen.png"), &bytes);
  put_file(in_scratch("progress.png"), data, bytes);
  free(data);
  s = TOOL_OK("generate", QUICK, "a star", "-n", "1", "--init", "progress.png", "-o", "b.png", "--metadata",
              "none");
  cr_expect(strstr(s.err, "progress.png " LOSS), "%s", s.err);
  forget(&s);
  s = TOOL_OK("generate", QUICK, "a star", "-n", "1", "--image-prompt", "seen.png", "-o", "./seen.png", "--force",
              "--metadata", "none");
  cr_expect(strstr(s.err, "seen.png " LOSS), "%s", s.err);
  forget(&s);
}

Test(sense, words_that_the_pair_never_saw_are_named)
{
  said s = TOOL_OK("generate", "a red circle, a blue zeppelin", "-n", "0", "-o", "a.png");
  cr_expect(strstr(s.err, "never saw \"zeppelin\"") && !strstr(s.err, "\"red\"") && !strstr(s.err, "\"circle\"") &&
                !strstr(s.err, "\"a\""),
            "%s", s.err);
  forget(&s);
  s = TOOL_OK("generate", QUICK, "a blue zeppelin", "-n", "0", "-o", "b.png");
  cr_expect(!strstr(s.err, "never saw"), "%s", s.err);
  forget(&s);
}
