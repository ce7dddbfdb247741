/* session.h -- what a session holds, for the files that make up runtime's part of vqgen.h: session.c, the run, and
 * session_files.c, what of it is written and read.
 */
#ifndef VQ_RUNTIME_SESSION_H
#define VQ_RUNTIME_SESSION_H

#include "runtime/engine.h"
#include "runtime/record.h"
#include "vqgen.h"

typedef struct session_prompt {
  char *text;
  double weight, stop;
  int32_t *ids; /* [context_length] */
} session_prompt;

struct vq_session {
  vq_settings settings; /* its file names are copies */
  vq_network *vqgan, *clip;
  vq_tokenizer *tokenizer;
  session_prompt prompt[VQ_MOST_PROMPTS];
  int prompts;
  int h, w, factor; /* latent rows and columns, pixels for each */
  int box_least, box_most;
  int32_t *boxes;
  vq_record_files files; /* of the start on */
  vq_engine *engine;              /* NULL before vq_session_start */
  int64_t step;
  uint8_t *watch; /* borrowed; NULL: nobody watches */
};

/* Does what is to be hidden fit? VQ_ERR_ARGUMENT. session_files.c */
vq_status vq_session_check_metadata(const vq_session *session);

#endif
