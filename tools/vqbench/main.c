/* main.c -- vqbench: how fast the engine is on this machine, op by op and step by step, and whether it is right. */
#include "runtime/number.h"
#include "tools/vqbench/bench.h"
#include "tools/vqgen/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DONE = 0, FAILED = 1, USAGE = 2 };

#define MOST_SIDE 8192

static vq_status set_size(const option *o, const char *value)
{
  bench_step *s = o->to;
  char *x, *end;
  long width = strtol(value, &x, 10), height = *x == 'x' ? strtol(x + 1, &end, 10) : 0;
  if (x == value || *x != 'x' || end == x + 1 || *end)
    return vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is not a size: WxH in pixels, as in 512x512", value);
  if (width < 1 || height < 1 || width > MOST_SIDE || height > MOST_SIDE)
    return vq_fail(VQ_ERR_ARGUMENT, "a side has 1 to %d pixels", MOST_SIDE);
  s->width = (int)width;
  s->height = (int)height;
  return VQ_OK;
}

/* Rows that both subcommands have. */
#define NETWORK_ROWS(o)                                                                                 \
  {0,          "vqgan",          BENCH_VQGANS,                                                          \
   set_choice, &(o)->step.vqgan, "the VQGAN: f16 with 1024 or 16384 codes, GumbelVQ f8, or a tiny one", \
   "f16"},                                                                                              \
      {0, "clip", BENCH_CLIPS, set_choice, &(o)->step.clip, "the CLIP", "B/32"},                        \
      {'s', "size", "WxH", set_size, &(o)->step, "of the picture", "256x256; 64x64 of the tiny one"},   \
      {0, "cutouts", "N", set_integer, &(o)->step.cutouts, "in quanta of at most 8", "32", 1, 4096},    \
  {                                                                                                     \
    0, "cutout-chunk", "N", set_integer, &(o)->step.chunk, "of which so many go through CLIP at once",  \
        "8 on the CPU, all on a GPU", 8, 4096                                                           \
  }
#define COMPUTE_ROWS(o)                                                                                      \
  {0, "threads", "N", set_integer, &(o)->threads, "of the CPU: how many compute at once", "one a processor", \
   1, 4096},                                                                                                 \
      {0, "device", "auto|cpu|cuda[:I]", set_text, &(o)->device, "what computes", "auto"},                   \
      {0,          "precision",     "auto|fp32|tf32|bf16",                                                   \
       set_choice, &(o)->precision, "how numbers are kept: auto is fp32 on the CPU",                         \
       "auto"},                                                                                              \
  {                                                                                                          \
    0, "products", VQ_PRODUCTS_NAMES, set_choice, &(o)->products,                                            \
        "who computes matrix products and convolutions on a GPU: our own kernels, cuBLASLt, cuDNN, or both " \
        "libraries, each what it takes; or as the table of the measured says, which is all our own so far",  \
        "table"                                                                                              \
  }
#define OUTPUT_ROWS(o)                                                                     \
  {0, "quick", NULL, set_flag, &(o)->quick, "few runs: does it work, not how fast is it"}, \
  {                                                                                        \
    0, "json", NULL, set_flag, &(o)->json, "an object a line; the first is of the machine" \
  }

static int end(const char *name, vq_status status)
{
  if (!status)
    return DONE;
  fprintf(stderr, "vqbench: %s\n", vq_error_message());
  if (status == VQ_ERR_ARGUMENT)
    fprintf(stderr, "See vqbench %s%s--help\n", name, *name ? " " : "");
  return status == VQ_ERR_ARGUMENT || status == VQ_ERR_UNSUPPORTED ? USAGE : FAILED;
}

/* What was not said, and whether what was said goes together. */
static vq_status settle(bench_options *o, const words *rest)
{
  bool tiny = o->step.vqgan == BENCH_TINY;
  o->step_given = o->step.width || o->step.cutouts || o->step.vqgan || o->step.clip;
  if (rest->count)
    return vq_fail(VQ_ERR_ARGUMENT, "%s: this is no option, and the subcommands are step and agree", rest->word[0]);
  if (!o->step.width)
    o->step.width = o->step.height = tiny ? 64 : 256;
  if (!o->step.cutouts)
    o->step.cutouts = 32;
  if (!o->steps)
    o->steps = 5;
  VQ_TRY(bench_step_check(&o->step));
  VQ_TRY(vq_place_find(&o->place, o->device, (vq_precision)o->precision, o->threads, &bench_log));
  if (!o->step.chunk && o->place.cuda)
    o->step.chunk = VQ_CHUNK_ALL;
  if (o->products < 0)
    return VQ_OK;
  if (!o->place.cuda)
    return vq_fail(VQ_ERR_ARGUMENT, "--products is for a GPU: --device cuda");
  vq_place_products(&o->place, o->products, &bench_log);
  return VQ_OK;
}

static int run(const command *c, const option *table, int rows, int argc, char **argv, bench_options *o,
               vq_status (*work)(const bench_options *o))
{
  words rest = {0};
  asked question;
  vq_status status = options_read(table, rows, argc, argv, &rest, &question);
  if (!status && question == ASKED_HELP)
    options_help(c, table, rows);
  else if (!status && question == ASKED_VERSION)
    printf("vqbench %s\n", VQ_VERSION);
  else if (!status)
    status = settle(o, &rest);
  if (!status && question == ASKED_NOTHING)
    status = work(o);
  words_free(&rest);
  return end(c->name, status);
}

