/* check.h -- is what a kernel computes right? It is asked before its time is taken.
 *
 * The CPU's float result is compared with the same case in double and by plain loops (oracle.h). How far they may be apart follows
 * from the arithmetic: with u = 2^-24, half a unit in the last place, a sum of n rounded products in any order errs by about u sqrt(n) of its own
 * root mean square, Winograd's filtering by about twice that (kernels/cpu/winograd.h has measurements), and some roundings besides.
 * Hence, with r the reference's root mean square and n the terms of the op's longest sum (rules.h):
 *
 *   the root mean square of the differences       at most  u (8 + 2 sqrt(n)) r
 *   the largest difference of an element y        at most  eight times that, where (|y| + r) is in the place of r
 *
 * Normal errors are beyond 5.5 deviations once in thirty million; eight leaves room for the longer tail of products. One element of ten
 * million that is not computed at all is a difference of the order of r, and four orders too large. Indices must be equal. Where a
 * formula has bends (rules.h), a share of the elements counts in neither. A NaN, or a different number of results, fails.
 * Where anything is BF16, the reference has the same values in its own type. Each rounding to 8 digits errs by at most 2^-9 and by 0.4 of that in
 * the mean, whatever is summed: an operand on the way, the result, and, of a gradient that is added to, both terms; 2^-8 for them all.
 * Where weights alone are BF16, a convolution may filter them by Winograd, which errs 1.7 times as much (kernels/cpu/winograd.h): twice 2^-8.
 */
#ifndef VQBENCH_CHECK_H
#define VQBENCH_CHECK_H

#include "tools/vqbench/call.h"

typedef struct bench_verdict {
  bool made, right; /* made: something was compared */
  double error;     /* root mean square of the differences, over that of the reference; the worst of all results */
  double allowed;   /* for it */
  const char *what; /* of a wrong one: "output", "gradient 0" ...; static */
  double largest;   /* difference of an element, over (|y| + r) */
} bench_verdict;

/* A GPU's results are compared with the CPU's, both of which err: `twice`. */
void bench_compare(bench_verdict *out, const bench_case *c, const bench_result *got, const bench_result *want,
                   bool twice);

/* Whether there is an oracle in this build; computes the case there. VQ_ERR_UNSUPPORTED where there is none. */
bool bench_has_oracle(void);
vq_status bench_ask_oracle(bench_result *out, const bench_case *c, const bench_data *data);

#endif
