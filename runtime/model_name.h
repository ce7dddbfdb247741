/* model_name.h -- what the notebook's fields call a VQGAN.
 *
 * By what the file is: names.txt, in $VQGEN_MODELS, in the user's data folder (vqgen) or beside the network, has lines
 *
 *   SHA-256 of a checkpoint, blanks, NAME          as sha256sum writes them, the name in the place of the file's
 *
 * and is asked for the hash of what a converted file was made from, if that is recorded (convert.h: it is where there was such a list), else of
 * the file itself. Else by what it is called (notebook.h).
 * Nobody has published hashes of the VQGANs, so there is no list of them here; OpenAI's CLIPs are in convert.c.
 */
#ifndef VQ_RUNTIME_MODEL_NAME_H
#define VQ_RUNTIME_MODEL_NAME_H

#include "runtime/network.h"

/* Whether there is a names.txt for the network of this path, which need not exist. */
bool vq_model_has_list(const char *network);

/* The caller frees *out. A checkpoint is hashed only where there is a names.txt. VQ_ERR_MEMORY, VQ_ERR_FILE. */
vq_status vq_model_name(char **out, const vq_network *vqgan);

#endif
