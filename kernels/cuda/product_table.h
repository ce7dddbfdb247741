/* product_table.h -- who computes which matrix products and convolutions, unless a run says otherwise.
 *
 *   X(what, direction, type, rows, on compute capability 8, on 9, on 10 and later)
 *
 * `rows` of sums: FEW up to 64 (a class token's), SOME up to 1024 (a quantum of cutouts in the tower, a picture of 32 x 32), MANY. Backward is the
 * way to x. Who: OWN, CUBLASLT (matrix products; a convolution of 1 x 1 is one), CUDNN (convolutions). The table is made by measuring,
 * `vqbench --device cuda --compare libraries`, on a card of each column, and committed: a race when a run starts would give other bits
 * tomorrow.
 *
 * No GPU has run any of it, so there is nothing to choose by: all of it is our own. */
#ifndef VQ_KERNELS_CUDA_PRODUCT_TABLE_H
#define VQ_KERNELS_CUDA_PRODUCT_TABLE_H

#define VQ_PRODUCT_TABLE(X)                           \
  X(MATRIX, FORWARD, F32, FEW, OWN, OWN, OWN)         \
  X(MATRIX, FORWARD, F32, SOME, OWN, OWN, OWN)        \
  X(MATRIX, FORWARD, F32, MANY, OWN, OWN, OWN)        \
  X(MATRIX, FORWARD, BF16, FEW, OWN, OWN, OWN)        \
  X(MATRIX, FORWARD, BF16, SOME, OWN, OWN, OWN)       \
  X(MATRIX, FORWARD, BF16, MANY, OWN, OWN, OWN)       \
  X(MATRIX, BACKWARD, F32, FEW, OWN, OWN, OWN)        \
  X(MATRIX, BACKWARD, F32, SOME, OWN, OWN, OWN)       \
  X(MATRIX, BACKWARD, F32, MANY, OWN, OWN, OWN)       \
  X(MATRIX, BACKWARD, BF16, FEW, OWN, OWN, OWN)       \
  X(MATRIX, BACKWARD, BF16, SOME, OWN, OWN, OWN)      \
  X(MATRIX, BACKWARD, BF16, MANY, OWN, OWN, OWN)      \
  X(CONVOLUTION, FORWARD, F32, FEW, OWN, OWN, OWN)    \
  X(CONVOLUTION, FORWARD, F32, SOME, OWN, OWN, OWN)   \
  X(CONVOLUTION, FORWARD, F32, MANY, OWN, OWN, OWN)   \
  X(CONVOLUTION, FORWARD, BF16, FEW, OWN, OWN, OWN)   \
  X(CONVOLUTION, FORWARD, BF16, SOME, OWN, OWN, OWN)  \
  X(CONVOLUTION, FORWARD, BF16, MANY, OWN, OWN, OWN)  \
  X(CONVOLUTION, BACKWARD, F32, FEW, OWN, OWN, OWN)   \
  X(CONVOLUTION, BACKWARD, F32, SOME, OWN, OWN, OWN)  \
  X(CONVOLUTION, BACKWARD, F32, MANY, OWN, OWN, OWN)  \
  X(CONVOLUTION, BACKWARD, BF16, FEW, OWN, OWN, OWN)  \
  X(CONVOLUTION, BACKWARD, BF16, SOME, OWN, OWN, OWN) \
  X(CONVOLUTION, BACKWARD, BF16, MANY, OWN, OWN, OWN)

#endif
