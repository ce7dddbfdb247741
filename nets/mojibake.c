/* mojibake.c -- UTF-8 that was read as windows-1252, and back. */
#include "nets/mojibake.h"

#include <utf8proc.h>

/* Nested misreadings more than halve the text each time; the bound is for texts that are made to be slow. */
#define MOST_ROUNDS 64

static const uint16_t high[32] = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178,
};

uint32_t vq_windows_1252(uint32_t byte)
{
  return high[byte - 0x80];
}

#define LOST 0x1A /* the byte of a character that was already lost: ASCII's "substitute" */

/* The byte of c in windows-1252 (U+FFFD is LOST) or in Latin-1; -1 if it has none. */
static int byte_of(uint32_t c, bool windows)
{
  if (!windows)
    return c <= 0xFF ? (int)c : -1;
  if (c == 0xFFFD)
    return LOST;
  if (c < 0x80)
    return c == LOST ? -1 : (int)c;
  if (c >= 0xA0 && c <= 0xFF)
    return (int)c;
  for (int i = 0; i < 32; i++)
    if (high[i] == c)
      return 0x80 + i;
  return -1;
}

/* What a character does in a text, to tell neighbours that are at home together from those that are not. */
enum {
  STRANGE = 1, /* hardly ever seen in good text */
  LAW = 2,
  MONEY = 4,
  OPENS = 8,   /* punctuation before a word */
  CLOSES = 16, /* punctuation after a word */
  NUMBER = 32,
  UPPER = 64, /* accented letters, but for those that draw faces: o, u and y with marks */
  LOWER = 128,
  DASH = 256, /* and other things that stand anywhere */
  CONTROL = 512
};

/* One letter for each character of windows-1252 from byte 0x80 on. */
static const char roles[] = "$.(!(-!!!!U(U.U."  /* 80 */
                            ".(-()(--!)l)l.lU"  /* 90 */
                            "-($$!$!=!(!(!-)!"  /* A0 */
                            ".###-#=-!#!)###("  /* B0 */
                            "UUUUUUUUUUUUUUUU"  /* C0 */
                            "UU.....#U...UU.l"  /* D0 */
                            "llllllllllllllll"  /* E0 */
                            "ll.....#....l..."; /* F0 */

static unsigned role(uint32_t c)
{
  if (c >= 0x80 && c < 0xA0)
    return CONTROL;
  int byte = byte_of(c, true);
  if (byte == LOST)
    return STRANGE;
  switch (byte < 0x80 ? '.' : roles[byte - 0x80]) {
  case '!': return STRANGE;
  case '=': return LAW;
  case '$': return MONEY;
  case '(': return OPENS;
  case ')': return CLOSES;
  case '#': return NUMBER;
  case 'U': return UPPER;
  case 'l': return LOWER;
  case '-': return DASH;
  default: return 0;
  }
}

/* The roles that a character may not have after one with the role `before`. */
static unsigned misfits(unsigned before)
{
  switch (before) {
  case STRANGE: return STRANGE | LAW | MONEY | OPENS | CLOSES | NUMBER | UPPER | LOWER;
  case LAW: return STRANGE;
  case MONEY: return STRANGE | OPENS | UPPER | LOWER;
  case OPENS: return STRANGE;
  case CLOSES: return STRANGE | MONEY | UPPER | LOWER;
  case NUMBER: return STRANGE | OPENS | UPPER | LOWER;
  case UPPER: return STRANGE | LAW | NUMBER;
  case LOWER: return STRANGE | MONEY | UPPER;
  default: return 0;
  }
}

static bool any(uint32_t c, const uint16_t *set)
{
  while (*set && *set != c)
    set++;
  return *set;
}

static bool is_space(uint32_t c)
{
  return c == ' ' || (c >= 9 && c <= 13) || c == 0xA0;
}

static bool is_small(uint32_t c)
{
  return c >= 'a' && c <= 'z';
}

static bool is_plain(uint32_t c)
{
  return is_small(c | 0x20) && c < 0x80;
}

static bool is_word(uint32_t c)
{
  int kind = utf8proc_category((utf8proc_int32_t)c);
  return c == '_' || (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO) ||
         (kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO);
}

