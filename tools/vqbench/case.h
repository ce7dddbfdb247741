/* case.h -- one call of one op as a network makes it: what is listed, checked and timed.
 *
 * Cases are recorded, not written down: the tape of a planned step calls bench_record for every kernel, and calls that are equal in
 * all that a kernel sees but the values are one case with a count. So no table of shapes can drift from the networks.
 */
#ifndef VQBENCH_CASE_H
#define VQBENCH_CASE_H

#include "autograd/tape.h"
#include "kernels/resample/bands.h"

typedef struct bench_input {
  bool there;
  bool frozen, wants; /* a weight that its room may prepare; wants a gradient */
  int same_as;        /* the earlier input that is the same tensor; -1: none */
  vq_shape shape;
} bench_input;

typedef struct bench_case {
  const vq_op *op;
  bool backward;
  vq_attr attr;
  bench_input in[VQ_IN];
  unsigned wants, add; /* as in vq_call */
  vq_shape out;
  vq_bands bands; /* resample's, from which its tables are made */
} bench_case;

typedef struct bench_row {
  bench_case c;
  int64_t count; /* in one step of what it is from; 0: not part of a step */
  char from[32]; /* "f16 256x256 B/32": where it was seen first */
} bench_row;

typedef struct bench_list {
  bench_row *row;
  int rows, room;
} bench_list;

void bench_list_free(bench_list *list);

/* What bench_record adds to. */
typedef struct bench_recorder {
  bench_list *list;
  const char *from;
  bool in_a_step;
  vq_bands bands; /* of the resamples that come */
  vq_status status;
} bench_recorder;

/* A vq_watch_fn; user: bench_recorder. Adds one to the case's count; what was seen first from elsewhere keeps its count. */
void bench_record(void *user, const vq_op *op, const vq_call *call, bool backward, double seconds);

/* "256x256x128 > 256x256x128 k3 +skip": sizes without a leading 1; what of the attributes counts. Returns text. */
const char *bench_case_text(char *text, size_t bytes, const bench_case *c);

/* Whether an op is an optimiser's update: it changes its first three inputs in place, and reads the first one's gradient. */
bool bench_is_update(const vq_op *op);

/* The type that it computes in: "bf16" where anything is, "f32". */
const char *bench_case_dtype(const bench_case *c);

/* Bytes that cannot but move: every tensor that it reads once and that it writes once. */
double bench_case_bytes(const bench_case *c);

#endif
