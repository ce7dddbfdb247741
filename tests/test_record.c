/* test_record.c -- settings as text and as JSON, there and back; and that no option is forgotten. */
#include "tests/cli.h"

#include "runtime/fields.h"
#include "runtime/record.h"

#include <math.h>

TestSuite(record, .init = scratch_create, .fini = scratch_remove, .timeout = 120);

/* ---- fields ---- */

/* A field that has another value than in `than`, for each kind; returns its text, which the settings may borrow. */
static const char *changed(const vq_field *f, vq_settings *s, const vq_settings *than)
{
  static const char *const texts[] = {"0.123456789012345678",
                                      "1e-7",
                                      "3",
                                      "0.5",
                                      "18446744073709551615",
                                      "yes",
                                      "no",
                                      "50:5",
                                      "17x33",
                                      "0.1:0.9",
                                      "cosine:0.1",
                                      "pixels",
                                      "a name: \"quoted\""};
  char before[VQ_FIELD_BYTES], now[VQ_FIELD_BYTES], word[64];
  vq_field_write(f, than, before, sizeof before);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    *s = *than;
    if (f->choices || vq_field_read(f, s, texts[i]))
      continue;
    vq_field_write(f, s, now, sizeof now);
    if (strcmp(before, now) && !(f->file && f->file(s)))
      return texts[i];
  }
  for (const char *p = f->choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
    *s = *than;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(p, "|"), p);
    expect_ok(vq_field_read(f, s, word));
    vq_field_write(f, s, now, sizeof now);
    if (strcmp(before, now))
      return p;
  }
  return NULL;
}

static vq_settings plain(void)
{
  vq_settings s;
  vq_settings_init(&s);
  return s;
}

Test(record, every_field_comes_back_as_text_and_as_json)
{
  int count;
  const vq_field *field = vq_fields(&count);
  for (int i = 0; i < count; i++) {
    const vq_field *f = &field[i];
    vq_settings before = plain(), other, again = before, parsed = before;
    char text[VQ_FIELD_BYTES], back[VQ_FIELD_BYTES];
    cr_assert(changed(f, &other, &before), "%s: no text changes it", f->name);
    vq_field_write(f, &other, text, sizeof text);
    expect_ok(vq_field_read(f, &again, text));
    vq_field_write(f, &again, back, sizeof back);
    cr_expect_str_eq(text, back, "%s", f->name);
    json_t *value = vq_field_to_json(f, &other);
    expect_ok(vq_field_from_json(f, &parsed, value));
    vq_field_write(f, &parsed, back, sizeof back);
    cr_expect_str_eq(text, back, "%s by JSON", f->name);
    json_decref(value);
  }
}

Test(record, numbers_are_the_same_bits)
{
  static const double numbers[] = {0.1, 1e-7, 1.0 / 3, 0.123456789012345678, 5e-324, 123456789.125, 1e300, 0, 2};
  const vq_field *f = vq_field_find("lr");
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    vq_settings s = plain(), again = plain();
    char text[VQ_FIELD_BYTES];
    s.lr = fmin(numbers[i], 1000);
    vq_field_write(f, &s, text, sizeof text);
    expect_ok(vq_field_read(f, &again, text));
    cr_expect(memcmp(&s.lr, &again.lr, sizeof s.lr) == 0, "%s", text);
  }
}

Test(record, texts_are_utf8)
{
  vq_settings s = plain();
  const vq_field *f = vq_field_find("model-name");
  char *longest = calloc(1, VQ_FIELD_BYTES + 1);
  expect_error(vq_field_read(f, &s, "\xff"), VQ_ERR_ARGUMENT, "UTF-8");
  memset(longest, 'x', VQ_FIELD_BYTES);
  expect_error(vq_field_read(f, &s, longest), VQ_ERR_ARGUMENT, "less than");
  longest[VQ_FIELD_BYTES - 1] = 0;
  expect_ok(vq_field_read(f, &s, longest));
  expect_ok(vq_fields_check(&s));
  s.model_name = "\xff";
  expect_error(vq_fields_check(&s), VQ_ERR_ARGUMENT, "the model's name", "UTF-8");
  free(longest);
}

/* ---- records ---- */

