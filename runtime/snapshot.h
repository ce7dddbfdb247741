/* snapshot.h -- a run's state as a safetensors file:
 *
 *   z, adam_m, adam_v   [1,C,h,w], PyTorch's layout: z alone is also a start, for --init. In the place of z, logits, if it has those;
 *                       m and v of whichever optimizer; past, diffgrad's third; and average, if pictures show one
 *   metadata            kind "snapshot"; record (record.h); step; updates, of the optimizer; averaged; note, the caller's
 */
#ifndef VQ_RUNTIME_SNAPSHOT_H
#define VQ_RUNTIME_SNAPSHOT_H

#include "runtime/engine.h"

typedef struct vq_snapshot {
  int h, w, channels;
  bool logits, past, average; /* there are */
  vq_engine_state state;      /* [h,w,C], the engine's layout */
  int64_t step;
  char *record, *note; /* owned; note may be NULL */
} vq_snapshot;

/* Arrays of the size and the kinds that *snapshot says; all else in it is 0. To be freed also after an error. */
vq_status vq_snapshot_create(vq_snapshot *snapshot);
void vq_snapshot_free(vq_snapshot *snapshot);

/* Whole or not at all. VQ_ERR_WRITE */
vq_status vq_snapshot_write(const char *path, const vq_snapshot *snapshot, const char *note);

/* VQ_ERR_FILE, VQ_ERR_FORMAT */
vq_status vq_snapshot_read(vq_snapshot *out, const char *path);

#endif
