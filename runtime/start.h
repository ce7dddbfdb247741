/* start.h -- where z begins. */
#ifndef VQ_RUNTIME_START_H
#define VQ_RUNTIME_START_H

#include "runtime/network.h"
#include "vqgen.h"

/* Can the start that the settings ask for be made? Reads what it names, so that a run does not fail later. */
vq_status vq_start_check(const vq_settings *settings, const vq_network *vqgan, int h, int w);

/* Whether another seed makes another z, and whether the encoder makes it. */
bool vq_start_is_drawn(const vq_settings *settings);
bool vq_start_is_encoded(const vq_settings *settings);

/* z [h,w,C] in the engine's layout. */
vq_status vq_start_make(const vq_settings *settings, const vq_network *vqgan, int h, int w, vq_real *z);

#endif
