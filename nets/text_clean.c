/* text_clean.c -- repair, unescape, collapse, lower: each step turns one array of code points into another. */
#include "nets/text_clean.h"

#include "nets/codepoints.h"
#include "nets/html_entities.h"
#include "nets/mojibake.h"

#include <utf8proc.h>

/* Escapes may hide escapes; the bound is for texts that are made to be slow. */
#define MOST_ROUNDS 64

typedef void (*step_fn)(vq_codes *out, const vq_codes *in);

static bool apply(vq_codes *text, step_fn step)
{
  vq_codes fresh = {0};
  step(&fresh, text);
  return vq_codes_replace(text, &fresh);
}

static int category(uint32_t c)
{
  return utf8proc_category((utf8proc_int32_t)c);
}

/* ---- UTF-8 ---- */

static vq_status read_utf8(vq_codes *out, const char *text, size_t bytes)
{
  const uint8_t *b = (const uint8_t *)text;
  for (size_t i = 0; i < bytes;) {
    utf8proc_int32_t c;
    size_t left = bytes - i;
    utf8proc_ssize_t used = utf8proc_iterate(b + i, left < 4 ? (utf8proc_ssize_t)left : 4, &c);
    if (used <= 0)
      return vq_fail(
          VQ_ERR_PROMPT,
          "the text is not UTF-8: its byte %zu (counted from 1) is 0x%02x and belongs to no character there; "
          "save or type it as UTF-8",
          i + 1, b[i]);
    vq_codes_push(out, (uint32_t)c);
    i += (size_t)used;
  }
  return VQ_OK;
}

static uint8_t *write_utf8(const vq_codes *text, size_t *bytes)
{
  uint8_t *out = malloc(4 * text->n + 1);
  size_t n = 0;
  if (!out)
    return NULL;
  for (size_t i = 0; i < text->n; i++)
    n += (size_t)utf8proc_encode_char((utf8proc_int32_t)text->at[i], out + n);
  out[n] = 0;
  *bytes = n;
  return out;
}

/* ---- HTML ---- */

static int digit_value(uint32_t c, uint32_t base)
{
  int value = c >= '0' && c <= '9'   ? (int)c - '0'
              : c >= 'a' && c <= 'f' ? (int)c - 'a' + 10
              : c >= 'A' && c <= 'F' ? (int)c - 'A' + 10
                                     : 16;
  return value < (int)base ? value : -1;
}

