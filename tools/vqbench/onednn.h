/* onednn.h -- vq_gemm by oneDNN 2 or 3. */
#ifndef VQ_BENCH_ONEDNN_H
#define VQ_BENCH_ONEDNN_H

#include "kernels/cpu/gemm.h"

void vq_gemm_onednn(const vq_gemm_args *g);
const char *vq_onednn_name(void); /* "oneDNN 2.6.3" */

#endif
