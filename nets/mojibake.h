/* mojibake.h -- repairs text that was UTF-8 and was read as windows-1252 or Latin-1: "cafÃ©" becomes "café".
 *
 * A text is touched only where neighbouring characters do not occur together in any language but are common in
 * misread UTF-8. Then, in this order until nothing changes:
 *   1. the whole text, if its bytes in Latin-1 or windows-1252 are UTF-8. A byte A0 that became a space is restored; a
 *      sequence of which bytes are lost (U+FFFD, or one '?') becomes U+FFFD; CESU-8 is read too.
 *   2. each run that looks like misread UTF-8 and is suspect by itself;
 *   3. control characters U+0080..U+009F, which become what windows-1252 has in their place.
 *
 * Compared with ftfy 6.3.1's fix_encoding, which also tries eight other code pages (windows-125x, ISO 8859-2, Mac, DOS).
 */
#ifndef VQ_NETS_MOJIBAKE_H
#define VQ_NETS_MOJIBAKE_H

#include "nets/codepoints.h"

/* In place. */
void vq_mojibake_repair(vq_codes *text);

/* What windows-1252 has at a byte 0x80..0x9F; a byte that it leaves free stands for itself. */
uint32_t vq_windows_1252(uint32_t byte);

#endif
