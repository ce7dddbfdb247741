/* weights.h -- how a network asks for its weights, whatever they are stored in.
 *
 * A source answers by published names (state_dict keys) in PyTorch's layouts. A reader takes them from it into a
 * device's weights arena in the layouts that the ops want, and remembers everything that is missing or has another
 * shape, so that one error names it all.
 */
#ifndef VQ_NETS_WEIGHTS_H
#define VQ_NETS_WEIGHTS_H

#include "autograd/device.h"

typedef struct vq_weight_source {
  const void *user;
  const char *name; /* what errors begin with: the file; NULL: nothing */
  /* The dims of the tensor of that name, at most 4 of them; false if there is none. */
  bool (*shape)(const void *user, const char *name, int *rank, int64_t *dim);
  /* Its values, converted, in stored order. */
  vq_status (*read)(const void *user, const char *name, vq_real *out);
  /* NULL; or, in the place of both, values for a tensor of any name and shape: networks that are made up, for benchmarks. */
  vq_status (*invent)(const void *user, const char *name, int rank, const int64_t *dim, vq_real *out);
} vq_weight_source;

/* Puts the source's name, if it has one, before the message of an error; returns the status. */
vq_status vq_source_error(const vq_weight_source *source, vq_status status);

typedef struct vq_weight_reader {
  vq_device *device; /* a plan takes shapes and places and reads no values */
  const vq_weight_source *source;
  const char *prefix; /* put before every name; "" for none */
  vq_status status;   /* first failure of memory or of reading */
  int problems;       /* tensors that are missing or of another shape */
  char list[3072];    /* their names, with what was wrong */
  vq_real *room[2];   /* as stored, and laid out: of the largest so far; vq_reader_finish frees them */
  size_t reals[2];
} vq_weight_reader;

/* Each returns a frozen weight, or NULL with a note in the reader. `name` without the reader's prefix. What has no `dtype` is of
 * VQ_REAL, but for patches and stacks, which are of the device's type of products. */

vq_tensor *vq_read_vector(vq_weight_reader *r, const char *name, int64_t n); /* [n] */
vq_tensor *vq_read_matrix(vq_weight_reader *r, const char *name, int64_t rows, int64_t cols,
                          vq_dtype dtype); /* [rows, cols] as stored */
vq_tensor *vq_read_transposed(vq_weight_reader *r, const char *name, int64_t rows,
                              int64_t cols); /* stored so; [cols, rows] */
vq_tensor *vq_read_conv(vq_weight_reader *r, const char *name, int64_t O, int64_t I, int64_t k,
                        vq_dtype dtype); /* [O,I,k,k] to [O,k,k,I] */

vq_tensor *vq_read_conv1(vq_weight_reader *r, const char *name, int64_t O, int64_t I,
                         vq_dtype dtype); /* [O,I,1,1], the matrix [O,I] */

vq_tensor *vq_read_patches(vq_weight_reader *r, const char *name, int64_t O, int64_t I,
                           int64_t k); /* to [O, k*k*I] */

/* Several tensors of one kind on top of each other, in the order of the names: conv weights [O,I,1,1] to
 * [count*O,1,1,I], and their biases [O] to [count*O]. */
vq_tensor *vq_read_conv1_stack(vq_weight_reader *r, const char *const *names, int count, int64_t O, int64_t I);
vq_tensor *vq_read_vector_stack(vq_weight_reader *r, const char *const *names, int count, int64_t n);

/* The outcome of it all: VQ_ERR_NETWORK with the source and every problem named, or the first other failure. */
vq_status vq_reader_finish(vq_weight_reader *r, const char *network);

#endif
