/* checkpoint.h -- one way to read tensors out of every container in which published networks come.
 *
 * What a file is follows from its content, never from its ending. Nothing in a file is ever run, and nothing that it
 * claims is believed beyond what its own size allows. Files are mapped, not read: a checkpoint that is larger than
 * the machine's memory opens, and a tensor is read from the disk when it is asked for.
 */
#ifndef VQ_LOADERS_CHECKPOINT_H
#define VQ_LOADERS_CHECKPOINT_H

#include "loaders/file_tensor.h"

#include <stdbool.h>

typedef struct vq_checkpoint vq_checkpoint;

typedef enum vq_container {
  VQ_CONTAINER_SAFETENSORS, /* safetensors.h */
  VQ_CONTAINER_TORCH_ZIP, /* torch.save since PyTorch 1.6: a zip archive of a pickle and a file for each storage */
  VQ_CONTAINER_TORCH_LEGACY, /* torch.save before that: five pickles in a row, and the storages */
  VQ_CONTAINER_TORCHSCRIPT   /* torch.jit.save: an archive as above, with code, which is left alone */
} vq_container;

/* "safetensors", "TorchScript" ...: for people. Static. */
const char *vq_container_name(vq_container container);

/* `path`: a file; the index of a network in several files, which lie beside it (model.safetensors.index.json); or a folder with
 * one of these by the name under which networks are published. VQ_ERR_FILE, VQ_ERR_FORMAT; VQ_ERR_UNSUPPORTED: a kind of file
 * that is not read. */
vq_status vq_checkpoint_open(vq_checkpoint **out, const char *path);

/* Ends all that was borrowed from it. NULL is allowed. */
void vq_checkpoint_close(vq_checkpoint *checkpoint);

vq_container vq_checkpoint_container(const vq_checkpoint *checkpoint);

/* ---- tensors, in the order of their names (by bytes), 0 <= index < count ----
 *
 * In pickles, tensors lie in dicts, lists and modules within each other. A tensor's name is the way to it: keys, indices and
 * attributes, joined by dots: "state_dict.decoder.conv_in.weight", "optimizer_states.0.state.3.exp_avg".
 */

int vq_checkpoint_count(const vq_checkpoint *checkpoint);

/* `data` is where the numbers lie in the mapped file if they lie there as they are wanted, one after the other, and NULL
 * if they do not: vq_checkpoint_read serves both. Borrowed. */
const vq_file_tensor *vq_checkpoint_at(const vq_checkpoint *checkpoint, int index);

/* -1 when there is none of that name. */
int vq_checkpoint_find(const vq_checkpoint *checkpoint, const char *name);

/* How far apart neighbours along each dimension are stored, in elements: vq_checkpoint_at(...)->rank numbers. Borrowed. */
const int64_t *vq_checkpoint_strides(const vq_checkpoint *checkpoint, int index);

/* The tensor's numbers in their stored type, the last dimension running fastest, to out[at->bytes], aligned for anything or
 * not. VQ_ERR_FORMAT: what is stored is damaged. */
vq_status vq_checkpoint_read(const vq_checkpoint *checkpoint, int index, void *out);

/* ---- what else is plain data in it: metadata of safetensors by their keys, numbers and texts in pickles by their way ---- */

typedef enum vq_value_kind {
  VQ_VALUE_NONE,
  VQ_VALUE_BOOL,
  VQ_VALUE_INT,
  VQ_VALUE_FLOAT,
  VQ_VALUE_TEXT,
  VQ_VALUE_BYTES
} vq_value_kind;

typedef struct vq_checkpoint_value {
  const char *name;
  vq_value_kind kind;
  int64_t integer;  /* VQ_VALUE_INT; VQ_VALUE_BOOL: 0 or 1 */
  double number;    /* VQ_VALUE_FLOAT */
  const char *text; /* VQ_VALUE_TEXT: UTF-8; VQ_VALUE_BYTES. Followed by a 0 that is not counted */
  size_t length;    /* of the text, in bytes */
} vq_checkpoint_value;

/* In the order of their names. Borrowed; find: NULL when there is none of that name. */
int vq_checkpoint_values(const vq_checkpoint *checkpoint);
const vq_checkpoint_value *vq_checkpoint_value_at(const vq_checkpoint *checkpoint, int index);
const vq_checkpoint_value *vq_checkpoint_value_find(const vq_checkpoint *checkpoint, const char *name);

/* ---- about the file ---- */

/* What was left out and why, a sentence each, for the user. Borrowed. */
int vq_checkpoint_notes(const vq_checkpoint *checkpoint);
const char *vq_checkpoint_note(const vq_checkpoint *checkpoint, int index);

/* The files that it was read from, at least one, an index before those that it names: its path and, unless NULL, its size. Borrowed. */
int vq_checkpoint_files(const vq_checkpoint *checkpoint);
const char *vq_checkpoint_file(const vq_checkpoint *checkpoint, int index, uint64_t *bytes);

#endif
