/* test_prompt.c -- the prompt language, one row a prompt. */
#include "runtime/prompt.h"
#include "tests/skip.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
  const char *argument, *text;
  double weight, stop;
} row;

static const row rows[] = {
    {"a cat", "a cat", 1, -INFINITY},
    {"a cat:2", "a cat", 2, -INFINITY},
    {"a cat:2:0.5", "a cat", 2, 0.5},
    {"a cat:-0.3:-inf", "a cat", -0.3, -INFINITY},
    {"a cat : 2 : 0.5 ", "a cat", 2, 0.5},
    {"  a cat\t", "a cat", 1, -INFINITY},
    {"a cat:0", "a cat", 0, -INFINITY},
    {"a cat:+1e-1", "a cat", 0.1, -INFINITY},
    {"a cat:.5:3.", "a cat", .5, 3},
    {"1:2:3", "1", 2, 3},
    {"1:2:3:4", "1:2", 3, 4},
    {"12:30", "12", 30, -INFINITY},
    {"Star Wars: A new hope", "Star Wars: A new hope", 1, -INFINITY},
    {"Star Wars: A new hope:2", "Star Wars: A new hope", 2, -INFINITY},
    {"Blade Runner: 2049", "Blade Runner", 2049, -INFINITY},
    {"Blade Runner\\: 2049", "Blade Runner: 2049", 1, -INFINITY},
    {"Blade Runner\\: 2049:3", "Blade Runner: 2049", 3, -INFINITY},
    {"http://example.org:8080/a.png", "http://example.org:8080/a.png", 1, -INFINITY},
    {"https://example.org/a.png:0.5", "https://example.org/a.png", 0.5, -INFINITY},
    {"a:b:2", "a:b", 2, -INFINITY},
    {"a:2:b", "a:2:b", 1, -INFINITY},
    {"a:", "a:", 1, -INFINITY},
    {"a::2", "a:", 2, -INFINITY},
    {"a:0x10", "a:0x10", 1, -INFINITY},
    {"a:1e", "a:1e", 1, -INFINITY},
    {"a:.", "a:.", 1, -INFINITY},
    {"a:1,5", "a:1,5", 1, -INFINITY},
    {"a:2 cats", "a:2 cats", 1, -INFINITY},
    {"a:infinite", "a:infinite", 1, -INFINITY},
    {"either\\|or", "either|or", 1, -INFINITY},
    {"2\\^3", "2^3", 1, -INFINITY},
    {"back\\\\slash", "back\\slash", 1, -INFINITY},
    {"a\\\\:2", "a\\", 2, -INFINITY},
    {"C\\dir\\", "C\\dir\\", 1, -INFINITY},
    {"caf\xc3\xa9:2", "caf\xc3\xa9", 2, -INFINITY},
};

Test(prompt, one)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const row *r = &rows[i];
    vq_prompt *p;
    int n;
    cr_assert(vq_prompts_parse(&p, &n, r->argument) == VQ_OK, "%s: %s", r->argument, vq_error_message());
    cr_expect(n == 1 && !strcmp(p->text, r->text) && p->weight == r->weight && p->stop == r->stop,
              "\"%s\" is read as %d: \"%s\" %g %g", r->argument, n, p->text, p->weight, p->stop);
    vq_prompts_free(p, n);
  }
}

Test(prompt, several)
{
  vq_prompt *p;
  int n;
  cr_assert(vq_prompts_parse(&p, &n, "a boat:2| calm sea |not\\|this:-1:-0.8") == VQ_OK, "%s", vq_error_message());
  cr_assert(n == 3);
  cr_expect_str_eq(p[0].text, "a boat");
  cr_expect(p[0].weight == 2);
  cr_expect_str_eq(p[1].text, "calm sea");
  cr_expect(p[1].weight == 1 && p[1].stop == -INFINITY);
  cr_expect_str_eq(p[2].text, "not|this");
  cr_expect(p[2].weight == -1 && p[2].stop == -0.8);
  vq_prompts_free(p, n);
}

Test(prompt, phases)
{
  static const struct {
    const char *text;
    double weight;
    int phase;
  } want[] = {{"dawn", 2, 0}, {"mist", 1, 0}, {"noon^", 1, 1}, {"dusk", -1, 2}};
  vq_prompt *p;
  int n;
  cr_assert(vq_prompts_parse(&p, &n, "dawn:2 | mist ^ noon\\^ ^dusk:-1") == VQ_OK, "%s", vq_error_message());
  cr_assert(n == 4);
  for (int i = 0; i < n; i++)
    cr_expect(!strcmp(p[i].text, want[i].text) && p[i].weight == want[i].weight && p[i].phase == want[i].phase &&
                  p[i].kind == VQ_PROMPT_TEXT,
              "%d is \"%s\" %g in phase %d", i, p[i].text, p[i].weight, p[i].phase);
  vq_prompts_free(p, n);
  cr_assert(vq_prompts_parse(&p, &n, "always") == VQ_OK);
  cr_expect(p[0].phase == VQ_EVERY_PHASE);
  vq_prompts_free(p, n);
}

