/* torch_pickle.h -- what PyTorch writes into pickles: tensors by where their numbers are kept, in dicts and modules. */
#ifndef VQ_LOADERS_TORCH_PICKLE_H
#define VQ_LOADERS_TORCH_PICKLE_H

#include "loaders/checkpoint_parts.h"
#include "loaders/pickle.h"

/* ("storage", torch.FloatStorage, "17", "cpu", 589824): a tensor's numbers, which are not in the pickle. */
typedef struct vq_torch_storage {
  const char *key; /* no 0 follows */
  size_t key_bytes;
  vq_file_dtype dtype;                /* VQ_FILE_DTYPES: one that is not read */
  size_t width;                       /* bytes an element */
  uint64_t elements;                  /* of the whole storage */
  uint64_t view_begin, view_elements; /* the part of it that is meant: of old files; else all */
} vq_torch_storage;

/* From a VQ_PICKLE_OUTSIDE. VQ_ERR_FORMAT, VQ_ERR_UNSUPPORTED. */
vq_status vq_torch_storage_of(vq_torch_storage *out, const vq_pickle_item *outside);

/* Every storage that the pickle names, once, sorted by key. *out is freed with free. */
vq_status vq_torch_storages(vq_torch_storage **out, size_t *count, const vq_pickle *pickle);

/* Where the storage lies, all of it. */
typedef vq_status (*vq_torch_find_fn)(void *context, const vq_torch_storage *storage, vq_storage *out);

/* Adds every tensor and every plain value that can be reached from the pickle's root, by names joined with dots, and notes
 * what was left out. */
vq_status vq_torch_walk(vq_checkpoint *c, const vq_pickle *pickle, vq_torch_find_fn find, void *context);

/* Notes every name in it that is none of those that checkpoints are made of, and whether it was to be called. */
vq_status vq_torch_say_names(vq_checkpoint *c, const vq_pickle *pickle);

#endif
