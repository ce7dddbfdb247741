/* vqgen.h -- pictures from words, by optimisation: a frozen VQGAN, a frozen CLIP, and one small latent that moves.
 *
 * A complete program. It makes a picture with the networks that are installed with the library, or with those that it
 * is given:
 *
 *     #include <stdio.h>
 *     #include <vqgen.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *       vq_settings settings;
 *       vq_session *session = NULL;
 *       vq_settings_init(&settings);
 *       if (argc == 3) {
 *         settings.vqgan = argv[1];
 *         settings.clip = argv[2];
 *       }
 *       vq_status status = vq_settings_load(&settings);
 *       if (!status)
 *         status = vq_session_create(&session, &settings);
 *       if (!status)
 *         status = vq_session_prompt(session, "a red circle on a blue background", 1, VQ_NO_STOP);
 *       if (!status)
 *         status = vq_session_start(session);
 *       for (int64_t i = 0; !status && i < settings.steps; i++) {
 *         vq_step_report report;
 *         status = vq_session_step(session, &report);
 *         if (!status && report.step % 10 == 0)
 *           printf("step %lld  loss %.4f\n", (long long)report.step, report.loss);
 *       }
 *       if (!status)
 *         status = vq_session_save(session, "circle.png");
 *       if (status)
 *         fprintf(stderr, "%s\n", vq_error_message());
 *       vq_session_free(session);
 *       vq_settings_clear(&settings);
 *       return status != VQ_OK;
 *     }
 *
 * Errors are returned as vq_status, with a message for a person in vq_error_message(). The library prints nothing and
 * holds no state outside its sessions: several can live in one process, each used by one thread at a time.
 */
#ifndef VQGEN_H
#define VQGEN_H

#include "base/log.h"
#include "base/status.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VQ_NO_STOP (-INFINITY)

/* Where z begins. */
typedef enum vq_start {
  VQ_START_RANDOM,   /* a codebook row drawn for each position */
  VQ_START_GRAY,     /* the encoding of a flat gray picture with a little noise (deviation 0.02 in [-1,1]) */
  VQ_START_PIXELS,   /* the encoding of a picture of random pixels */
  VQ_START_GRADIENT, /* the encoding of three ramps between random levels: red across, green and blue down */
  VQ_START_PERLIN,   /* the encoding of that gray under Perlin's noise, blotches of all colours (deviation 0.4) */
  VQ_START_FILE      /* the encoding of a picture, or a saved z (.safetensors): start_file */
} vq_start;

/* How a starting picture of another shape is fitted. */
typedef enum vq_fit { VQ_FIT_CROP, VQ_FIT_PAD, VQ_FIT_STRETCH } vq_fit;

typedef enum vq_lr_schedule { VQ_LR_CONSTANT, VQ_LR_LINEAR, VQ_LR_COSINE } vq_lr_schedule;

/* What init_weight does to z, step i counted from 0: */
typedef enum vq_pull {
  VQ_PULL_START,      /* adds init_weight / 2 mean (z - its start)^2 to the loss, as Crowson's notebooks do */
  VQ_PULL_ZERO_DECAY, /* init_weight / 2 / (2 i + 1) mean z^2, as nerdyrodent's tool and those after it do */
  VQ_PULL_ZERO        /* init_weight / 2 mean z^2, as the MSE notebook does without a starting picture */
} vq_pull;

/* What moves z; each with torch.optim's numbers. */
typedef enum vq_optimizer {
  VQ_ADAM,
  VQ_ADAMW,
  VQ_ADAGRAD,
  VQ_ADAMAX,
  VQ_RMSPROP,
  VQ_RADAM,
  VQ_DIFFGRAD,
  VQ_ADAMP
} vq_optimizer;

/* What is moved: a vector for each position, of which the decoder is given the nearest codebook row; or a logit for each row at each
 * position, of which each step draws one by their softmax (Crowson's codebook sampling), and pictures show the likeliest. */
typedef enum vq_latent_kind { VQ_LATENT_Z, VQ_LATENT_LOGITS } vq_latent_kind;

/* How a cutout becomes a picture of CLIP's size. */
typedef enum vq_cut_method {
  VQ_CUT_POOL,    /* adaptive average pooling */
  VQ_CUT_LANCZOS, /* Lanczos-2 where it shrinks, then bicubic: the notebooks' resample */
  VQ_CUT_WHOLE    /* no crops: the whole picture, (adaptive mean + adaptive maximum) / 2, once for all cutouts */
} vq_cut_method;

/* What is written into a picture about how it was made. */
typedef enum vq_metadata {
  VQ_METADATA_TEXT = 1,    /* every setting: a PNG's text, in other formats a property of XMP */
  VQ_METADATA_STEGANO = 2, /* the notebook's message, in the pixels' lowest bits; not in JPEG, which changes them */
  VQ_METADATA_XMP = 4      /* the notebook's fields */
} vq_metadata;

