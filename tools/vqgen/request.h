/* request.h -- what `generate` and `plan` are asked for: the settings of a run, from networks, then options. */
#ifndef VQGEN_TOOLS_REQUEST_H
#define VQGEN_TOOLS_REQUEST_H

#include "runtime/prompt.h"
#include "tools/vqgen/origin.h"
#include "tools/vqgen/tool.h"
#include "vqgen.h"

typedef enum progress_kind {
  PROGRESS_AUTO,
  PROGRESS_BAR,
  PROGRESS_PLAIN,
  PROGRESS_JSON,
  PROGRESS_NONE
} progress_kind;

#define REQUEST_FIELDS 128 /* at most */

typedef struct request {
  vq_settings settings;
  network_options network; /* goes into the settings */
  words words;             /* PROMPT arguments */
  words images, noises;    /* --image-prompt, --noise-prompt */
  vq_prompt *prompt;
  int prompts;
  char *standard_input;       /* where a prompt is - */
  const char *output;         /* NULL: from the prompts */
  const char *recipe;         /* NULL: none */
  bool explain;               /* tell what the recipe sets, and stop */
  int64_t save_every;         /* 0: never */
  int count;                  /* pictures, seeds one after the other */
  const char *frames, *video; /* a folder and a file; NULL: none */
  int64_t video_every;
  double fps;           /* 0: as 15 seconds want */
  const char *snapshot; /* NULL: none */
  int64_t snapshot_every;
  origin origin;
  progress_kind progress;
  bool given[REQUEST_FIELDS]; /* which fields (runtime/fields.h) an option has set */
  bool snapshot_every_given, video_every_given, force, plan, json;
} request;

/* False: the subcommand is to return *status at once. Else the caller clears the request. */
bool request_read(request *r, const command *c, int argc, char **argv, int *status);

/* The same, over the settings of the file that the first word names; `open` is one of origin.h. */
typedef vq_status (*request_origin_fn)(origin *o, const char *path);
bool request_read_over(request *r, request_origin_fn open, const command *c, int argc, char **argv, int *status);

void request_clear(request *r);

/* Has an option set that field? */
bool request_given(const request *r, const char *field);

/* Why that field's setting says nothing in such a run, as a sentence; NULL: it does say something. sense.c */
const char *request_moot(const request *r, const char *field);

/* Do the options contradict each other? VQ_ERR_ARGUMENT: a sentence on why. sense.c */
vq_status request_check(const request *r);

/* The prompts, into the session. */
vq_status request_prompts(const request *r, vq_session *session);

/* The file's name when none is asked for, in the present folder: the prompts' words, and a number if there is such a
 * file. The caller frees it. */
vq_status request_name(const request *r, char **out);

/* The updates after which the run ends: the steps, or, where a picture is made again that shows an earlier z, that one's;
 * -1: when it is stopped. */
int64_t request_end(const request *r);

/* The run; clears the request and returns the exit status. */
int generate_run(const command *c, request *r);

/* What the run would take, to standard output; returns the exit status. */
int plan_print(const command *c, const request *r);

#endif
