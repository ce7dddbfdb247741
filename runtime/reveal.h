/* reveal.h -- the settings inside a picture, whoever wrote them. */
#ifndef VQ_RUNTIME_REVEAL_H
#define VQ_RUNTIME_REVEAL_H

#include "base/status.h"

#include <jansson.h>

/* An object with a key for each kind of settings that was found, {} when there are none; the caller frees it.
 *
 *   vqgen          ours, record.h
 *   notebook       the notebook's: "stegano", what is hidden in the lowest bits; "xmp", its fields
 *   stegano        a hidden text that is not the notebook's
 *   nerdyrodent    VQGAN-CLIP's comment: its prompts as Python writes a list
 *   pixray         its arguments, without their prefix
 *   automatic1111  prompt, negative_prompt, and the list that begins with Steps, as texts
 *   comfyui        prompt and workflow
 *   invokeai       its JSON, or the command line of its first versions
 *   novelai        its JSON, and what stands beside it
 *
 * Errors as vq_image_read's; VQ_ERR_MEMORY; VQ_ERR_UNSUPPORTED also for XMP alone in a build without expat. Settings that
 * are damaged are there as text, or not there. */
vq_status vq_reveal(json_t **out, const char *path);

#endif
