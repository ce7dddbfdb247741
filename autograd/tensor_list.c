/* tensor_list.c -- the tensors of a tape. tensor_list.h says what each function does. */
#include "autograd/tensor_list.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 256 /* tensor number i is block[i / BLOCK][i % BLOCK] */

static vq_tensor *at(vq_tensor_list *list, int64_t i)
{
  return &list->block[i / BLOCK][i % BLOCK];
}

/* A struct without values. */
static vq_status append(vq_tensor_list *list, const vq_shape *shape, vq_tensor **out)
{
  if (list->count == list->blocks * BLOCK) {
    vq_tensor **grown = realloc(list->block, (size_t)(list->blocks + 1) * sizeof *grown);
    vq_tensor *fresh = malloc(BLOCK * sizeof *fresh);
    if (grown)
      list->block = grown;
    if (!grown || !fresh) {
      free(fresh);
      return vq_fail(VQ_ERR_MEMORY, "no memory for the tape's list of tensors");
    }
    list->block[list->blocks++] = fresh;
  }
  *out = at(list, list->count++);
  **out = (vq_tensor){.dtype = shape->dtype, .rank = shape->rank, .refs = 1};
  memcpy((*out)->dim, shape->dim, sizeof shape->dim);
  return VQ_OK;
}

vq_status vq_list_add(vq_tensor_list *list, const vq_shape *shape, vq_tensor **out)
{
  VQ_TRY(append(list, shape, out));
  return vq_device_take(list->device, VQ_POOL_LOW, vq_shape_bytes(shape), &(*out)->data);
}

vq_status vq_list_add_view(vq_tensor_list *list, const vq_shape *shape, vq_tensor *of, vq_tensor **out)
{
  VQ_TRY(append(list, shape, out));
  (*out)->base = vq_root(of);
  (*out)->wants = of->wants;
  (*out)->base->refs++;
  return VQ_OK;
}

static void drop_values(vq_tensor_list *list, vq_tensor *x)
{
  vq_device_give(list->device, x->data);
  x->data = NULL;
}

void vq_list_release(vq_tensor_list *list, vq_tensor *x)
{
  if (x->weight || --x->refs)
    return;
  if (x->base)
    vq_list_release(list, x->base);
  else
    drop_values(list, x);
}

void vq_list_drop_grad(vq_tensor_list *list, vq_tensor *x)
{
  if (x->base)
    return;
  vq_device_give(list->device, x->grad);
  x->grad = NULL;
}

void vq_list_cut(vq_tensor_list *list, int64_t count)
{
  while (list->count > count) {
    vq_tensor *x = at(list, --list->count);
    if (x->base && x->refs > 0)
      vq_list_release(list, x->base); /* the view's reference on its root */
    drop_values(list, x);
    vq_list_drop_grad(list, x);
  }
}

void vq_list_free(vq_tensor_list *list)
{
  for (int64_t i = 0; i < list->blocks; i++)
    free(list->block[i]);
  free(list->block);
}
