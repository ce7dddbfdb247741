/* progress.h -- how far a run is: a bar on a terminal, lines elsewhere, both on stderr; or JSON objects, one a line, on
 * stdout:
 *
 *   {"event":"start", every setting}
 *   {"event":"step","step":1,"steps":100,"loss":0.9,"losses":[0.88],"tv":0.02,"init":0,"seconds":0.05,"eta":4.9}
 *   {"event":"saved","file":"progress.png","step":50}
 *   {"event":"done","file":"a-cat.png","step":100,"seconds":5.2,"interrupted":false}
 *   {"event":"error","code":"VQ_ERR_NAN","message":"..."}
 *
 * A number that is not finite, or not known (eta of an endless run), is null.
 */
#ifndef VQGEN_TOOLS_PROGRESS_H
#define VQGEN_TOOLS_PROGRESS_H

#include "tools/vqgen/request.h"

typedef struct progress {
  progress_kind kind; /* never PROGRESS_AUTO */
  int64_t steps;      /* -1: endless */
  int64_t first;      /* the step that this run goes on from */
  double started, shown;
  bool bar; /* stands on the terminal's last line */
} progress;

void progress_init(progress *p, progress_kind kind, int64_t steps, int64_t first);

/* What was understood: `output` as it will be called. */
void progress_start(progress *p, const request *r, const char *output);
/* Another picture of the same run: its seed and output. */
void progress_next(progress *p, const request *r, const char *output);
void progress_step(progress *p, const vq_step_report *report);
/* Each prompt's loss and their sum; for people only. */
void progress_losses(progress *p, const vq_step_report *report);
void progress_saved(progress *p, const char *file, int64_t step);
void progress_done(progress *p, const char *file, int64_t step, bool interrupted);
/* The error event, of vq_error_message. */
void progress_error(vq_status status);

/* Takes the bar off its line; before anything else is printed. */
void progress_clear(progress *p);

#endif
