/* vocabulary.h -- the merges of a byte-level BPE, from the files in which they are published.
 *
 *   bpe_simple_vocab_16e6.txt.gz   OpenAI's: gzip; a line with the version, then one merge "a b" a line, more than are used
 *   merges.txt                     Hugging Face's: the same as plain text
 *   tokenizer.json                 Hugging Face's: a list of merges, "a b" or ["a", "b"], in model.merges
 *   vocab.json                     Hugging Face's: words and their numbers, which is enough (vocabulary_words.c)
 */
#ifndef VQ_LOADERS_VOCABULARY_H
#define VQ_LOADERS_VOCABULARY_H

#include "base/status.h"

#include <stddef.h>

/* The first `count` merges (0: all), one "a b" a line in the order of their ranks, without a version: what vq_tokenizer_create
 * takes. The caller frees *merges, which ends in a 0 that *bytes does not count. VQ_ERR_FILE; VQ_ERR_FORMAT: no such file, or too few merges.
 */
vq_status vq_vocabulary_read(char **merges, size_t *bytes, const char *path, int count);

#endif
