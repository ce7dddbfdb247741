/* jitter.h -- the colours of each cutout changed: brightness, contrast, saturation, hue, in any order.
 *
 *   x [n,H,W,3]   stage [n,K] i32   amount [n,K], a of stage k   y = x through cutout j's K stages, one after the other:
 *
 *   VQ_JITTER_NONE         nothing
 *   VQ_JITTER_CLAMP        clamp(x)                       clamp: to [0,1]
 *   VQ_JITTER_SHIFT        clamp(x + a)
 *   VQ_JITTER_SCALE        clamp(a x)
 *   VQ_JITTER_CONTRAST     clamp(a x + (1 - a) m)         m the mean of gray over the cutout; at most one in a row
 *   VQ_JITTER_GRAY         clamp(a x + (1 - a) gray)      gray = 0.299 red + 0.587 green + 0.114 blue, of each pixel
 *   VQ_JITTER_SATURATION   as (hue, s, v), s becomes clamp(a s)
 *   VQ_JITTER_HUE          as (hue, s, v), a whole turns are added to hue
 *
 * where v = max(red, green, blue), d = v - min, s = d / (v + eps), and hue (in sixths of a turn, of the first that is v) is
 * (green - blue) / d, 2 + (blue - red) / d or 4 + (red - green) / d; and back, with w = clamp(min(k, 4 - k)),
 * k = (5, 3 or 1 for red, green or blue, plus hue) mod 6: v - v s w.
 *
 * The gradient is the derivative of that: a clamp stops what it has changed, m's gradient goes to every pixel. Keeps x, stage and
 * amount, and saves m [n]. Stages are data: a step's random order, and which cutouts are left as they are, cost no new kernel.
 * VQ_ERR_ARGUMENT for a stage that there is not, or a second CONTRAST.
 *
 * Equals kornia's ColorJitter, by vq_jitter_stages, in either of its meanings:
 *
 *   VQ_JITTER_KORNIA_054   up to 0.6.3, the notebooks': brightness is added, contrast multiplies, saturation scales s; brightness and
 *                          contrast clamp even where they change nothing. eps is 1e-6. (Its name since is ColorJiggle, with another eps)
 *   VQ_JITTER_KORNIA       since 0.6.4, as in torchvision: clamped first; brightness multiplies, contrast is about the mean of gray,
 *                          saturation blends with gray; what changes nothing is left out. eps is 1e-8
 */
#ifndef VQ_KERNELS_JITTER_H
#define VQ_KERNELS_JITTER_H

#include "autograd/tape.h"

typedef enum vq_jitter_stage {
  VQ_JITTER_NONE,
  VQ_JITTER_CLAMP,
  VQ_JITTER_SHIFT,
  VQ_JITTER_SCALE,
  VQ_JITTER_CONTRAST,
  VQ_JITTER_GRAY,
  VQ_JITTER_SATURATION,
  VQ_JITTER_HUE
} vq_jitter_stage;

typedef enum vq_jitter_meaning { VQ_JITTER_KORNIA_054, VQ_JITTER_KORNIA } vq_jitter_meaning;

extern const vq_op vq_op_jitter;

/* Of the meaning, only eps counts here. */
vq_tensor *vq_jitter(vq_tape *tape, vq_tensor *x, vq_tensor *stage, vq_tensor *amount, vq_jitter_meaning meaning);

#define VQ_JITTER_STAGES 5 /* as many as vq_jitter_stages makes */
#define VQ_JITTER_MOST   8 /* as many as vq_jitter takes */

/* One row of stage and amount: kornia's draws for one cutout (1, 1, 1, 0 change nothing; hue in turns), in the order of its
 * permutation of 0 brightness, 1 contrast, 2 saturation, 3 hue. */
void vq_jitter_stages(int32_t stage[VQ_JITTER_STAGES], vq_real amount[VQ_JITTER_STAGES], vq_jitter_meaning meaning,
                      const double factor[4], const int order[4]);

#endif
