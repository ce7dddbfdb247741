/* request.c -- reads the options of a run. They are read twice: for the networks, whose files carry defaults, and then
 * over those defaults.
 */
#include "tools/vqgen/request.h"

#include "runtime/fields.h"
#include "runtime/recipe.h"
#include "tools/vqgen/progress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the table ---- */

/* Rows of options that are settings: read, and described in --help, by runtime/fields.h. */
static vq_status set_field(const option *o, const char *value)
{
  request *r = o->to;
  int count;
  const vq_field *field = vq_field_find(o->name);
  r->given[field - vq_fields(&count)] = true;
  return vq_field_read(field, &r->settings, value);
}

static vq_status set_snapshot_every(const option *o, const char *value)
{
  request *r = o->to;
  option count = *o;
  count.to = &r->snapshot_every;
  r->snapshot_every_given = true;
  return set_count(&count, value);
}

static vq_status set_video_every(const option *o, const char *value)
{
  request *r = o->to;
  option count = *o;
  count.to = &r->video_every;
  r->video_every_given = true;
  return set_count(&count, value);
}

static vq_status set_gumbel_noise(const option *o, const char *value)
{
  (void)value;
  return set_field(o, "yes");
}

/* "auto", "all", or cutouts. */
static vq_status set_chunk(const option *o, const char *value)
{
  int *chunk = o->to;
  option number = *o;
  number.least = 8;
  number.most = VQ_CHUNK_ALL;
  if (strcmp(value, "auto") && strcmp(value, "all"))
    return set_integer(&number, value);
  *chunk = value[1] == 'u' ? VQ_CHUNK_AUTO : VQ_CHUNK_ALL;
  return VQ_OK;
}

bool request_given(const request *r, const char *field)
{
  int count;
  return r->given[vq_field_find(field) - vq_fields(&count)];
}

#define MOST_FIELDS REQUEST_FIELDS

/* Each field's text now: the default that --help tells. */
typedef struct defaults {
  char text[MOST_FIELDS][64];
} defaults;

static void describe(defaults *d, const vq_settings *s)
{
  int count;
  const vq_field *field = vq_fields(&count);
  char text[VQ_FIELD_BYTES];
  for (int i = 0; i < count && i < MOST_FIELDS; i++) {
    vq_field_write(&field[i], s, text, sizeof text);
    snprintf(d->text[i], sizeof d->text[i], "%.63s", text);
  }
}

static const char *now(const defaults *d, const char *name)
{
  int count;
  const char *text = d->text[vq_field_find(name) - vq_fields(&count)];
  return *text ? text : NULL;
}

