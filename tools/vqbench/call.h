/* call.h -- a case with memory and values: its kernels are called directly, as often as one likes.
 *
 * Compiled twice, into vqbench and, in double, into the oracle (oracle.h): no struct here depends on vq_real.
 */
#ifndef VQBENCH_CALL_H
#define VQBENCH_CALL_H

#include "tools/vqbench/case.h"

/* Values on the host: as the shapes' types say, F32 for the real type of any build. What a case does not have is NULL. */
typedef struct bench_data {
  void *in[VQ_IN];
  float *dy; /* and, for an optimiser, z's gradient */
} bench_data;

/* What a call gives: gradients by input, the output at [VQ_IN]; an optimiser: its own state in [1], [2] and [6]. NULL: nothing there. */
typedef struct bench_result {
  int64_t count[VQ_IN + 1];
  double *value[VQ_IN + 1];
} bench_result;

void bench_result_free(bench_result *result);

typedef struct bench_call bench_call;

/* Takes memory from the device's weights arena, fills it, lets the room prepare its weights, and, for a backward, runs the
 * forward once. The device must outlive the call, and should be the call's alone. `op`: whose kernels, as the device finds them.
 * `reals`: what is BF16 is made of the same values in the real type, for a reference; a cast stays one. */
vq_status bench_call_create(bench_call **out, vq_device *device, const vq_op *op, const bench_case *c,
                            const bench_data *data, bool reals);
void bench_call_free(bench_call *call);

/* The case's kernel, once: forward or backward. Where a gradient is added to, it grows from run to run. */
vq_status bench_call_run(bench_call *call);

/* After the first run. VQ_ERR_MEMORY */
vq_status bench_call_read(bench_call *call, bench_result *result);

#endif
