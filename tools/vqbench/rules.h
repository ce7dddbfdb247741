/* rules.h -- what is known of each op besides its contract: its arithmetic, and how its result may err. */
#ifndef VQBENCH_RULES_H
#define VQBENCH_RULES_H

#include "tools/vqbench/case.h"

/* Multiplications and additions of the plain formula, however it is computed: what filters (Winograd's) save shows as a rate above
 * the machine's. 0: none that count beside the memory. */
double bench_flops(const bench_case *c);

/* How many terms the longest sum has that ends in one element. */
double bench_depth(const bench_case *c);

/* The share of elements that may be anything: where the formula has bends (a clamp, an order of colours), rounding can put a value
 * on the other side. 0 for most. */
double bench_bends(const bench_case *c);

#endif
