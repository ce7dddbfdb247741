/* request.c -- reads the options of a run. They are read twice: for the networks, whose files carry defaults, and then
 * over those defaults.
 */
#include "tools/vqgen/request.h"

#include "runtime/settings.h"
#include "tools/vqgen/progress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_SIDE 65536

/* ---- values ---- */

static vq_status set_size(const option *o, const char *value)
{
  vq_settings *s = o->to;
  const char *x = strpbrk(value, "xX");
  char side[16];
  int64_t width, height;
  if (!x && value[strspn(value, "0123456789")] == 0)
    return vq_fail(VQ_ERR_ARGUMENT, "the size is one word, WxH: %sx%s, say", value, value);
  if (!x || x - value >= (int)sizeof side)
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is not a size: write WxH, 64x64 say", value);
  snprintf(side, sizeof side, "%.*s", (int)(x - value), value);
  VQ_TRY(read_integer(side, &width));
  VQ_TRY(read_integer(x + 1, &height));
  if (width < 1 || height < 1 || width > MOST_SIDE || height > MOST_SIDE)
    return vq_fail(VQ_ERR_ARGUMENT, "%s: a side has 1 to %d pixels", value, MOST_SIDE);
  s->width = (int)width;
  s->height = (int)height;
  return VQ_OK;
}

static vq_status set_schedule(const option *o, const char *value)
{
  vq_settings *s = o->to;
  return vq_lr_schedule_parse(&s->lr_schedule, &s->lr_end, value);
}

static vq_status set_cut_size(const option *o, const char *value)
{
  vq_settings *s = o->to;
  const char *colon = strchr(value, ':');
  char least[32] = "";
  if (!colon || colon - value >= (int)sizeof least)
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is not LEAST:MOST, parts of the shorter side: 0.5:1, say", value);
  snprintf(least, sizeof least, "%.*s", (int)(colon - value), value);
  VQ_TRY(read_number(least, &s->cut_least));
  VQ_TRY(read_number(colon + 1, &s->cut_most));
  if (!(s->cut_least >= 0 && s->cut_most > 0 && s->cut_least <= s->cut_most && s->cut_most <= 1))
    return vq_fail(VQ_ERR_ARGUMENT, "%s does not rise from 0 or more to at most 1", value);
  return VQ_OK;
}

static vq_status set_start(const option *o, const char *value)
{
  vq_settings *s = o->to;
  static const vq_start named[] = {VQ_START_RANDOM, VQ_START_GRAY, VQ_START_PIXELS};
  s->start = VQ_START_FILE;
  s->start_file = value;
  for (int i = 0; i < 3; i++)
    if (!strcmp(value, vq_start_name(named[i]))) {
      s->start = named[i];
      s->start_file = NULL;
    }
  return VQ_OK;
}

/* ---- the table ---- */

typedef struct defaults {
  char size[32], steps[32], lr[32], schedule[64], cutouts[32], power[32], cut_size[64], tv[32];
} defaults;

static void describe(defaults *d, const vq_settings *s)
{
  snprintf(d->size, sizeof d->size, "%dx%d", s->width, s->height);
  snprintf(d->steps, sizeof d->steps, "%lld", (long long)s->steps);
  snprintf(d->lr, sizeof d->lr, "%g", s->lr);
  vq_lr_schedule_text(d->schedule, sizeof d->schedule, s);
  snprintf(d->cutouts, sizeof d->cutouts, "%d", s->cutouts);
  snprintf(d->power, sizeof d->power, "%g", s->cut_power);
  snprintf(d->cut_size, sizeof d->cut_size, "%g:%g", s->cut_least, s->cut_most);
  snprintf(d->tv, sizeof d->tv, "%g", s->tv_weight);
}

