/* tokenizer.h -- CLIP's tokeniser: byte-level BPE (Sennrich et al. 2016) over cleaned, lower-cased text.
 *
 *   text -> clean (nets/text_clean.h) -> words -> UTF-8 bytes -> merges in the order of their rank -> ids
 *
 * A word is a special token, a contraction ('s 't 're 've 'm 'll 'd), a run of letters, one digit, or a run of anything
 * else that is not white space. Its last byte ends the word and is another symbol than the same byte inside one.
 *
 * The vocabulary, by id: 256 bytes (the printable ones of Latin-1 first, so that '!' is 0), the same as ends of words,
 * one entry for each merge, <|startoftext|>, <|endoftext|>: 512 + 48894 + 2 = 49408 for published networks.
 *
 * Compared with OpenAI's simple_tokenizer.py and clip.tokenize, id for id. As there, a text may hold the special tokens:
 * the network reads a prompt at its first <|endoftext|>, so one that is typed cuts the prompt there.
 */
#ifndef VQ_NETS_TOKENIZER_H
#define VQ_NETS_TOKENIZER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vq_tokenizer vq_tokenizer;

/* For a text that makes more tokens than the network reads: an error, or cut and ended with <|endoftext|>. */
typedef enum vq_too_long { VQ_TOO_LONG_FAIL, VQ_TOO_LONG_CUT } vq_too_long;

/* `merges` is the text of a bpe_simple_vocab_16e6.txt or merges.txt: one merge "a b" a line, in the order of their
 * ranks; a first line with the version is skipped, and lines beyond the last merge needed are not read.
 *
 * entries  size of the vocabulary that the network was trained with: 512 + merges used + 2
 * context  most tokens of a prompt, 2 or more; 77 for published networks
 *
 * VQ_ERR_FORMAT: too few merges, or a damaged line, by its number. VQ_ERR_ARGUMENT, VQ_ERR_MEMORY. `merges` may be
 * freed after the call. A tokeniser is never written to again: threads may share it. */
vq_status vq_tokenizer_create(vq_tokenizer **out, const char *merges, size_t bytes, int entries, int context);
void vq_tokenizer_free(vq_tokenizer *tokenizer);

int vq_tokenizer_entries(const vq_tokenizer *tokenizer);
int vq_tokenizer_context(const vq_tokenizer *tokenizer);

/* ids[context]: <|startoftext|>, the text's tokens, <|endoftext|>, zeros. text[0..bytes) is UTF-8 and may hold NUL.
 * *count, if not NULL, is the number of tokens that the whole text makes with both ends: where it is above the context
 * and `too_long` allowed it, the text was cut. It is set before that error, too.
 *
 * VQ_ERR_PROMPT: not UTF-8, or too long. VQ_ERR_MEMORY. After an error ids is not set. */
vq_status vq_tokenizer_encode(const vq_tokenizer *tokenizer, int32_t *ids, int *count, const char *text,
                              size_t bytes, vq_too_long too_long);

/* The bytes that an id stands for, not ended by NUL and seldom whole characters; *ends_word, if not NULL: whether white
 * space or a word of another kind follows. NULL for what is no id. Borrowed from the tokeniser. */
const char *vq_tokenizer_piece(const vq_tokenizer *tokenizer, int id, size_t *bytes, bool *ends_word);

#endif
