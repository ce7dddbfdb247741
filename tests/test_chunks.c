/* test_chunks.c -- how many cutouts go through CLIP at once changes the memory that a run takes, and no bit of what it makes: on the CPU with
 * any number of threads, on the emulated card in either precision. And a run fits the memory that it may take, or says what would.
 *
 * 20 cutouts are three quanta of 7, the last one padded: chunks of 8, 16 and all are 7, 14 + 7 and 21.
 */
#include "tests/scratch.h"

#include "kernels/ops.h"
#include "loaders/image.h"
#include "runtime/perceive.h"
#include "runtime/session.h"

#include <math.h>

#define CUTOUTS 20
#define STEPS   20
#define SIDE    16 /* small, so that most memory is what CLIP takes */
#define FACTOR  2  /* pixels of a token */

static const int chunks[] = {8, 16, VQ_CHUNK_ALL};
static const int at_once[] = {7, 14, 21};

static vq_settings small(void)
{
  vq_settings s;
  vq_settings_init(&s);
  s.vqgan = VQ_SOURCE_ROOT "/tests/data/reference/vqgan_tiny.safetensors";
  s.clip = VQ_SOURCE_ROOT "/tests/data/reference/clip_tinyA.safetensors";
  expect_ok(vq_settings_load(&s));
  s.force = true;
  s.width = s.height = SIDE;
  s.cutouts = CUTOUTS;
  s.cut_least = 0.3;
  s.augment = "flip:0.5,sharpness:0.4,affine:0.7,jitter:0.7,noise";
  s.lr = s.lr_end = 0.05;
  s.tv_weight = 0.1;
  s.threads = 1;
  return s;
}

static vq_session *open(const vq_settings *s)
{
  vq_session *session;
  expect_ok(vq_session_create(&session, s));
  expect_ok(vq_session_prompt(session, "a red circle", 1, VQ_NO_STOP));
  expect_ok(vq_session_prompt(session, "fog", -0.3, VQ_NO_STOP));
  return session;
}

static vq_plan plan(const vq_settings *s)
{
  vq_plan p;
  vq_session *session = open(s);
  expect_ok(vq_session_plan(session, &p));
  vq_session_free(session);
  return p;
}

/* Everything that the next step depends on, and the last step's losses. */
typedef struct ending {
  size_t count;
  vq_real *z; /* z, m and v, one after the other */
  double loss[2];
} ending;

static ending run(const vq_settings *s, int steps)
{
  vq_session *session = open(s);
  vq_step_report report = {.step = 0};
  expect_ok(vq_session_start(session));
  for (int i = 0; i < steps; i++)
    expect_ok(vq_session_step(session, &report));
  ending e = {(size_t)session->h * (size_t)session->w * (size_t)vq_engine_channels(session->engine),
              NULL,
              {report.prompt_loss[0], report.prompt_loss[1]}};
  e.z = malloc(3 * e.count * sizeof *e.z);
  vq_engine_state state = {.z = e.z, .m = e.z + e.count, .v = e.z + 2 * e.count};
  expect_ok(vq_engine_get_state(session->engine, &state));
  vq_session_free(session);
  return e;
}

static void expect_same(const ending *a, const ending *b, const char *what, int chunk, int threads)
{
  cr_expect(a->count == b->count && !memcmp(a->z, b->z, 3 * a->count * sizeof *a->z),
            "%s, chunks of %d, %d threads: other bytes", what, chunk, threads);
  cr_expect(!memcmp(a->loss, b->loss, sizeof a->loss), "%s, chunks of %d, %d threads: losses %.17g and %.17g", what,
            chunk, threads, a->loss[0], b->loss[0]);
}

static void expect_same_for_all(vq_settings s, const char *what)
{
  ending first = {.count = 0};
  for (int c = 0; c < 3; c++)
    for (s.threads = 1; s.threads <= 3; s.threads++) {
      s.cutout_chunk = chunks[c];
      ending e = run(&s, STEPS);
      if (!first.z)
        first = e;
      expect_same(&first, &e, what, at_once[c], s.threads);
      if (e.z != first.z)
        free(e.z);
    }
  s.threads = 1;
  s.seed++;
  ending other = run(&s, STEPS);
  cr_expect(memcmp(first.z, other.z, 3 * first.count * sizeof *first.z),
            "%s: another seed's cutouts make the same z", what);
  free(other.z);
  free(first.z);
}

Test(chunks, change_no_byte_on_the_cpu)
{
  expect_same_for_all(small(), "fp32");
}

