/* video.h -- frames into a video as they are made: into ffmpeg, or, where there is none or the file is a PNG, into an
 * animated PNG of our own. None is held in memory.
 */
#ifndef VQGEN_TOOLS_VIDEO_H
#define VQGEN_TOOLS_VIDEO_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct video video;

/* Asks, before a run, whether the video can be made: ffmpeg is run on one frame, with what the real one will be told.
 * VQ_ERR_ARGUMENT: an ending that is not known; VQ_ERR_WRITE. Where there is no ffmpeg, that is told, with the name of the
 * animated PNG. */
vq_status video_open(video **out, const char *path, int width, int height, double fps, bool force);

/* Where it goes: the path, or another ending. */
const char *video_path(const video *v);

/* rgb[height * width * 3]. VQ_ERR_WRITE: it ends here, which is an error once; further frames are let go. */
vq_status video_frame(video *v, const uint8_t *rgb);

/* Gives the video its name, unless a frame failed, and frees it. NULL is allowed. VQ_ERR_WRITE */
vq_status video_close(video *v);
void video_abandon(video *v);

#endif
