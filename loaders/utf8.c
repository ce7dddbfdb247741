/* utf8.c -- checks, and makes, UTF-8. */
#include "loaders/utf8.h"

#include <stdlib.h>
#include <string.h>

bool vq_is_utf8(const char *text)
{
  const uint8_t *s = (const uint8_t *)text;
  while (*s) {
    int more = *s < 0x80                 ? 0
               : *s >= 0xc2 && *s < 0xe0 ? 1
               : (*s & 0xf0) == 0xe0     ? 2
               : *s >= 0xf0 && *s < 0xf5 ? 3
                                         : -1;
    if (more < 0 || (*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) ||
        (*s == 0xf4 && s[1] > 0x8f))
      return false;
    for (s++; more > 0; more--, s++)
      if ((*s & 0xc0) != 0x80)
        return false;
  }
  return true;
}

char *vq_utf8_put(char *to, uint32_t c)
{
  int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static const uint8_t first[] = {0, 0xc0, 0xe0, 0xf0};
  *to++ = (char)(first[more] | c >> 6 * more);
  while (more-- > 0)
    *to++ = (char)(0x80 | (c >> 6 * more & 0x3f));
  return to;
}

char *vq_utf8_of_latin1(const char *text)
{
  char *utf8 = malloc(2 * strlen(text) + 1), *to = utf8;
  for (; utf8 && *text; text++)
    to = vq_utf8_put(to, (uint8_t)*text);
  if (utf8)
    *to = 0;
  return utf8;
}

char *vq_utf8_of(const char *text)
{
  return vq_is_utf8(text) ? strdup(text) : vq_utf8_of_latin1(text);
}
