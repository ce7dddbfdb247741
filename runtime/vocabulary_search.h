/* vocabulary_search.h -- where a published CLIP's vocabulary usually lies. */
#ifndef VQ_RUNTIME_VOCABULARY_SEARCH_H
#define VQ_RUNTIME_VOCABULARY_SEARCH_H

/* Beside the checkpoint (or in the folder that it is), in $VQGEN_MODELS, and where Python keeps openai-clip or open_clip, the environment that is
 * in use and the Pythons of $PATH before the system's: the path of the first that is there, to be freed by the caller; NULL. */
char *vq_vocabulary_search(const char *checkpoint);

#endif
