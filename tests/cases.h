/* cases.h -- the table that every op is tested by: one row is one case, and tests/test_ops.c does everything with it.
 *
 * A row says which op is called, with inputs of which shapes and kinds, and how. The runner then compares gradients with
 * central differences (double build), values and gradients with PyTorch's where tests/data/ops/NAME.safetensors exists,
 * two runs and other numbers of threads bit by bit, and the dry run's memory with the real one. Shapes are small, odd and
 * unequal, so that a swapped pair of sizes cannot pass.
 */
#ifndef VQ_TESTS_CASES_H
#define VQ_TESTS_CASES_H

#include "kernels/ops.h"

typedef enum vq_input_kind {
  VQ_INPUT_NONE,   /* left out: NULL */
  VQ_INPUT_LEAF,   /* wants a gradient */
  VQ_INPUT_CONST,  /* a leaf on the tape that wants none */
  VQ_INPUT_FROZEN, /* in the weights arena, wants none: the room may prepare it */
  VQ_INPUT_IDS,    /* I32 in [0, below) */
  VQ_INPUT_F64     /* doubles in any build; wants no gradient */
} vq_input_kind;

typedef struct vq_input {
  vq_input_kind kind;
  int rank;
  int64_t dim[VQ_RANK];
  double mean, spread; /* values are mean + spread * normal; spread 0 stands for 1 */
  int32_t below;
} vq_input;

typedef struct vq_case {
  const char *name; /* unique; the op's name, then what is special */
  const vq_op *op;
  vq_tensor *(*call)(vq_tape *tape, vq_tensor *const *in);
  vq_input in[VQ_IN];
  void (*fill)(int input, void *host); /* NULL, or overwrites what the runner drew for an input */
  const char
      *not_a_derivative; /* NULL, or why central differences do not apply, and where its gradient is tested */
} vq_case;

#define LEAF(...)                            \
  {                                          \
    .kind = VQ_INPUT_LEAF, DIMS(__VA_ARGS__) \
  }
#define CONST(...)                            \
  {                                           \
    .kind = VQ_INPUT_CONST, DIMS(__VA_ARGS__) \
  }
#define FROZEN(...)                            \
  {                                            \
    .kind = VQ_INPUT_FROZEN, DIMS(__VA_ARGS__) \
  }
#define IDS(n, ...)                                     \
  {                                                     \
    .kind = VQ_INPUT_IDS, .below = n, DIMS(__VA_ARGS__) \
  }
#define DOUBLES(...)                        \
  {                                         \
    .kind = VQ_INPUT_F64, DIMS(__VA_ARGS__) \
  }
#define NONE              \
  {                       \
    .kind = VQ_INPUT_NONE \
  }
#define DIMS(...) .rank = (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), .dim = {__VA_ARGS__}

/* The rows, by the part of the engine that they belong to; each list ends with a NULL name. */
extern const vq_case vq_cases_augment[], vq_cases_basic[], vq_cases_clip[], vq_cases_vqgan[];

/* All of them by number; NULL past the end. */
const vq_case *vq_case_at(int number);

/* Whether the row's skip is x itself: dy is then added to the gradient of x that the op has stored. */
bool vq_case_of_itself(const vq_case *c);

/* Makes the row's inputs on the tape: in[VQ_IN], NULL where one is left out; `halves`: see vq_case_run_on. */
vq_status vq_case_inputs(const vq_case *c, vq_tape *tape, unsigned halves, uint64_t seed, const void *const *given,
                         vq_tensor **in);

/* In bf16, which it is where anything is; backward. */
#define VQ_RAN(halves, backward) (2 * !!(halves) + !!(backward))

/* What a run of a case gives: the output and each wanted gradient; free with vq_result_free. */
typedef struct vq_result {
  int64_t count[VQ_IN + 1]; /* elements; [VQ_IN] is the output */
  vq_real *value[VQ_IN + 1];
  vq_dtype dtype;  /* of the output; integers lie in value[VQ_IN] as they are, BF16 as vq_real */
  const vq_op *op; /* the row's */
  vq_attr attr;    /* of its call */
  int calls;       /* of the case's op, forward */
  unsigned ran;    /* of it, bit VQ_RAN(...) for what has run */
  bool composed;   /* other ops than that one and add were called */
  size_t peak;     /* bytes of the step pool */
} vq_result;

/* Runs forward and, where something wants a gradient, backward from the dy that `seed` draws (or from `dy`). `given`:
 * NULL, or the inputs' values in the place of drawn ones (vq_real, or what the input's kind says). */
/* threads 0: a dry run, on a plan. */
vq_status vq_case_run(const vq_case *c, int threads, uint64_t seed, const void *const *given, const vq_real *dy,
                      vq_result *result);

/* The same on a device that the caller has made and has not reserved. `halves`: bit i for in[i], of those in the op's bf16, says that it
 * is BF16 or, on a backend that does not compute in it, rounded to it; so is dy, if there is a bit. On a CPU whose products are
 * BF16, bits are for what the op multiplies by, and dy is as drawn. */
vq_status vq_case_run_on(const vq_case *c, vq_device *device, unsigned halves, uint64_t seed,
                         const void *const *given, const vq_real *dy, vq_result *result);
void vq_result_free(vq_result *result);

#endif