/* Of a picture's name, | and ^ are letters. */
Test(prompt, of_other_kinds)
{
  static const struct {
    vq_prompt_kind kind;
    const char *argument, *text;
    double weight, stop;
  } good[] = {
      {VQ_PROMPT_IMAGE, "a|b^c.png", "a|b^c.png", 1, -INFINITY},
      {VQ_PROMPT_IMAGE, "dir/a.png:0.5:-2", "dir/a.png", 0.5, -2},
      {VQ_PROMPT_IMAGE, "10\\:30.png:2", "10:30.png", 2, -INFINITY},
      {VQ_PROMPT_NOISE, "17", "17", 1, -INFINITY},
      {VQ_PROMPT_NOISE, "17:-0.5", "17", -0.5, -INFINITY},
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    vq_prompt p;
    cr_assert(vq_prompt_parse(&p, good[i].kind, good[i].argument) == VQ_OK, "%s", vq_error_message());
    cr_expect(p.kind == good[i].kind && !strcmp(p.text, good[i].text) && p.weight == good[i].weight &&
                  p.stop == good[i].stop && p.phase == VQ_EVERY_PHASE && vq_prompt_check(&p) == VQ_OK,
              "\"%s\" is read as \"%s\" %g %g", good[i].argument, p.text, p.weight, p.stop);
    free((char *)p.text);
  }
}

Test(prompt, that_cannot_be_meant)
{
  static const struct {
    vq_prompt prompt;
    const char *says;
  } bad[] = {
      {{VQ_PROMPT_TEXT, "fog", -1, 0.5, VQ_EVERY_PHASE}, "never push"},
      {{VQ_PROMPT_TEXT, "fog", 1, 5, VQ_EVERY_PHASE}, "never pull"},
      {{VQ_PROMPT_TEXT, "fog", NAN, 0, VQ_EVERY_PHASE}, "finite"},
      {{VQ_PROMPT_TEXT, "fog", 1, NAN, VQ_EVERY_PHASE}, "finite"},
      {{VQ_PROMPT_TEXT, "fog", 1, 0, -2}, "phase"},
      {{VQ_PROMPT_IMAGE, "a.png", 1, 0, 2}, "phase"},
      {{VQ_PROMPT_IMAGE, "https://example.org/a.png", 1, -INFINITY, VQ_EVERY_PHASE}, "downloaded"},
      {{VQ_PROMPT_NOISE, "many", 1, -INFINITY, VQ_EVERY_PHASE}, "SEED"},
      {{VQ_PROMPT_NOISE, "-1", 1, -INFINITY, VQ_EVERY_PHASE}, "SEED"},
      {{VQ_PROMPT_NOISE, "12345678901234567890", 1, -INFINITY, VQ_EVERY_PHASE}, "SEED"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_expect(vq_prompt_check(&bad[i].prompt) != VQ_OK && strstr(vq_error_message(), bad[i].says), "row %d: %s",
              (int)i, vq_error_message());
}

Test(prompt, refused)
{
  static const struct {
    const char *argument, *says;
    vq_status status;
  } bad[] = {
      {"", "no text", VQ_ERR_PROMPT},           {" \t", "no text", VQ_ERR_PROMPT},
      {":2", "no text", VQ_ERR_PROMPT},         {" :2:3", "no text", VQ_ERR_PROMPT},
      {"a|", "no text", VQ_ERR_PROMPT},         {"a||b", "no text", VQ_ERR_PROMPT},
      {"a:nan", "weight", VQ_ERR_PROMPT},       {"to infinity:Infinity", "weight", VQ_ERR_PROMPT},
      {"a:-inf", "weight", VQ_ERR_PROMPT},      {"a:1e999", "weight", VQ_ERR_PROMPT},
      {"a:1:inf", "stop", VQ_ERR_PROMPT},       {"a:1:nan", "stop", VQ_ERR_PROMPT},
      {"dawn^", "no text", VQ_ERR_PROMPT},      {"^dusk", "no text", VQ_ERR_PROMPT},
      {"dawn^|dusk", "no text", VQ_ERR_PROMPT},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    vq_prompt *p;
    int n;
    vq_status got = vq_prompts_parse(&p, &n, bad[i].argument);
    cr_expect(got == bad[i].status && strstr(vq_error_message(), bad[i].says) && !p && !n, "\"%s\": %s: %s",
              bad[i].argument, vq_status_name(got), vq_error_message());
  }
}

Test(prompt, has_a_point_in_every_locale)
{
  static const char *const with_comma[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
  bool set = false;
  vq_prompt *p;
  int n;
  for (size_t i = 0; !set && i < sizeof with_comma / sizeof *with_comma; i++)
    set = setlocale(LC_NUMERIC, with_comma[i]) != NULL;
  if (!set)
    visible_skip("no locale with a decimal comma is installed");
  cr_assert(vq_prompts_parse(&p, &n, "a:0.5") == VQ_OK);
  cr_expect(p->weight == 0.5);
  vq_prompts_free(p, n);
}
