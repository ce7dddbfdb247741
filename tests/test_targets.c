/* test_targets.c -- what a run is to show: texts in phases, pictures, noise; and what holds z. By the library, with the tiny
 * reference networks; what the options say of it is test_sense.c's. */
#include "tests/gather.h"

#include "base/rng.h"
#include "loaders/image.h"
#include "runtime/network.h"
#include "runtime/perceive.h"
#include "runtime/prompt.h"
#include "vqgen.h"

#include <math.h>

TestSuite(targets, .init = scratch_create, .fini = scratch_remove, .timeout = 120);

#define REFERENCE VQ_SOURCE_ROOT "/tests/data/reference/"
#define SIDE      32

static vq_settings tiny(void)
{
  vq_settings s;
  vq_settings_init(&s);
  s.vqgan = REFERENCE "vqgan_tiny.safetensors";
  s.clip = REFERENCE "clip_tinyA.safetensors";
  s.width = s.height = SIDE;
  s.cutouts = 4;
  s.cut_least = 0.5;
  s.threads = 2;
  s.seed = 7;
  return s;
}

static vq_session *begin(const vq_settings *s, const vq_prompt *prompt, int prompts)
{
  vq_session *session;
  expect_ok(vq_session_create(&session, s));
  for (int i = 0; i < prompts; i++)
    expect_ok(vq_session_add(session, &prompt[i]));
  expect_ok(vq_session_start(session));
  return session;
}

static vq_step_report step(vq_session *session)
{
  vq_step_report report;
  expect_ok(vq_session_step(session, &report));
  return report;
}

static vq_prompt text(const char *words, int phase)
{
  return (vq_prompt){VQ_PROMPT_TEXT, words, 1, VQ_NO_STOP, phase};
}

static const char *a_picture(int width, int height)
{
  vq_image image;
  expect_ok(vq_image_create(&image, width, height));
  for (int i = 0; i < width * height * 3; i++)
    image.rgb[i] = (uint8_t)vq_rng_below(3, VQ_RNG_WEIGHTS, 0, (uint64_t)i, 256);
  expect_ok(vq_image_write(in_scratch("target.png"), VQ_IMAGE_PNG, &image, NULL));
  vq_image_free(&image);
  return in_scratch("target.png");
}

/* ---- phases ---- */

/* Texts take turns and come back; a picture and noise stay, and so does a text without a phase. */
Test(targets, phases_change_texts_and_keep_the_rest)
{
  vq_settings s = tiny();
  s.phase_every = 2;
  s.steps = 9;
  vq_prompt prompts[] = {text("dawn", 0),
                         text("noon", 1),
                         text("dusk", 2),
                         text("the sea", VQ_EVERY_PHASE),
                         {VQ_PROMPT_IMAGE, a_picture(40, 20), 1, VQ_NO_STOP, VQ_EVERY_PHASE},
                         {VQ_PROMPT_NOISE, "5", 1, VQ_NO_STOP, VQ_EVERY_PHASE}};
  vq_session *session = begin(&s, prompts, 6);
  for (int i = 0; i < 9; i++) {
    vq_step_report r = step(session);
    double sum = 0;
    for (int k = 0; k < 6; k++) {
      bool on = k >= 3 || k == i / 2 % 3;
      cr_expect(on ? r.prompt_loss[k] > 0 : isnan(r.prompt_loss[k]), "step %d, prompt %d: %g", i, k,
                r.prompt_loss[k]);
      sum += on ? r.prompt_loss[k] : 0;
    }
    cr_expect(fabs(r.loss - sum) < 1e-12, "step %d: %.17g is not %.17g", i, r.loss, sum);
  }
  vq_session_free(session);
}

