/* prompt.c -- cuts an argument at its carets and bars, and peels the numbers off each piece's right end. */
#include "runtime/prompt.h"

#include "runtime/number.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A part of the argument, escapes still in it. */
typedef struct span {
  const char *begin, *end;
} span;

static bool is_blank(char c)
{
  return isspace((unsigned char)c);
}

static bool is_escape(const char *s, const char *end)
{
  return *s == '\\' && s + 1 < end && s[1] && strchr(":|^\\", s[1]);
}

/* Without blanks at its ends; an escaped character never is one. */
static span trim(span s)
{
  while (s.begin < s.end && is_blank(*s.begin))
    s.begin++;
  while (s.end > s.begin && is_blank(s.end[-1]))
    s.end--;
  return s;
}

/* The last `c` in it that is not escaped, or NULL. */
static const char *last(span s, char c)
{
  const char *found = NULL;
  for (const char *p = s.begin; p < s.end; p++)
    if (is_escape(p, s.end))
      p++;
    else if (*p == c)
      found = p;
  return found;
}

/* The first one, or the end. */
static const char *first(span s, char c)
{
  const char *p = s.begin;
  while (p < s.end && *p != c)
    p += is_escape(p, s.end) ? 2 : 1;
  return p;
}

static const char *digits(const char *p)
{
  while (*p >= '0' && *p <= '9')
    p++;
  return p;
}

/* Is it a decimal number, "inf", "infinity" or "nan", with a sign or none? Hexadecimal ones are text. */
static bool looks_like_number(const char *text)
{
  static const char *const words[] = {"inf", "infinity", "nan"};
  const char *p = text + (*text == '+' || *text == '-');
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    size_t n = 0;
    while (words[i][n] && tolower((unsigned char)p[n]) == words[i][n])
      n++;
    if (!words[i][n] && !p[n])
      return true;
  }
  const char *whole = digits(p), *fraction = *whole == '.' ? digits(whole + 1) : whole;
  if (fraction - p - (*whole == '.') == 0)
    return false;
  if (*fraction != 'e' && *fraction != 'E')
    return !*fraction;
  p = fraction + 1 + (fraction[1] == '+' || fraction[1] == '-');
  return digits(p) > p && !*digits(p);
}

static bool read_number(span s, double *value)
{
  char text[64];
  s = trim(s);
  size_t n = (size_t)(s.end - s.begin);
  if (n == 0 || n >= sizeof text)
    return false;
  memcpy(text, s.begin, n);
  text[n] = 0;
  if (!looks_like_number(text))
    return false;
  *value = vq_strtod(text, NULL);
  return true;
}

/* Takes ":NUMBER" off the right end of *s, if it ends so. */
static bool peel(span *s, double *value)
{
  const char *colon = last(*s, ':');
  if (!colon || !read_number((span){colon + 1, s->end}, value))
    return false;
  s->end = colon;
  return true;
}

static char *resolve(span s)
{
  char *text = malloc((size_t)(s.end - s.begin) + 1), *to = text;
  for (const char *p = s.begin; text && p < s.end; p++) {
    p += is_escape(p, s.end);
    *to++ = *p;
  }
  if (text)
    *to = 0;
  return text;
}

static vq_status parse_one(vq_prompt *out, span piece, vq_prompt_kind kind, int phase)
{
  double number[2];
  int numbers = 0;
  span text = piece;
  while (numbers < 2 && peel(&text, &number[numbers]))
    numbers++;
  text = trim(text);
  *out = (vq_prompt){
      .kind = kind,
      .weight = numbers ? number[numbers - 1] : 1,
      .stop = numbers == 2 ? number[0] : VQ_NO_STOP,
      .phase = phase,
  };
  int length = (int)(piece.end - piece.begin);
  if (text.begin == text.end)
    return vq_fail(VQ_ERR_PROMPT, "the prompt \"%.*s\" has no text", length, piece.begin);
  if (!isfinite(out->weight))
    return vq_fail(
        VQ_ERR_PROMPT,
        "the prompt \"%.*s\" has a weight that is not finite: if it belongs to the text, write \\: before it",
        length, piece.begin);
  if (!isfinite(out->stop) && out->stop != VQ_NO_STOP)
    return vq_fail(VQ_ERR_PROMPT, "the prompt \"%.*s\" has a stop that is neither finite nor -inf", length,
                   piece.begin);
  out->text = resolve(text);
  return out->text ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a prompt of %d bytes", length);
}

