/* cases_vqgan.c -- rows for the ops of the VQGAN, the cutouts and the objective. */
#include "cases.h"

const vq_case vq_cases_vqgan[] = {
    {NULL},
};
