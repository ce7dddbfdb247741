/* checkpoint_parts.h -- what the readers of single containers fill in for checkpoint.c. Not for others. */
#ifndef VQ_LOADERS_CHECKPOINT_PARTS_H
#define VQ_LOADERS_CHECKPOINT_PARTS_H

#include "base/arena.h"
#include "loaders/checkpoint.h"
#include "loaders/input.h"
#include "loaders/safetensors.h"
#include "loaders/zip.h"

/* Where numbers lie: as they are in the mapped file, or deflated. */
typedef struct vq_storage {
  const uint8_t *base;
  const vq_zip_entry *packed; /* not NULL: `base` is */
  uint64_t offset;            /* in what `packed` unpacks to */
  uint64_t bytes;             /* from there on */
} vq_storage;

typedef struct vq_checkpoint_slot {
  vq_file_tensor tensor;
  int64_t stride[VQ_FILE_RANK]; /* elements */
  vq_storage storage;           /* begins with the tensor's first element and has all others */
  int file, order;
} vq_checkpoint_slot;

typedef struct vq_checkpoint_part {
  char *path;
  vq_input input;
  vq_zip zip;
  vq_safetensors *safetensors;
} vq_checkpoint_part;

/* Grown by doubling: `of` is the element's type. */
#define VQ_ARRAY(of) \
  struct {           \
    of *at;          \
    int count, room; \
  }

struct vq_checkpoint {
  vq_container container;
  vq_arena arena; /* names, texts */
  VQ_ARRAY(vq_checkpoint_part) file;
  VQ_ARRAY(vq_checkpoint_slot) slot;
  VQ_ARRAY(vq_checkpoint_value) value;
  VQ_ARRAY(char *) note;
};

/* Room for one more; NULL: no memory, which has been said. Zeros. */
vq_checkpoint_part *vq_checkpoint_new_file(vq_checkpoint *c, const char *path);
vq_checkpoint_slot *vq_checkpoint_new_slot(vq_checkpoint *c);
vq_checkpoint_value *vq_checkpoint_new_value(vq_checkpoint *c);

vq_status vq_checkpoint_say(vq_checkpoint *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets strides of elements that lie one after the other. */
void vq_checkpoint_dense(const vq_file_tensor *tensor, int64_t stride[VQ_FILE_RANK]);

/* The containers. Each adds what the last file of `c` holds; the caller puts its name before the message. */
vq_status vq_torch_read_zip(vq_checkpoint *c);
vq_status vq_torch_read_legacy(vq_checkpoint *c);

/* Adds one file of any container, named by its path. Defined in checkpoint.c, for shards.c. */
vq_status vq_checkpoint_add_file(vq_checkpoint *c, const char *path);

/* An index of shards, which lie beside it: it is the first file of `c`. Names are in the messages. */
bool vq_shards_is_index(const vq_input *input);
vq_status vq_shards_read(vq_checkpoint *c, const char *path);

vq_status vq_shards_read_folder(vq_checkpoint *c, const char *path);

#endif
