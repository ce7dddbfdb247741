/* test_moving.c -- what is moved and by what: optimizers that begin anew, a z that may leave the codebook's range, averages, logits of
 * codes. By the library, with the tiny reference networks. Optimizers' numbers are test_vqgan_rooms.c's, resuming test_replay.c's. */
#include "tests/scratch.h"

#include "loaders/safetensors.h"
#include "runtime/network.h"
#include "runtime/perceive.h"
#include "vqgen.h"

#include <math.h>

TestSuite(moving, .init = scratch_create, .fini = scratch_remove, .timeout = 120);

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

static vq_session *begin(const vq_settings *s)
{
  vq_session *session;
  expect_ok(vq_session_create(&session, s));
  expect_ok(vq_session_prompt(session, "a circle", 1, VQ_NO_STOP));
  expect_ok(vq_session_start(session));
  return session;
}

static vq_step_report step(vq_session *session)
{
  vq_step_report report;
  expect_ok(vq_session_step(session, &report));
  return report;
}

/* An array of the session's snapshot now, as it lies in the file; the caller frees it. */
static double *state(vq_session *session, const char *name, size_t *count)
{
  vq_safetensors *file;
  expect_ok(vq_session_snapshot(session, in_scratch("now"), NULL));
  expect_ok(vq_safetensors_open(&file, in_scratch("now")));
  const vq_file_tensor *x = vq_safetensors_find(file, name);
  cr_assert(x, "no %s in a snapshot", name);
  *count = vq_file_tensor_count(x);
  double *values = malloc(*count * sizeof *values);
  vq_file_tensor_read_f64(x, values);
  vq_safetensors_close(file);
  return values;
}

static double farthest(const double *a, const double *b, size_t count)
{
  double most = 0;
  for (size_t i = 0; i < count; i++)
    most = fabs(a[i] - b[i]) <= most ? most : fabs(a[i] - b[i]);
  return most;
}

/* The MSE notebook's: w before the step i, counted from 0, falls after i = 50, 100 ..., here 2, 4 and 6; and Adam, whose first update is lr
 * times the sign and whose later ones are less, begins anew. */
Test(moving, what_holds_z_drops_and_adam_begins_anew)
{
  static const double left[] = {1, 1, 1, 2 / 3., 2 / 3., 1 / 3., 1 / 3., 0, 0, 0};
  vq_settings s = tiny();
  size_t count;
  s.init_pull = VQ_PULL_ZERO;
  s.init_weight = 3;
  s.init_drop_every = 2;
  s.init_drops = 3;
  s.z_clamp = false;
  s.lr = 0.25;
  vq_session *session = begin(&s);
  for (int i = 0; i < 10; i++) {
    double *before = state(session, "z", &count), sum = 0;
    for (size_t k = 0; k < count; k++)
      sum += before[k] * before[k];
    double want = left[i] * 1.5 * sum / (double)count, got = step(session).init_loss;
    cr_expect(fabs(got - want) <= 1e-6 * want, "step %d: %.9g, not %.9g", i, got, want);
    double *after = state(session, "z", &count), whole = 0;
    for (size_t k = 0; k < count; k++) /* but for the few where eps counts */
      whole += fabs(fabs(after[k] - before[k]) - 0.25) < 1e-4 ? 1 / (double)count : 0;
    bool anew = i == 0 || i == 3 || i == 5 || i == 7;
    cr_expect(anew == (whole > 0.95), "step %d: %.3g of z moves by the whole of lr", i, whole);
    free(before);
    free(after);
  }
  vq_session_free(session);
}

Test(moving, z_leaves_the_codebooks_range_if_it_may)
{
  double most[2];
  for (int clamped = 0; clamped < 2; clamped++) {
    vq_settings s = tiny();
    size_t count;
    s.z_clamp = clamped;
    s.lr = 5;
    vq_session *session = begin(&s);
    double *start = state(session, "z", &count);
    for (int i = 0; i < 3; i++)
      step(session);
    double *end = state(session, "z", &count);
    most[clamped] = farthest(start, end, count);
    free(start);
    free(end);
    vq_session_free(session);
  }
  cr_expect(most[0] > 5 && most[1] < 5, "free by %g, held by %g", most[0], most[1]);
}

