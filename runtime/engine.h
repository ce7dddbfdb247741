/* engine.h -- the step: z to a picture, the picture to cutouts, the cutouts to losses, all the way back, Adam.
 *
 *   ids = nearest(z)    picture = clamp01(decode(quantise(z, ids)))        once
 *   for each chunk of cutouts: losses += sphere(clip(augment(resample(picture, boxes))), targets); walk back to the picture
 *   total variation; walk back to the picture; what holds z to its start; then walk the decoder with the sum of it all
 *   z = clamp(adam(z, dz), codebook's range)
 *
 * With logits in the place of z (VQ_LATENT_LOGITS), ids = choose(logits, this step's draws) and dz comes by soft_quantise.
 *
 * The walk through clamp01 is not linear in its gradient, so what all cutouts and all targets say is summed before it.
 * A chunk is some quanta of at most 8 cutouts, whose size depends on the number of cutouts alone. Memory is that for a chunk, and the bits
 * are the same whatever goes through CLIP at once.
 */
#ifndef VQ_RUNTIME_ENGINE_H
#define VQ_RUNTIME_ENGINE_H

#include "runtime/augment_text.h"
#include "nets/clip.h"
#include "nets/vqgan.h"
#include "runtime/compute.h"
#include "vqgen.h"

typedef struct vq_engine_config {
  /* The networks' settings and weights, borrowed for as long as the engine lives: of opened files (runtime/network.h),
   * or made up. */
  const vq_vqgan_config *vqgan;
  const vq_clip_config *clip;
  const vq_weight_source *vqgan_weights, *clip_weights;
  int h, w; /* latent rows and columns */
  int cutouts;
  int chunk; /* of which so many go through CLIP at once, in whole quanta; 0: one quantum */
  vq_cut_method cut_method;
  int box_least, box_most; /* pixels: sides of the smallest and the largest cutout that will ever be asked for */
  vq_augment augment[VQ_MOST_AUGMENTS]; /* what is done to each cutout, in this order */
  int augments;
  int targets;
  int target_rows[VQ_MOST_PROMPTS]; /* features of a target: 1 for a text */
  double weight[VQ_MOST_PROMPTS], stop[VQ_MOST_PROMPTS];
  double tv_weight;
  bool pull, pull_to_start; /* z is pulled to 0, or to where it was set */
  vq_latent_kind latent;
  vq_optimizer optimizer;
  double weight_decay; /* AdamW's */
  bool unclamped;      /* z may leave the codebook's range; logits always may */
  double ema;          /* vq_settings.ema */
  bool trap;
} vq_engine_config;

typedef struct vq_engine vq_engine;

/* What an engine of that configuration will need; allocates none of it. */
vq_status vq_engine_plan(const vq_engine_config *config, const vq_place *place, vq_footprint *out);

/* Calls `watch` for every kernel of one step of such an engine, in their order, without running any: the calls have their
 * tensors' shapes and no values. Adam, which is not on the tape, is among them. */
vq_status vq_engine_record(const vq_engine_config *config, const vq_place *place, vq_watch_fn watch, void *user);

/* Reads the networks and takes all memory. VQ_ERR_MEMORY, before anything is taken, if the place has less. */
vq_status vq_engine_create(vq_engine **out, const vq_engine_config *config, const vq_place *place);
void vq_engine_free(vq_engine *engine);

/* What it has taken of memory, and of the step pool at most, so far. */
void vq_engine_used(const vq_engine *engine, vq_footprint *out);

/* From now on, `watch` is called after every kernel with its time. NULL: no clock is read. */
void vq_engine_watch(vq_engine *engine, vq_watch_fn watch, void *user);

/* Cutouts rounded up to whole quanta. */
int vq_engine_padded_cutouts(const vq_engine *engine);

/* z, or logits, in the engine's layout, [h,w,C]: C is the codes' length, or their number. Setting it resets the optimizer, and the average. */
int vq_engine_channels(const vq_engine *engine);
vq_status vq_engine_set_z(vq_engine *engine, const vq_real *z);
vq_status vq_engine_get_z(vq_engine *engine, vq_real *z);

/* What the next step depends on besides the configuration and the targets; the arrays are z's size, [h,w,C]. */
typedef struct vq_engine_state {
  int64_t updates; /* since the optimizer began */
  vq_real *z, *m, *v;
  vq_real *past;    /* NULL but for diffgrad: the gradient before */
  vq_real *average; /* NULL without an ema: the weighted sum of all z so far, of which there were */
  int64_t averaged; /* so many */
} vq_engine_state;
vq_status vq_engine_get_state(vq_engine *engine, vq_engine_state *state); /* into the caller's arrays */
vq_status vq_engine_set_state(vq_engine *engine, const vq_engine_state *state);

/* The features that target number i wants, [target_rows[i], embed_dim]. */
vq_status vq_engine_set_target(vq_engine *engine, int i, const vq_real *features);

/* A target that rests has no loss, NAN, and pulls nothing, until it is told otherwise. */
void vq_engine_rest_target(vq_engine *engine, int i, bool rests);

/* What one forward pass and its walk back found. The pointers may be NULL; layouts are the engine's. */
typedef struct vq_findings {
  double losses[VQ_MOST_PROMPTS]; /* of each target; NAN: it rests */
  double tv_loss, pull_loss;
  int32_t *ids;      /* [h,w] */
  vq_real *decoded;  /* [H,W,3] before the clamp */
  vq_real *picture;  /* [H,W,3] in [0,1] */
  vq_real *cutouts;  /* [padded cutouts,S,S,3] in [0,1] */
  vq_real *features; /* [padded cutouts,embed_dim]; the rows beyond config.cutouts mean nothing */
  vq_real *dz;       /* [h,w,C] */
} vq_findings;

/* The optimizer forgets what it knows of earlier gradients. z stays. */
vq_status vq_engine_restart_optimizer(vq_engine *engine);

/* Whose draws the augmentations of the next step take, and its codes by logits: 0 and 0 until it is said. */
void vq_engine_set_draws(vq_engine *engine, uint64_t seed, uint32_t step);

/* How strongly z is pulled from now on: this times its mean squared distance. */
vq_status vq_engine_set_pull(vq_engine *engine, double weight);

/* The gradient at the present z for these boxes, int32 [cutouts,3] = x, y, size in pixels. z stays. */
vq_status vq_engine_gradient(vq_engine *engine, const int32_t *boxes, vq_findings *findings);

/* The same, and then one update with this learning rate. */
vq_status vq_engine_step(vq_engine *engine, const int32_t *boxes, double lr, vq_findings *findings);

/* The picture, [H,W,3] in [0,1], of the present z, of the average of all, or of the likeliest codes. */
vq_status vq_engine_picture(vq_engine *engine, vq_real *picture);

#endif
