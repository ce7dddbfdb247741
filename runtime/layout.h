/* layout.h -- whose names a checkpoint uses, and which of its tensors make each one that the nets ask for.
 *
 * The nets ask by the names of the original releases (taming-transformers, OpenAI's CLIP). Who else publishes the same networks calls
 * the same tensors otherwise, cuts them up or stores them the other way round: a family is a table of such names (layout.c).
 * What stands before all of its names ("state_dict.", "module.", "first_stage_model.") is found out.
 */
#ifndef VQ_RUNTIME_LAYOUT_H
#define VQ_RUNTIME_LAYOUT_H

#include "loaders/checkpoint.h"

#include "autograd/tensor.h"

typedef enum vq_network_kind { VQ_NETWORK_VQGAN, VQ_NETWORK_CLIP } vq_network_kind;

/* A tensor under its published name, put together from `pieces` of the checkpoint's on top of each other. */
typedef struct vq_layout_weight {
  char *name;
  int pieces, tensor[3]; /* their indices in the checkpoint */
  bool transposed;       /* stored [b,a], published [a,b] */
  int rank;              /* published */
  int64_t dim[VQ_RANK];
  vq_file_dtype dtype; /* of the first piece */
} vq_layout_weight;

typedef struct vq_layout {
  const char *family; /* "OpenAI's CLIP and open_clip": static */
  vq_network_kind kind;
  char *prefix;             /* before all names, "" or ending in a dot */
  vq_layout_weight *weight; /* by name */
  int count;
  /* Indices of tensors behind the prefix that the family does not know, or the network does not use; how many others
   * there are, and those that are known not to be needed. */
  int *superfluous, superfluous_count, ignored;
} vq_layout;

/* Finds out what a checkpoint holds. VQ_ERR_NETWORK: no network that is known, with what was found instead. */
vq_status vq_layout_find(vq_layout **out, const vq_checkpoint *checkpoint);
void vq_layout_free(vq_layout *layout);

/* Weights that are not `asked` for [count] become superfluous, but for those that only the published form has a use for. */
void vq_layout_keep(vq_layout *layout, const bool *asked);

/* NULL: none of that name. Borrowed. */
const vq_layout_weight *vq_layout_weight_of(const vq_layout *layout, const char *name);

/* The values, published layout, to out[elements]. VQ_ERR_FORMAT, VQ_ERR_MEMORY */
vq_status vq_layout_read(const vq_layout_weight *weight, const vq_checkpoint *checkpoint, vq_real *out);

/* Of a matrix [rows,columns] only these rows, to out[count * columns]. */
vq_status vq_layout_read_rows(const vq_layout_weight *weight, const vq_checkpoint *checkpoint, const int32_t *row,
                              int count, vq_real *out);

/* Gives the numbers as they are stored, in one piece or several that follow each other: as they lie in the mapped file where they lie
 * in order there, and else from memory. Borrowed until `give` returns. */
typedef vq_status (*vq_layout_take)(void *user, const vq_file_tensor *piece);
vq_status vq_layout_pieces(const vq_layout_weight *weight, const vq_checkpoint *checkpoint, vq_layout_take give,
                           void *user);
size_t vq_layout_elements(const vq_layout_weight *weight);

#endif
