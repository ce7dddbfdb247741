/* perlin.h -- Perlin's noise: blotches of every colour, elsewhere with every seed. */
#ifndef VQ_RUNTIME_PERLIN_H
#define VQ_RUNTIME_PERLIN_H

#include "autograd/tensor.h"
#include "base/status.h"

/* Adds it to pixels [height,width,3]: to each channel three octaves of equal strength, with 4, 8 and 16 cells across the
 * picture's shorter side, together of that deviation. A larger picture gets the same blotches, only larger.
 * K. Perlin, Improving Noise, SIGGRAPH 2002, with a direction drawn for each corner instead of one of twelve. */
vq_status vq_perlin_add(vq_real *pixels, int width, int height, double deviation, uint64_t seed);

#endif