/* How numbers are kept. On the CPU fp32 or, where the processor has dot products of bf16, bf16: then frozen weights and what they are
 * multiplied by are rounded, and all else is fp32. On GPUs activations are of that type too. Sums, statistics, softmax,
 * losses, z and the picture are fp32 in any. */
typedef enum vq_precision {
  VQ_PRECISION_AUTO, /* fp32 on the CPU, bf16 on GPUs that have it */
  VQ_PRECISION_FP32,
  VQ_PRECISION_TF32, /* fp32, products with factors of 11 digits */
  VQ_PRECISION_BF16  /* products of factors of 8 digits */
} vq_precision;

#define VQ_CHUNK_AUTO 0
#define VQ_CHUNK_ALL  0x7fffffff

typedef struct vq_settings {
  const char *vqgan, *clip; /* network files, or names; vq_settings_load finds those and fills in NULL ones */
  const char *config;       /* of a published VQGAN or CLIP: its settings, and */
  const char *vocab;        /* its vocabulary; NULL: looked for beside it */
  int width, height;        /* pixels; floored to a multiple of the VQGAN's factor */
  int64_t steps; /* updates of z; -1: until the caller stops (a falling learning rate then stays at its start) */
  uint64_t seed;
  double lr, lr_end; /* the learning rate at the first step and, if the schedule falls, after the last */
  vq_lr_schedule lr_schedule;
  vq_optimizer optimizer;
  double weight_decay; /* AdamW's */
  vq_latent_kind latent;
  bool z_clamp; /* z is held to the codebook's range, channel by channel, after each update */
  double ema;   /* pictures show an average of all z, of which ema stays at each step; 0: z itself */
  int cutouts;
  vq_cut_method cut_method;
  double cut_power;    /* size = u^power (most - least) + least, u uniform */
  double cut_least;    /* sides of the smallest and the largest cutout, as parts of the picture's shorter side; */
  double cut_most;     /* cut_least 0: CLIP's own input size in pixels */
  const char *augment; /* what is done to cutouts, a list as runtime/augment_text.h has it; NULL or "": nothing */
  double tv_weight;    /* weight of the total variation */
  vq_pull init_pull;
  double init_weight;      /* 0: none */
  int64_t init_drop_every; /* init_weight falls to 0 in init_drops equal drops, each after so many steps; */
  int64_t init_drops;      /* at each the optimizer begins anew. Both 0: it does not fall */
  vq_start start;
  const char *start_file; /* for VQ_START_FILE */
  vq_fit fit;
  unsigned metadata;      /* of vq_metadata, added */
  const char *model_name; /* in the notebook's fields; NULL: by the VQGAN's name */
  int quality;            /* of a JPEG, 1 to 100 */
  bool gumbel_noise;      /* GumbelVQ's encoder draws its tokens, as the published one does, not the likeliest */
  int64_t phase_every;    /* updates until the next phase's texts, after the last's the first's; 0: one phase */
  bool strict;            /* a prompt that is too long is refused; else it is cut, with a warning */
  const char *device;     /* what computes: "cpu", "cuda", "cuda:I"; "auto" or NULL: the CPU, so far */
  vq_precision precision; /* how exactly */
  int threads;            /* of the CPU; 0: one for each processor */
  int cutout_chunk; /* cutouts that go through CLIP at once, 8 or more, or VQ_CHUNK_ALL: more want more memory and fill a GPU better, and
                     * make the same picture, byte for byte; VQ_CHUNK_AUTO: 8 on the CPU, as many as fit on a GPU */
  int64_t vram;   /* bytes that a run may take, of a GPU's memory or, on the CPU, the machine's; 0: what is free */
  bool force;     /* accept two networks that were not made for each other */
  bool trap;      /* stop at the first value that is not finite, naming the operation */
  vq_log log;     /* where warnings go; zero: nowhere */
  char *found[2]; /* file names that vq_settings_load has found; vq_settings_clear frees them */
} vq_settings;

/* The defaults of the notebooks, where networks have none of their own: 256x256, 64 cutouts, Adam at lr 0.1, 500 steps. */
void vq_settings_init(vq_settings *settings);

/* Fills in both network files if they are NULL: vqgan.safetensors and clip.safetensors in $VQGEN_MODELS, in the user's
 * data folder (vqgen), or the pair that is installed with the library, whichever is there first. Then replaces settings
 * by those that the files carry as their networks' defaults: set your own after it. VQ_ERR_FILE, VQ_ERR_FORMAT,
 * VQ_ERR_NETWORK. */
vq_status vq_settings_load(vq_settings *settings);

/* Frees what vq_settings_load has made; after the session's creation, which copies it. */
void vq_settings_clear(vq_settings *settings);

typedef struct vq_session vq_session;

/* Opens and checks the networks' files and the settings. Everything that a wrong setting can spoil is refused here, before
 * memory is taken. The settings are copied. */
vq_status vq_session_create(vq_session **out, const vq_settings *settings);
void vq_session_free(vq_session *session);