/* Whether c[i] and what follows it look misread. */
static bool suspect(const uint32_t *c, size_t i, size_t n)
{
  static const uint16_t tails[] = {0x20AC, 0x153, 0x160, 0x161, 0xA2, 0xA3, 0x178,  0x17E,  0xA0, 0xAD,
                                   0xAE,   0xA9,  0xB0,  0xB7,  0xBB, 0xB4, 0x2013, 0x2014, 0};
  static const uint16_t indic[] = {0xB2, 0xB5, 0xB9, 0xBC, 0xBD, 0xBE, 0};
  static const uint16_t arabic[] = {0x178, 0x160, 0xAE, 0xB0, 0xB5, 0xBB, 0};
  uint32_t a = c[i], b = i + 1 < n ? c[i + 1] : 0, d = i + 2 < n ? c[i + 2] : 0;
  unsigned ra = role(a);

  if (ra == CONTROL)
    return true;
  if (i + 1 == n)
    return false;
  unsigned rb = role(b), rd = role(d);
  if (misfits(ra) & rb)
    return true;
  if ((a == 0x152 || a == 0x153) && !is_plain(b)) /* oe before anything but a letter */
    return true;
  if (ra == UPPER && b == 0xB0)
    return true;
  if ((a == 0xC2 || a == 0xC3 || a == 0xCE || a == 0xD0) && (any(b, tails) || (rb & (OPENS | CLOSES))))
    return true;
  if ((a == 0xD7 && (b == 0xB2 || b == 0xB3)) || (a == 0xE0 && any(b, indic)))
    return true;
  if (i == 0 && (a == 0xC2 || a == 0xC3) && b == ' ')
    return true;
  if (i + 2 == n)
    return false;
  if (is_plain(a) && b == 0xDE && rd == STRANGE)
    return true;
  if (rb == UPPER && ((is_space(a) && rd == MONEY) || (is_small(a) && (rd & (OPENS | MONEY)))))
    return true;
  if (rb == OPENS && rd == NUMBER && (ra & (LOWER | UPPER | MONEY | CLOSES)))
    return true;
  if (rb == CLOSES && rd == OPENS && (ra & (LOWER | UPPER | MONEY | NUMBER | LAW)))
    return true;
  if ((rb & (OPENS | CLOSES)) && (ra & (LOWER | UPPER)) && is_word(d))
    return true;
  if (d == ' ' && (b == 0xC2 || b == 0xC3) && is_small(a))
    return true;
  if (d == ' ' && b == 0xC2 && (a == '.' || a == ',' || a == '?' || a == '!' || ra == CLOSES))
    return true;
  if (i + 3 == n)
    return false;
  uint32_t e = c[i + 3];
  if (is_small(a) && is_space(b) && (d == 0xC2 || d == 0xC3) && e == ' ')
    return true;
  unsigned beside = DASH | MONEY | STRANGE | NUMBER | OPENS; /* of an Arabic letter's second byte */
  return (a == 0xD8 || a == 0xD9) && (d == 0xD8 || d == 0xD9) && ((rb & beside) || any(b, arabic)) &&
         ((role(e) & beside) || any(e, arabic));
}

static bool looks_misread(const uint32_t *c, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (c[i] >= 0x80 || (i + 1 < n && c[i + 1] >= 0x80) || (i + 2 < n && c[i + 2] >= 0x80))
      if (suspect(c, i, n))
        return true;
  return false;
}

static bool continues(uint8_t byte)
{
  return (byte & 0xC0) == 0x80;
}

/* A sequence in which a byte A0 became a space, and whose character is likely enough to be meant. */
static bool space_was_a0(const uint8_t *b, size_t bytes)
{
  size_t spaces = 0;
  for (size_t i = 1; i < bytes; i++) {
    if (b[i] == ' ')
      spaces++;
    else if (!continues(b[i]) || (bytes == 3 && (b[i] == 0x85 || b[i] == 0xA0)))
      return false;
  }
  if (spaces != 1)
    return false;
  if (bytes == 2)
    return strchr("\xC2\xC3\xC5\xCE\xD0\xD9", b[0]);
  if (bytes == 3)
    return b[0] <= 0xE3 && (b[1] != ' ' || b[0] >= 0xE2);
  return b[0] == 0xF0;
}

/* A sequence with bytes that were lost: any number of LOST, or of them one that became a '?'. */
static bool is_lossy(const uint8_t *b, size_t bytes)
{
  size_t lost = 0, marks = 0;
  for (size_t i = 1; i < bytes; i++) {
    lost += b[i] == LOST;
    marks += b[i] == '?';
    if (b[i] != LOST && b[i] != '?' && !continues(b[i]))
      return false;
  }
  return lost + marks > 0 && marks <= (bytes > 2 || b[0] <= 0xC3);
}

/* "Ã " is the word "à" with its A0 gone, but in Portuguese contractions ("àquela", "às "). */
static bool is_a_grave_word(const uint8_t *b, size_t n)
{
  static const char *const more[] = {" ", "quele", "quela", "quilo", "s "};
  if (n < 2 || b[0] != 0xC3 || b[1] != ' ')
    return false;
  for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
    size_t length = strlen(more[i]);
    if (n - 2 >= length && !memcmp(b + 2, more[i], length))
      return false;
  }
  return true;
}

