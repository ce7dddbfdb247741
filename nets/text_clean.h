/* text_clean.h -- a prompt as the tokeniser wants it: repaired, unescaped, one space between words, lower case.
 *
 *   fix        mojibake, HTML entities, ligatures, full-width forms, curly quotes, terminal escapes, control
 *              characters, NFC: line by line until nothing changes
 *   unescape   HTML references, twice, as browsers read them ("&lt" needs no semicolon, "&#128;" is the euro sign)
 *   collapse   white space of any kind and length becomes one space, none at the ends
 *   lower      in full: U+0130 becomes i and U+0307, a capital sigma that ends a word the final sigma
 *
 * Compared with OpenAI's CLIP, that is Python's ftfy 6.3.1 (fix_text with its defaults), html.unescape, regex's \s and
 * str.lower. Left out: ftfy's repair of code pages other than windows-1252 and Latin-1 (see nets/mojibake.h).
 */
#ifndef VQ_NETS_TEXT_CLEAN_H
#define VQ_NETS_TEXT_CLEAN_H

#include "base/status.h"

#include <stddef.h>

/* text[0..bytes) is UTF-8 and may hold NUL. *out is the clean text in UTF-8 with a NUL behind its *out_bytes bytes, the
 * caller's to free(). VQ_ERR_PROMPT: not UTF-8, and at which byte; VQ_ERR_MEMORY. */
vq_status vq_text_clean(char **out, size_t *out_bytes, const char *text, size_t bytes);

#endif
