/* prompt.h -- the prompt language: text[:weight[:stop]], several joined by |.
 *
 * At most two numbers are peeled off the right end, so any other colon, and URLs, belong to the text. A backslash before
 * : | ^ or \ makes it an ordinary character. ^ separates phases, which this version refuses by name.
 */
#ifndef VQ_RUNTIME_PROMPT_H
#define VQ_RUNTIME_PROMPT_H

#include "base/status.h"

typedef struct vq_prompt {
  char *text;          /* without blanks at its ends, escapes resolved */
  double weight, stop; /* 1 and -infinity when not given */
} vq_prompt;

/* All prompts of one argument, in a new array of *count; free with vq_prompts_free. VQ_ERR_PROMPT: an empty text, a
 * weight or stop that is not finite (stop may be -inf). VQ_ERR_UNSUPPORTED: phases. */
vq_status vq_prompts_parse(vq_prompt **out, int *count, const char *argument);
void vq_prompts_free(vq_prompt *prompts, int count);

#endif
