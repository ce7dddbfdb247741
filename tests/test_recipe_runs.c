/* test_recipe_runs.c -- whole runs of the recipes against PyTorch and kornia 0.5.4's own modules in float64, given the numbers that ours
 * draw: tests/compare/recipe_runs.py, where each notebook is written down by itself. The losses of every step, the first
 * gradient, and where it ends. The start, the crops, the augmentations, what holds z and lets go of it, the optimizers and the clamps are
 * all in it. */
#include "tests/arrays.h"

#include "runtime/fields.h"
#include "runtime/recipe.h"
#include "vqgen.h"

#include <math.h>

#define FOLDER VQ_SOURCE_ROOT "/tests/data/"

TestSuite(recipe_runs, .init = scratch_create, .fini = scratch_remove, .timeout = 300);

/* Asked for: losses 1e-5, gradients 1e-4 of their norm. The double build shows that the steps are the same: what remains is the file's
 * float32, and roundings that a run of 54 steps has carried along. The float one is held to the steps before roundings of single precision
 * have moved a token of z to another code: from there on it is another run, and the picture looks the same. */
#ifdef VQ_DOUBLE
#define LOSS     1e-9
#define GRADIENT 1e-6
#define END      1e-6
#define STEPS(n) (n)
#else
#define LOSS     1e-5
#define GRADIENT 1e-4
#define END      0 /* not seen */
#define STEPS(n) 3
#endif

static double *of_recipe(const vq_safetensors *file, const char *recipe, const char *what, size_t *count)
{
  char name[64];
  snprintf(name, sizeof name, "%s_%s", recipe, what);
  return values(file, name, count);
}

/* The session's first moment, or its z or logits, now. */
static double *now(vq_session *session, const char *name, const char * or, size_t *count)
{
  vq_safetensors *file;
  expect_ok(vq_session_snapshot(session, in_scratch("now"), NULL));
  expect_ok(vq_safetensors_open(&file, in_scratch("now")));
  double *x = values(file, vq_safetensors_find(file, name) ? name : or, count);
  vq_safetensors_close(file);
  return x;
}

static vq_session *begin(const char *name, const char *init_weight)
{
  const vq_recipe *recipe;
  vq_settings s;
  vq_session *session;
  vq_settings_init(&s);
  expect_ok(vq_recipe_find(&recipe, name));
  expect_ok(vq_recipe_apply(recipe, &s));
  if (init_weight)
    expect_ok(vq_field_read(vq_field_find("init_weight"), &s, init_weight));
  s.vqgan = FOLDER "reference/vqgan_tiny.safetensors";
  s.clip = FOLDER "reference/clip_tinyA.safetensors";
  s.device = "cpu";
  s.threads = 2;
  s.seed = 20210705;
  s.width = s.height = 48;
  s.cutouts = 9;
  s.metadata = VQ_METADATA_TEXT;
  expect_ok(vq_session_create(&session, &s));
  expect_ok(vq_session_prompt(session, "a red cat", 1, VQ_NO_STOP));
  expect_ok(vq_session_prompt(session, "fog", -0.4, VQ_NO_STOP));
  expect_ok(vq_session_start(session));
  return session;
}

/* The norm of the difference over theirs; the largest difference. A NaN stays in both. */
static void apart(const double *got, const double *want, double scale, size_t count, double *norm, double *most)
{
  double off = 0, all = 0;
  *most = 0;
  for (size_t i = 0; i < count; i++) {
    double d = got[i] * scale - want[i];
    off += d * d;
    all += want[i] * want[i];
    *most = fabs(d) <= *most ? *most : fabs(d);
  }
  *norm = sqrt(off / all);
}

static void follow(const vq_safetensors *file, const char *recipe, const char *init_weight)
{
  size_t rows, count, same;
  double *losses = of_recipe(file, recipe, "losses", &rows), *slope = of_recipe(file, recipe, "grad", &count),
         *end = of_recipe(file, recipe, "end", &same), norm, most;
  int steps = (int)rows / 3;
  vq_session *session = begin(recipe, init_weight);
  cr_assert(count == same && steps >= 3);
  for (int i = 0; i < STEPS(steps); i++) {
    vq_step_report report;
    expect_ok(vq_session_step(session, &report));
    const double got[3] = {report.prompt_loss[0], report.prompt_loss[1], report.init_loss};
    for (int k = 0; k < 3; k++)
      cr_expect(fabs(got[k] - losses[3 * i + k]) <= LOSS, "%s, step %d, loss %d: %.12g, not %.12g", recipe, i, k,
                got[k], losses[3 * i + k]);
    if (i)
      continue;
    double *m = now(session, "adam_m", "adam_m", &same); /* of the first step: a tenth of the gradient */
    cr_assert(same == count);
    apart(m, slope, 1 / (1 - 0.9), count, &norm, &most);
    cr_expect(norm <= GRADIENT, "%s: the gradient is off by %g of its norm", recipe, norm);
    free(m);
  }
  double *is = now(session, "z", "logits", &same);
  cr_assert(same == count);
  apart(is, end, 1, count, &norm, &most);
  cr_expect(STEPS(steps) < steps || most <= END, "%s ends %g away", recipe, most);
  vq_session_free(session);
  free(losses);
  free(slope);
  free(end);
  free(is);
}

Test(recipe_runs, are_the_notebooks)
{
  static const char *const runs[][2] = {
      {"notebook", NULL}, {"crowson", NULL}, {"nerdyrodent", "zero-decay:0.7"}, {"mse", NULL}, {"codebook", NULL}};
  vq_safetensors *file;
  expect_ok(vq_safetensors_open(&file, FOLDER "recipe_runs.safetensors"));
  for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
    follow(file, runs[i][0], runs[i][1]);
  vq_safetensors_close(file);
}