static char *record_of(const vq_settings *s)
{
  vq_prompt prompt[4] = {{VQ_PROMPT_TEXT, "ein \"roter\" Kreis, \xc3\xbc", 1.5, VQ_NO_STOP, VQ_EVERY_PHASE},
                         {VQ_PROMPT_TEXT, "fog", -0.1, -0.25, 1},
                         {VQ_PROMPT_IMAGE, "/somewhere/sea.jpg", 2, VQ_NO_STOP, VQ_EVERY_PHASE},
                         {VQ_PROMPT_NOISE, "77", 0.25, VQ_NO_STOP, VQ_EVERY_PHASE}};
  vq_record_files files = {{{"one", {"a.safetensors", 12, 0xdeadbeef}, 0xc0ffee}, {"two", {"b", 7, 1}, 0}},
                           {{""}},
                           {{""}, {""}, {"sea.jpg", 99, 0xabc}}};
  vq_record_parts parts = {s, prompt, 4, &files, 42};
  if (s->start == VQ_START_FILE)
    expect_ok(vq_identify(&files.file[0], s->start_file));
  char *text;
  expect_ok(vq_record_write(&text, &parts));
  return text;
}

Test(record, a_record_has_every_field)
{
  int count;
  const vq_field *field = vq_fields(&count);
  for (int i = 0; i < count; i++) {
    vq_settings before = plain(), other, back = plain();
    char want[VQ_FIELD_BYTES], got[VQ_FIELD_BYTES];
    vq_run_record *r;
    cr_assert(changed(&field[i], &other, &before));
    char *text = record_of(&other);
    expect_ok(vq_record_read(&r, text));
    expect_ok(vq_record_settings(r, &back));
    vq_field_write(&field[i], &other, want, sizeof want);
    vq_field_write(&field[i], &back, got, sizeof got);
    cr_expect_str_eq(want, got, "%s", field[i].name);
    vq_record_free(r);
    free(text);
  }
}

Test(record, carries_prompts_networks_and_files)
{
  vq_settings s = plain(), back = plain();
  vq_run_record *r;
  vq_record_network net;
  vq_identity file, same;
  const char *field;
  char why[512];
  put_file(in_scratch("begin.png"), "123456789", 9);
  s.start = VQ_START_FILE;
  s.start_file = in_scratch("begin.png");
  char *text = record_of(&s);
  cr_expect(!strstr(text, scratch), "a folder is told: %s", text);
  expect_ok(vq_record_read(&r, text));
  expect_ok(vq_record_settings(r, &back));
  cr_expect(back.start == VQ_START_FILE && !strcmp(back.start_file, "begin.png"));
  cr_assert(vq_record_file(r, 0, &field, &file) && !vq_record_file(r, 1, &field, &same));
  cr_expect(!strcmp(field, "init") && file.crc == 0xcbf43926 && file.bytes == 9, "CRC-32's check value");
  put_file(in_scratch("other.png"), "123456789", 9);
  expect_ok(vq_identify(&same, in_scratch("other.png")));
  cr_expect(vq_identity_same(&file, &same));
  cr_expect(vq_record_prompts(r) == 4 && vq_record_step(r) == 42);
  vq_prompt p = vq_record_prompt_at(r, 0);
  cr_expect(!strcmp(p.text, "ein \"roter\" Kreis, \xc3\xbc") && p.weight == 1.5 && isinf(p.stop));
  p = vq_record_prompt_at(r, 1);
  cr_expect(!strcmp(p.text, "fog") && p.weight == -0.1 && p.stop == -0.25 && p.phase == 1);
  cr_expect(p.kind == VQ_PROMPT_TEXT && !vq_record_prompt_file(r, 1, &file));
  p = vq_record_prompt_at(r, 2);
  cr_expect(p.kind == VQ_PROMPT_IMAGE && !strcmp(p.text, "sea.jpg") && p.weight == 2 && p.phase == VQ_EVERY_PHASE);
  cr_expect(vq_record_prompt_file(r, 2, &file) && file.crc == 0xabc && file.bytes == 99);
  p = vq_record_prompt_at(r, 3);
  cr_expect(p.kind == VQ_PROMPT_NOISE && !strcmp(p.text, "77") && p.weight == 0.25);
  vq_record_network_at(r, VQ_NETWORK_VQGAN, &net);
  cr_expect(!strcmp(net.name, "one") && !strcmp(net.file.name, "a.safetensors") && net.file.crc == 0xdeadbeef &&
            net.settings == 0xc0ffee);
  cr_expect(vq_record_exact(r, VQ_ON_CPU(0), why, sizeof why), "%s", why);
  vq_record_free(r);

  char *build = strstr(text, "\"build\":\"");
  build[10] ^= 1;
  expect_ok(vq_record_read(&r, text));
  cr_expect(!vq_record_exact(r, VQ_ON_CPU(0), why, sizeof why) && strstr(why, "another build"), "%s", why);
  vq_record_free(r);
  free(text);
}