/* What the number of a numeric reference stands for; the count of code points, 0 or 1. */
static int numeric_value(uint32_t *c, uint32_t number)
{
  *c = number;
  if (number == 0 || (number >= 0xD800 && number <= 0xDFFF) || number > 0x10FFFF)
    *c = 0xFFFD;
  else if (number >= 0x80 && number < 0xA0)
    *c = vq_windows_1252(number);
  else if (number < 9 || number == 0xB || (number > 0xD && number < 0x20) || number == 0x7F ||
           (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE)
    return 0;
  return 1;
}

static bool ends_name(uint32_t c)
{
  return c < 0x80 && memchr("\t\n\f <&#;", (int)c, 8);
}

/* The reference whose '&' is in->at[i], by the rules of HTML 5. Returns the characters that it takes, 0 if it is none;
 * codes[0..*count) is what it stands for. */
static size_t reference_at(const vq_codes *in, size_t i, uint32_t codes[2], int *count)
{
  const uint32_t *c = in->at + i + 1;
  size_t n = in->n - i - 1, length = 0;
  if (n >= 2 && c[0] == '#') {
    uint32_t base = (c[1] | 0x20) == 'x' ? 16 : 10, number = 0;
    size_t first = base == 16 ? 2 : 1;
    for (length = first; length < n && digit_value(c[length], base) >= 0; length++)
      if (number <= 0x10FFFF) /* more is as good as any */
        number = number * base + (uint32_t)digit_value(c[length], base);
    if (length == first)
      return 0;
    *count = numeric_value(codes, number);
    return 1 + length + (length < n && c[length] == ';');
  }
  char name[VQ_HTML_ENTITY_BYTES + 1];
  while (length < n && length < VQ_HTML_ENTITY_BYTES && !ends_name(c[length])) {
    name[length] = c[length] < 0x80 ? (char)c[length] : '\x7F'; /* which no name has */
    length++;
  }
  if (length && length < n && c[length] == ';')
    name[length++] = ';';
  for (; length >= 2; length--)
    if ((*count = vq_html_entity(codes, name, length)) > 0)
      return 1 + length;
  return 0;
}

static void unescape(vq_codes *out, const vq_codes *in)
{
  for (size_t i = 0; i < in->n;) {
    uint32_t codes[2];
    int count = 0;
    size_t used = in->at[i] == '&' ? reference_at(in, i, codes, &count) : 0;
    if (used)
      vq_codes_append(out, codes, (size_t)count);
    else
      vq_codes_push(out, in->at[i]);
    i += used ? used : 1;
  }
}

static bool is_letter(uint32_t c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alphanumeric(uint32_t c)
{
  return is_letter(c) || (c >= '0' && c <= '9');
}

/* "&EACUTE;" for "&eacute;", where HTML gives the capitals no meaning of their own. */
static int capitals_entity(uint32_t codes[2], const char *name, size_t bytes)
{
  char small[VQ_HTML_ENTITY_BYTES];
  for (size_t i = 0; i < bytes; i++) {
    if (name[i] >= 'a' && name[i] <= 'z')
      return 0;
    small[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
    if (i >= 1 && vq_html_entity(codes, name, i + 1))
      return 0;
  }
  int count = vq_html_entity(codes, small, bytes);
  if (count && codes[0] == 0xDF) { /* sharp s: the one whose capital is two */
    codes[0] = codes[1] = 'S';
    return 2;
  }
  for (int i = 0; i < count; i++)
    codes[i] = (uint32_t)utf8proc_toupper((utf8proc_int32_t)codes[i]);
  return count;
}

/* Only what ends in a semicolon and cannot be meant otherwise, and none that stands for a semicolon. */
static void unescape_certain(vq_codes *out, const vq_codes *in)
{
  for (size_t i = 0; i < in->n;) {
    uint32_t codes[2];
    char name[VQ_HTML_ENTITY_BYTES];
    size_t most = in->n - i - 1, length = 0;
    int count = 0;
    bool known = false;
    if (in->at[i] == '&') {
      const uint32_t *c = in->at + i + 1;
      bool number = most && c[0] == '#';
      size_t start = number, end = start;
      while (end < most && end < start + 24 && is_alphanumeric(c[end]))
        end++;
      if (end > start && end < most && c[end] == ';') {
        length = end + 1;
        for (size_t k = 0; k < length; k++)
          name[k] = (char)c[k];
        if (number)
          known = reference_at(in, i, codes, &count) == 1 + length && !(count && codes[0] == ';');
        else
          known = (count = vq_html_entity(codes, name, length)) > 0 ||
                  (count = capitals_entity(codes, name, length)) > 0;
      }
    }
    if (known)
      vq_codes_append(out, codes, (size_t)count);
    else
      vq_codes_push(out, in->at[i]);
    i += known ? 1 + length : 1;
  }
}

/* ---- characters ---- */

static const char *ligature(uint32_t c)
{
  switch (c) {
  case 0x132: return "IJ";
  case 0x133: return "ij";
  case 0x149: return "'n";
  case 0x1C4: return "D\xC5\xBD"; /* Z with caron */
  case 0x1C5: return "D\xC5\xBE";
  case 0x1C6: return "d\xC5\xBE";
  case 0x1C7: return "LJ";
  case 0x1C8: return "Lj";
  case 0x1C9: return "lj";
  case 0x1CA: return "NJ";
  case 0x1CB: return "Nj";
  case 0x1CC: return "nj";
  case 0x1F1: return "DZ";
  case 0x1F2: return "Dz";
  case 0x1F3: return "dz";
  case 0xFB00: return "ff";
  case 0xFB01: return "fi";
  case 0xFB02: return "fl";
  case 0xFB03: return "ffi";
  case 0xFB04: return "ffl";
  case 0xFB05: return "\xC5\xBFt"; /* long s */
  case 0xFB06: return "st";
  }
  return NULL;
}

/* Half- and full-width forms in their usual width: NFKC of the one character. */
static size_t usual_width(utf8proc_int32_t wide[8], uint32_t c)
{
  utf8proc_ssize_t n =
      utf8proc_decompose_char((utf8proc_int32_t)c, wide, 8, UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE, NULL);
  if (n > 0 && n <= 8)
    n = utf8proc_normalize_utf32(wide, n, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
  return n > 0 ? (size_t)n : 0;
}

/* Ligatures apart, usual width, straight quotes. */
static void fold(vq_codes *out, const vq_codes *in)
{
  for (size_t i = 0; i < in->n; i++) {
    uint32_t c = in->at[i];
    const char *letters = ligature(c);
    if (letters) {
      read_utf8(out, letters, strlen(letters));
    } else if (c >= 0xFF01 && c <= 0xFFEF) {
      utf8proc_int32_t wide[8];
      size_t n = usual_width(wide, c);
      for (size_t k = 0; k < n; k++)
        vq_codes_push(out, (uint32_t)wide[k]);
    } else if (c == 0x3000) {
      vq_codes_push(out, ' ');
    } else if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B)) {
      vq_codes_push(out, '\'');
    } else {
      vq_codes_push(out, c >= 0x201C && c <= 0x201F ? '"' : c);
    }
  }
}

/* The length of a terminal's "ESC [ numbers letter" at c[0..n), 0 if there is none. */
static size_t escape_at(const uint32_t *c, size_t n)
{
  size_t i = 2;
  if (n < 3 || c[0] != 0x1B || c[1] != '[')
    return 0;
  while (i < n && (c[i] == ';' || category(c[i]) == UTF8PROC_CATEGORY_ND))
    i++;
  return i < n && is_letter(c[i]) ? i + 1 : 0;
}

static void remove_escapes(vq_codes *out, const vq_codes *in)
{
  for (size_t i = 0; i < in->n;) {
    size_t length = escape_at(in->at + i, in->n - i);
    if (!length)
      vq_codes_push(out, in->at[i]);
    i += length ? length : 1;
  }
}

/* Not those of C1: the repair of mojibake has dealt with them. */
static bool is_control(uint32_t c)
{
  return c < 9 || c == 0xB || (c >= 0xE && c < 0x20) || c == 0x7F || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF ||
         (c >= 0xFFF9 && c <= 0xFFFC);
}

static void remove_controls(vq_codes *out, const vq_codes *in)
{
  for (size_t i = 0; i < in->n; i++)
    if (!is_control(in->at[i]))
      vq_codes_push(out, in->at[i]);
}

static int mark_class(uint32_t c)
{
  return (int)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

/* Canonical order: each run of marks by their class, those of one class in their order. utf8proc does it as well, in
 * time that grows with the square of the run. */
static void order_marks(vq_codes *text)
{
  vq_codes run = {0};
  for (size_t i = 0, n; i < text->n; i += n + 1) {
    size_t place[257] = {0};
    for (n = 0; i + n < text->n && mark_class(text->at[i + n]); n++)
      place[mark_class(text->at[i + n]) + 1]++;
    if (n < 2)
      continue;
    for (int c = 1; c < 257; c++)
      place[c] += place[c - 1];
    run.n = 0;
    vq_codes_append(&run, text->at + i, n);
    for (size_t k = 0; k < n && !run.failed; k++)
      text->at[i + place[mark_class(run.at[k])]++] = run.at[k];
  }
  text->failed |= run.failed;
  vq_codes_free(&run);
}

/* NFC. */
static void compose(vq_codes *out, const vq_codes *in)
{
  for (size_t i = 0; i < in->n; i++) {
    utf8proc_int32_t parts[8];
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)in->at[i], parts, 8, UTF8PROC_DECOMPOSE, NULL);
    for (utf8proc_ssize_t k = 0; k < n; k++)
      vq_codes_push(out, (uint32_t)parts[k]);
  }
  order_marks(out);
  if (out->n)
    out->n = (size_t)utf8proc_normalize_utf32((utf8proc_int32_t *)out->at, (utf8proc_ssize_t)out->n,
                                              UTF8PROC_STABLE | UTF8PROC_COMPOSE);
}

static void copy(vq_codes *out, const vq_codes *in)
{
  vq_codes_append(out, in->at, in->n);
}

/* One line until nothing changes. Line breaks of other systems are left: collapsing makes spaces of them all. */
static void fix_line(vq_codes *line, bool escaped)
{
  static const step_fn steps[] = {fold, remove_escapes, remove_controls, compose};
  for (int round = 0; round < MOST_ROUNDS && !line->failed; round++) {
    vq_codes before = {0};
    copy(&before, line);
    if (escaped)
      apply(line, unescape_certain);
    vq_mojibake_repair(line);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
      apply(line, steps[i]);
    line->failed |= before.failed;
    bool same = vq_codes_equal(&before, line);
    vq_codes_free(&before);
    if (same)
      return;
  }
}

static void fix(vq_codes *out, const vq_codes *in)
{
  bool escaped = true;
  for (size_t i = 0; i < in->n;) {
    vq_codes line = {0};
    bool ended = false;
    while (i < in->n && !ended) {
      uint32_t c = in->at[i++];
      vq_codes_push(&line, c);
      ended = c == '\n';
      if (c == '<') /* from the first line with a tag on, this is HTML, and its entities are meant */
        escaped = false;
    }
    fix_line(&line, escaped);
    vq_codes_append(out, line.at, line.n);
    out->failed |= line.failed;
    vq_codes_free(&line);
  }
}

/* ---- spaces and case ---- */

/* What regex's \s matches, but for the separators U+001C..U+001F, which are gone. */
static bool is_space(uint32_t c)
{
  return (c >= 9 && c <= 0xD) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static void collapse(vq_codes *out, const vq_codes *in)
{
  bool space = false;
  for (size_t i = 0; i < in->n; i++) {
    if (is_space(in->at[i])) {
      space = out->n > 0;
      continue;
    }
    if (space)
      vq_codes_push(out, ' ');
    space = false;
    vq_codes_push(out, in->at[i]);
  }
}

/* Unicode's Cased, but for those that are Case_Ignorable too. */
static bool is_cased(uint32_t c)
{
  int kind = category(c);
  return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL || kind == UTF8PROC_CATEGORY_LT ||
         c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) || (c >= 0x24B6 && c <= 0x24E9) ||
         (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

/* Unicode's Case_Ignorable: marks, formats, modifiers, and the punctuation that stands inside words. */
static bool is_case_ignorable(uint32_t c)
{
  static const uint16_t inside[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,  0x5F4,  0x2018, 0x2019,
                                    0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
  int kind = category(c);
  for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
    if (inside[i] == c)
      return true;
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME || kind == UTF8PROC_CATEGORY_CF ||
         kind == UTF8PROC_CATEGORY_LM || kind == UTF8PROC_CATEGORY_SK;
}

/* Whether the sigma at i ends a word: a letter with case before it and none after. */
static bool is_final(const vq_codes *in, size_t i)
{
  size_t before = i, after = i + 1;
  while (before > 0 && is_case_ignorable(in->at[before - 1]))
    before--;
  while (after < in->n && is_case_ignorable(in->at[after]))
    after++;
  return before > 0 && is_cased(in->at[before - 1]) && !(after < in->n && is_cased(in->at[after]));
}

static void lower(vq_codes *out, const vq_codes *in)
{
  for (size_t i = 0; i < in->n; i++) {
    uint32_t c = in->at[i];
    if (c == 0x130) {
      vq_codes_push(out, 'i');
      vq_codes_push(out, 0x307);
    } else if (c == 0x3A3) {
      vq_codes_push(out, is_final(in, i) ? 0x3C2 : 0x3C3);
    } else {
      vq_codes_push(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    }
  }
}

vq_status vq_text_clean(char **out, size_t *out_bytes, const char *text, size_t bytes)
{
  static const step_fn steps[] = {fix, unescape, unescape, collapse, lower};
  vq_codes codes = {0};
  *out = NULL;
  *out_bytes = 0;
  vq_status status = read_utf8(&codes, text, bytes);
  if (!status) {
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
      apply(&codes, steps[i]);
    *out = codes.failed ? NULL : (char *)write_utf8(&codes, out_bytes);
    if (!*out)
      status = vq_fail(VQ_ERR_MEMORY, "no memory to clean a text of %zu bytes", bytes);
  }
  vq_codes_free(&codes);
  return status;
}
