/* session.h -- what a session holds, for the files that make up runtime's part of vqgen.h: session.c, the run;
 * session_prompts.c, what it is to show; session_files.c, what of it is written and read.
 */
#ifndef VQ_RUNTIME_SESSION_H
#define VQ_RUNTIME_SESSION_H

#include "runtime/engine.h"
#include "runtime/record.h"
#include "vqgen.h"


struct vq_session {
  vq_settings settings; /* its file names are copies */
  vq_place place;       /* where it runs */
  vq_network *vqgan, *clip;
  vq_tokenizer *tokenizer;
  vq_prompt prompt[VQ_MOST_PROMPTS]; /* their texts are copies */
  int prompts, phases;
  int h, w, factor; /* latent rows and columns, pixels for each */
  int box_least, box_most;
  int32_t *boxes;
  vq_record_files files; /* of the start on */
  vq_engine *engine;              /* NULL before vq_session_start */
  int64_t step;
  char *model;    /* what the notebook's fields call the VQGAN, from the start on; NULL: nobody asks */
  uint8_t *watch; /* borrowed; NULL: nobody watches */
  vq_real *seen;  /* [H,W,3]: a picture on its way to bytes, from the first that is asked for on; NULL: none was */
};

/* Can the prompts be meant? VQ_ERR_PROMPT, VQ_ERR_ARGUMENT, VQ_ERR_FILE. session_prompts.c */
vq_status vq_session_check_prompts(vq_session *session);

/* The features that they want, into the engine: those of texts and noise; and those of pictures, which depend on the
 * run's seed. */
vq_status vq_session_encode_texts(vq_session *session);
vq_status vq_session_encode_pictures(vq_session *session);

/* Does what is to be hidden fit? VQ_ERR_ARGUMENT. session_files.c */
vq_status vq_session_check_metadata(const vq_session *session);

#endif