typedef enum vq_prompt_kind {
  VQ_PROMPT_TEXT,
  VQ_PROMPT_IMAGE, /* a picture, seen once through cutouts as the run's are; each cutout is pulled to each of them */
  VQ_PROMPT_NOISE  /* a random direction of CLIP's space */
} vq_prompt_kind;

#define VQ_EVERY_PHASE (-1)

typedef struct vq_prompt {
  vq_prompt_kind kind;
  const char *text;    /* the words; the picture's file; the noise's seed, in digits */
  double weight, stop; /* stop: VQ_NO_STOP for none */
  int phase;           /* of a text, from 0, or VQ_EVERY_PHASE; the other kinds are always there */
} vq_prompt;

/* Adds a prompt that pulls the picture (weight > 0) or pushes it away (< 0). `stop`: the loss below which it does not push
 * further; for a negative weight it is compared with the negated distance. Before vq_session_start.
 * VQ_ERR_PROMPT: empty, not UTF-8, or, if strict, too long. */
vq_status vq_session_add(vq_session *session, const vq_prompt *prompt);

/* The same for a text in every phase. */
vq_status vq_session_prompt(vq_session *session, const char *text, double weight, double stop);

/* What the run will take, by a dry run of its first step: nothing is allocated, and nothing is refused. After the prompts. Bytes. */
typedef struct vq_plan {
  int64_t network_bytes;   /* weights, in the form in which they are computed with, z and Adam's moments */
  int64_t step_bytes;      /* activations, gradients and scratch at their fullest */
  int64_t available_bytes; /* what the device has free now; 0: unknown */
  int64_t device_bytes;    /* what it has in all; 0: unknown */
  int chunk;               /* cutouts that go through CLIP at once: whole quanta, that is groups of at most 8 */
  bool fits;               /* in what is free, and in settings.vram */
  char advice[512];        /* what would fit, where this does not: settings that can be changed; "" if it does */
  int width, height;       /* of the picture, after flooring */
} vq_plan;
vq_status vq_session_plan(vq_session *session, vq_plan *out);

/* Encodes the prompts, makes z and all memory that steps need. VQ_ERR_MEMORY, saying what would fit, if the plan does not;
 * VQ_ERR_ARGUMENT if a message that is to be hidden does not fit the picture. */
vq_status vq_session_start(vq_session *session);

/* From the beginning again with another seed: the same picture as a session of its own would make, in the same memory. Nothing is made anew
 * that does not depend on the seed; but where a picture prompt or an encoded start does, the networks of the steps are given up while
 * it is seen, and read again. */
vq_status vq_session_restart(vq_session *session, uint64_t seed);

#define VQ_MOST_PROMPTS 64

typedef struct vq_step_report {
  int64_t step; /* updates done, this one included */
  double loss;  /* sum of the prompts' losses and of the regularisers, of the z before this update */
  int losses;   /* number of prompts */
  double prompt_loss[VQ_MOST_PROMPTS]; /* NAN: its phase is not on */
  double tv_loss, init_loss;
  double seconds; /* wall time of this step */
} vq_step_report;

/* One update of z. After an error the session can only be freed; z is as the last good step left it, so vq_session_save
 * still saves that. */
vq_status vq_session_step(vq_session *session, vq_step_report *report);

/* Size of the picture: the settings', floored. */
void vq_session_size(const vq_session *session, int *width, int *height);

/* Decodes the present z, the last update in it: rgb[height * width * 3]. */
vq_status vq_session_picture(vq_session *session, uint8_t *rgb);

/* The same into a file, with what settings.metadata asks for: a JPEG or a WebP (without loss) if the path ends so, else a
 * PNG. The file is complete or not there. */
vq_status vq_session_save(vq_session *session, const char *path);

/* From now on each step puts the picture of the z before its update, which it makes anyway, into rgb[height * width * 3];
 * NULL: no more. The same bytes as vq_session_picture before the step. */
void vq_session_watch(vq_session *session, uint8_t *rgb);

/* vq_session_save of a picture that is at hand, of the z after `step` updates; bits may be hidden in it. */
vq_status vq_session_save_picture(vq_session *session, const char *path, uint8_t *rgb, int64_t step);

/* Writes all that the run's next step depends on: z, Adam's moments, the counters, the settings and prompts. `note` is the
 * caller's own text, NULL for none. A session with the same networks, settings and prompts that has been started goes on
 * from there, by vq_session_restore, to the same bits as one that never stopped; only the number of steps may be another.
 * VQ_ERR_ARGUMENT: the snapshot is of another run, and the message says in what. Its z is also what a start may be made
 * of (VQ_START_FILE). */
vq_status vq_session_snapshot(vq_session *session, const char *path, const char *note);
vq_status vq_session_restore(vq_session *session, const char *path);

/* "0.1.0" */
const char *vq_version(void);

#ifdef __cplusplus
}
#endif
#endif
