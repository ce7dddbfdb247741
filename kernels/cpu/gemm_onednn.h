/* gemm_onednn.h -- vq_gemm by oneDNN 2 or 3. */
#ifndef VQ_KERNELS_CPU_GEMM_ONEDNN_H
#define VQ_KERNELS_CPU_GEMM_ONEDNN_H

#include "kernels/cpu/gemm.h"

/* On processors with AVX-512, which our own loops do not use. */
bool vq_onednn_is_faster(void);

void vq_gemm_onednn(const vq_gemm_args *g);
const char *vq_onednn_name(void); /* "oneDNN 2.6.3" */

#endif
