/* vqgan.h -- VQGAN (Esser, Rombach, Ommer 2021): encoder, codebook and decoder as taming-transformers defines them.
 *
 * Pictures are [N,H,W,3] in [-1,1], latents [N,H/f,W/f,E] with f = 2^(levels - 1). Both kinds are here: VQModel, whose
 * encoder's output is replaced by the nearest codebook row, and GumbelVQ, whose encoder's output is projected to one
 * logit a codebook row. Decoding is the same for both. Compared with taming-transformers' own code in
 * tests/test_reference.c.
 */
#ifndef VQ_NETS_VQGAN_H
#define VQ_NETS_VQGAN_H

#include "autograd/tape.h"
#include "nets/weights.h"

#define VQGAN_MOST_LEVELS 8

/* ddconfig's keys and the model's own, by their published names. */
typedef struct vq_vqgan_config {
  bool gumbel; /* GumbelVQ; else VQModel */
  int ch, levels, ch_mult[VQGAN_MOST_LEVELS], num_res_blocks;
  int attn_count, attn_resolutions[VQGAN_MOST_LEVELS];
  int resolution; /* of training: tells with attn_resolutions which levels have attention, whatever the size at run time */
  int z_channels, embed_dim, n_embed;
} vq_vqgan_config;

typedef struct vq_vqgan vq_vqgan;

/* Which parts a run needs; the encoder is left out of memory where nothing is encoded. */
typedef enum vq_vqgan_parts { VQGAN_DECODER = 1, VQGAN_ENCODER = 2 } vq_vqgan_parts;

/* Reads the parts' weights into the device. The config is checked first (VQ_ERR_NETWORK). */
vq_status vq_vqgan_create(vq_vqgan **out, vq_device *device, const vq_vqgan_config *config,
                          const vq_weight_source *source, unsigned parts);
void vq_vqgan_free(vq_vqgan *net); /* the weights stay with the device */

const vq_vqgan_config *vq_vqgan_settings(const vq_vqgan *net);
int vq_vqgan_factor(const vq_vqgan_config *config); /* f */
vq_tensor *vq_vqgan_codebook(const vq_vqgan *net);  /* [n_embed, embed_dim], borrowed */

/* Indices of the nearest codebook rows, [N,h,w] I32, and the rows themselves, straight-through: d z = d z_q. */
vq_tensor *vq_vqgan_nearest(vq_tape *t, const vq_vqgan *net, vq_tensor *z);
vq_tensor *vq_vqgan_quantise(vq_tape *t, const vq_vqgan *net, vq_tensor *z, vq_tensor *ids);

/* Rows that vq_choose has chosen by logits [N,h,w,n_embed], with the gradient of all. */
vq_tensor *vq_vqgan_soft_quantise(vq_tape *t, const vq_vqgan *net, vq_tensor *logits, vq_tensor *ids);

/* z_q [N,h,w,E] to a picture [N,H,W,3], unbounded (the caller clamps). Ends the caller's reference on z_q. */
vq_tensor *vq_vqgan_decode(vq_tape *t, const vq_vqgan *net, vq_tensor *z_q);

/* A picture to the latent before quantisation, [N,h,w,E] (after quant_conv). Ends the caller's reference on x. */
vq_tensor *vq_vqgan_encode(vq_tape *t, const vq_vqgan *net, vq_tensor *x);

/* GumbelVQ's logits [N,h,w,n_embed] from that latent: its largest is the token. NULL, with an error, for VQModel. */
vq_tensor *vq_vqgan_logits(vq_tape *t, const vq_vqgan *net, vq_tensor *h);

#endif