/* The character at b[0..n), n > 0; returns the bytes read, 0 where they are not UTF-8. */
static size_t decode(uint32_t *c, const uint8_t *b, size_t n, bool windows)
{
  size_t bytes = b[0] < 0x80 ? 1 : b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
  uint8_t sequence[4];
  utf8proc_int32_t decoded;

  *c = 0xFFFD;
  if (b[0] < 0x80) {
    if (!windows || b[0] != LOST)
      *c = b[0];
    return 1;
  }
  if (is_a_grave_word(b, n)) {
    *c = 0xE0;
    return 1;
  }
  if (n >= 2 && b[0] == 0xC0 && b[1] == 0x80) { /* Java's NUL */
    *c = 0;
    return 2;
  }
  if (b[0] < 0xC2 || b[0] > 0xF4 || bytes > n)
    return 0;
  memcpy(sequence, b, bytes);
  if (space_was_a0(b, bytes)) {
    for (size_t i = 1; i < bytes; i++)
      if (sequence[i] == ' ')
        sequence[i] = 0xA0;
  } else if (windows && is_lossy(b, bytes)) {
    return bytes;
  } else if (n >= 6 && b[0] == 0xED && (b[1] & 0xF0) == 0xA0 && continues(b[2]) && b[3] == 0xED &&
             (b[4] & 0xF0) == 0xB0 && continues(b[5])) { /* CESU-8: the two halves of a UTF-16 pair */
    *c = 0x10000 + ((b[1] & 0xFu) << 16 | (b[2] & 0x3Fu) << 10 | (b[4] & 0xFu) << 6 | (b[5] & 0x3Fu));
    return 6;
  }
  if (utf8proc_iterate(sequence, (utf8proc_ssize_t)bytes, &decoded) != (utf8proc_ssize_t)bytes)
    return 0;
  *c = (uint32_t)decoded;
  return bytes;
}

/* The whole text through its bytes; false if it cannot have come that way. */
static bool reread(vq_codes *out, const vq_codes *text, bool windows)
{
  uint8_t *bytes = malloc(text->n);
  size_t used = 1;
  bool fits = bytes;
  if (!bytes)
    out->failed = true;
  for (size_t i = 0; fits && i < text->n; i++) {
    int byte = byte_of(text->at[i], windows);
    fits = byte >= 0;
    bytes[i] = (uint8_t)byte;
  }
  for (size_t i = 0; fits && i < text->n; i += used) {
    uint32_t c;
    used = decode(&c, bytes + i, text->n - i, windows);
    fits = used > 0;
    vq_codes_push(out, c);
  }
  free(bytes);
  return fits;
}

/* The ligature AE and the O with stroke are continuations in the Baltic code page: a run with them is another's. */
static bool may_continue(uint32_t c)
{
  static const uint16_t baltic[] = {0xC6, 0xD8, 0xE6, 0xF8, 0};
  int byte = byte_of(c, true);
  return c == ' ' || any(c, baltic) || (c >= 0x80 && c < 0xC0) || (byte >= 0x80 && byte < 0xC0);
}

/* A continuation that does not usually stand for itself: not a quote, dash, bullet or ellipsis. */
static bool must_continue(uint32_t c)
{
  static const uint16_t themselves[] = {0x201A, 0x201E, 0x2026, 0x2018, 0x2019, 0x201C,
                                        0x201D, 0x2022, 0x2013, 0x2014, 0};
  return c != ' ' && may_continue(c) && !any(c, themselves);
}

/* The length of one misread sequence at c[i], in characters; 0 if there is none. */
static size_t sequence_at(const uint32_t *c, size_t i, size_t n)
{
  size_t length = c[i] >= 0xC2 && c[i] <= 0xDF   ? 2
                  : c[i] >= 0xE0 && c[i] <= 0xEF ? 3
                  : c[i] == 0xF0 || c[i] == 0xF3 ? 4
                                                 : 0;
  if (length > n - i)
    return 0;
  for (size_t k = 1; k < length; k++)
    if (!may_continue(c[i + k]))
      return 0;
  return length;
}

/* Each run of misread sequences by itself, where the text as a whole is a mixture. */
static void repair_runs(vq_codes *out, const vq_codes *text)
{
  const uint32_t *c = text->at;
  for (size_t i = 0; i < text->n;) {
    size_t run = 0, more;
    if (i == 0 || !must_continue(c[i - 1]))
      while (i + run < text->n && (more = sequence_at(c, i + run, text->n)) > 0)
        run += more;
    if (run && run < text->n && looks_misread(c + i, run)) {
      vq_codes part = {0};
      vq_codes_append(&part, c + i, run);
      vq_mojibake_repair(&part);
      vq_codes_append(out, part.at, part.n);
      out->failed |= part.failed;
      vq_codes_free(&part);
    } else {
      run += !run;
      vq_codes_append(out, c + i, run);
    }
    i += run;
  }
}

/* One step of the repair; whether it changed anything. */
static bool repair(vq_codes *text)
{
  vq_codes fresh = {0};
  if (!looks_misread(text->at, text->n))
    return false;
  for (int windows = 0; windows < 2; windows++) {
    if (reread(&fresh, text, windows))
      return vq_codes_replace(text, &fresh);
    fresh.n = 0;
  }
  repair_runs(&fresh, text);
  if (vq_codes_replace(text, &fresh))
    return true;
  bool changed = false;
  for (size_t i = 0; i < text->n; i++) {
    uint32_t was = text->at[i];
    if (was >= 0x80 && was < 0xA0)
      text->at[i] = high[was - 0x80];
    changed |= text->at[i] != was;
  }
  return changed;
}

void vq_mojibake_repair(vq_codes *text)
{
  for (int round = 0; round < MOST_ROUNDS && !text->failed; round++)
    if (!repair(text))
      return;
}
