/* xxh128.h -- XXH3 in 128 bits, as xxh128sum prints it: whether a file is the one that it was, at the speed of memory.
 *
 * Against mistakes, not against forgers: what is published is known by its SHA-256 (sha256.h), whose one chain of rounds takes ten
 * times as long. The processor's own instructions do not help there, and a second thread cannot.
 */
#ifndef VQ_LOADERS_XXH128_H
#define VQ_LOADERS_XXH128_H

#include "base/status.h"

#include <stdbool.h>

#define VQ_XXH128_HEX 33 /* 32 digits and the 0 after them */

/* Whether this build has it. */
bool vq_xxh128_is_there(void);

/* Of a whole file. As vq_input_each fails; VQ_ERR_UNSUPPORTED where the build lacks it, VQ_ERR_MEMORY. */
vq_status vq_xxh128_file(const char *path, char hex[VQ_XXH128_HEX]);

#endif