static vq_status work_ops(const bench_options *o)
{
  switch (o->compare) {
  case BENCH_COMPARE_ONEDNN: return bench_run_compare(o);
  case BENCH_COMPARE_LIBRARIES: return bench_run_libraries(o);
  default: return bench_run_ops(o);
  }
}

static int run_ops(const command *c, int argc, char **argv)
{
  bench_options o = {.products = -1};
  const option table[] = {
      {0, "list", NULL, set_flag, &o.list, "only tells the cases: of all networks, or of those named below"},
      {0, "op", "NAME", set_text, &o.op, "only this op's"},
      {0, "only", "PATTERN", set_text, &o.only,
       "only cases whose line (op, direction, type, sizes, where from) has it; a regular expression"},
      {0, "all", NULL, set_flag, &o.all, "times the cases of all networks, not of one step: takes some minutes"},
      {0, "no-check", NULL, set_flag, &o.no_check, "takes times of kernels that may be wrong"},
      {0, "compare", "nothing|onednn|libraries", set_choice, &o.compare,
       "instead: our own matrix products beside oneDNN's; on a GPU, ours and our convolutions beside cuBLASLt's "
       "and "
       "cuDNN's",
       "nothing"},
      NETWORK_ROWS(&o),
      COMPUTE_ROWS(&o),
      OUTPUT_ROWS(&o),
  };
  return run(c, table, ROWS(table), argc, argv, &o, work_ops);
}

static int run_step(const command *c, int argc, char **argv)
{
  bench_options o = {.products = -1};
  const option table[] = {
      NETWORK_ROWS(&o),
      {'n', "steps", "N", set_integer, &o.steps, "measured, after two that are not", "5", 1, 1000},
      COMPUTE_ROWS(&o),
      OUTPUT_ROWS(&o),
  };
  return run(c, table, ROWS(table), argc, argv, &o, bench_run_step);
}

static int run_agree(const command *c, int argc, char **argv)
{
  bench_options o = {.steps = 50, .products = -1};
  const option table[] = {
      NETWORK_ROWS(&o),
      {'n', "steps", "N", set_integer, &o.steps, "of the run", "50", 1, 1000},
      COMPUTE_ROWS(&o),
      OUTPUT_ROWS(&o),
  };
  return run(c, table, ROWS(table), argc, argv, &o, bench_run_agree);
}

static const command command_agree = {
    .program = "vqbench",
    .name = "agree",
    .usage = "[options]",
    .text = "Takes the same steps on the CPU, in float, and on another device, with networks of the published "
            "sizes whose "
            "weights are made up. From the CPU's state before steps 0, 1, 10 and the last, the device takes the "
            "same step: in "
            "fp32 the losses must be within 1e-5 of each other and the gradients of z within 1e-4. Then the device "
            "takes all "
            "steps alone, twice, to the same bytes.",
    .examples = "  vqbench agree --device cuda --precision fp32\n"
                "  vqbench agree --vqgan tiny --clip tiny --device cuda\n",
    .run = run_agree,
};

static const command command_step = {
    .program = "vqbench",
    .name = "step",
    .usage = "[options]",
    .text = "Takes whole steps of the engine, from z to the picture, through the cutouts and CLIP and back, to "
            "Adam, with networks of "
            "the published sizes whose weights are made up: no file is read. Tells the time of a step and of its "
            "parts, the "
            "processor's, the memory that was planned and that was resident, and page faults.",
    .examples = "  vqbench step\n"
                "  vqbench step -s 512x512 --clip B/16 --threads 1 -n 3\n"
                "  vqbench step --vqgan tiny --clip tiny --json\n",
    .run = run_step,
};

static const command command_ops = {
    .program = "vqbench",
    .name = "",
    .usage = "[options]\n       vqbench step [options]\n       vqbench agree [options]",
    .text = "Takes the time of every op, forward and backward, at the shapes that the published networks use, "
            "which are recorded of "
            "their own steps. Each is first compared with the same in double precision by plain loops, and a wrong "
            "one fails. "
            "Caches are cold. Tells the median and spread, how near that is to what the machine can do, and the "
            "share of a step.\n\n"
            "`vqbench step --help`: whole steps. `vqbench agree --help`: the same steps on two devices.",
    .examples = "  vqbench --list\n"
                "  vqbench --threads 1\n"
                "  vqbench --op norm_act_conv --size 512x512\n"
                "  vqbench --only 'attention.*backward' --clip L/14 --json\n"
                "  vqbench --compare onednn --threads 1\n"
                "  vqbench --device cuda --compare libraries --size 512x512\n",
    .run = run_ops,
};

int main(int argc, char **argv)
{
  bool step = argc > 1 && !strcmp(argv[1], "step"), agree = argc > 1 && !strcmp(argv[1], "agree");
  const command *c = step ? &command_step : agree ? &command_agree : &command_ops;
  int named = c != &command_ops;
  int status = c->run(c, argc - 1 - named, argv + 1 + named);
  if ((ferror(stdout) | fclose(stdout)) && status == DONE) {
    fprintf(stderr, "vqbench: standard output: %s\n", strerror(errno));
    status = FAILED;
  }
  return status;
}
