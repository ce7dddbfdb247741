/* fields.c -- the table, and what each kind of field does. */
#include "runtime/fields.h"

#include "loaders/utf8.h"
#include "runtime/number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MOST_SIDE    65536
#define MOST_CUTOUTS 4096

/* ---- fields of their own kind ---- */

static const char *const schedule_names[] = {"constant", "linear", "cosine"};
#define SCHEDULES 3

static vq_status read_schedule(vq_settings *s, const char *text)
{
  const char *colon = strchr(text, ':');
  size_t length = colon ? (size_t)(colon - text) : strlen(text);
  double end = 0;
  int i = 0;
  while (i < SCHEDULES && (strlen(schedule_names[i]) != length || strncmp(schedule_names[i], text, length)))
    i++;
  bool ends = colon && !vq_number_read(colon + 1, &end) && end >= 0;
  if (i == SCHEDULES || (i == VQ_LR_CONSTANT ? colon != NULL : !ends))
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is no schedule: write constant, linear:END or cosine:END", text);
  s->lr_schedule = (vq_lr_schedule)i;
  s->lr_end = end;
  return VQ_OK;
}

static void write_schedule(const vq_settings *s, char *text, size_t bytes)
{
  char end[32];
  vq_number_write(end, sizeof end, s->lr_end);
  if (s->lr_schedule == VQ_LR_CONSTANT)
    snprintf(text, bytes, "constant");
  else
    snprintf(text, bytes, "%s:%s", schedule_names[s->lr_schedule], end);
}

static const char *const start_names[] = {"random", "gray", "pixels", "gradient", "perlin"};

static vq_status read_start(vq_settings *s, const char *text)
{
  s->start = VQ_START_FILE;
  s->start_file = text;
  for (int i = 0; i < VQ_START_FILE; i++)
    if (!strcmp(text, start_names[i])) {
      s->start = (vq_start)i;
      s->start_file = NULL;
    }
  return VQ_OK;
}

static void write_start(const vq_settings *s, char *text, size_t bytes)
{
  const char *file = s->start_file ? s->start_file : "";
  snprintf(text, bytes, "%s", s->start == VQ_START_FILE ? file : start_names[s->start]);
}

static const char *start_file(const vq_settings *s)
{
  return s->start == VQ_START_FILE ? s->start_file : NULL;
}

static const char *const pull_names[] = {"start", "zero-decay", "zero"};
#define PULLS 3

static vq_status read_pull(vq_settings *s, const char *text)
{
  const char *colon = strchr(text, ':'), *number = colon ? colon + 1 : text;
  int kind = VQ_PULL_START;
  double weight;
  for (int i = 0; colon && i < PULLS; i++)
    if (strlen(pull_names[i]) == (size_t)(colon - text) && !strncmp(pull_names[i], text, (size_t)(colon - text)))
      kind = i, colon = NULL;
  if (colon || vq_number_read(number, &weight) || !(weight >= 0 && weight <= 1e6))
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is not X, start:X, zero:X or zero-decay:X with an X from 0 to 1e6",
                   text);
  s->init_pull = (vq_pull)kind;
  s->init_weight = weight;
  return VQ_OK;
}

static void write_pull(const vq_settings *s, char *text, size_t bytes)
{
  char weight[32];
  vq_number_write(weight, sizeof weight, s->init_weight);
  snprintf(text, bytes, "%s:%s", pull_names[s->init_pull], weight);
}

static vq_status read_drops(vq_settings *s, const char *text)
{
  const char *colon = strchr(text, ':');
  char first[24];
  int64_t every = 0, drops = 0;
  bool none = !strcmp(text, "none");
  if (!none && colon && colon - text < (int)sizeof first) {
    snprintf(first, sizeof first, "%.*s", (int)(colon - text), text);
    if (vq_integer_read(first, &every) || vq_integer_read(colon + 1, &drops))
      every = 0;
  }
  if (!none && !(every >= 1 && every <= 1000000000 && drops >= 1 && drops <= 1000000))
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is neither EVERY:TIMES, 50:5 say, nor none", text);
  s->init_drop_every = every;
  s->init_drops = drops;
  return VQ_OK;
}