/* Reads the options into the request, or, where a question was asked, answers it. */
static vq_status with_table(request *r, const command *c, int argc, char **argv, bool answer, asked *question)
{
  vq_settings *s = &r->settings;
  defaults d;
  describe(&d, s);
  const option table[] = {
      {.help = "The picture:"},
      {'o', "output", "FILE", set_text, &r->output, "a PNG file; - for standard output", "from the prompt's words"},
      {.name = "force",
       .set = set_flag,
       .to = &r->force,
       .help = "replace FILE if there is one, and take networks that "
               "were not made for each other"},
      {'s', "size", "WxH", set_size, s, "pixels, floored to whole tokens of the VQGAN", d.size},
      {'n', "steps", "N", set_count, &s->steps,
       "updates; -1: until it is stopped by Ctrl-C or SIGTERM, with the "
       "picture saved",
       d.steps, -1, 1e9},
      {0, "seed", "N", set_count, &r->seed, "the same number gives the same picture", "drawn, and told", 0, 9.2e18},
      {0, "save-every", "N", set_count, &r->save_every,
       "every N steps tell each prompt's loss and replace progress.png "
       "beside FILE; 0: never",
       "50", 0, 1e9},
      {.help = "How it is searched:"},
      {0, "lr", "X", set_number, &s->lr, "Adam's learning rate", d.lr, 0, 1000},
      {0, "lr-schedule", "constant|linear:END|cosine:END", set_schedule, s,
       "constant, or falling to END after the last step", d.schedule},
      {0, "cutouts", "N", set_integer, &s->cutouts, "parts of the picture that CLIP sees at each step", d.cutouts,
       1, 4096},
      {0, "cut-size", "LEAST:MOST", set_cut_size, s,
       "their sides, as parts of the shorter side; LEAST 0: CLIP's own "
       "size in pixels",
       d.cut_size},
      {0, "cut-power", "X", set_number, &s->cut_power, "above 1 there are more small ones", d.power, 0, 100},
      {0, "cut-method", "pool|lanczos", set_choice, &s->cut_method, "how they come to CLIP's size",
       vq_cut_method_name(s->cut_method)},
      {0, "tv-weight", "X", set_number, &s->tv_weight, "weight of the total variation: against speckle", d.tv, 0,
       1e6},
      {0, "init", "random|gray|pixels|FILE", set_start, s,
       "where it begins; FILE is a picture, or what `vqgen encode` "
       "has written",
       vq_start_name(s->start), .later = "gradient"},
      {0, "fit", "crop|pad|stretch", set_choice, &s->fit, "how a picture of another shape begins", "crop"},
      {.help = "With what:"},
      {0, "vqgan", "FILE", set_network, &r->network.vqgan, "the VQGAN, a safetensors file", s->vqgan},
      {0, "clip", "FILE", set_network, &r->network.clip, "the CLIP, a safetensors file", s->clip},
      OPTION_COMPUTE(&r->network),
      {.help = "And:"},
      {.name = "strict",
       .set = set_flag,
       .to = &s->strict,
       .help = "refuse a prompt that is too long, instead of "
               "cutting it"},
      {.name = "trap",
       .set = set_flag,
       .to = &s->trap,
       .help = "look for numbers that are not finite after every "
               "operation, and name the first that made one"},
      {.name = "plan", .set = set_flag, .to = &r->plan, .help = "tell the memory that it would take, and stop"},
      {.name = "json", .set = set_flag, .to = &r->json, .help = "tell the plan as JSON"},
      {0, "progress", "auto|bar|plain|json|none", set_choice, &r->progress,
       "auto: a bar on a terminal, lines elsewhere; json: objects on standard output", "auto"},
  };
  if (!answer)
    return options_read(table, ROWS(table), argc, argv, &r->words, question);
  if (*question == ASKED_HELP)
    options_help(c, table, ROWS(table));
  else
    tool_version();
  return VQ_OK;
}

static void set_defaults(request *r)
{
  vq_settings_clear(&r->settings);
  vq_settings_init(&r->settings);
  r->settings.vqgan = r->network.vqgan;
  r->settings.clip = r->network.clip;
}

/* ---- prompts ---- */

static vq_status add_prompts(request *r, const char *argument)
{
  vq_prompt *more;
  int count;
  VQ_TRY(vq_prompts_parse(&more, &count, argument));
  vq_prompt *all = realloc(r->prompt, (size_t)(r->prompts + count) * sizeof *all);
  if (!all) {
    vq_prompts_free(more, count);
    return vq_fail(VQ_ERR_MEMORY, "no memory for %d prompts", r->prompts + count);
  }
  memcpy(all + r->prompts, more, (size_t)count * sizeof *all);
  free(more); /* their texts are ours now */
  r->prompt = all;
  r->prompts += count;
  return VQ_OK;
}

static vq_status read_prompts(request *r)
{
  for (int i = 0; i < r->words.count; i++) {
    const char *argument = r->words.word[i];
    if (!strcmp(argument, "-")) {
      if (!r->standard_input)
        VQ_TRY(read_standard_input(&r->standard_input));
      argument = r->standard_input;
    }
    VQ_TRY(add_prompts(r, argument));
  }
  if (!r->prompts && !r->plan)
    return vq_fail(VQ_ERR_ARGUMENT, "no prompt: say what the picture is to show, in quotes");
  return VQ_OK;
}

