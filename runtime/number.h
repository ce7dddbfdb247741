/* number.h -- numbers as people write them, the whole text and nothing else, with a point whatever the locale is. */
#ifndef VQ_RUNTIME_NUMBER_H
#define VQ_RUNTIME_NUMBER_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* A finite decimal number. VQ_ERR_ARGUMENT */
vq_status vq_number_read(const char *text, double *value);

/* Decimal digits with a sign or none. VQ_ERR_ARGUMENT */
vq_status vq_integer_read(const char *text, int64_t *value);

/* The shortest text that vq_number_read makes the same number of. */
void vq_number_write(char *text, size_t bytes, double value);

/* strtod with a point whatever the locale is. */
double vq_strtod(const char *text, char **end);

#endif
