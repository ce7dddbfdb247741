/* tensor_list.h -- the tensors of a tape: structs and memory, made at the end of a list and cut off from the end of it.
 * For tape.c alone; how long a tensor lives stands in tape.h.
 */
#ifndef VQ_AUTOGRAD_TENSOR_LIST_H
#define VQ_AUTOGRAD_TENSOR_LIST_H

#include "autograd/device.h"

typedef struct vq_tensor_list {
  vq_device *device;
  vq_tensor **block; /* structs are allocated a block at a time, and never move */
  int64_t count, blocks;
} vq_tensor_list;

/* Appends a tensor with one reference: with memory from the pool's low end, or, for a view, without. */
vq_status vq_list_add(vq_tensor_list *list, const vq_shape *shape, vq_tensor **out);
vq_status vq_list_add_view(vq_tensor_list *list, const vq_shape *shape, vq_tensor *of, vq_tensor **out);

/* Takes one reference away; with the last one the values go. A weight keeps its own. */
void vq_list_release(vq_tensor_list *list, vq_tensor *x);

/* Gives a gradient's memory back. */
void vq_list_drop_grad(vq_tensor_list *list, vq_tensor *x);

/* Cuts the list back to `count` tensors: values, gradients and structs of the others are gone. */
void vq_list_cut(vq_tensor_list *list, int64_t count);

/* After a cut to 0: frees the list's own memory. */
void vq_list_free(vq_tensor_list *list);

#endif
