/* cases_clip.c -- rows for the ops of the CLIP towers. */
#include "cases.h"

const vq_case vq_cases_clip[] = {
    {NULL},
};