/* A text that rests moves nothing: the first phase of two is the run of its text alone, to the bit. */
Test(targets, a_resting_text_moves_nothing)
{
  static uint8_t alone[SIDE * SIDE * 3], first[SIDE * SIDE * 3], second[SIDE * SIDE * 3];
  vq_settings s = tiny();
  s.steps = 4;
  vq_session *session = begin(&s, (vq_prompt[]){text("dawn", VQ_EVERY_PHASE)}, 1);
  for (int i = 0; i < 2; i++)
    step(session);
  expect_ok(vq_session_picture(session, alone));
  vq_session_free(session);
  s.phase_every = 2;
  session = begin(&s, (vq_prompt[]){text("dawn", 0), text("dusk", 1)}, 2);
  for (int i = 0; i < 2; i++)
    step(session);
  expect_ok(vq_session_picture(session, first));
  cr_expect(!memcmp(alone, first, sizeof alone));
  for (int i = 0; i < 2; i++)
    step(session);
  expect_ok(vq_session_picture(session, second));
  cr_expect(memcmp(alone, second, sizeof alone));
  vq_session_free(session);
}

/* ---- pictures and noise ---- */

/* z whose picture is the target, held still and seen whole as the target is, has no distance from it. */
Test(targets, a_picture_is_where_it_wants_to_be)
{
  vq_settings s = tiny();
  s.lr = s.lr_end = 0;
  s.cutouts = 1;
  s.cut_least = 1;
  vq_session *session = begin(&s, (vq_prompt[]){text("anything", VQ_EVERY_PHASE)}, 1);
  const char *path = in_scratch("own.png");
  expect_ok(vq_session_save(session, path));
  gather_saved("own.png");
  vq_session_free(session);
  session = begin(&s, (vq_prompt[]){{VQ_PROMPT_IMAGE, path, 1, VQ_NO_STOP, VQ_EVERY_PHASE}}, 1);
  double own = step(session).loss;
  vq_session_free(session);
  session = begin(&s, (vq_prompt[]){{VQ_PROMPT_IMAGE, a_picture(SIDE, SIDE), 1, VQ_NO_STOP, VQ_EVERY_PHASE}}, 1);
  double other = step(session).loss;
  vq_session_free(session);
  /* the file has whole levels, cut off: that is all that is between them */
  cr_expect(own < 0.01 * other, "%g of its own picture, %g of another", own, other);
}

/* The loss of noise is the spherical distance to the normals that its seed draws. */
Test(targets, noise_is_what_its_seed_draws)
{
  vq_settings s = tiny();
  vq_network *clip;
  vq_image image;
  s.lr = s.lr_end = 0;
  s.cutouts = 1;
  s.cut_least = 1;
  vq_prompt noise[] = {{VQ_PROMPT_NOISE, "12345678901", 2, VQ_NO_STOP, VQ_EVERY_PHASE}};
  vq_session *session = begin(&s, noise, 1);
  double loss = step(session).loss;
  expect_ok(vq_session_save(session, in_scratch("own.png")));
  gather_saved("own.png");
  vq_session_free(session);
  expect_ok(vq_network_open(&clip, s.clip, VQ_NETWORK_CLIP, NULL));
  expect_ok(vq_image_read(&image, in_scratch("own.png")));
  int D = vq_network_clip(clip)->embed_dim;
  vq_real *seen = calloc((size_t)D, sizeof *seen);
  double dot = 0, a = 0, b = 0;
  expect_ok(vq_image_features(clip, &image, 1, VQ_ON_CPU(1), seen));
  for (int i = 0; i < D; i++) {
    double n = vq_rng_normal(12345678901, VQ_RNG_PROMPT, 0, (uint64_t)i);
    dot += n * (double)seen[i];
    a += n * n;
    b += (double)seen[i] * (double)seen[i];
  }
  double angle = acos(dot / sqrt(a * b)), want = 2 * angle * angle / 2;
  cr_expect(fabs(loss - want) < 0.01 * want, "%g, not %g", loss, want); /* whole levels again */
  free(seen);
  vq_image_free(&image);
  vq_network_close(clip);
}

