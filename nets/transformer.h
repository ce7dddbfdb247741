/* transformer.h -- the residual attention block that both of CLIP's towers are stacks of.
 *
 *   x = x + out_proj(attention(in_proj(ln_1(x))))
 *   x = x + c_proj(gelu(c_fc(ln_2(x))))                     pre-norm; heads of C / heads columns
 *
 * Published keys: PREFIX.resblocks.I.{ln_1, attn.in_proj_weight, attn.in_proj_bias, attn.out_proj, ln_2, mlp.c_fc, mlp.c_proj}.
 */
#ifndef VQ_NETS_TRANSFORMER_H
#define VQ_NETS_TRANSFORMER_H

#include "kernels/ops.h"
#include "nets/weights.h"

#define VQ_CLIP_EPS 1e-5 /* of every layer norm in CLIP */

typedef struct vq_affine {
  vq_tensor *w, *b;
} vq_affine;

/* NAME.weight [n] and NAME.bias [n] */
vq_affine vq_read_norm(vq_weight_reader *r, const char *name, int64_t n);

typedef struct vq_transformer vq_transformer;

typedef struct vq_transformer_config {
  int layers, width, heads;
  bool causal;
  vq_gelu_kind gelu;
} vq_transformer_config;

/* Reads all blocks under `prefix`; what is missing is noted in the reader. NULL only when there is no memory. */
vq_transformer *vq_transformer_create(vq_weight_reader *r, const char *prefix, const vq_transformer_config *config);
void vq_transformer_free(vq_transformer *net);

/* x [B,T,C] through all blocks, then row row[b] of each sequence: [B,C]. The last block computes nothing but attention
 * for the rows that are not taken. Ends the caller's reference on x. */
vq_tensor *vq_transformer_rows(vq_tape *t, const vq_transformer *net, vq_tensor *x, vq_tensor *row);

#endif
