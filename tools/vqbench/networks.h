/* networks.h -- the published networks by their sizes, with weights that are made up. */
#ifndef VQBENCH_NETWORKS_H
#define VQBENCH_NETWORKS_H

#include "runtime/engine.h"
#include "tools/vqbench/case.h"

/* The choices of --vqgan and --clip. */
#define BENCH_VQGANS "f16|f16-16384|f8|tiny"
#define BENCH_CLIPS  "B/32|B/16|L/14|tiny"
#define BENCH_TINY   3 /* the place of the last in each */

typedef struct bench_step {
  int vqgan, clip; /* their places in the lists above */
  int width, height, cutouts;
  int chunk; /* vq_engine_config's */
} bench_step;

/* Rounds the size down to whole tokens. VQ_ERR_ARGUMENT where that leaves none. */
vq_status bench_step_check(bench_step *step);

/* "f16 256x256 B/32" */
const char *bench_step_name(char *text, size_t bytes, const bench_step *step);

/* The engine of such a step: cutouts by pooling from CLIP's size (or half the picture) to the shorter side, one text. What it points to
 * is static. */
void bench_step_config(vq_engine_config *out, const bench_step *step);

/* A start for such an engine: z like a codebook's rows, Adam at rest, a text like any. */
vq_status bench_set_state(vq_engine *engine, const vq_engine_config *config);

/* Adds every kernel of one step there, whether the device has it yet or not. */
vq_status bench_list_step(bench_list *list, const bench_step *step, const vq_place *place);

/* Adds what no such step has: other cutouts, augmentations, losses, the encoder, the text tower, ops that stand alone. They have no
 * count. */
vq_status bench_list_extras(bench_list *list, const bench_step *step, const vq_place *place);

/* Steps of all published networks, and their extras. */
vq_status bench_list_everything(bench_list *list, const vq_place *place);

#endif
