/* prompt.h -- the prompt language: text[:weight[:stop]], several at once joined by |, phases by ^.
 *
 * At most two numbers are peeled off the right end, so any other colon, and URLs, belong to the text. A backslash before
 * : | ^ or \ makes it an ordinary character. An argument without ^ is there in every phase.
 */
#ifndef VQ_RUNTIME_PROMPT_H
#define VQ_RUNTIME_PROMPT_H

#include "vqgen.h"

/* All prompts of one argument, in a new array of *count; free with vq_prompts_free. Texts are without blanks at their
 * ends, escapes resolved; weight and stop are 1 and VQ_NO_STOP when not given. VQ_ERR_PROMPT: an empty text, a weight or
 * stop that is not finite (stop may be -inf). */
vq_status vq_prompts_parse(vq_prompt **out, int *count, const char *argument);
void vq_prompts_free(vq_prompt *prompts, int count);

/* One prompt of another kind: IMAGE[:weight[:stop]] or SEED[:weight[:stop]]; | and ^ are no separators. The caller frees its text. */
vq_status vq_prompt_parse(vq_prompt *out, vq_prompt_kind kind, const char *argument);

/* Is it something that can be wanted? VQ_ERR_PROMPT, VQ_ERR_ARGUMENT: a sentence on why not. */
vq_status vq_prompt_check(const vq_prompt *prompt);

#endif