Test(record, refuses_what_is_none)
{
  static const struct {
    vq_status status;
    const char *from, *to, *says;
  } edits[] = {
      {VQ_ERR_FORMAT, "{", "[", "not JSON"},
      {VQ_ERR_FORMAT, "\"step\":42", "\"step\":-1", "step"},
      {VQ_ERR_FORMAT, "\"prompts\":[[", "\"prompts\":[[1,", "prompts"},
      {VQ_ERR_FORMAT, "\"phase\":1", "\"phase\":-1", "prompts"},
      {VQ_ERR_FORMAT, "\"noise\":true", "\"noise\":1", "prompts"},
      {VQ_ERR_FORMAT, "{\"file\":\"sea.jpg\"", "{\"file\":\"../sea\"", "prompts"},
      {VQ_ERR_FORMAT, "a.safetensors", "../a", "vqgan"},
      {VQ_ERR_FORMAT, "\"init\":\"random\"", "\"init\":\"/etc/hostname\"", "init: it says where"},
      {VQ_ERR_UNSUPPORTED, "\"fit\"", "\"fitness\"", "fitness"},
      {VQ_ERR_ARGUMENT, "\"cutouts\":64", "\"cutouts\":0", "cutouts"},
      {VQ_ERR_ARGUMENT, "\"cutouts\":64", "\"cutouts\":\"64\"", "wrong type"},
  };
  vq_settings s = plain();
  char *text = record_of(&s);
  for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
    vq_run_record *r;
    char edited[4096];
    char *at = strstr(text, edits[i].from);
    cr_assert(at, "%s", edits[i].from);
    snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - text), text, edits[i].to, at + strlen(edits[i].from));
    expect_error(vq_record_read(&r, edited), edits[i].status, edits[i].says);
    cr_expect(r == NULL);
  }
  free(text);
}

/* Settings that somebody changed: refused or taken, with every field within its bounds. */
Test(record, survives_damage)
{
  vq_settings s = plain();
  char *text = record_of(&s);
  size_t n = strlen(text);
  int taken = 0;
  for (uint32_t i = 0; i < 20000; i++) {
    char *damaged = strdup(text);
    vq_run_record *r;
    for (uint32_t k = 0; k <= i % 3; k++) /* printable, so that much of it stays JSON */
      damaged[vq_rng_below(2, VQ_RNG_WEIGHTS, i, 2 * k, (uint32_t)n)] =
          (char)(' ' + vq_rng_below(2, VQ_RNG_WEIGHTS, i, 2 * k + 1, 95));
    if (!vq_record_read(&r, damaged)) {
      vq_settings back = plain();
      vq_record_network net;
      vq_identity file;
      const char *field;
      char why[256];
      expect_ok(vq_record_settings(r, &back));
      expect_ok(vq_fields_check(&back));
      for (int p = 0; p < vq_record_prompts(r); p++)
        cr_expect(vq_record_prompt_at(r, p).text != NULL);
      vq_record_network_at(r, VQ_NETWORK_CLIP, &net);
      vq_record_file(r, 0, &field, &file);
      vq_record_exact(r, VQ_ON_CPU(0), why, sizeof why);
      vq_record_free(r);
      taken++;
    }
    free(damaged);
  }
  cr_expect(taken > 1000, "%d of 20000 were still settings", taken);
  free(text);
}

/* Every option of generate is a field, and so in the record, or stands here as one that no picture depends on. */
Test(record, no_option_is_forgotten)
{
  static const char *const harmless[] = {"count", "output", "snapshot", "snapshot-every", "frames", "video",
                                         "video-every", "fps", "force", "save-every", "recipe", "explain",
                                         "image-prompt", "noise-prompt", "threads", "device", "cutout-chunk",
                                         "vram", "precision", "strict", "trap", "plan", "json", "progress", "help",
                                         /* which networks is in the record, by name and checksum */
                                         "vqgan", "clip", "config", "vocab"};
  said s = TOOL_OK("generate", "--help", TINY);
  int seen = 0;
  for (char *line = strtok(s.out, "\n"); line; line = strtok(NULL, "\n")) {
    char *dashes = strstr(line, "--"), name[64];
    if (strncmp(line, "  ", 2) || !dashes || dashes - line > 6)
      continue;
    snprintf(name, sizeof name, "%.*s", (int)strspn(dashes + 2, "abcdefghijklmnopqrstuvwxyz-"), dashes + 2);
    bool known = vq_field_find(name) != NULL;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
      known = known || !strcmp(harmless[i], name);
    cr_expect(known, "--%s is neither a field (runtime/fields.c) nor known to change nothing", name);
    seen++;
  }
  cr_expect(seen > 20, "%d options", seen);
  forget(&s);
}
