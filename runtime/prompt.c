/* prompt.c -- cuts an argument at its bars, and peels the numbers off each piece's right end. */
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

static vq_status parse_one(vq_prompt *out, span piece)
{
  double number[2];
  int numbers = 0;
  span text = piece;
  while (numbers < 2 && peel(&text, &number[numbers]))
    numbers++;
  text = trim(text);
  out->weight = numbers ? number[numbers - 1] : 1;
  out->stop = numbers == 2 ? number[0] : -INFINITY;
  int length = (int)(piece.end - piece.begin);
  if (text.begin == text.end)
    return vq_fail(VQ_ERR_PROMPT, "the prompt \"%.*s\" has no text", length, piece.begin);
  if (!isfinite(out->weight))
    return vq_fail(
        VQ_ERR_PROMPT,
        "the prompt \"%.*s\" has a weight that is not finite: if it belongs to the text, write \\: before it",
        length, piece.begin);
  if (!isfinite(out->stop) && out->stop != -INFINITY)
    return vq_fail(VQ_ERR_PROMPT, "the prompt \"%.*s\" has a stop that is neither finite nor -inf", length,
                   piece.begin);
  out->text = resolve(text);
  return out->text ? VQ_OK : vq_fail(VQ_ERR_MEMORY, "no memory for a prompt of %d bytes", length);
}

vq_status vq_prompts_parse(vq_prompt **out, int *count, const char *argument)
{
  span all = {argument, argument + strlen(argument)};
  size_t pieces = 1;
  *out = NULL;
  *count = 0;
  if (first(all, '^') < all.end)
    return vq_fail(VQ_ERR_UNSUPPORTED,
                   "phases (^) are not in this version yet: for the character ^ itself write \\^");
  for (const char *p = first(all, '|'); p < all.end; p = first((span){p + 1, all.end}, '|'))
    pieces++;
  vq_prompt *prompts = calloc(pieces, sizeof *prompts);
  if (!prompts)
    return vq_fail(VQ_ERR_MEMORY, "no memory for %zu prompts", pieces);
  vq_status status = VQ_OK;
  for (int i = 0; !status && i < (int)pieces; i++) {
    const char *bar = first(all, '|');
    status = parse_one(&prompts[i], trim((span){all.begin, bar}));
    all.begin = bar + 1;
  }
  if (status) {
    vq_prompts_free(prompts, (int)pieces);
    return status;
  }
  *out = prompts;
  *count = (int)pieces;
  return VQ_OK;
}

void vq_prompts_free(vq_prompt *prompts, int count)
{
  for (int i = 0; prompts && i < count; i++)
    free(prompts[i].text);
  free(prompts);
}