/* Where the processor has it. */
Test(chunks, change_no_byte_on_the_cpu_in_bf16)
{
  vq_settings s = small();
  vq_session *session;
  s.precision = VQ_PRECISION_BF16;
  vq_status status = vq_session_create(&session, &s);
  if (status == VQ_ERR_UNSUPPORTED)
    return;
  expect_ok(status);
  vq_session_free(session);
  expect_same_for_all(s, "bf16");
}

/* The plan is what the run takes, to the byte, and larger chunks take more. */
Test(chunks, are_planned)
{
  vq_settings s = small();
  vq_footprint used;
  int64_t before = 0;
  for (int c = 0; c < 3; c++) {
    vq_step_report report;
    s.cutout_chunk = chunks[c];
    vq_plan p = plan(&s);
    vq_session *session = open(&s);
    expect_ok(vq_session_start(session));
    expect_ok(vq_session_step(session, &report));
    vq_engine_used(session->engine, &used);
    cr_expect((int64_t)used.step == p.step_bytes && (int64_t)used.weights == p.network_bytes,
              "chunks of %d: planned %lld, used %zu", at_once[c], (long long)p.step_bytes, used.step);
    cr_expect(p.chunk == at_once[c] && p.fits && !*p.advice, "%d for %d", p.chunk, at_once[c]);
    cr_expect(p.step_bytes > before, "chunks of %d: %lld after %lld", at_once[c], (long long)p.step_bytes,
              (long long)before);
    before = p.step_bytes;
    vq_session_free(session);
  }
  s.cutout_chunk = VQ_CHUNK_AUTO;
  cr_expect(plan(&s).chunk == 7, "on the CPU the smallest");
}

/* What is advised fits, and the next larger does not. */
Test(chunks, what_is_advised_fits)
{
  vq_settings s = small();
  int w = 0, h = 0, fewer = 0;
  s.cutout_chunk = 16;
  s.vram = plan(&s).network_bytes + plan(&s).step_bytes;
  cr_expect(plan(&s).fits);
  s.vram--;
  vq_plan p = plan(&s);
  cr_expect(!p.fits && !strcmp(p.advice, "--cutout-chunk 8"), "%s", p.advice);
  s.cutout_chunk = 8;
  p = plan(&s);
  cr_assert(p.fits);
  s.vram = p.network_bytes + p.step_bytes * 31 / 32; /* the decoder alone takes hardly less */
  p = plan(&s);
  cr_assert(!p.fits && strstr(p.advice, "-s ") &&
                sscanf(strstr(p.advice, "-s "), "-s %dx%d, or --cutouts %d", &w, &h, &fewer) == 3,
            "%s", p.advice);
  s.width = w;
  s.height = h;
  cr_expect(plan(&s).fits, "%s", p.advice);
  s.width = s.height = w + FACTOR;
  cr_expect(!plan(&s).fits, "more than %s fits", p.advice);
  s.width = s.height = SIDE;
  s.cutouts = fewer;
  cr_expect(plan(&s).fits, "%s", p.advice);
  s.cutouts = fewer + 1;
  cr_expect(!plan(&s).fits, "more than %s fits", p.advice);
}

Test(chunks, refused_before_anything_is_computed)
{
  vq_settings s = small();
  const vq_plan p = plan(&s);
  s.vram = p.network_bytes + p.step_bytes * 31 / 32;
  vq_session *session = open(&s);
  cr_expect_eq(vq_session_start(session), VQ_ERR_MEMORY);
  cr_expect(strstr(vq_error_message(), "--vram allows ") && strstr(vq_error_message(), "what would fit: ") &&
                strstr(vq_error_message(), "-s "),
            "%s", vq_error_message());
  vq_session_free(session);
  s.vram = 1024;
  session = open(&s);
  cr_expect_eq(vq_session_start(session), VQ_ERR_MEMORY);
  cr_expect(strstr(vq_error_message(), "no smaller picture would fit"), "%s", vq_error_message());
  vq_session_free(session);
  s.cutout_chunk = 7;
  cr_expect_eq(vq_session_create(&session, &s), VQ_ERR_ARGUMENT);
}

/* ---- on the emulated card, where there is one ---- */

static bool no_card(void)
{
  return !getenv("VQGEN_CUDA_MODULE");
}

