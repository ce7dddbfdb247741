/* settings.h -- the names that settings have in options, in files and in pictures. */
#ifndef VQ_RUNTIME_SETTINGS_H
#define VQ_RUNTIME_SETTINGS_H

#include "vqgen.h"

#include <stddef.h>

/* "constant", "linear:END", "cosine:END"; VQ_ERR_ARGUMENT for anything else. */
vq_status vq_lr_schedule_parse(vq_lr_schedule *out, double *end, const char *text);
void vq_lr_schedule_text(char *text, size_t bytes, const vq_settings *settings);

/* "pool", "lanczos" */
vq_status vq_cut_method_parse(vq_cut_method *out, const char *text);
const char *vq_cut_method_name(vq_cut_method method);

/* "random", "gray", "pixels", "file" */
const char *vq_start_name(vq_start start);

#endif