/* Draws of a picture prompt are its own and the seed's: another seed, after a restart too, wants something else; the same seed the same. */
Test(targets, pictures_are_seen_by_the_seed)
{
  vq_settings s = tiny();
  s.lr = s.lr_end = 0;
  s.augment = "affine:1:degrees=30:padding=zeros,noise:1:noise=0.05..0.1";
  s.start = VQ_START_GRADIENT;
  vq_prompt picture = {VQ_PROMPT_IMAGE, a_picture(50, 40), 1, VQ_NO_STOP, VQ_EVERY_PHASE};
  vq_prompt twice[] = {picture, picture};
  vq_session *session = begin(&s, twice, 2);
  vq_step_report seven = step(session);
  cr_expect(seven.prompt_loss[0] != seven.prompt_loss[1], "two prompts share their draws");
  expect_ok(vq_session_restart(session, 8));
  double eight = step(session).prompt_loss[0];
  expect_ok(vq_session_restart(session, 7));
  double again = step(session).prompt_loss[0];
  cr_expect(eight != seven.prompt_loss[0] && again == seven.prompt_loss[0], "%.17g %.17g %.17g",
            seven.prompt_loss[0], eight, again);
  vq_session_free(session);
  s.threads = 1;
  session = begin(&s, twice, 2);
  cr_expect(step(session).prompt_loss[0] == seven.prompt_loss[0], "on one thread it is another loss");
  vq_session_free(session);
}

/* ---- what holds z ---- */

/* With nothing else that pulls, the loss is the formula's; at the start there is none. */
Test(targets, init_weight_by_its_formulas)
{
  for (int kind = 0; kind < 2; kind++) {
    vq_settings s = tiny();
    s.init_pull = kind ? VQ_PULL_ZERO_DECAY : VQ_PULL_START;
    s.init_weight = 3;
    vq_session *session = begin(&s, (vq_prompt[]){text("a circle", VQ_EVERY_PHASE)}, 1);
    for (int i = 0; i < 3; i++) {
      vq_latent z, home;
      char name[32];
      snprintf(name, sizeof name, "z%d.safetensors", i);
      expect_ok(vq_session_snapshot(session, in_scratch(name), NULL));
      expect_ok(vq_latent_read(&z, in_scratch(name)));
      expect_ok(vq_latent_read(&home, in_scratch("z0.safetensors")));
      double sum = 0;
      size_t count = (size_t)z.channels * (size_t)z.h * (size_t)z.w;
      for (size_t k = 0; k < count; k++) {
        double d = (double)z.z[k] - (kind ? 0 : (double)home.z[k]);
        sum += d * d;
      }
      double want = sum / (double)count * 3 / 2 / (kind ? 2 * i + 1 : 1), got = step(session).init_loss;
      cr_expect(fabs(got - want) <= 1e-6 * want, "kind %d, step %d: %.9g, not %.9g", kind, i, got, want);
      cr_expect((kind || i) == (want > 0));
      vq_latent_free(&z);
      vq_latent_free(&home);
    }
    vq_session_free(session);
  }
}

/* A heavy one keeps z nearer to where it began. */
Test(targets, init_weight_holds)
{
  double loss[2];
  for (int heavy = 0; heavy < 2; heavy++) {
    vq_settings s = tiny();
    s.init_weight = heavy ? 1e5 : 1e-5;
    vq_session *session = begin(&s, (vq_prompt[]){text("a circle", VQ_EVERY_PHASE)}, 1);
    for (int i = 0; i < 12; i++)
      loss[heavy] = step(session).init_loss / s.init_weight;
    vq_session_free(session);
  }
  cr_expect(loss[1] < 0.5 * loss[0], "%g, and lightly held %g", loss[1], loss[0]);
}

/* ---- refused before the start ---- */

