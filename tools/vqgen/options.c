/* options.c -- reads options by a table, and prints --help from it. */
#include "tools/vqgen/options.h"

#include "runtime/number.h"
#include "tools/vqgen/names.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

vq_status words_add(words *list, const char *word)
{
  if (list->count == list->capacity) {
    int capacity = list->capacity ? 2 * list->capacity : 16;
    const char **grown = realloc(list->word, (size_t)capacity * sizeof *grown);
    if (!grown)
      return vq_fail(VQ_ERR_MEMORY, "no memory for %d words", capacity);
    list->word = grown;
    list->capacity = capacity;
  }
  list->word[list->count++] = word;
  return VQ_OK;
}

void words_free(words *list)
{
  free(list->word);
  *list = (words){0};
}

/* ---- values ---- */

vq_status set_flag(const option *o, const char *value)
{
  (void)value;
  *(bool *)o->to = true;
  return VQ_OK;
}

vq_status set_text(const option *o, const char *value)
{
  *(const char **)o->to = value;
  return VQ_OK;
}

vq_status set_words(const option *o, const char *value)
{
  return words_add(o->to, value);
}

vq_status set_number(const option *o, const char *value)
{
  double x;
  VQ_TRY(vq_number_read(value, &x));
  if (x < o->least || x > o->most)
    return vq_fail(VQ_ERR_ARGUMENT, "%s is not from %g to %g", value, o->least, o->most);
  *(double *)o->to = x;
  return VQ_OK;
}

vq_status set_bytes(const option *o, const char *value)
{
  static const char units[] = "KMGT", *unit;
  size_t length = strcspn(value, "kKmMgGtT");
  char number[32];
  double x;
  unit = value[length] ? strchr(units, toupper((unsigned char)value[length])) : NULL;
  if (length >= sizeof number || !unit ||
      (value[length + 1] && strcmp(value + length + 1, "B") && strcmp(value + length + 1, "iB")))
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is no size: write 6G or 6000M", value);
  snprintf(number, sizeof number, "%.*s", (int)length, value);
  VQ_TRY(vq_number_read(number, &x));
  x = ldexp(x, 10 * (int)(unit - units + 1));
  if (!(x >= 1 && x < 9e18))
    return vq_fail(VQ_ERR_ARGUMENT, "%s is no size that memory can have", value);
  *(int64_t *)o->to = (int64_t)x;
  return VQ_OK;
}

vq_status set_count(const option *o, const char *value)
{
  int64_t n = 0;
  VQ_TRY(vq_integer_read(value, &n));
  if ((double)n < o->least || (double)n > o->most)
    return vq_fail(VQ_ERR_ARGUMENT, "%s is not from %.0f to %.0f", value, o->least, o->most);
  *(int64_t *)o->to = n;
  return VQ_OK;
}

vq_status set_integer(const option *o, const char *value)
{
  int64_t n = 0;
  option wide = *o;
  wide.to = &n;
  VQ_TRY(set_count(&wide, value));
  *(int *)o->to = (int)n;
  return VQ_OK;
}

vq_status set_choice(const option *o, const char *value)
{
  int place = 0;
  if (!names_listed(o->argument, value))
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is none of %s", value, o->argument);
  for (const char *p = o->argument; strcspn(p, "|") != strlen(value) || strncmp(p, value, strlen(value)); place++)
    p = strchr(p, '|') + 1;
  *(int *)o->to = place;
  return VQ_OK;
}

/* ---- reading ---- */

typedef struct reader {
  const option *table;
  int rows, argc, at; /* at: the next word */
  char **argv;
  words *rest;
} reader;

static const option *find(const reader *r, const char *name, size_t length)
{
  for (int i = 0; i < r->rows; i++)
    if (r->table[i].name && strlen(r->table[i].name) == length && !strncmp(r->table[i].name, name, length))
      return &r->table[i];
  return NULL;
}

static const option *find_letter(const reader *r, char letter)
{
  for (int i = 0; i < r->rows; i++)
    if (r->table[i].letter && r->table[i].letter == letter)
      return &r->table[i];
  return NULL;
}

static const char *nearest(const reader *r, const char *name)
{
  const char *best = "help";
  int best_distance = names_distance(name, best);
  for (int i = 0; i < r->rows; i++) {
    const char *other = r->table[i].name;
    int distance = other ? names_distance(name, other) : best_distance;
    if (other && strlen(name) > 2 && !strncmp(other, name, strlen(name)))
      distance = 0; /* the beginning of the name, or what a longer one begins with */
    if (distance < best_distance) {
      best = other;
      best_distance = distance;
    }
  }
  return best;
}

static vq_status unknown(const reader *r, const char *word)
{
  const char *name = word + strspn(word, "-"), *ours = names_old(word);
  char plain[64] = "";
  snprintf(plain, sizeof plain, "%.*s", (int)strcspn(name, "="), name);
  if (ours)
    return vq_fail(VQ_ERR_ARGUMENT, "%s is another tool's option; here: %s", word, ours);
  if (names_listed(names_later_options, plain) || !strncmp(plain, "zoom-", 5))
    return vq_fail(VQ_ERR_UNSUPPORTED, "--%s is not in this version yet", plain);
  return vq_fail(VQ_ERR_ARGUMENT, "unknown option %.*s: did you mean --%s?", (int)strcspn(word, "="), word,
                 nearest(r, plain));
}

