/* origin.h -- a run that is made of what a file tells: of a picture, to make it again (replay), or of a snapshot, to go
 * on (resume). Options are read over it.
 */
#ifndef VQGEN_TOOLS_ORIGIN_H
#define VQGEN_TOOLS_ORIGIN_H

#include "runtime/record.h"
#include "tools/vqgen/tool.h"

#include <jansson.h>

#define ORIGIN_FILES 8

typedef struct origin {
  const char *path; /* NULL: the run is made of options alone */
  bool snapshot;
  vq_run_record *record;     /* NULL: the notebook made the picture */
  json_t *notebook;          /* the fields that it wrote */
  json_t *note;              /* of a snapshot: where things lay, and what was written where (origin_note) */
  char *found[ORIGIN_FILES]; /* the two networks, then files that settings name; owned */
} origin;

vq_status origin_open_picture(origin *o, const char *path);
vq_status origin_open_snapshot(origin *o, const char *path);
void origin_clear(origin *o);

/* Finds the networks that are not given by options, and warns of given ones that are others; computes where and in which precision it was
 * done, unless options say otherwise or this machine cannot. VQ_ERR_FILE: not found */
vq_status origin_networks(origin *o, network_options *n);

/* The settings, the files that they name looked for beside the picture, in the present folder, and where they lay. */
vq_status origin_settings(origin *o, vq_settings *s);

/* Makes the text of prompt number i, as the record has it, the caller's own: a picture's is its path, looked for in the
 * same places. VQ_ERR_FILE: not found; VQ_ERR_MEMORY */
vq_status origin_prompt_text(const origin *o, int i, vq_prompt *prompt);

/* A number of the note, if it has one, and a text; NULL. */
void origin_noted_count(const origin *o, const char *key, int64_t *count);
const char *origin_noted(const origin *o, const char *key);

/* Says, before the run, how near it will come: the same bits, close, or another picture because of what is changed. */
void origin_tell(const origin *o, const vq_settings *s, bool other_prompts);

/* Says, after it, whether the picture is the same. */
void origin_compare(const origin *o, const char *made);

/* The note of a snapshot of a run with these settings that is to write there; the caller frees it. */
char *origin_note(const vq_settings *s, const vq_prompt *prompt, int prompts, const char *output,
                  int64_t save_every, int64_t snapshot_every);

#endif
