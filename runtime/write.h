/* write.h -- a run's picture as a file that says how it was made. */
#ifndef VQ_RUNTIME_WRITE_H
#define VQ_RUNTIME_WRITE_H

#include "loaders/image.h"
#include "vqgen.h"

typedef struct vq_written_prompt {
  const char *text;
  double weight, stop;
} vq_written_prompt;

/* A PNG with two texts: Software, and "vqgen", JSON with the prompts and every setting; `step` is that of the z shown. */
vq_status vq_session_write(const char *path, const vq_image *image, const vq_settings *settings, const char *vqgan,
                           const char *clip, const vq_written_prompt *prompts, int count, int64_t step);

#endif
