/* oracle.h -- the double build of the engine, which has plain loops only, inside another program: a library of its own whose other
 * names nobody sees, because the float engine has the same ones.
 */
#ifndef VQBENCH_ORACLE_H
#define VQBENCH_ORACLE_H

#include "tools/vqbench/call.h"

/* What the case gives in double, on so many threads. A vq_status; its message into `text`. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int vqbench_oracle(const bench_case *c, const bench_data *data, int threads, bench_result *result, char *text, size_t bytes);

#endif
