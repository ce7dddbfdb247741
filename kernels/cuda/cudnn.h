/* cudnn.h -- convolutions by NVIDIA's cuDNN, in the place of our own kernels: the way there, and the way back to x.
 *
 *   y = bias + skip + y (if it adds) + the convolution of x [images,height,width,channels] with w [outputs,kh,kw,channels]
 *
 * or, back, y like an x and x like a y. Pictures and weights lie as ours do: channels last. Sums are in float. Bias and skip are part of cuDNN's
 * graph where it has an engine for that; else they are put into y beforehand, to which the convolution is then added. Of the engines only
 * those come into question that give the same bits each time and, in float, round nothing but the sums. Which one is asked once for each
 * convolution (its heuristic, no race), and kept.
 */
#ifndef VQ_KERNELS_CUDA_CUDNN_H
#define VQ_KERNELS_CUDA_CUDNN_H

#include "kernels/cuda/cublaslt.h"

/* A convolution but for its addresses: that by which it is kept. All of one type, so that two can be compared byte by byte. */
typedef struct vq_dnn_conv {
  int64_t back;                            /* the way to x: x is the gradient of a y, and y that of an x */
  int64_t images, height, width, channels; /* of x */
  int64_t rows, columns, outputs;          /* of y */
  int64_t kh, kw, stride, top, left, bottom, right;
  int64_t type, y_type; /* vq_dtype of x and w; of y and skip. bias is of floats */
  int64_t bias, skip, add;
  int64_t tf32;     /* of float: operands may be rounded to tf32 */
  int64_t align[5]; /* of x, w, bias, skip, y: bytes, VQ_LIBRARY_ALIGN at most */
} vq_dnn_conv;

typedef struct vq_cudnn vq_cudnn;
typedef struct vq_dnn_plan vq_dnn_plan;

/* Opens libcudnn (or the file that $VQGEN_CUDNN names) for the current card and that stream (cudaStream_t). VQ_ERR_DEVICE, saying why, where that
 * cannot be. */
vq_status vq_cudnn_open(vq_cudnn **out, void *stream);
void vq_cudnn_close(vq_cudnn *dnn);

/* Whether the library is there, without a card: "9.26.0 (libcudnn.so.9)". VQ_ERR_DEVICE, saying why. */
vq_status vq_cudnn_version(char *text, size_t bytes);

/* How it computes that; *out is NULL where it does not. Owned by dnn. Asks the library the first time only, and queues nothing. */
vq_status vq_cudnn_find(vq_cudnn *dnn, const vq_dnn_conv *conv, const vq_dnn_plan **out);

/* Bias and skip must be in y before it runs. */
bool vq_cudnn_adds_to_start(const vq_dnn_plan *plan);

/* Queues it. `op` is for messages. */
vq_status vq_cudnn_run(vq_cudnn *dnn, const vq_dnn_plan *plan, const vq_library_places *places, const char *op);

#endif
