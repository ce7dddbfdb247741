/* doctor_clip.c -- does this CLIP mean what its captions say?
 *
 * Twenty pictures are drawn, four shapes in five colours on white, and captioned "a red circle". Published CLIPs and small ones of pairs are
 * asked the same; nothing depends on how far apart their features lie, only on which caption is nearest:
 *
 *   colours   among the five captions of its shape, each picture's own is the nearest. By chance 4 of 20 are; with red and blue
 *             exchanged in the weights 8 are (green and black stay what they are), with wrong attention about 4. 16 are asked for: by chance that
 *             happens once in 10^8 times. Colours are the first thing that any CLIP learns, and published ones tell these without a miss.
 *   channels  ten of twelve red, blue and yellow pictures fit their captions better than with red and blue exchanged; by chance once in fifty times
 *   shapes    among the four captions of its colour. Chance 5 of 20; 12 by chance once in a thousand times. A small network of a pair that
 *             misses them is no broken one, and is not failed for it.
 *   words     six words, printed large, among their six captions. Chance 1; 4 by chance once in a hundred times. That published CLIPs read is
 *             why a note on an apple made one of them see an iPod. Skipped where the network was never taught the words.
 *   q and k   the margin of right captions over wrong ones is larger than with the attention's queries and keys exchanged, in each tower.
 */
#include "runtime/doctor.h"

#include "runtime/drawing.h"
#include "runtime/perceive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLOURS  5 /* of drawing.h's: the first so many */
#define SHAPES   VQ_DRAWN_SHAPES
#define PICTURES (COLOURS * SHAPES)
#define WORDS    6
#define IMAGES   (2 * PICTURES + WORDS)
#define TEXTS    (PICTURES + WORDS)

static const char *const words[WORDS] = {"STOP", "PIZZA", "DOG", "MUSIC", "LOVE", "CAR"};

/* Of all pictures, of the same with red and blue exchanged, of the words; and of their captions. */
typedef struct look {
  int width; /* of features */
  vq_image image[IMAGES];
  char text[TEXTS][48];
  int32_t *ids;
  vq_real *images, *texts;
  bool reads; /* it knows the words */
} look;

static const char broken[] = "convert the original file again: attention, channels or the vocabulary are assigned "
                             "wrongly, or the file is damaged";

/* ---- pictures and captions ---- */

static vq_status exchange_channels(vq_image *out, const vq_image *in)
{
  VQ_TRY(vq_image_create(out, in->width, in->height));
  for (int64_t p = 0; p < (int64_t)in->width * in->height; p++)
    for (int c = 0; c < 3; c++)
      out->rgb[3 * p + c] = in->rgb[3 * p + 2 - c];
  return VQ_OK;
}

static vq_status draw_all(look *l, int side)
{
  for (int i = 0; i < PICTURES; i++) {
    vq_drawn_shape shape = (vq_drawn_shape)(i / COLOURS);
    vq_drawn_colour colour = (vq_drawn_colour)(i % COLOURS);
    VQ_TRY(vq_draw_shape(&l->image[i], side, shape, colour, VQ_DRAWN_WHITE));
    VQ_TRY(exchange_channels(&l->image[PICTURES + i], &l->image[i]));
    snprintf(l->text[i], sizeof l->text[i], "a %s %s", vq_drawn_colour_name(colour), vq_drawn_shape_name(shape));
  }
  for (int i = 0; i < WORDS; i++) {
    VQ_TRY(vq_draw_word(&l->image[2 * PICTURES + i], side, words[i]));
    char *text = l->text[PICTURES + i];
    snprintf(text, sizeof l->text[0], "the word %s", words[i]);
    for (char *c = text + strlen("the word "); *c; c++)
      *c = (char)(*c - 'A' + 'a');
  }
  return VQ_OK;
}

static vq_status tokens_of_all(vq_doctor *d, look *l)
{
  vq_tokenizer *t;
  vq_status status = VQ_OK;
  int tokens;
  VQ_TRY(vq_network_tokenizer(&t, d->clip));
  int context = vq_tokenizer_context(t);
  l->ids = calloc((size_t)context * TEXTS, sizeof *l->ids);
  if (!l->ids)
    status = vq_fail(VQ_ERR_MEMORY, "no memory for tokens");
  for (int i = 0; i < TEXTS && !status; i++)
    status = vq_tokens(t, l->text[i], true, l->ids + i * context, &tokens);
  l->reads = true;
  for (int i = PICTURES; i < TEXTS; i++)
    l->reads = l->reads && vq_doctor_knows(d, t, l->text[i]);
  vq_tokenizer_free(t);
  return status;
}

static void to_unit(vq_real *rows, int count, int width)
{
  for (int i = 0; i < count; i++) {
    double sum = 0;
    for (int c = 0; c < width; c++)
      sum += (double)rows[i * width + c] * (double)rows[i * width + c];
    for (int c = 0; c < width; c++)
      rows[i * width + c] = (vq_real)((double)rows[i * width + c] / sqrt(sum));
  }
}

static vq_status see(vq_doctor *d, look *l)
{
  VQ_TRY(vq_image_features(d->clip, l->image, IMAGES, &d->place, l->images));
  to_unit(l->images, IMAGES, l->width);
  return VQ_OK;
}

static vq_status read_captions(vq_doctor *d, look *l)
{
  VQ_TRY(vq_text_features(d->clip, l->ids, TEXTS, &d->place, l->texts));
  to_unit(l->texts, TEXTS, l->width);
  return VQ_OK;
}

static double cosine(const look *l, int image, int text)
{
  double sum = 0;
  for (int c = 0; c < l->width; c++)
    sum += (double)l->images[image * l->width + c] * (double)l->texts[text * l->width + c];
  return sum;
}

