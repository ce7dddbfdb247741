/* perceive.h -- the networks one at a time: features of texts and pictures, and the VQGAN's round trip. */
#ifndef VQ_RUNTIME_PERCEIVE_H
#define VQ_RUNTIME_PERCEIVE_H

#include "loaders/image.h"
#include "runtime/network.h"
#include "runtime/place.h"

/* Token ids of one text: ids[context_length]. A text that is too long is cut and *tokens says how many it has, or, if
 * `strict`, refused. VQ_ERR_PROMPT also for an empty one (white space alone is empty). */
vq_status vq_tokens(const vq_tokenizer *tokenizer, const char *text, bool strict, int32_t *ids, int *tokens);

/* features[count * embed_dim] of `count` rows of token ids, not normalised. */
vq_status vq_text_features(const vq_network *clip, const int32_t *ids, int count, const vq_place *place,
                           vq_real *features);

/* features[count * embed_dim] of pictures, not normalised. Each picture is brought to CLIP's size as OpenAI's
 * preprocessing does: shorter side by bicubic interpolation with antialiasing, then the middle. */
vq_status vq_image_features(const vq_network *clip, const vq_image *images, int count, const vq_place *place,
                            vq_real *features);

/* A latent in PyTorch's layout: z [channels, h, w], quantised; ids [h, w]. */
typedef struct vq_latent {
  int channels, h, w;
  vq_real *z;
  int32_t *ids; /* NULL in a latent that was read without them */
} vq_latent;
void vq_latent_free(vq_latent *latent);

/* A picture of floats [H,W,3] in [-1,1] whose sides are multiples of the factor, as codebook rows. `gumbel`: the seed of the noise
 * by which a GumbelVQ draws its tokens; NULL: it takes the likeliest. */
vq_status vq_encode_pixels(const vq_network *vqgan, const vq_real *pixels, int width, int height,
                           const uint64_t *gumbel, const vq_place *place, vq_latent *out);

/* The picture, its sides floored to multiples of the VQGAN's factor (the middle is taken), as codebook rows. GumbelVQ's
 * tokens are its largest logits, without noise. */
vq_status vq_encode_image(const vq_network *vqgan, const vq_image *image, const vq_place *place, vq_latent *out);

/* A latent's picture. Its z is quantised first. The caller frees the image. */
vq_status vq_decode_latent(const vq_network *vqgan, const vq_latent *latent, const vq_place *place, vq_image *out);

/* The engine's [area, channels] to PyTorch's [channels, area], and back. */
void vq_planes_of_rows(vq_real *planes, const vq_real *rows, int64_t area, int channels);
void vq_rows_of_planes(vq_real *rows, const vq_real *planes, int64_t area, int channels);

/* [0,1] to 8 bits, truncated as the notebooks do: floor(255 x). */
void vq_levels(uint8_t *levels, const vq_real *values, size_t count);

/* Latents as safetensors files: "z" f32 [1,C,h,w] and "indices" i32 [h,w]. */
vq_status vq_latent_read(vq_latent *out, const char *path);
vq_status vq_latent_write(const char *path, const vq_latent *latent);

#endif