static void write_drops(const vq_settings *s, char *text, size_t bytes)
{
  if (s->init_drops)
    snprintf(text, bytes, "%lld:%lld", (long long)s->init_drop_every, (long long)s->init_drops);
  else
    snprintf(text, bytes, "none");
}

/* ---- the table ---- */

#define AT(member) .at = offsetof(vq_settings, member)

/* RANGE takes the second number's place for granted, and so does SIZE. */
_Static_assert(offsetof(vq_settings, height) == offsetof(vq_settings, width) + sizeof(int), "width, height");
_Static_assert(offsetof(vq_settings, cut_most) == offsetof(vq_settings, cut_least) + sizeof(double), "least, most");

static const vq_field fields[] = {
    {"size", VQ_FIELD_SIZE, AT(width), .least = 1, .most = MOST_SIDE, .title = "the size"},
    {"steps", VQ_FIELD_COUNT, AT(steps), .least = -1, .most = 1e9, .title = "the number of steps"},
    {"seed", VQ_FIELD_SEED, AT(seed), .title = "the seed"},
    {"lr", VQ_FIELD_REAL, AT(lr), .most = 1000, .title = "the learning rate"},
    {"lr_schedule", VQ_FIELD_OWN, .title = "the schedule", .read = read_schedule, .write = write_schedule},
    {"optimizer", VQ_FIELD_CHOICE, AT(optimizer),
     .choices = "adam|adamw|adagrad|adamax|rmsprop|radam|diffgrad|adamp", .title = "the optimizer"},
    {"weight_decay", VQ_FIELD_REAL, AT(weight_decay), .most = 100, .title = "the weight decay"},
    {"latent", VQ_FIELD_CHOICE, AT(latent), .choices = "z|logits", .title = "what is moved"},
    {"z_clamp", VQ_FIELD_FLAG, AT(z_clamp), .title = "the clamp of z"},
    {"ema", VQ_FIELD_REAL, AT(ema), .most = 0.999999, .title = "the average of z"},
    {"cutouts", VQ_FIELD_INT, AT(cutouts), .least = 1, .most = MOST_CUTOUTS, .title = "the number of cutouts"},
    {"cut_size", VQ_FIELD_RANGE, AT(cut_least), .most = 1, .title = "the range of the cutouts' sizes"},
    {"cut_power", VQ_FIELD_REAL, AT(cut_power), .most = 100, .title = "the cut power"},
    {"cut_method", VQ_FIELD_CHOICE, AT(cut_method), .choices = "pool|lanczos|whole", .title = "the cut method"},
    {"augment", VQ_FIELD_TEXT, AT(augment), .title = "the augmentations"},
    {"tv_weight", VQ_FIELD_REAL, AT(tv_weight), .most = 1e6, .title = "the weight of the total variation"},
    {"init_weight", VQ_FIELD_OWN, .title = "what holds z", .read = read_pull, .write = write_pull},
    {"init_drop", VQ_FIELD_OWN, .title = "the drops of what holds z", .read = read_drops, .write = write_drops},
    {"init", VQ_FIELD_OWN, .title = "the start", .read = read_start, .write = write_start, .file = start_file},
    {"fit", VQ_FIELD_CHOICE, AT(fit), .choices = "crop|pad|stretch", .title = "the fit"},
    {"gumbel_noise", VQ_FIELD_FLAG, AT(gumbel_noise), .title = "the noise of GumbelVQ's encoder"},
    {"phase_every", VQ_FIELD_COUNT, AT(phase_every), .most = 1e9, .title = "the steps of a phase"},
    {"metadata", VQ_FIELD_SET, AT(metadata), .choices = "text|stegano|xmp", .title = "the metadata"},
    {"model_name", VQ_FIELD_TEXT, AT(model_name), .title = "the model's name"},
    {"quality", VQ_FIELD_INT, AT(quality), .least = 1, .most = 100, .title = "the quality"},
};
#define FIELDS (int)(sizeof fields / sizeof *fields)

const vq_field *vq_fields(int *count)
{
  *count = FIELDS;
  return fields;
}