Test(targets, refused)
{
  static const struct {
    vq_prompt prompt[2];
    int64_t every, steps;
    const char *says;
  } bad[] = {
      {{{VQ_PROMPT_TEXT, "a", 1, VQ_NO_STOP, 0}, {VQ_PROMPT_TEXT, "b", 1, VQ_NO_STOP, 1}}, 0, 10, "--phase-every"},
      {{{VQ_PROMPT_TEXT, "a", 1, VQ_NO_STOP, -1}, {VQ_PROMPT_TEXT, "b", 1, VQ_NO_STOP, -1}},
       5,
       10,
       "one phase only"},
      {{{VQ_PROMPT_TEXT, "a", 1, VQ_NO_STOP, 0}, {VQ_PROMPT_TEXT, "b", 1, VQ_NO_STOP, 2}},
       2,
       10,
       "phase 2 of 3 has no"},
      {{{VQ_PROMPT_TEXT, "a", 1, VQ_NO_STOP, 0}, {VQ_PROMPT_TEXT, "b", 1, VQ_NO_STOP, 1}},
       10,
       10,
       "end before the last"},
      {{{VQ_PROMPT_TEXT, "a", 0, VQ_NO_STOP, -1}, {VQ_PROMPT_TEXT, "b", 0, VQ_NO_STOP, -1}},
       0,
       10,
       "nothing would move"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    vq_settings s = tiny();
    vq_session *session;
    s.phase_every = bad[i].every;
    s.steps = bad[i].steps;
    expect_ok(vq_session_create(&session, &s));
    expect_ok(vq_session_add(session, &bad[i].prompt[0]));
    expect_ok(vq_session_add(session, &bad[i].prompt[1]));
    vq_status status = vq_session_start(session);
    cr_expect(status && strstr(vq_error_message(), bad[i].says), "row %d: %s", (int)i, vq_error_message());
    vq_session_free(session);
  }
}

/* ---- starts ---- */

Test(targets, gradients_are_ramps)
{
  vq_settings s = tiny();
  static uint8_t one[SIDE * SIDE * 3], other[SIDE * SIDE * 3];
  s.start = VQ_START_GRADIENT;
  for (int i = 0; i < 2; i++) {
    s.seed = (uint64_t)i;
    vq_session *session = begin(&s, (vq_prompt[]){text("a", VQ_EVERY_PHASE)}, 1);
    expect_ok(vq_session_picture(session, i ? other : one));
    vq_session_free(session);
  }
  cr_expect(memcmp(one, other, sizeof one), "every seed has the same gradient");
}

/* GumbelVQ's encoder without noise is the same for every seed; with it it is not; and where there is none it is refused. */
Test(targets, gumbel_noise_is_asked_for)
{
  static uint8_t rgb[2][2][4096 * 3];
  vq_settings s = tiny();
  vq_session *session;
  const char *picture = a_picture(SIDE, SIDE);
  s.vqgan = REFERENCE "gumbel_tiny.safetensors";
  s.clip = REFERENCE "clip_tinyB.safetensors";
  s.start = VQ_START_FILE;
  s.start_file = picture;
  for (int noisy = 0; noisy < 2; noisy++)
    for (int seed = 0; seed < 2; seed++) {
      s.gumbel_noise = noisy;
      s.seed = (uint64_t)seed;
      session = begin(&s, (vq_prompt[]){text("a", VQ_EVERY_PHASE)}, 1);
      expect_ok(vq_session_picture(session, rgb[noisy][seed]));
      vq_session_free(session);
    }
  cr_expect(!memcmp(rgb[0][0], rgb[0][1], SIDE * SIDE * 3), "without noise the seed matters");
  cr_expect(memcmp(rgb[1][0], rgb[1][1], SIDE * SIDE * 3), "with noise it does not");
  s.start = VQ_START_RANDOM;
  expect_error(vq_session_create(&session, &s), VQ_ERR_ARGUMENT, "not encoded");
  s.vqgan = REFERENCE "vqgan_tiny.safetensors";
  s.start = VQ_START_GRAY;
  expect_error(vq_session_create(&session, &s), VQ_ERR_ARGUMENT, "only a GumbelVQ");
}
