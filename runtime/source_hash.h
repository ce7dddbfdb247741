/* source_hash.h -- by which hash a converted file remembers what it was made from.
 *
 * SHA-256 where there is one to compare it with, as of OpenAI's files; else XXH3-128, which takes a tenth of the time and tells as
 * well whether a checkpoint is the one. Each has a key of its own in the metadata; of several files it is each one's, separated by
 * spaces. sha256sum and xxh128sum print the same digits.
 */
#ifndef VQ_RUNTIME_SOURCE_HASH_H
#define VQ_RUNTIME_SOURCE_HASH_H

#include "loaders/checkpoint.h"

typedef enum vq_source_hash { VQ_SOURCE_SHA256, VQ_SOURCE_XXH128, VQ_SOURCE_HASHES } vq_source_hash;

/* "source_sha256", "source_xxh128" */
const char *vq_source_hash_key(vq_source_hash hash);

/* "SHA-256", "XXH3-128" */
const char *vq_source_hash_name(vq_source_hash hash);

/* As long a text as vq_source_hash_take makes, all zeros, with the 0 after it; the caller frees it. NULL: no memory. */
char *vq_source_hash_room(vq_source_hash hash, const vq_checkpoint *file);

/* The checkpoint's hash, into such a text. VQ_ERR_UNSUPPORTED where the build lacks XXH3-128; VQ_ERR_FILE. */
vq_status vq_source_hash_take(char *text, vq_source_hash hash, const vq_checkpoint *file);

/* What a converted file remembers, as long as that is open; NULL: nothing. */
const char *vq_source_hash_recorded(vq_source_hash *hash, const vq_checkpoint *converted);

#endif