Test(chunks_on_cuda, change_no_byte)
{
  vq_settings s = small();
  s.width = s.height = SIDE;
  for (s.precision = VQ_PRECISION_FP32; s.precision <= VQ_PRECISION_BF16 && !no_card(); s.precision++) {
    ending first = {.count = 0};
    if (s.precision == VQ_PRECISION_TF32)
      continue;
    s.device = "cuda";
    for (int c = 0; c < 3; c++) {
      s.cutout_chunk = chunks[c];
      ending e = run(&s, 3);
      if (!first.z)
        first = e;
      expect_same(&first, &e, s.precision == VQ_PRECISION_BF16 ? "bf16" : "fp32", at_once[c], 0);
      if (e.z != first.z)
        free(e.z);
    }
    free(first.z);
  }
}

/* As many as fit, in chunks as equal as can be; others' use of the card is seen. */
Test(chunks_on_cuda, are_chosen_to_fit)
{
  vq_settings s = small();
  if (no_card())
    return;
  s.device = "cuda";
  cr_expect(plan(&s).chunk == 21 && plan(&s).device_bytes == (int64_t)1 << 30);
  s.cutout_chunk = 16;
  vq_plan p = plan(&s);
  s.vram = p.network_bytes + p.step_bytes;
  s.cutout_chunk = VQ_CHUNK_AUTO;
  cr_expect(plan(&s).chunk == 14, "%d", plan(&s).chunk);
  s.cutouts = 32; /* four quanta of 8: of three that fit, two and two */
  s.cutout_chunk = 24;
  p = plan(&s);
  s.vram = p.network_bytes + p.step_bytes;
  s.cutout_chunk = VQ_CHUNK_AUTO;
  cr_expect(plan(&s).chunk == 16, "%d", plan(&s).chunk);
  s.vram = 0;
  s.width = s.height = 64;
  cr_assert(!setenv("CUDA_ON_CPU_MEMORY", "100", 1) && !setenv("CUDA_ON_CPU_TAKEN", "97", 1));
  vq_session *session = open(&s);
  cr_expect_eq(vq_session_start(session), VQ_ERR_MEMORY);
  cr_expect(strstr(vq_error_message(), "this GPU has 3 MiB free of 100, the rest being in use") &&
                strstr(vq_error_message(), "what would fit: "),
            "%s", vq_error_message());
  vq_session_free(session);
}

/* ---- what is asked of networks before the steps, and again for another seed ---- */

/* Whose start and whose second start both take an encoder, and CLIP for a picture's cutouts. */
static vq_session *asking(const vq_settings *s)
{
  vq_session *session;
  vq_image image;
  expect_ok(vq_image_create(&image, s->width, s->height));
  for (int i = 0; i < s->width * s->height * 3; i++)
    image.rgb[i] = (uint8_t)(i * 37);
  expect_ok(vq_image_write_png(in_scratch("wanted.png"), &image, NULL, 0));
  vq_image_free(&image);
  expect_ok(vq_session_create(&session, s));
  expect_ok(vq_session_add(session,
                           &(vq_prompt){VQ_PROMPT_IMAGE, in_scratch("wanted.png"), 1, VQ_NO_STOP, VQ_EVERY_PHASE}));
  return session;
}

/* It takes no more than the plan has told, which is all that is allowed. */
Test(chunks, the_plan_covers_what_is_asked_before, .init = scratch_create, .fini = scratch_remove)
{
  vq_settings s = small();
  vq_plan p;
  vq_session *session = asking(&s);
  s.start = VQ_START_GRADIENT;
  expect_ok(vq_session_plan(session, &p));
  vq_session_free(session);
  s.vram = p.network_bytes + p.step_bytes;
  session = asking(&s);
  expect_ok(vq_session_start(session));
  expect_ok(vq_session_restart(session, 2));
  vq_session_free(session);
  vq_network *clip;
  vq_place place = {.products = VQ_REAL, .threads = 1, .limit = 1 << 10};
  vq_real features[512];
  vq_image image;
  expect_ok(vq_network_open(&clip, s.clip, VQ_NETWORK_CLIP, NULL));
  cr_assert(vq_network_clip(clip)->embed_dim <= 512);
  expect_ok(vq_image_read(&image, in_scratch("wanted.png")));
  cr_expect_eq(vq_image_features(clip, &image, 1, &place, features), VQ_ERR_MEMORY);
  cr_expect(strstr(vq_error_message(), "--vram allows 0 MiB"), "%s", vq_error_message());
  vq_image_free(&image);
  vq_network_close(clip);
}