const vq_field *vq_field_find(const char *name)
{
  for (int i = 0; i < FIELDS; i++) {
    const char *a = fields[i].name, *b = name;
    while (*a && (*a == *b || (*a == '_' && *b == '-')))
      a++, b++;
    if (!*a && !*b)
      return &fields[i];
  }
  return NULL;
}

/* ---- words of a list ---- */

/* The place of a word in "this|that", in letters of any case; -1. */
static int place_of(const char *choices, const char *word, size_t length)
{
  int place = 0;
  for (const char *p = choices;; place++) {
    size_t n = strcspn(p, "|");
    if (n == length && !strncasecmp(p, word, n))
      return place;
    if (!p[n])
      return -1;
    p += n + 1;
  }
}

/* The word in that place; its length in *length, 0 beyond the last. */
static const char *word_at(const char *choices, int place, int *length)
{
  while (place-- > 0 && *choices) {
    choices += strcspn(choices, "|");
    choices += *choices == '|';
  }
  *length = (int)strcspn(choices, "|");
  return choices;
}

static vq_status read_set(const vq_field *f, unsigned *set, const char *text)
{
  *set = 0;
  if (!strcmp(text, "none"))
    return VQ_OK;
  for (const char *p = text;; p++) {
    size_t n = strcspn(p, ",");
    int place = place_of(f->choices, p, n);
    if (place < 0)
      return vq_fail(VQ_ERR_ARGUMENT, "\"%.*s\" is none of %s; none is none of them", (int)n, p, f->choices);
    *set |= 1u << place;
    p += n;
    if (!*p)
      return VQ_OK;
  }
}

static void write_set(const vq_field *f, unsigned set, char *text, size_t bytes)
{
  size_t used = 0;
  snprintf(text, bytes, "none");
  for (int i = 0, length; set >> i; i++) {
    const char *word = word_at(f->choices, i, &length);
    if (set >> i & 1)
      used += (size_t)snprintf(text + used, bytes - used, "%s%.*s", used ? "," : "", length, word);
  }
}

/* ---- texts ---- */

static vq_status bounded(const vq_field *f, double x, const char *text)
{
  if (x >= f->least && x <= f->most)
    return VQ_OK;
  return vq_fail(VQ_ERR_ARGUMENT, "%s is not from %.10g to %.10g", text, f->least, f->most);
}

static vq_status read_count(const vq_field *f, int64_t *to, const char *text)
{
  int64_t n;
  VQ_TRY(vq_integer_read(text, &n));
  VQ_TRY(bounded(f, (double)n, text));
  *to = n;
  return VQ_OK;
}

static vq_status read_real(const vq_field *f, double *to, const char *text)
{
  double x;
  VQ_TRY(vq_number_read(text, &x));
  VQ_TRY(bounded(f, x, text));
  *to = x;
  return VQ_OK;
}

static vq_status read_seed(uint64_t *to, const char *text)
{
  char *end;
  errno = 0;
  unsigned long long n = strtoull(text, &end, 10);
  if (text[strspn(text, "0123456789")] || end == text)
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is not an integer of 0 or more", text);
  if (errno)
    return vq_fail(VQ_ERR_ARGUMENT, "%s is too large", text);
  *to = n;
  return VQ_OK;
}

static vq_status read_size(const vq_field *f, int *side, const char *text)
{
  const char *x = strpbrk(text, "xX");
  char first[16];
  int64_t width, height;
  if (!x && text[strspn(text, "0123456789")] == 0)
    return vq_fail(VQ_ERR_ARGUMENT, "the size is one word, WxH: %sx%s, say", text, text);
  if (!x || x - text >= (int)sizeof first)
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is not a size: write WxH, 64x64 say", text);
  snprintf(first, sizeof first, "%.*s", (int)(x - text), text);
  VQ_TRY(vq_integer_read(first, &width));
  VQ_TRY(vq_integer_read(x + 1, &height));
  bool wide = (double)width >= f->least && (double)width <= f->most;
  if (!wide || (double)height < f->least || (double)height > f->most)
    return vq_fail(VQ_ERR_ARGUMENT, "%s: a side has %.0f to %.0f pixels, unlike this %s", text, f->least, f->most,
                   wide ? "height" : "width");
  side[0] = (int)width;
  side[1] = (int)height;
  return VQ_OK;
}

