/* interrupt.h -- Ctrl-C, SIGTERM and SIGHUP as a question that a run asks between its steps. */
#ifndef VQGEN_TOOLS_INTERRUPT_H
#define VQGEN_TOOLS_INTERRUPT_H

#include "base/status.h"

#include <stdbool.h>

/* From now on the first of these signals is only noted, and the second ends the process. Before any thread is made:
 * threads inherit that the signals are none of theirs. VQ_ERR_MEMORY */
vq_status interrupt_watch(void);

bool interrupted(void);

#endif
