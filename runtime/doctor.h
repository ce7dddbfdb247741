/* doctor.h -- whether a machine and a pair of networks are what they should be, found out check by check.
 *
 * Eight groups, each in a file of its own. A check is one sentence about what was found, a verdict, and what to do if it is bad:
 *
 *   machine     doctor_machine.c    build, instruction sets, GPU or why none, places to write, ffmpeg, memory
 *   shipped     doctor_reference.c  the pair that ships, against what PyTorch computed with it (reference.safetensors beside it)
 *   files       doctor_files.c      hashes, every tensor, assumed settings, token ids of known prompts; --reference of the user's own
 *   clip        doctor_clip.c       pictures that are drawn here rank their captions
 *   vqgan       doctor_vqgan.c      a round trip against the same codes shuffled, channel order, codes used, values by block
 *   gradient    doctor_gradient.c   directional derivatives against signed differences; threads against each other
 *   loop        doctor_loop.c       the loss falls, speed, memory against the plan
 *   repeat      doctor_loop.c       the same run twice, to the same bytes
 *
 * Nothing is judged by weights that are known beforehand: each threshold is a comparison of the network with itself, wrongly used (its
 * codes shuffled, its channels exchanged, q for k), or a count that chance does not reach; the files say by what odds.
 */
#ifndef VQ_RUNTIME_DOCTOR_H
#define VQ_RUNTIME_DOCTOR_H

#include "loaders/image.h"
#include "runtime/network.h"
#include "runtime/place.h"

#include <stdio.h>

typedef enum vq_verdict { VQ_CHECK_PASS, VQ_CHECK_FAIL, VQ_CHECK_SKIP } vq_verdict;

typedef struct vq_check {
  const char *group, *name; /* static */
  vq_verdict verdict;
  char *found;  /* a sentence */
  char *advice; /* what to do; "" for nothing */
} vq_check;

/* Called after each check; borrowed for the call. */
typedef void (*vq_check_fn)(void *user, const vq_check *check);

typedef struct vq_doctor_options {
  const char *vqgan, *clip;   /* files, or names; NULL: the pair that is found */
  const char *config, *vocab; /* of networks as they were published, or NULL */
  const char *
      reference; /* what a PyTorch script recorded with these networks (tests/compare/record_reference.py), or NULL */
  const char *device; /* as vq_place_find has them */
  vq_precision precision;
  int threads;
  vq_check_fn tell; /* NULL: nobody listens */
  void *user;
} vq_doctor_options;

typedef struct vq_doctor {
  vq_doctor_options options;
  vq_place place;
  char *path[2];            /* of the networks: VQ_NETWORK_VQGAN, VQ_NETWORK_CLIP */
  vq_network *vqgan, *clip; /* NULL: it cannot be opened, and all that needs it is skipped */
  const char *group;        /* that is being checked */
  vq_check *check;
  int checks, capacity, failed;
  vq_image sheet, trip, shuffled,
      last; /* for the picture: drawn; after a round trip; with its codes shuffled; the loop's last. rgb NULL: there is none */
} vq_doctor;

/* Runs all checks. What is found wrong is a failed check; an error is what keeps them from being made at all: no networks
 * (VQ_ERR_FILE, VQ_ERR_ARGUMENT), no such device (as vq_place_find). The caller frees it in any case. */
vq_status vq_doctor_run(vq_doctor *out, const vq_doctor_options *options);
void vq_doctor_free(vq_doctor *doctor);

/* Text without the paths in it, but for their last parts: what may be shown to others. The caller frees it; NULL without memory. */
char *vq_doctor_without_paths(const vq_doctor *doctor, const char *text);

/* The four pictures side by side, on gray. VQ_ERR_ARGUMENT: there are none. */
vq_status vq_doctor_picture(const vq_doctor *doctor, vq_image *out);

/* ---- for the groups ---- */

/* A finished check. `advice` is literal. */
void vq_doctor_say(vq_doctor *d, const char *name, vq_verdict verdict, const char *advice, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* A check that could not be made, by the thread's last error: failed. */
void vq_doctor_broken(vq_doctor *d, const char *name, const char *advice);

void vq_doctor_machine(vq_doctor *d);
void vq_doctor_shipped(vq_doctor *d);
void vq_doctor_files(vq_doctor *d);
void vq_doctor_clip(vq_doctor *d);
void vq_doctor_vqgan(vq_doctor *d);
void vq_doctor_gradient(vq_doctor *d);
void vq_doctor_loop(vq_doctor *d); /* and repeat */

/* Compares these networks with a reference file, name by name of what it expects, as checks under the present group. */
void vq_doctor_compare(vq_doctor *d, const vq_network *vqgan, const vq_network *clip, const char *reference);

/* The text under a key of a safetensors file's metadata; the caller frees it. NULL: the file or the key is not there. */
char *vq_doctor_metadata(const char *path, const char *key);

/* The reference that lies beside a network's file; the caller frees it. NULL: there is none. */
char *vq_doctor_beside(const char *network);

/* Does this CLIP know the words? A network of a pair has each word that it was taught as one token; others have pieces of everything. */
bool vq_doctor_knows(const vq_doctor *d, const vq_tokenizer *tokenizer, const char *text);

#endif