static vq_status read_range(const vq_field *f, double *range, const char *text)
{
  const char *colon = strchr(text, ':');
  char first[32];
  double least, most;
  if (!colon || colon - text >= (int)sizeof first)
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is not LEAST:MOST: 0.5:1, say", text);
  snprintf(first, sizeof first, "%.*s", (int)(colon - text), text);
  VQ_TRY(vq_number_read(first, &least));
  VQ_TRY(vq_number_read(colon + 1, &most));
  if (!(least >= f->least && most > 0 && least <= most && most <= f->most))
    return vq_fail(VQ_ERR_ARGUMENT, "%s does not rise from %g or more to at most %g", text, f->least, f->most);
  range[0] = least;
  range[1] = most;
  return VQ_OK;
}

static vq_status read_choice(const vq_field *f, int *to, const char *text)
{
  int place = place_of(f->choices, text, strlen(text));
  if (place < 0)
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is none of %s", text, f->choices);
  *to = place;
  return VQ_OK;
}

static vq_status read_text(const char **to, const char *text)
{
  if (strlen(text) >= VQ_FIELD_BYTES || !vq_is_utf8(text))
    return vq_fail(VQ_ERR_ARGUMENT, "a text is UTF-8 and has less than %d bytes", VQ_FIELD_BYTES);
  *to = *text ? text : NULL;
  return VQ_OK;
}

vq_status vq_field_read(const vq_field *f, vq_settings *s, const char *text)
{
  void *to = (char *)s + f->at;
  int64_t n = 0;
  switch (f->kind) {
  case VQ_FIELD_INT:
    VQ_TRY(read_count(f, &n, text));
    *(int *)to = (int)n;
    return VQ_OK;
  case VQ_FIELD_COUNT: return read_count(f, to, text);
  case VQ_FIELD_SEED: return read_seed(to, text);
  case VQ_FIELD_REAL: return read_real(f, to, text);
  case VQ_FIELD_FLAG:
    if (strcmp(text, "yes") && strcmp(text, "no"))
      return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is neither yes nor no", text);
    *(bool *)to = !strcmp(text, "yes");
    return VQ_OK;
  case VQ_FIELD_CHOICE: return read_choice(f, to, text);
  case VQ_FIELD_SET: return read_set(f, to, text);
  case VQ_FIELD_TEXT: return read_text(to, text);
  case VQ_FIELD_SIZE: return read_size(f, to, text);
  case VQ_FIELD_RANGE: return read_range(f, to, text);
  case VQ_FIELD_OWN: break;
  }
  return f->read(s, text);
}

void vq_field_write(const vq_field *f, const vq_settings *s, char *text, size_t bytes)
{
  const void *from = (const char *)s + f->at;
  char first[32], second[32];
  int length;
  switch (f->kind) {
  case VQ_FIELD_INT: snprintf(text, bytes, "%d", *(const int *)from); return;
  case VQ_FIELD_COUNT: snprintf(text, bytes, "%lld", (long long)*(const int64_t *)from); return;
  case VQ_FIELD_SEED: snprintf(text, bytes, "%llu", (unsigned long long)*(const uint64_t *)from); return;
  case VQ_FIELD_REAL: vq_number_write(text, bytes, *(const double *)from); return;
  case VQ_FIELD_FLAG: snprintf(text, bytes, *(const bool *)from ? "yes" : "no"); return;
  case VQ_FIELD_CHOICE: {
    const char *word = word_at(f->choices, *(const int *)from, &length);
    snprintf(text, bytes, "%.*s", length, word);
    return;
  }
  case VQ_FIELD_SET: write_set(f, *(const unsigned *)from, text, bytes); return;
  case VQ_FIELD_TEXT:
    snprintf(text, bytes, "%s", *(const char *const *)from ? *(const char *const *)from : "");
    return;
  case VQ_FIELD_SIZE: snprintf(text, bytes, "%dx%d", ((const int *)from)[0], ((const int *)from)[1]); return;
  case VQ_FIELD_RANGE:
    vq_number_write(first, sizeof first, ((const double *)from)[0]);
    vq_number_write(second, sizeof second, ((const double *)from)[1]);
    snprintf(text, bytes, "%s:%s", first, second);
    return;
  case VQ_FIELD_OWN: f->write(s, text, bytes);
  }
}

