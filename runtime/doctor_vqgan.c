/* doctor_vqgan.c -- does this VQGAN show what it was shown?
 *
 * Six pictures are drawn on one sheet, encoded, and decoded. What comes back is judged against the same codes in other places:
 *
 *   round trip   its error is at most half that of the shuffled codes. A sound network's is a fifth or less; with a codebook, decoder or
 *                encoder that belong to another the two come close, for then the codes mean nothing.
 *   channels     no other order of the three channels is nearer to the sheet
 *   codes        more than a handful are used
 *   values       every value of encoder and decoder is finite; if not, the first operation that made one is named
 *   q and k      the error with the attention's queries and keys exchanged. Most networks are worse then; a network that is better by
 *                a tenth has them exchanged in its file. Within a tenth nothing is said: that part of it does little on such pictures.
 */
#include "runtime/doctor.h"

#include "base/rng.h"
#include "runtime/compute.h"
#include "runtime/drawing.h"
#include "runtime/perceive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 3
#define ROWS    2
#define FEWEST  8 /* codes */

static const char broken[] = "convert the original file again with its own settings (--config): encoder, codebook "
                             "and decoder do not belong together, "
                             "or their tensors are assigned wrongly";

/* ---- the sheet ---- */

static vq_status draw_sheet(vq_image *sheet, int cell)
{
  static const struct {
    vq_drawn_shape shape;
    vq_drawn_colour colour, ground;
  } cells[COLUMNS * ROWS] = {
      {VQ_DRAWN_CIRCLE, VQ_DRAWN_RED, VQ_DRAWN_BLUE},      {VQ_DRAWN_SQUARE, VQ_DRAWN_GREEN, VQ_DRAWN_WHITE},
      {VQ_DRAWN_TRIANGLE, VQ_DRAWN_BLUE, VQ_DRAWN_YELLOW}, {VQ_DRAWN_STAR, VQ_DRAWN_YELLOW, VQ_DRAWN_BLACK},
      {VQ_DRAWN_SQUARE, VQ_DRAWN_WHITE, VQ_DRAWN_RED},     {VQ_DRAWN_CIRCLE, VQ_DRAWN_BLACK, VQ_DRAWN_GREEN}};
  VQ_TRY(vq_image_create(sheet, COLUMNS * cell, ROWS * cell));
  for (int i = 0; i < COLUMNS * ROWS; i++) {
    vq_image one;
    VQ_TRY(vq_draw_shape(&one, cell, cells[i].shape, cells[i].colour, cells[i].ground));
    for (int y = 0; y < cell; y++)
      memcpy(sheet->rgb + (((int64_t)(i / COLUMNS) * cell + y) * sheet->width + (i % COLUMNS) * cell) * 3,
             one.rgb + (int64_t)y * cell * 3, (size_t)cell * 3);
    vq_image_free(&one);
  }
  return VQ_OK;
}

/* Root of the mean square, of 255 levels, with a's channels taken in the order `order`. */
static double distance(const vq_image *a, const vq_image *b, const int *order)
{
  double sum = 0;
  int64_t pixels = (int64_t)a->width * a->height;
  for (int64_t p = 0; p < pixels; p++)
    for (int c = 0; c < 3; c++) {
      double x = a->rgb[3 * p + order[c]] - b->rgb[3 * p + c];
      sum += x * x;
    }
  return sqrt(sum / (double)(3 * pixels)) / 255;
}

static const int as_it_is[3] = {0, 1, 2};

static vq_status round_trip(vq_doctor *d, vq_image *out, vq_latent *latent)
{
  VQ_TRY(vq_encode_image(d->vqgan, &d->sheet, &d->place, latent));
  return vq_decode_latent(d->vqgan, latent, &d->place, out);
}

/* The latent's columns [C] in other places, by Fisher and Yates. */
static void shuffle(vq_latent *latent)
{
  int area = latent->h * latent->w;
  for (int i = area - 1; i > 0; i--) {
    int j = (int)vq_rng_below(7, VQ_RNG_TOKENS, 0, (uint64_t)i, (uint32_t)i + 1);
    for (int c = 0; c < latent->channels; c++) {
      vq_real *plane = latent->z + (int64_t)c * area, kept = plane[i];
      plane[i] = plane[j];
      plane[j] = kept;
    }
  }
}

/* ---- checks ---- */

static void check_trip(vq_doctor *d)
{
  double own = distance(&d->trip, &d->sheet, as_it_is), other = distance(&d->shuffled, &d->sheet, as_it_is);
  vq_doctor_say(d, "round trip", own <= 0.5 * other ? VQ_CHECK_PASS : VQ_CHECK_FAIL, broken,
                "%.3f from the drawn sheet (of 1), with its codes shuffled %.3f", own, other);
}

static void check_channels(vq_doctor *d)
{
  static const int orders[6][3] = {{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}};
  static const char letters[] = "RGB";
  int best = 0;
  for (int i = 1; i < 6; i++)
    if (distance(&d->trip, &d->sheet, orders[i]) < distance(&d->trip, &d->sheet, orders[best]))
      best = i;
  vq_doctor_say(d, "channels", best ? VQ_CHECK_FAIL : VQ_CHECK_PASS,
                "its first or its last layer has the channels in another order: convert the original file",
                "they come back as %c%c%c", letters[orders[best][0]], letters[orders[best][1]],
                letters[orders[best][2]]);
}

