/* utf8.h -- texts as files have them, made UTF-8. */
#ifndef VQ_LOADERS_UTF8_H
#define VQ_LOADERS_UTF8_H

#include <stdbool.h>
#include <stdint.h>

/* No overlong forms, no surrogates, nothing above U+10FFFF. */
bool vq_is_utf8(const char *text);

/* Appends a code point, at most 4 bytes; returns where the next goes. */
char *vq_utf8_put(char *to, uint32_t c);

/* A copy of Latin-1. NULL: no memory. */
char *vq_utf8_of_latin1(const char *text);

/* A copy that is UTF-8: as it is if it is that already, else each byte taken as Latin-1. NULL: no memory. */
char *vq_utf8_of(const char *text);

#endif
