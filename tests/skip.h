/* skip.h -- a skip that is seen: Criterion's own is neither counted nor shown. */
#ifndef VQ_TESTS_SKIP_H
#define VQ_TESTS_SKIP_H

#include <criterion/criterion.h>
#include <stdio.h>

#define visible_skip(...)                   \
  do {                                      \
    fprintf(stderr, "[SKIP] " __VA_ARGS__); \
    fputc('\n', stderr);                    \
    cr_skip_test(__VA_ARGS__);              \
  } while (0)

#endif