static void check_codes(vq_doctor *d, const vq_latent *latent)
{
  int codes = vq_network_vqgan(d->vqgan)->n_embed, used = 0, area = latent->h * latent->w;
  bool *seen = calloc((size_t)codes, sizeof *seen);
  for (int i = 0; seen && i < area; i++)
    if (latent->ids[i] >= 0 && latent->ids[i] < codes && !seen[latent->ids[i]]) {
      seen[latent->ids[i]] = true;
      used++;
    }
  free(seen);
  vq_doctor_say(d, "codes", used >= FEWEST ? VQ_CHECK_PASS : VQ_CHECK_FAIL, broken,
                "the sheet's %d tokens are %d different codes of %d", area, used, codes);
}

static vq_status watch_values(vq_device *device, vq_tape *t, void *user)
{
  const vq_doctor *d = user;
  const vq_image *sheet = &d->sheet;
  int64_t count = (int64_t)sheet->width * sheet->height * 3;
  vq_real *pixels = malloc((size_t)count * sizeof *pixels);
  vq_vqgan *net = NULL;
  vq_status status = pixels ? vq_network_make_vqgan(&net, d->vqgan, device, VQGAN_ENCODER | VQGAN_DECODER)
                            : vq_fail(VQ_ERR_MEMORY, "no memory for a picture");
  for (int64_t i = 0; pixels && i < count; i++)
    pixels[i] = (vq_real)(sheet->rgb[i] / 127.5 - 1);
  if (!status) {
    vq_shape s = vq_shape_make(VQ_REAL, 4, (int64_t[]){1, sheet->height, sheet->width, 3});
    vq_tape_trap(t, !device->plan);
    vq_tensor *h = vq_vqgan_encode(t, net, vq_leaf(t, &s, pixels, false));
    vq_tensor *ids = vq_vqgan_nearest(t, net, h);
    vq_vqgan_decode(t, net, vq_vqgan_quantise(t, net, h, ids));
    status = vq_tape_status(t);
  }
  vq_vqgan_free(net);
  free(pixels);
  return status;
}

static void check_exchange(vq_doctor *d, vq_exchange part)
{
  bool encoder = part == VQ_EXCHANGE_ENCODER;
  const char *name = encoder ? "q and k, encoder" : "q and k, decoder";
  double own = distance(&d->trip, &d->sheet, as_it_is), other = NAN;
  vq_image trip = {.rgb = NULL};
  vq_latent latent = {.z = NULL};
  vq_network_exchange(d->vqgan, part);
  vq_status status = round_trip(d, &trip, &latent);
  vq_network_exchange(d->vqgan, VQ_EXCHANGE_NOTHING);
  if (!status)
    other = distance(&trip, &d->sheet, as_it_is);
  vq_image_free(&trip);
  vq_latent_free(&latent);
  if (status)
    vq_doctor_broken(d, name, broken);
  else if (other < own / 1.1)
    vq_doctor_say(d, name, VQ_CHECK_FAIL,
                  "attention's queries and keys are exchanged in the file: convert the original",
                  "with q and k exchanged the round trip is better, %.4f against %.4f", other, own);
  else
    vq_doctor_say(d, name, other > own * 1.1 ? VQ_CHECK_PASS : VQ_CHECK_SKIP,
                  "only --reference can tell: its attention does little on drawn pictures",
                  "the round trip is %.4f, with q and k exchanged %.4f", own, other);
}

void vq_doctor_vqgan(vq_doctor *d)
{
  if (!d->vqgan) {
    vq_doctor_say(d, "meaning", VQ_CHECK_SKIP, "mend the file first", "there is no VQGAN to ask");
    return;
  }
  int f = vq_vqgan_factor(vq_network_vqgan(d->vqgan)), cell = 8 * f < 64 ? (64 + f - 1) / f * f : 8 * f;
  vq_latent latent = {.z = NULL};
  vq_status status = draw_sheet(&d->sheet, cell);
  if (!status && vq_compute(watch_values, d, &d->place))
    vq_doctor_broken(
        d, "values",
        "the file is damaged, or in 16 bits what needs 32: get it again, or convert it with --dtype f32");
  else if (!status)
    vq_doctor_say(d, "values", VQ_CHECK_PASS, "", "every value of the encoder and the decoder is finite");
  if (!status)
    status = round_trip(d, &d->trip, &latent);
  if (!status)
    check_codes(d, &latent);
  if (!status) {
    shuffle(&latent);
    status = vq_decode_latent(d->vqgan, &latent, &d->place, &d->shuffled);
  }
  vq_latent_free(&latent);
  if (status) {
    vq_doctor_broken(d, "round trip", broken);
    return;
  }
  check_trip(d);
  check_channels(d);
  check_exchange(d, VQ_EXCHANGE_ENCODER);
  check_exchange(d, VQ_EXCHANGE_DECODER);
}
