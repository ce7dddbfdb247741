/* apng.h -- an animated PNG, written frame by frame: what is in memory is one row and the compressor, however many frames
 * there are. Their number, which stands at the file's beginning, is put there at the end.
 */
#ifndef VQ_LOADERS_APNG_H
#define VQ_LOADERS_APNG_H

#include "base/status.h"

#include <stdint.h>

typedef struct vq_apng vq_apng;

/* Begins a file as vq_output does, to be ended by one close or abandon. Frames are shown for 1/fps seconds each, again
 * and again. VQ_ERR_ARGUMENT, VQ_ERR_MEMORY, VQ_ERR_WRITE */
vq_status vq_apng_open(vq_apng **out, const char *path, int width, int height, double fps);

/* rgb[height * width * 3]. VQ_ERR_WRITE */
vq_status vq_apng_frame(vq_apng *apng, const uint8_t *rgb);

/* Gives the file its name and frees `apng`. Without a frame there is no file: VQ_ERR_ARGUMENT. VQ_ERR_WRITE */
vq_status vq_apng_close(vq_apng *apng);

/* NULL is allowed. */
void vq_apng_abandon(vq_apng *apng);

#endif