/* Pictures show the debiased average of the first z and of those after each update: the decoding of that, begun with. */
Test(moving, pictures_show_the_average)
{
  static uint8_t shown[SIDE * SIDE * 3], watched[SIDE * SIDE * 3], plain[SIDE * SIDE * 3], begun[SIDE * SIDE * 3];
  vq_settings s = tiny();
  size_t count;
  double weights = 0;
  s.ema = 0.75;
  vq_session *session = begin(&s);
  double *mean = state(session, "z", &count);
  for (size_t k = 0; k < count; k++)
    mean[k] *= 0.25;
  weights = 0.25;
  for (int i = 0; i < 4; i++) {
    step(session);
    double *z = state(session, "z", &count);
    for (size_t k = 0; k < count; k++)
      mean[k] = 0.75 * mean[k] + 0.25 * z[k];
    weights = 0.75 * weights + 0.25;
    free(z);
  }
  double *kept = state(session, "average", &count);
  cr_expect(farthest(kept, mean, count) < 1e-6, "the average is off by %g", farthest(kept, mean, count));
  expect_ok(vq_session_picture(session, shown));
  vq_session_watch(session, watched);
  step(session);
  cr_expect(!memcmp(shown, watched, sizeof shown), "a frame shows something else");
  vq_session_free(session);
  vq_latent latent;
  expect_ok(vq_latent_read(&latent, in_scratch("now")));
  for (size_t k = 0; k < count; k++)
    latent.z[k] = (vq_real)(mean[k] / weights);
  expect_ok(vq_latent_write(in_scratch("mean.safetensors"), &latent));
  vq_latent_free(&latent);
  s.ema = 0;
  session = begin(&s);
  for (int i = 0; i < 4; i++)
    step(session);
  expect_ok(vq_session_picture(session, plain));
  vq_session_free(session);
  cr_expect(memcmp(shown, plain, sizeof shown), "the average changes nothing");
  s.start = VQ_START_FILE;
  s.start_file = in_scratch("mean.safetensors");
  session = begin(&s);
  expect_ok(vq_session_picture(session, begun));
  cr_expect(!memcmp(shown, begun, sizeof shown), "the picture is not that of the average");
  vq_session_free(session);
  free(mean);
  free(kept);
}

/* Logits: normal at the start; the picture is of the likeliest codes, and so are frames; steps draw others, and learn. */
Test(moving, logits)
{
  static uint8_t shown[SIDE * SIDE * 3], watched[SIDE * SIDE * 3], begun[SIDE * SIDE * 3];
  vq_settings s = tiny();
  size_t count;
  double first = 0, last = 0, sum = 0, squares = 0;
  s.latent = VQ_LATENT_LOGITS;
  s.optimizer = VQ_ADAMW;
  s.weight_decay = 0;
  s.lr = 1;
  vq_session *session = begin(&s);
  double *start = state(session, "logits", &count);
  for (size_t k = 0; k < count; k++) {
    sum += start[k];
    squares += start[k] * start[k];
  }
  double deviation = sqrt(1 / (double)count);
  cr_expect(fabs(sum / (double)count) < 4 * deviation && fabs(squares / (double)count - 1) < 6 * deviation, "%g %g",
            sum, squares);
  for (int i = 0; i < 60; i++) {
    double loss = step(session).loss;
    first += i < 10 ? loss / 10 : 0;
    last += i >= 50 ? loss / 10 : 0;
  }
  cr_expect(last < 0.95 * first, "%g, at first %g", last, first);
  expect_ok(vq_session_picture(session, shown));
  vq_session_watch(session, watched);
  double *logits = state(session, "logits", &count);
  step(session);
  cr_expect(!memcmp(shown, watched, sizeof shown), "a frame shows something else");
  vq_session_free(session);
  /* the likeliest codes' rows, begun with */
  vq_network *vqgan;
  vq_latent latent;
  s.latent = VQ_LATENT_Z;
  session = begin(&s);
  free(state(session, "z", &(size_t){0}));
  vq_session_free(session);
  expect_ok(vq_latent_read(&latent, in_scratch("now")));
  expect_ok(vq_network_open(&vqgan, s.vqgan, VQ_NETWORK_VQGAN, NULL));
  const vq_weight_source *weights = vq_network_weights(vqgan);
  size_t K = (size_t)vq_network_vqgan(vqgan)->n_embed, C = (size_t)latent.channels, tokens = count / K;
  vq_real *book = malloc(K * C * sizeof *book);
  expect_ok(weights->read(weights->user, "quantize.embedding.weight", book));
  for (size_t t = 0; t < tokens; t++) {
    size_t best = 0;
    for (size_t k = 1; k < K; k++)
      best = logits[k * tokens + t] > logits[best * tokens + t] ? k : best;
    for (size_t c = 0; c < C; c++)
      latent.z[c * tokens + t] = book[best * C + c];
  }
  expect_ok(vq_latent_write(in_scratch("likeliest.safetensors"), &latent));
  s.start = VQ_START_FILE;
  s.start_file = in_scratch("likeliest.safetensors");
  session = begin(&s);
  expect_ok(vq_session_picture(session, begun));
  cr_expect(!memcmp(shown, begun, sizeof shown), "the picture is not that of the likeliest codes");
  vq_session_free(session);
  vq_network_close(vqgan);
  vq_latent_free(&latent);
  free(book);
  free(logits);
  free(start);
}