/* ---- JSON ---- */

json_t *vq_field_to_json(const vq_field *f, const vq_settings *s)
{
  const void *from = (const char *)s + f->at;
  char text[VQ_FIELD_BYTES];
  switch (f->kind) {
  case VQ_FIELD_INT: return json_integer(*(const int *)from);
  case VQ_FIELD_COUNT: return json_integer(*(const int64_t *)from);
  case VQ_FIELD_REAL: return json_real(*(const double *)from);
  case VQ_FIELD_SEED:
    if (*(const uint64_t *)from > INT64_MAX)
      break;
    return json_integer((json_int_t) * (const uint64_t *)from);
  case VQ_FIELD_FLAG: return json_boolean(*(const bool *)from);
  case VQ_FIELD_SIZE: return json_pack("[i,i]", ((const int *)from)[0], ((const int *)from)[1]);
  case VQ_FIELD_RANGE: return json_pack("[f,f]", ((const double *)from)[0], ((const double *)from)[1]);
  default: break;
  }
  vq_field_write(f, s, text, sizeof text);
  return json_string(text);
}

static void number_text(const json_t *value, char *text, size_t bytes)
{
  if (json_is_integer(value))
    snprintf(text, bytes, "%lld", (long long)json_integer_value(value));
  else
    vq_number_write(text, bytes, json_number_value(value));
}

/* By way of the text, so that what may be said is said in one place. */
vq_status vq_field_from_json(const vq_field *f, vq_settings *s, const json_t *value)
{
  char text[96], first[40], second[40];
  bool two = f->kind == VQ_FIELD_SIZE || f->kind == VQ_FIELD_RANGE;
  bool seed = f->kind == VQ_FIELD_SEED;
  bool number = seed || f->kind == VQ_FIELD_INT || f->kind == VQ_FIELD_COUNT || f->kind == VQ_FIELD_REAL;
  if (json_is_string(value) && !two && (seed || !number) && f->kind != VQ_FIELD_FLAG)
    return vq_field_read(f, s, json_string_value(value));
  if (json_is_boolean(value) && f->kind == VQ_FIELD_FLAG)
    return vq_field_read(f, s, json_is_true(value) ? "yes" : "no");
  if (json_is_number(value) && number) {
    number_text(value, text, sizeof text);
    return vq_field_read(f, s, text);
  }
  if (two && json_array_size(value) == 2 && json_is_number(json_array_get(value, 0)) &&
      json_is_number(json_array_get(value, 1))) {
    number_text(json_array_get(value, 0), first, sizeof first);
    number_text(json_array_get(value, 1), second, sizeof second);
    snprintf(text, sizeof text, "%s%c%s", first, f->kind == VQ_FIELD_SIZE ? 'x' : ':', second);
    return vq_field_read(f, s, text);
  }
  return vq_fail(VQ_ERR_ARGUMENT, "it is of a wrong type");
}

vq_status vq_fields_check(const vq_settings *s)
{
  char text[VQ_FIELD_BYTES];
  vq_settings scratch = *s;
  for (int i = 0; i < FIELDS; i++) {
    const vq_field *f = &fields[i];
    vq_field_write(f, s, text, sizeof text);
    if (f->kind == VQ_FIELD_TEXT && *(const char *const *)((const char *)s + f->at))
      VQ_TRY(
          vq_fail_in(vq_field_read(f, &scratch, *(const char *const *)((const char *)s + f->at)), "%s", f->title));
    else if (f->kind != VQ_FIELD_OWN)
      VQ_TRY(vq_fail_in(vq_field_read(f, &scratch, text), "%s", f->title));
  }
  return VQ_OK;
}
