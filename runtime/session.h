/* session.h -- what a session holds, for the files that make up runtime's part of vqgen.h: session.c, the run;
 * session_memory.c, what it takes; session_prompts.c, what it is to show; session_files.c, what of it is written and read.
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
  vq_record_files files;            /* of the start on */
  vq_real *wanted[VQ_MOST_PROMPTS]; /* features that prompts want; NULL: not made yet */
  vq_real *first;                   /* z where a run begins; NULL: not made yet, or every seed has another */
  vq_engine *engine;                /* NULL before vq_session_start */
  int64_t step;
  char *model;    /* what the notebook's fields call the VQGAN, from the start on; NULL: nobody asks */
  uint8_t *watch; /* borrowed; NULL: nobody watches */
  vq_real *seen;  /* [H,W,3]: a picture on its way to bytes, from the first that is asked for on; NULL: none was */
};

/* What the engine is to be, but for its chunk, which is one quantum. session.c */
vq_status vq_session_engine_config(const vq_session *session, vq_engine_config *out);

/* How a run fits its memory. session_memory.c */
typedef struct vq_session_need {
  vq_engine_config config; /* with the chunk that is asked for or, of those that fit, chosen */
  vq_footprint need;
  size_t free, all; /* bytes of the device's memory; 0: unknown */
  size_t room;      /* bytes that the run may take; 0: unknown */
  bool fits;        /* else the config's chunk, unless it is asked for, is the smallest */
} vq_session_need;
vq_status vq_session_measure(const vq_session *session, vq_session_need *out);

/* What would fit where that does not, as options; "": nothing would. */
void vq_session_advise(const vq_session *session, const vq_session_need *fit, char *advice, size_t bytes);

/* VQ_ERR_MEMORY, with the advice. */
vq_status vq_session_refuse(const vq_session *session, const vq_session_need *fit);

/* Can the prompts be meant? VQ_ERR_PROMPT, VQ_ERR_ARGUMENT, VQ_ERR_FILE. session_prompts.c */
vq_status vq_session_check_prompts(vq_session *session);

/* The features that they want: those of texts and noise; and those of pictures, which depend on the run's seed. The networks that make
 * them are gone again, and their memory free, when vq_session_want gives the engine what was made: the session keeps it. */
vq_status vq_session_encode_texts(vq_session *session);
vq_status vq_session_encode_pictures(vq_session *session);
vq_status vq_session_want(vq_session *session);

/* Does what is to be hidden fit? VQ_ERR_ARGUMENT. session_files.c */
vq_status vq_session_check_metadata(const vq_session *session);

#endif
