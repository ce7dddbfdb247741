/* snapshot.h -- a run's state as a safetensors file:
 *
 *   z, adam_m, adam_v   [1,C,h,w], PyTorch's layout: z alone is also a start, for --init
 *   metadata            kind "snapshot"; record (record.h); step; updates, of Adam; note, the caller's
 */
#ifndef VQ_RUNTIME_SNAPSHOT_H
#define VQ_RUNTIME_SNAPSHOT_H

#include "runtime/engine.h"

typedef struct vq_snapshot {
  int h, w, channels;
  vq_engine_state state; /* [h,w,C], the engine's layout */
  int64_t step;
  char *record, *note; /* owned; note may be NULL */
} vq_snapshot;

/* Arrays of that size, all else 0. To be freed also after an error. */
vq_status vq_snapshot_create(vq_snapshot *out, int h, int w, int channels);
void vq_snapshot_free(vq_snapshot *snapshot);

/* Whole or not at all. VQ_ERR_WRITE */
vq_status vq_snapshot_write(const char *path, const vq_snapshot *snapshot, const char *note);

/* VQ_ERR_FILE, VQ_ERR_FORMAT */
vq_status vq_snapshot_read(vq_snapshot *out, const char *path);

#endif