static vq_status take(const option *o, const char *written, const char *value)
{
  char kind[32]; /* of cuda:1, cuda */
  snprintf(kind, sizeof kind, "%.*s", (int)strcspn(value, ":"), value);
  if (names_listed(o->later, kind))
    return vq_fail(VQ_ERR_UNSUPPORTED, "--%s %s is not in this version yet", o->name, value);
  return vq_fail_in(o->set(o, value), "%s", written);
}

static bool looks_like_option(const char *word)
{
  return word[0] == '-' && word[1];
}

/* `written`: the option as it was given; `value` what was joined to it, or NULL. */
static vq_status apply(reader *r, const option *o, const char *written, const char *value)
{
  if (!o->argument)
    return value ? vq_fail(VQ_ERR_ARGUMENT, "--%s takes no value", o->name) : take(o, written, "");
  if (!value && r->at == r->argc)
    return vq_fail(VQ_ERR_ARGUMENT, "%s wants a value: %s", written, o->argument);
  VQ_TRY(take(o, written, value ? value : r->argv[r->at++]));
  while (o->many && !value && r->at < r->argc && !looks_like_option(r->argv[r->at]))
    VQ_TRY(take(o, written, r->argv[r->at++]));
  return VQ_OK;
}

static vq_status read_one(reader *r, const char *word)
{
  const char *name = word + 2, *equals = strchr(word, '=');
  char written[64];
  const option *o;
  if (word[1] == '-') {
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    o = find(r, name, length);
    snprintf(written, sizeof written, "%.*s", (int)length + 2, word);
    return o ? apply(r, o, written, equals ? equals + 1 : NULL) : unknown(r, word);
  }
  o = find_letter(r, word[1]);
  /* -seed and -ckpt are mistakes, not letters with a value */
  if (!o || names_old(word) || find(r, word + 1, strlen(word + 1)))
    return unknown(r, word);
  snprintf(written, sizeof written, "%.2s", word);
  return apply(r, o, written, word[2] ? word + 2 : NULL);
}

vq_status options_read(const option *table, int rows, int argc, char **argv, words *rest, asked *question)
{
  reader r = {.table = table, .rows = rows, .argc = argc, .argv = argv, .rest = rest};
  bool only_words = false;
  *question = ASKED_NOTHING;
  while (r.at < argc) {
    const char *word = argv[r.at++];
    if (only_words || !looks_like_option(word)) {
      VQ_TRY(words_add(rest, word));
    } else if (!strcmp(word, "--")) {
      only_words = true;
    } else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
      *question = ASKED_HELP;
      return VQ_OK;
    } else if (!strcmp(word, "--version")) {
      *question = ASKED_VERSION;
      return VQ_OK;
    } else {
      VQ_TRY(read_one(&r, word));
    }
  }
  return VQ_OK;
}

/* ---- --help ---- */

#define WIDTH  80
#define INDENT 26

/* Words from column `at` on, broken before WIDTH, further lines from column `indent` on. Returns the column it ends at. */
static int print_wrapped(const char *text, int at, int indent)
{
  while (*text) {
    int length = (int)strcspn(text, " \n");
    bool full = at > indent && at + 1 + length > WIDTH;
    if (*text == '\n' || (length && full)) {
      printf("\n%*s", indent, "");
      at = indent;
    } else if (length && at > indent) {
      putchar(' ');
      at++;
    }
    printf("%.*s", length, text);
    at += length;
    text += length ? length : 1;
  }
  return at;
}

static void print_option(const option *o)
{
  char head[64], normally[256];
  int n = o->letter
              ? snprintf(head, sizeof head, "  -%c, --%s %s", o->letter, o->name, o->argument ? o->argument : "")
              : snprintf(head, sizeof head, "      --%s %s", o->name, o->argument ? o->argument : "");
  printf("%s", head);
  if (n >= INDENT)
    printf("\n%*s", INDENT, "");
  else
    printf("%*s", INDENT - n, "");
  int at = print_wrapped(o->help, INDENT, INDENT);
  if (o->normally) {
    snprintf(normally, sizeof normally, " [%s]", o->normally);
    if (at + (int)strlen(normally) > WIDTH)
      printf("\n%*s%s", INDENT, "", normally + 1);
    else
      printf("%s", normally);
  }
  putchar('\n');
}

void options_help(const command *c, const option *table, int rows)
{
  static const option help = {'h', "help", NULL, NULL, NULL, "this text", NULL, 0, 0, NULL, false};
  printf("usage: %s %s%s%s\n\n", c->program ? c->program : "vqgen", c->name, *c->name ? " " : "", c->usage);
  print_wrapped(c->text, 0, 0);
  puts("\n");
  if (rows && table[0].name)
    puts("Options (a default in brackets):");
  for (int i = 0; i < rows; i++)
    if (table[i].name)
      print_option(&table[i]);
    else
      printf("%s%s\n", i ? "\n" : "", table[i].help);
  print_option(&help);
  printf("\nExamples:\n%s", c->examples);
}
