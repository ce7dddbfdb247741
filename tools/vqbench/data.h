/* data.h -- seeded values for a case's inputs: of the kind that the op is given in a run. */
#ifndef VQBENCH_DATA_H
#define VQBENCH_DATA_H

#include "tools/vqbench/call.h"

/* VQ_ERR_MEMORY, or what the tables of a case that cannot be say. */
vq_status bench_data_draw(bench_data *out, const bench_case *c, uint64_t seed);
void bench_data_free(bench_data *data);

/* count values, normal with deviation `spread` about `mean`; as good as a benchmark needs, and fast. */
void bench_normals(float *out, int64_t count, uint64_t seed, double mean, double spread);

#endif