/* Reads the options into the request, or, where a question was asked, answers it. */
static vq_status with_table(request *r, const command *c, int argc, char **argv, bool answer, asked *question)
{
  vq_settings *s = &r->settings;
  defaults d;
  describe(&d, s);
#define FIELD(letter, name, argument, help)                   \
  {                                                           \
    letter, name, argument, set_field, r, help, now(&d, name) \
  }
  const option table[] = {
      {.help = "The picture:"},
      {'o', "output", "FILE", set_text, &r->output, "a .png, .jpg or .webp (without loss); - for standard output",
       "from the prompt's words"},
      {.name = "force",
       .set = set_flag,
       .to = &r->force,
       .help = "replace FILE if there is one, and take networks that "
               "were not made for each other"},
      FIELD('s', "size", "WxH", "pixels, floored to whole tokens of the VQGAN"),
      FIELD('n', "steps", "N", "updates; -1: until it is stopped by Ctrl-C or SIGTERM, with the picture saved"),
      {0, "seed", "N", set_field, r, "the same number gives the same picture", "drawn, and told"},
      {0, "count", "N", set_integer, &r->count,
       "N pictures, one after the other, with the networks read once: each has the next seed, and FILE a number",
       "1", 1, 100000},
      {0, "save-every", "N", set_count, &r->save_every,
       "every N steps tell each prompt's loss and replace progress.png "
       "beside FILE; 0: never",
       "50", 0, 1e9},
      FIELD(0, "metadata", "LIST",
            "what is written into the picture of how it was made: text, every setting; stegano and xmp, the "
            "notebook's "
            "message in the lowest bits and its fields; none"),
      FIELD(0, "model-name", "TEXT",
            "what the notebook's fields call the VQGAN, if not by its hash in names.txt (README) or its own name"),
      FIELD(0, "quality", "N", "of a JPEG, 1 to 100"),
      {0, "frames", "DIR", set_text, &r->frames,
       "write the picture of each step there, 000000.png, 000001.png ..."},
      {0, "video", "FILE", set_text, &r->video,
       "make a video of them, by ffmpeg: .mp4, .mkv, .mov, .webm, .gif; or an animated PNG without it: .apng"},
      {0, "video-every", "N", set_video_every, r, "frames and video show every N-th step, and the last", "1", 1,
       1e9},
      {0, "fps", "X", set_number, &r->fps, "frames a second", "10 to 30, as 15 seconds want", 0.01, 600},
      {0, "snapshot", "FILE", set_text, &r->snapshot,
       "write all that `vqgen resume FILE` needs to go on, and again at the end"},
      {0, "snapshot-every", "N", set_snapshot_every, r, "so often", "100", 1, 1e9},
      {.help = "How it is searched:"},
      {0, "recipe", "NAME", set_text, &r->recipe,
       "begin with the settings of another tool: notebook, crowson, nerdyrodent, mse, codebook; own: the networks' "
       "own",
       "own"},
      {.name = "explain",
       .set = set_flag,
       .to = &r->explain,
       .help = "tell every setting that the recipe makes, and stop"},
      FIELD(0, "lr", "X", "learning rate"),
      FIELD(0, "lr-schedule", "constant|linear:END|cosine:END", "constant, or falling to END after the last step"),
      FIELD(0, "optimizer", "adam|adamw|adagrad|adamax|rmsprop|radam|diffgrad|adamp", "what moves z"),
      FIELD(0, "weight-decay", "X", "adamw's"),
      FIELD(0, "latent", "z|logits",
            "what is moved: vectors, of which the nearest codes are decoded; or a logit of each code, by which "
            "codes are drawn"),
      FIELD(0, "z-clamp", "yes|no", "hold z to the codebook's range"),
      FIELD(0, "ema", "X", "pictures show the average of all z, of which X stays at each step; 0: z itself"),
      FIELD(0, "cutouts", "N", "parts of the picture that CLIP sees at each step"),
      FIELD(0, "cut-size", "LEAST:MOST",
            "their sides, as parts of the shorter side; LEAST 0: CLIP's own size in pixels"),
      FIELD(0, "cut-power", "X", "above 1 there are more small ones"),
      FIELD(0, "cut-method", "pool|lanczos|whole",
            "how they come to CLIP's size; whole: no parts, the whole picture pooled, which --augment then makes "
            "different"),
      FIELD(0, "augment", "LIST",
            "what is done to each cutout, NAME[:PROBABILITY][:KEY=VALUE...],...: flip, sharpness, affine, "
            "rotation, perspective, jitter, "
            "erase, noise, clamp; none. --recipe notebook --explain shows one"),
      FIELD(0, "tv-weight", "X", "weight of the total variation: against speckle"),
      FIELD(0, "init-weight", "[KIND:]X",
            "hold z by its squared distance: start:X, to where it began; zero:X, to 0; zero-decay:X, to 0, less "
            "and less"),
      FIELD(0, "init-drop", "EVERY:TIMES",
            "let it fall to nothing in so many drops, one every so many steps; at each the optimizer begins anew"),
      FIELD(0, "init", "random|gray|pixels|gradient|perlin|FILE",
            "where it begins: random tokens, gray, random pixels, ramps of colours, blotches (Perlin's noise); "
            "FILE is a picture, or what `vqgen encode` has written"),
      FIELD(0, "fit", "crop|pad|stretch", "how a picture of another shape begins"),
      {.name = "gumbel-noise",
       .set = set_gumbel_noise,
       .to = r,
       .help = "draw the start's tokens as GumbelVQ's published encoder does, and do not take the likeliest"},
      {.help = "What it is to show, besides texts:"},
      {0, "image-prompt", "IMAGE[:W[:STOP]]", set_words, &r->images,
       "a picture to look like, by its own cutouts; again for more"},
      {0, "noise-prompt", "SEED[:W[:STOP]]", set_words, &r->noises,
       "a random direction of CLIP's space; again for more"},
      FIELD(0, "phase-every", "N",
            "with phases, \"dawn ^ noon ^ dusk\": the steps of each; after the last comes the first. Pictures and "
            "noise stay"),
      {.help = "With what:"},
      {0, "vqgan", "FILE|NAME", set_network, &r->network.vqgan, "the VQGAN, converted or as published", s->vqgan},
      {0, "clip", "FILE|NAME", set_network, &r->network.clip, "the CLIP, converted or as published", s->clip},
      OPTION_CONFIG(&r->network),
      OPTION_VOCAB(&r->network),
      OPTION_COMPUTE(&r->network),
      {0, "cutout-chunk", "N|auto|all", set_chunk, &s->cutout_chunk,
       "cutouts that go through CLIP at once, 8 or more: fewer take less memory, more fill a GPU better, and the "
       "picture is the same; auto: 8 on the CPU, on a GPU as many as fit",
       "auto"},
      {0, "vram", "SIZE", set_bytes, &s->vram,
       "take no more of the GPU's memory, or on the CPU of the machine's: 6G, 6000M", "what is free"},
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
#undef FIELD
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
  r->settings.config = r->network.config;
  r->settings.vocab = r->network.vocab;
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

/* Pictures or noise. */
static vq_status add_others(request *r, const words *list, vq_prompt_kind kind)
{
  if (!list->count)
    return VQ_OK;
  vq_prompt *all = realloc(r->prompt, (size_t)(r->prompts + list->count + 1) * sizeof *all);
  if (!all)
    return vq_fail(VQ_ERR_MEMORY, "no memory for %d prompts", r->prompts + list->count);
  r->prompt = all;
  for (int i = 0; i < list->count; i++) {
    VQ_TRY(vq_fail_in(vq_prompt_parse(&all[r->prompts], kind, list->word[i]), "%s",
                      kind == VQ_PROMPT_IMAGE ? "--image-prompt" : "--noise-prompt"));
    r->prompts++;
  }
  return VQ_OK;
}

/* Those of the picture or snapshot, where none are given. */
static vq_status record_prompts(request *r)
{
  int count = vq_record_prompts(r->origin.record);
  r->prompt = calloc((size_t)count + 1, sizeof *r->prompt);
  for (int i = 0; r->prompt && i < count; i++) {
    r->prompt[i] = vq_record_prompt_at(r->origin.record, i);
    VQ_TRY(origin_prompt_text(&r->origin, i, &r->prompt[i]));
    r->prompts++;
  }
  return r->prompts == count ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for %d prompts", count);
}

static vq_status read_prompts(request *r)
{
  for (int i = r->origin.path ? 1 : 0; i < r->words.count; i++) {
    const char *argument = r->words.word[i];
    if (!strcmp(argument, "-")) {
      if (!r->standard_input)
        VQ_TRY(read_standard_input(&r->standard_input));
      argument = r->standard_input;
    }
    VQ_TRY(add_prompts(r, argument));
  }
  VQ_TRY(add_others(r, &r->images, VQ_PROMPT_IMAGE));
  VQ_TRY(add_others(r, &r->noises, VQ_PROMPT_NOISE));
  if (!r->prompts && r->origin.record)
    VQ_TRY(record_prompts(r));
  if (!r->prompts && r->origin.notebook)
    VQ_TRY(add_prompts(r, json_string_value(json_object_get(r->origin.notebook, "title"))));
  if (!r->prompts && !r->plan)
    return vq_fail(VQ_ERR_ARGUMENT, "no prompt: say what the picture is to show, in quotes");
  return VQ_OK;
}

static void advise(const request *r)
{
  bool plain = r->words.count > 1 && !r->origin.path;
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
    VQ_TRY(vq_session_add(session, &r->prompt[i]));
  return VQ_OK;
}

/* ---- recipes ---- */

static vq_status begin_with(const char *name, vq_settings *s)
{
  const vq_recipe *recipe;
  VQ_TRY(vq_recipe_find(&recipe, name));
  return vq_recipe_apply(recipe, s);
}

static void list_recipes(void)
{
  int count;
  const vq_recipe *recipe = vq_recipes(&count);
  for (int i = 0; i < count; i++)
    printf("%-12s %d  %s\n", recipe[i].name, recipe[i].version, recipe[i].summary);
}

/* A field's setting as the option that says it, or, where none says what it is or it is of no account, in a comment. */
static void print_setting(const request *r, const vq_field *field, const char *why)
{
  char name[64], text[VQ_FIELD_BYTES];
  bool says_nothing =
      request_moot(r, field->name) != NULL; /* given as an option it would be refused, and rightly */
  const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,=+-";
  snprintf(name, sizeof name, "%s", field->name);
  for (char *c = name; *c; c++)
    *c = *c == '_' ? '-' : *c;
  vq_field_write(field, &r->settings, text, sizeof text);
  if (!strcmp(name, "seed") && !request_given(r, "seed"))
    printf("# --seed    drawn for each run\n");
  else if (!strcmp(name, "model-name") && !*text)
    printf("# --model-name    as the VQGAN is called\n");
  else if (!strcmp(name, "gumbel-noise"))
    printf("%s--gumbel-noise%s\n", strcmp(text, "yes") ? "# " : "", strcmp(text, "yes") ? "    no" : "");
  else
    printf(text[strspn(text, plain)] ? "%s--%s '%s'%s%s\n" : "%s--%s %s%s%s\n", says_nothing ? "# " : "", name,
           *text ? text : "none", says_nothing || !why ? "" : "    # ",
           says_nothing ? "    of no account here"
           : why        ? why
                        : "");
}

/* Every setting, as options that can be copied: what the recipe says, and what it leaves as networks and options have it. */
static vq_status explain(const request *r)
{
  const vq_recipe *recipe;
  int count;
  const vq_field *field = vq_fields(&count);
  VQ_TRY(vq_recipe_find(&recipe, r->recipe));
  printf("# %s, version %d: %s\n", recipe->name, recipe->version, recipe->summary);
  for (const vq_recipe_setting *s = recipe->setting; s->field; s++)
    print_setting(r, vq_field_find(s->field),
                  request_given(r, s->field) ? "given, in the place of the recipe's" : s->why);
  printf("# left as the networks, or options here, have it\n");
  for (int i = 0; i < count; i++) {
    const vq_recipe_setting *s = recipe->setting;
    while (s->field && strcmp(s->field, field[i].name))
      s++;
    if (!s->field)
      print_setting(r, &field[i], NULL);
  }
  return VQ_OK;
}

/* ---- all together ---- */

static vq_status draw_seed(uint64_t *seed)
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

/* What would be written over by the next picture. */
static vq_status check_count(const request *r)
{
  const char *one = r->snapshot                            ? "--snapshot"
                    : r->frames                            ? "--frames"
                    : r->video                             ? "--video"
                    : r->origin.path                       ? "a picture or snapshot to go by"
                    : r->output && !strcmp(r->output, "-") ? "-o -"
                                                           : NULL;
  if (r->count > 1 && one)
    return vq_fail(VQ_ERR_ARGUMENT, "--count %d: %s is for one picture", r->count, one);
  if (r->count > 1 && r->settings.steps < 0)
    return vq_fail(VQ_ERR_ARGUMENT, "--count %d: an endless run (-n -1) never comes to the second", r->count);
  return VQ_OK;
}

static vq_status complete(request *r)
{
  VQ_TRY(check_count(r));
  if (r->json && !r->plan)
    return vq_fail(VQ_ERR_ARGUMENT, "--json is for --plan; a run tells JSON by --progress json");
  VQ_TRY(request_check(r));
  VQ_TRY(read_prompts(r));
  if (!request_given(r, "seed") && !r->origin.path)
    VQ_TRY(draw_seed(&r->settings.seed));
  r->settings.device = r->network.device;
  r->settings.precision = (vq_precision)r->network.precision;
  r->settings.threads = r->network.threads;
  r->settings.force = r->force;
  r->settings.log = tool_log;
  advise(r);
  return VQ_OK;
}

/* What the first word names. */
static vq_status open_origin(request *r, request_origin_fn open)
{
  if (!r->words.count)
    return vq_fail(VQ_ERR_ARGUMENT, "no file: name the picture or snapshot");
  VQ_TRY(open(&r->origin, r->words.word[0]));
  if (!r->output)
    r->output = origin_noted(&r->origin, "output");
  if (r->origin.snapshot && !r->snapshot)
    r->snapshot = r->origin.path;
  origin_noted_count(&r->origin, "save_every", &r->save_every); /* and then the options again */
  origin_noted_count(&r->origin, "snapshot_every", &r->snapshot_every);
  return origin_networks(&r->origin, &r->network);
}

bool request_read(request *r, const command *c, int argc, char **argv, int *status)
{
  return request_read_over(r, NULL, c, argc, argv, status);
}

bool request_read_over(request *r, request_origin_fn open, const command *c, int argc, char **argv, int *status)
{
  asked question;
  bool plan = c == &command_plan;
  *r = (request){.count = 1, .save_every = 50, .snapshot_every = 100, .video_every = 1, .plan = plan};
  set_defaults(r);
  vq_status read = with_table(r, c, argc, argv, false, &question);
  if (!read && open && question == ASKED_NOTHING)
    read = open_origin(r, open);
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
  if (!read && r->explain && !r->recipe) {
    list_recipes();
    request_clear(r);
    *status = EXIT_DONE;
    return false;
  }
  if (!read && r->explain && loaded) { /* without networks: without what they would say */
    set_defaults(r);
    loaded = VQ_OK;
  }
  r->words.count = r->images.count = r->noises.count = 0;
  if (!loaded && r->recipe)
    loaded = begin_with(r->recipe, &r->settings);
  if (!loaded && r->origin.path)
    loaded = origin_settings(&r->origin, &r->settings);
  if (!loaded)
    loaded = with_table(r, c, argc, argv, false, &question);
  if (!loaded && r->explain) {
    *status = tool_end(c, explain(r));
    request_clear(r);
    return false;
  }
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

int64_t request_end(const request *r)
{
  bool earlier = r->origin.record && !r->origin.snapshot && !request_given(r, "steps");
  return earlier ? vq_record_step(r->origin.record) : r->settings.steps;
}

void request_clear(request *r)
{
  vq_prompts_free(r->prompt, r->prompts);
  words_free(&r->words);
  words_free(&r->images);
  words_free(&r->noises);
  vq_settings_clear(&r->settings);
  origin_clear(&r->origin);
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