/* ---- what is asked of them ---- */

/* How many of `count` pictures, the first and each `step` after it, have their own caption nearest. */
static int nearest(const look *l, int image, int text, int count, int step)
{
  int right = 0;
  for (int i = 0; i < count; i++) {
    bool best = true;
    for (int j = 0; j < count; j++)
      best = best && (i == j ||
                      cosine(l, image + i * step, text + i * step) > cosine(l, image + i * step, text + j * step));
    right += best;
  }
  return right;
}

/* The mean cosine with a picture's own caption, over that with all. NaN where features are. */
static double margin(const look *l)
{
  double own = 0, all = 0;
  for (int i = 0; i < PICTURES; i++)
    for (int j = 0; j < PICTURES; j++) {
      all += cosine(l, i, j) / PICTURES;
      own += i == j ? cosine(l, i, j) : 0;
    }
  return (own - all) / PICTURES;
}

static void check_colours(vq_doctor *d, const look *l)
{
  int right = 0, better = 0, asked = 0;
  for (int s = 0; s < SHAPES; s++)
    right += nearest(l, s * COLOURS, s * COLOURS, COLOURS, 1);
  vq_doctor_say(d, "colours", right >= 16 ? VQ_CHECK_PASS : VQ_CHECK_FAIL, broken,
                "%d of %d drawn pictures are nearest to their colour's caption", right, PICTURES);
  for (int i = 0; i < PICTURES; i++) {
    int colour = i % COLOURS;
    if (colour != VQ_DRAWN_RED && colour != VQ_DRAWN_BLUE && colour != VQ_DRAWN_YELLOW)
      continue;
    asked++;
    better += cosine(l, i, i) > cosine(l, PICTURES + i, i);
  }
  vq_doctor_say(d, "channels", 6 * better >= 5 * asked ? VQ_CHECK_PASS : VQ_CHECK_FAIL,
                "red and blue are exchanged in its first layer: it was made for BGR; convert the original file",
                "%d of %d pictures fit better than with red and blue exchanged", better, asked);
}

static void check_shapes(vq_doctor *d, const look *l)
{
  int right = 0;
  for (int c = 0; c < COLOURS; c++)
    right += nearest(l, c, c, SHAPES, COLOURS);
  bool small = vq_network_pair(d->clip) != NULL;
  vq_doctor_say(d, "shapes",
                right >= 12 ? VQ_CHECK_PASS
                : small     ? VQ_CHECK_SKIP
                            : VQ_CHECK_FAIL,
                small ? "a small network of a pair may tell colours and not outlines: no fault" : broken,
                "%d of %d drawn pictures are nearest to their shape's caption", right, PICTURES);
}

static void check_words(vq_doctor *d, const look *l)
{
  int right = nearest(l, 2 * PICTURES, PICTURES, WORDS, 1);
  if (l->reads)
    vq_doctor_say(d, "written words", right >= 4 ? VQ_CHECK_PASS : VQ_CHECK_FAIL, broken,
                  "%d of %d printed words are nearest to their caption", right, WORDS);
  else
    vq_doctor_say(d, "written words", VQ_CHECK_SKIP, "", "this network was never taught them");
}

static void check_exchange(vq_doctor *d, look *l, vq_exchange tower)
{
  bool image = tower == VQ_EXCHANGE_IMAGE;
  const char *name = image ? "q and k, pictures" : "q and k, texts";
  double own = margin(l);
  vq_network_exchange(d->clip, tower);
  vq_status status = image ? see(d, l) : read_captions(d, l);
  double exchanged = margin(l);
  vq_network_exchange(d->clip, VQ_EXCHANGE_NOTHING);
  if (!status)
    status = image ? see(d, l) : read_captions(d, l);
  if (status)
    vq_doctor_broken(d, name, broken);
  else
    vq_doctor_say(d, name, own > exchanged ? VQ_CHECK_PASS : VQ_CHECK_FAIL,
                  "attention's queries and keys are exchanged in the file: convert the original",
                  "right captions lead by %.3f, with q and k exchanged by %.3f", own, exchanged);
}

static vq_status prepare(vq_doctor *d, look *l)
{
  const vq_clip_config *c = vq_network_clip(d->clip);
  l->width = c->embed_dim;
  l->images = calloc((size_t)l->width * IMAGES, sizeof *l->images);
  l->texts = calloc((size_t)l->width * TEXTS, sizeof *l->texts);
  if (!l->images || !l->texts)
    return vq_fail(VQ_ERR_MEMORY, "no memory for features");
  VQ_TRY(draw_all(l, c->image_resolution));
  VQ_TRY(tokens_of_all(d, l));
  VQ_TRY(read_captions(d, l));
  return see(d, l);
}

void vq_doctor_clip(vq_doctor *d)
{
  look *l = calloc(1, sizeof *l);
  if (!d->clip || !l) {
    vq_doctor_say(d, "meaning", VQ_CHECK_SKIP, "mend the file first", "there is no CLIP to ask");
  } else if (prepare(d, l)) {
    vq_doctor_broken(d, "meaning", broken);
  } else {
    check_colours(d, l);
    check_shapes(d, l);
    check_words(d, l);
    check_exchange(d, l, VQ_EXCHANGE_IMAGE);
    check_exchange(d, l, VQ_EXCHANGE_TEXT);
  }
  for (int i = 0; l && i < IMAGES; i++)
    vq_image_free(&l->image[i]);
  if (l) {
    free(l->ids);
    free(l->images);
    free(l->texts);
  }
  free(l);
}