/* A card with no more memory than the steps take also makes the second picture, as a session of its own does. */
Test(chunks_on_cuda, nothing_else_is_there_when_a_seed_is_asked_for_again, .init = scratch_create,
     .fini = scratch_remove)
{
  vq_settings s = small();
  vq_plan p;
  char mib[24];
  if (no_card())
    return;
  s.device = "cuda";
  s.width = s.height = 64;
  s.start = VQ_START_GRADIENT;
  s.cutout_chunk = 8;
  vq_session *session = asking(&s);
  expect_ok(vq_session_plan(session, &p));
  vq_session_free(session);
  snprintf(mib, sizeof mib, "%d", (int)((p.network_bytes + p.step_bytes) >> 20) + 1);
  cr_assert(!setenv("CUDA_ON_CPU_MEMORY", mib, 1));
  double loss[2];
  for (int own = 0; own < 2; own++) {
    vq_step_report report;
    s.seed = own ? 8 : 7;
    session = asking(&s);
    expect_ok(vq_session_start(session));
    if (!own)
      expect_ok(vq_session_restart(session, 8));
    expect_ok(vq_session_step(session, &report));
    loss[own] = report.loss;
    vq_session_free(session);
  }
  cr_expect(loss[0] == loss[1], "%.17g after a restart, %.17g in a session of its own", loss[0], loss[1]);
}

/* A product whose sum is split into parts where it does not fill a card: the whole would be in 3, a part of it alone in 4. */
#define ROWS  128
#define WIDTH 1088

typedef struct product {
  vq_device *device;
  vq_tensor *w;
  vq_real *x, *dy; /* [ROWS,WIDTH] */
} product;

/* Rows [first, first + rows) of y and dx, as a part of all or, if they are not, by themselves. */
static void multiply(const product *p, int first, int rows, bool part, vq_real *y, vq_real *dx)
{
  vq_tape *t;
  expect_ok(vq_tape_create(&t, p->device));
  if (part)
    vq_tape_batch(t, rows, ROWS);
  vq_shape s = vq_shape_make(VQ_REAL, 2, (int64_t[]){rows, WIDTH});
  vq_tensor *in = vq_leaf(t, &s, p->x + first * WIDTH, true);
  vq_mark mark = vq_tape_mark(t);
  vq_tensor *out = vq_linear(t, in, p->w, NULL, NULL);
  expect_ok(vq_tape_status(t));
  expect_ok(vq_tensor_read(p->device, out, y + first * WIDTH));
  expect_ok(vq_seed_with(t, out, p->dy + first * WIDTH));
  expect_ok(vq_backward(t, NULL, mark));
  expect_ok(vq_grad_read(p->device, in, dx + first * WIDTH));
  vq_tape_free(t);
}

/* The same without being told that it is a part differs, or the rows above prove nothing. */
Test(chunks_on_cuda, products_do_not_depend_on_the_rows_beside)
{
  const vq_cuda_module *cuda;
  static vq_real x[ROWS * WIDTH], dy[ROWS * WIDTH], w[WIDTH * WIDTH], y[3][ROWS * WIDTH], dx[3][ROWS * WIDTH];
  product p = {NULL, NULL, x, dy};
  vq_shape s = vq_shape_make(VQ_REAL, 2, (int64_t[]){WIDTH, WIDTH});
  if (no_card())
    return;
  expect_ok(vq_cuda_open(&cuda));
  expect_ok(cuda->create(&p.device, 0, VQ_REAL));
  expect_ok(vq_device_reserve(p.device, (size_t)64 << 20));
  for (int i = 0; i < WIDTH * WIDTH; i++)
    w[i] = (vq_real)(((int64_t)i * 7919 % 1013) - 506) / 506;
  for (int i = 0; i < ROWS * WIDTH; i++) {
    x[i] = (vq_real)(((int64_t)i * 104729 % 997) - 498) / 498;
    dy[i] = (vq_real)(((int64_t)i * 1299709 % 991) - 495) / 495;
  }
  expect_ok(vq_weight_create(&p.w, p.device, &s, w, false));
  multiply(&p, 0, ROWS, true, y[0], dx[0]);
  for (int part = 1; part >= 0; part--)
    for (int first = 0; first < ROWS; first += ROWS / 2)
      multiply(&p, first, ROWS / 2, part, y[2 - part], dx[2 - part]);
  cr_expect(!memcmp(y[0], y[1], sizeof y[0]) && !memcmp(dx[0], dx[1], sizeof dx[0]), "parts of a batch");
  cr_expect(memcmp(y[0], y[2], sizeof y[0]) && memcmp(dx[0], dx[2], sizeof dx[0]), "parts that do not know it");
  vq_device_free(p.device);
}
