/* augment_text.h -- a list of augmentations as people write it.
 *
 *   flip:0.5,sharpness:0.4:strength=0.3,affine:0.8:degrees=30:down=0.1:padding=border,noise:1:most=0.1
 *
 * Each is NAME[:PROBABILITY][:KEY=VALUE ...]; what is not said is 0, a probability 1. The keys are the members of vq_augment
 * (augment.h): strength, degrees, right, down, shear, brightness, contrast, saturation, hue; area, ratio and noise as LEAST..MOST;
 * padding=zeros|border; colours=old|new, kornia's meaning before 0.6.4 or since; together=yes|no.
 */
#ifndef VQ_RUNTIME_AUGMENT_TEXT_H
#define VQ_RUNTIME_AUGMENT_TEXT_H

#include "runtime/augment.h"

#define VQ_MOST_AUGMENTS 16

/* "" or NULL: none. VQ_ERR_ARGUMENT, with the piece that is wrong; the list is one that vq_augment_check accepts. */
vq_status vq_augments_parse(vq_augment list[VQ_MOST_AUGMENTS], int *count, const char *text);

#endif
