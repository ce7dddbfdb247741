/* number.c -- numbers, read strictly and written shortly. */
#include "runtime/number.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

double vq_strtod(const char *text, char **end)
{
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  locale_t before = plain ? uselocale(plain) : (locale_t)0;
  double value = strtod(text, end);
  if (plain) {
    uselocale(before);
    freelocale(plain);
  }
  return value;
}

vq_status vq_number_read(const char *text, double *value)
{
  char *end;
  *value = vq_strtod(text, &end);
  /* strtod also takes blanks before a number, hexadecimal ones and names */
  if (end == text || *end || text[strspn(text, "0123456789+-.eE")] || !isfinite(*value))
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is not a number", text);
  return VQ_OK;
}

vq_status vq_integer_read(const char *text, int64_t *value)
{
  char *end;
  errno = 0;
  *value = strtoll(text, &end, 10);
  if (end == text || *end || isspace((unsigned char)*text))
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is not an integer", text);
  return errno ? vq_fail(VQ_ERR_ARGUMENT, "%s is too large", text) : VQ_OK;
}

void vq_number_write(char *text, size_t bytes, double value)
{
  for (int digits = 6; digits <= 17; digits++) {
    snprintf(text, bytes, "%.*g", digits, value);
    char *comma = strchr(text, ',');
    if (comma)
      *comma = '.';
    if (!(vq_strtod(text, NULL) < value || vq_strtod(text, NULL) > value))
      return;
  }
}