static int separators(span s, const char *which)
{
  int n = 0;
  for (const char *p = s.begin; p < s.end; p += is_escape(p, s.end) ? 2 : 1)
    n += strchr(which, *p) != NULL;
  return n;
}

/* The prompts at once of one phase, from *count on. */
static vq_status parse_phase(vq_prompt *prompts, int *count, span all, int phase)
{
  for (const char *bar; all.begin <= all.end; all.begin = bar + 1) {
    bar = first(all, '|');
    VQ_TRY(parse_one(&prompts[*count], trim((span){all.begin, bar}), VQ_PROMPT_TEXT, phase));
    ++*count;
  }
  return VQ_OK;
}

vq_status vq_prompts_parse(vq_prompt **out, int *count, const char *argument)
{
  span all = {argument, argument + strlen(argument)};
  bool phases = first(all, '^') < all.end;
  int n = 0;
  *out = NULL;
  *count = 0;
  vq_prompt *prompts = calloc((size_t)separators(all, "|^") + 1, sizeof *prompts);
  if (!prompts)
    return vq_fail(VQ_ERR_MEMORY, "no memory for prompts");
  vq_status status = VQ_OK;
  const char *caret;
  for (int phase = 0; !status && all.begin <= all.end; phase++, all.begin = caret + 1) {
    caret = first(all, '^');
    status = parse_phase(prompts, &n, (span){all.begin, caret}, phases ? phase : VQ_EVERY_PHASE);
  }
  if (status) {
    vq_prompts_free(prompts, n);
    return status;
  }
  *out = prompts;
  *count = n;
  return VQ_OK;
}

void vq_prompts_free(vq_prompt *prompts, int count)
{
  for (int i = 0; prompts && i < count; i++)
    free((char *)prompts[i].text);
  free(prompts);
}

vq_status vq_prompt_parse(vq_prompt *out, vq_prompt_kind kind, const char *argument)
{
  return parse_one(out, trim((span){argument, argument + strlen(argument)}), kind, VQ_EVERY_PHASE);
}

/* ---- what cannot be meant ---- */

#define FARTHEST 4.934802200544679 /* pi^2 / 2: the loss of opposite directions */

static bool is_url(const char *text)
{
  return !strncmp(text, "http://", 7) || !strncmp(text, "https://", 8);
}

static vq_status check_noise(const char *seed)
{
  size_t n = strlen(seed);
  if (n && n == strspn(seed, "0123456789") && n < 20)
    return VQ_OK;
  return vq_fail(VQ_ERR_PROMPT,
                 "a noise prompt is SEED[:WEIGHT[:STOP]], with a number of at most 19 digits, not \"%s\"", seed);
}

vq_status vq_prompt_check(const vq_prompt *p)
{
  if (!isfinite(p->weight) || isnan(p->stop) || p->stop == INFINITY)
    return vq_fail(VQ_ERR_ARGUMENT, "a prompt's weight must be a finite number and its stop a number");
  if (p->weight < 0 && p->stop >= 0)
    return vq_fail(VQ_ERR_PROMPT,
                   "\"%s\" would never push: with a negative weight the stop is compared with the negated "
                   "distance, so it is below 0: %g, perhaps",
                   p->text, p->stop > 0 ? -p->stop : -1);
  if (p->weight > 0 && p->stop >= FARTHEST)
    return vq_fail(VQ_ERR_PROMPT,
                   "\"%s\" would never pull: no distance is above its stop, %g (the largest is %.3f)", p->text,
                   p->stop, FARTHEST);
  if (p->phase < VQ_EVERY_PHASE || p->phase >= VQ_MOST_PROMPTS ||
      (p->kind != VQ_PROMPT_TEXT && p->phase != VQ_EVERY_PHASE))
    return vq_fail(VQ_ERR_ARGUMENT, "a text's phase is from 0 to %d, and other prompts are in every phase",
                   VQ_MOST_PROMPTS - 1);
  if (p->kind == VQ_PROMPT_IMAGE && is_url(p->text))
    return vq_fail(VQ_ERR_PROMPT, "%s: nothing is downloaded: save the picture and name the file", p->text);
  return p->kind == VQ_PROMPT_NOISE ? check_noise(p->text) : VQ_OK;
}