static void advise(const request *r)
{
  bool plain = r->words.count > 1;
  for (int i = 0; i < r->words.count; i++)
    plain = plain && !strpbrk(r->words.word[i], " \t\n:|");
  if (plain) {
    fprintf(stderr, "vqgen: %d arguments are %d prompts; for a single one write it in quotes: vqgen \"",
            r->words.count, r->words.count);
    for (int i = 0; i < r->words.count; i++)
      fprintf(stderr, "%s%s", i ? " " : "", r->words.word[i]);
    fputs("\"\n", stderr);
  }
  for (int i = 0; i < r->prompts; i++) {
    const vq_prompt *p = &r->prompt[i];
    if (p->weight > 10 || p->weight < -10)
      fprintf(stderr,
              "vqgen: warning: \"%s\" has the weight %g: if that is part of the text, write \\: for its colon\n",
              p->text, p->weight);
  }
}

vq_status request_prompts(const request *r, vq_session *session)
{
  for (int i = 0; i < r->prompts; i++)
    VQ_TRY(vq_session_prompt(session, r->prompt[i].text, r->prompt[i].weight, r->prompt[i].stop));
  return VQ_OK;
}

/* ---- all together ---- */

static vq_status draw_seed(int64_t *seed)
{
  uint32_t bits;
  FILE *f = fopen("/dev/urandom", "rb");
  bool drawn = f && fread(&bits, sizeof bits, 1, f) == 1;
  if (f)
    fclose(f);
  if (!drawn)
    return vq_fail(VQ_ERR_FILE, "/dev/urandom gives no seed: choose one by --seed");
  *seed = bits;
  return VQ_OK;
}

static vq_status complete(request *r)
{
  if (r->json && !r->plan)
    return vq_fail(VQ_ERR_ARGUMENT, "--json is for --plan; a run tells JSON by --progress json");
  VQ_TRY(read_prompts(r));
  r->seed_drawn = r->seed < 0;
  if (r->seed_drawn)
    VQ_TRY(draw_seed(&r->seed));
  r->settings.seed = (uint64_t)r->seed;
  r->settings.threads = r->network.threads;
  r->settings.force = r->force;
  r->settings.log = tool_log;
  advise(r);
  return VQ_OK;
}

bool request_read(request *r, const command *c, int argc, char **argv, int *status)
{
  asked question;
  bool plan = c == &command_plan;
  *r = (request){.seed = -1, .save_every = 50, .plan = plan};
  set_defaults(r);
  vq_status read = with_table(r, c, argc, argv, false, &question);
  set_defaults(r);
  vq_status loaded = read ? read : vq_settings_load(&r->settings);
  if (!read && question != ASKED_NOTHING) {
    if (loaded)
      set_defaults(r);
    with_table(r, c, argc, argv, true, &question);
    request_clear(r);
    *status = EXIT_DONE;
    return false;
  }
  r->words.count = 0;
  if (!loaded)
    loaded = with_table(r, c, argc, argv, false, &question);
  if (!loaded)
    loaded = complete(r);
  if (!loaded)
    return true;
  if (r->progress == PROGRESS_JSON)
    progress_error(loaded);
  *status = tool_end(c, loaded);
  request_clear(r);
  return false;
}

void request_clear(request *r)
{
  vq_prompts_free(r->prompt, r->prompts);
  words_free(&r->words);
  vq_settings_clear(&r->settings);
  free(r->standard_input);
}

/* ---- the picture's name ---- */

#define NAME_BYTES 72

/* Letters and digits, what is between them as a hyphen; other alphabets as they are. Whole words, as many as fit. */
static void slug(char *name, size_t bytes, const vq_prompt *prompt, int prompts)
{
  size_t n = 0, word_end = 0;
  for (int i = 0; i < prompts && n + 1 < bytes; i++) {
    for (const char *p = prompt[i].text; n + 1 < bytes; p++) {
      unsigned char c = (unsigned char)*p;
      bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80;
      if (letter)
        name[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
      else if (n && name[n - 1] != '-') {
        word_end = n;
        name[n++] = '-';
      }
      if (!c)
        break;
    }
  }
  if (n + 1 == bytes && !word_end) { /* one long word: no half of a character */
    while (n && ((unsigned char)name[n - 1] & 0xC0) == 0x80)
      n--;
    n -= n && ((unsigned char)name[n - 1] & 0x80);
  } else if (n + 1 == bytes || (n && name[n - 1] == '-')) {
    n = word_end;
  }
  if (n == 0)
    n = (size_t)snprintf(name, bytes, "picture");
  name[n] = 0;
}

vq_status request_name(const request *r, char **out)
{
  char name[NAME_BYTES], path[NAME_BYTES + 32];
  slug(name, sizeof name, r->prompt, r->prompts);
  for (int i = 1; i < 100000; i++) {
    snprintf(path, sizeof path, i > 1 ? "%s-%d.png" : "%s.png", name, i);
    if (access(path, F_OK))
      break;
  }
  *out = strdup(path);
  return *out ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a file name");
}
