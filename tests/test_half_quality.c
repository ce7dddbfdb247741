/* test_half_quality.c -- what a step on a GPU, which the emulated card is too, loses by computing in bf16: against the exact step, which PyTorch
 * took in float64, and what PyTorch itself loses in bf16 with the same networks (tests/compare/half_quality.py).
 *
 * Asked for: a picture within 1 dB of PyTorch's and of 40 dB at least; a gradient of z whose cosine to the exact one is PyTorch's, less
 * 0.002 at most. PyTorch has two ways, all in bf16 and with automatic casts: the better one is the measure.
 */
#include "tests/arrays.h"

#include "runtime/trace.h"

#include <math.h>

#define DATA VQ_SOURCE_ROOT "/tests/data/"

TestSuite(half_quality, .init = scratch_create, .fini = scratch_remove, .timeout = 900);

/* The larger of what PyTorch's two ways reach. */
static double pytorch(const vq_safetensors *file, const char *name)
{
  size_t ways;
  double *reached = values(file, name, &ways);
  cr_assert_eq(ways, 2);
  double best = fmax(reached[0], reached[1]);
  free(reached);
  return best;
}

/* Of our array and the exact one: the PSNR in dB where the largest value is 1, and the cosine. */
static void compare(const vq_safetensors *ours, const vq_safetensors *given, const char *name, double *psnr,
                    double *cosine)
{
  char exact[32];
  size_t n, m;
  snprintf(exact, sizeof exact, "exact.%s", name);
  double *a = values(ours, name, &n), *b = values(given, exact, &m), off = 0, ab = 0, aa = 0, bb = 0;
  cr_assert(n == m, "%s has %zu values, not %zu", name, n, m);
  for (size_t i = 0; i < n; i++) {
    off += (a[i] - b[i]) * (a[i] - b[i]);
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  *psnr = -10 * log10(off / (double)n);
  *cosine = ab / sqrt(aa * bb);
  free(a);
  free(b);
}

static vq_network *network(const char *path, vq_network_kind kind)
{
  vq_network *net;
  expect_ok(vq_network_open(&net, path, kind, NULL));
  return net;
}

static void expect_quality(const char *given, const char *vqgan_path, const char *clip_path)
{
  vq_safetensors *ours, *theirs;
  vq_place place;
  double psnr, cosine, unused;
  const char *out = in_scratch("ours.safetensors");
  vq_network *vqgan = network(vqgan_path, VQ_NETWORK_VQGAN), *clip = network(clip_path, VQ_NETWORK_CLIP);
  expect_ok(vq_place_find(&place, "cuda", VQ_PRECISION_BF16, 0, NULL));
  expect_ok(vq_trace(vqgan, clip, given, out, &place));
  expect_ok(vq_safetensors_open(&ours, out));
  expect_ok(vq_safetensors_open(&theirs, given));
  compare(ours, theirs, "image", &psnr, &unused);
  compare(ours, theirs, "grad_z", &unused, &cosine);
  double dB = pytorch(theirs, "psnr"), along = pytorch(theirs, "cosine");
  printf("%s: picture %.2f dB, PyTorch %.2f; gradient's cosine %.5f, PyTorch %.5f\n", strrchr(given, '/') + 1, psnr,
         dB, cosine, along);
  cr_expect(psnr >= 40 && psnr >= dB - 1, "the picture has %.2f dB, PyTorch's %.2f", psnr, dB);
  cr_expect(cosine >= along - 0.002, "the gradient's cosine is %.5f, PyTorch's %.5f", cosine, along);
  vq_safetensors_close(ours);
  vq_safetensors_close(theirs);
  vq_network_close(vqgan);
  vq_network_close(clip);
}

Test(half_quality, the_pair_that_ships)
{
  expect_quality(DATA "half_quality/shipped.safetensors", VQ_SOURCE_ROOT "/weights/vqgan.safetensors",
                 VQ_SOURCE_ROOT "/weights/clip.safetensors");
}

Test(half_quality, a_tiny_vqgan)
{
  expect_quality(DATA "half_quality/tiny_a.safetensors", DATA "reference/vqgan_tiny.safetensors",
                 DATA "reference/clip_tinyA.safetensors");
}

Test(half_quality, a_tiny_gumbel_vqgan)
{
  expect_quality(DATA "half_quality/tiny_b.safetensors", DATA "reference/gumbel_tiny.safetensors",
                 DATA "reference/clip_tinyB.safetensors");
}
