/* frames.h -- the pictures on the way: into numbered files, into a video, or both. A frame's number is the step whose z it
 * shows; the start is 0.
 */
#ifndef VQGEN_TOOLS_FRAMES_H
#define VQGEN_TOOLS_FRAMES_H

#include "tools/vqgen/request.h"
#include "tools/vqgen/video.h"

typedef struct frames {
  const char *folder;  /* NULL: no files */
  video *video;        /* NULL: none */
  int64_t every, last; /* steps between frames; the last one that was made, -1: none */
  uint8_t *rgb;        /* NULL: no frames are made */
  bool failed;         /* what went wrong was told, and the run goes on without it */
} frames;

/* Asks all that can go wrong before the first step. */
vq_status frames_open(frames *f, const request *r, const vq_session *session, int64_t first);

/* Before and after each step: the session is told whether its picture is wanted, and the frame of the z before the step is
 * made of it. A failure is told, once. */
void frames_expect(frames *f, vq_session *session, int64_t step);
void frames_take(frames *f, vq_session *session, int64_t step);

/* The frame of the last step, and the end. VQ_ERR_WRITE: something failed, now or before, and was told. */
vq_status frames_close(frames *f, vq_session *session, int64_t step);

/* Without the video. */
void frames_abandon(frames *f);

#endif
