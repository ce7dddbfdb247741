/* vocabulary_words.h -- merges out of a vocab.json. For vocabulary.c. */
#ifndef VQ_LOADERS_VOCABULARY_WORDS_H
#define VQ_LOADERS_VOCABULARY_WORDS_H

#include "base/status.h"

#include <jansson.h>
#include <stddef.h>

/* `number`: each word's. The merges, one a line, to *text, which the caller frees, without a 0 at its end. VQ_ERR_FORMAT, VQ_ERR_MEMORY */
vq_status vq_vocabulary_from_words(json_t *number, char **text, size_t *bytes);

#endif
