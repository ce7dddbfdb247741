/* doctor.c -- the checks of runtime/doctor.h, a line each; a picture and a report of them that can be shown to others. */
#include "runtime/doctor.h"

#include "loaders/output.h"
#include "tools/vqgen/tool.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct doctor_options {
  network_options network;
  const char *reference, *output;
  bool json, none;
} doctor_options;

static const char *const verdicts[] = {
    [VQ_CHECK_PASS] = "pass", [VQ_CHECK_FAIL] = "FAIL", [VQ_CHECK_SKIP] = "skip"};

static void print_check(FILE *to, const vq_check *c, const char *found)
{
  fprintf(to, "%s  %-9s  %-22s %s\n", verdicts[c->verdict], c->group, c->name, found);
  if (c->advice && *c->advice)
    fprintf(to, "%40s-> %s\n", "", c->advice);
}

static void tell(void *user, const vq_check *c)
{
  (void)user;
  print_check(stdout, c, c->found ? c->found : "");
  fflush(stdout);
}

/* ---- what can be shown to others ---- */

static json_t *as_json(const vq_doctor *d)
{
  static const char *const names[] = {"pass", "fail", "skip"};
  json_t *list = json_array();
  for (int i = 0; i < d->checks; i++) {
    const vq_check *c = &d->check[i];
    char *found = vq_doctor_without_paths(d, c->found ? c->found : "");
    json_array_append_new(list, json_pack("{ss ss ss ss ss}", "group", c->group, "name", c->name, "verdict",
                                          names[c->verdict], "found", found ? found : "", "advice",
                                          c->advice ? c->advice : ""));
    free(found);
  }
  return json_pack("{sb si so}", "ok", !d->failed, "failed", d->failed, "checks", list);
}

static vq_status write_report(const vq_doctor *d, const char *path)
{
  vq_output *out;
  VQ_TRY(vq_output_open(&out, path));
  for (int i = 0; i < d->checks; i++) {
    char *found = vq_doctor_without_paths(d, d->check[i].found ? d->check[i].found : "");
    print_check(vq_output_stream(out), &d->check[i], found ? found : "");
    free(found);
  }
  return vq_output_commit(out);
}

static bool taken(const char *stem)
{
  char path[4096];
  snprintf(path, sizeof path, "%s.txt", stem);
  bool there = !access(path, F_OK);
  snprintf(path, sizeof path, "%s.png", stem);
  return there || !access(path, F_OK);
}

/* Both files, STEM.txt and STEM.png; without -o a stem under which neither is there yet. */
static vq_status write_files(const vq_doctor *d, const char *given, json_t *json)
{
  char stem[3072] = "vqgen-doctor", path[4096];
  vq_image picture;
  if (given)
    snprintf(stem, sizeof stem, "%s", given);
  for (int i = 2; !given && taken(stem) && i < 10000; i++)
    snprintf(stem, sizeof stem, "vqgen-doctor-%d", i);
  snprintf(path, sizeof path, "%s.txt", stem);
  VQ_TRY(write_report(d, path));
  json_object_set_new(json, "report", json_string(path));
  if (vq_doctor_picture(d, &picture))
    return VQ_OK;
  snprintf(path, sizeof path, "%s.png", stem);
  vq_status status = vq_image_write_png(path, &picture, NULL, 0);
  vq_image_free(&picture);
  if (!status)
    json_object_set_new(json, "picture", json_string(path));
  return status;
}

static void sum_up(const vq_doctor *d, const json_t *json)
{
  const char *report = json_string_value(json_object_get(json, "report")),
             *picture = json_string_value(json_object_get(json, "picture"));
  int skipped = 0;
  for (int i = 0; i < d->checks; i++)
    skipped += d->check[i].verdict == VQ_CHECK_SKIP;
  printf("\n%d checks: %d pass, %d fail, %d skipped\n", d->checks, d->checks - d->failed - skipped, d->failed,
         skipped);
  if (report)
    printf("to show to others, without paths: %s%s%s\n", report, picture ? ", " : "", picture ? picture : "");
}

static vq_status examine(const doctor_options *o, int *failed)
{
  vq_doctor d;
  const vq_doctor_options options = {.vqgan = o->network.vqgan,
                                     .clip = o->network.clip,
                                     .config = o->network.config,
                                     .vocab = o->network.vocab,
                                     .reference = o->reference,
                                     .device = o->network.device,
                                     .precision = (vq_precision)o->network.precision,
                                     .threads = o->network.threads,
                                     .tell = o->json ? NULL : tell};
  vq_status status = vq_doctor_run(&d, &options);
  if (!status) {
    json_t *json = as_json(&d);
    *failed = d.failed;
    status = o->none ? VQ_OK : write_files(&d, o->output, json);
    if (o->json) {
      json_dumpf(json, stdout, JSON_COMPACT);
      putchar('\n');
    } else {
      sum_up(&d, json);
    }
    json_decref(json);
  }
  vq_doctor_free(&d);
  return status;
}

static int run(const command *c, int argc, char **argv)
{
  doctor_options o = {.json = false};
  words rest = {0};
  int status, failed = 0;
  const option table[] = {
      OPTION_VQGAN(&o.network),
      OPTION_CLIP(&o.network),
      OPTION_CONFIG(&o.network),
      OPTION_VOCAB(&o.network),
      {0, "reference", "FILE", set_text, &o.reference, "what PyTorch recorded with these networks", "none"},
      OPTION_COMPUTE(&o.network),
      {'o', "output", "STEM", set_text, &o.output, "the report and the picture: STEM.txt, STEM.png",
       "vqgen-doctor, numbered"},
      {.name = "no-files", .set = set_flag, .to = &o.none, .help = "write neither"},
      {.name = "json", .set = set_flag, .to = &o.json, .help = "one JSON object, without paths, and no lines"},
  };
  if (!tool_begin(c, table, ROWS(table), argc, argv, &rest, &status))
    return status;
  vq_status done = rest.count           ? vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is one word too many", rest.word[0])
                   : o.none && o.output ? vq_fail(VQ_ERR_ARGUMENT, "-o names the files, and --no-files writes none")
                                        : examine(&o, &failed);
  status = tool_end(c, done);
  words_free(&rest);
  return status ? status : failed ? EXIT_FAILED : EXIT_DONE;
}

const command command_doctor = {
    .name = "doctor",
    .usage = "[options]",
    .summary = "tells whether networks and machine work, check by check",
    .text = "Checks the machine, the pair that ships, your own files and what they mean, gradients, a short run, "
            "and that it repeats. A line a "
            "check: pass, FAIL or skip, what was found and, under it, what to do. Nothing is downloaded or sent. "
            "With published networks it takes "
            "some minutes. The exit status is 1 if a check fails.\n\n"
            "The strictest check is --reference: tests/compare/record_reference.py runs your original files in "
            "PyTorch, once, on a machine that has "
            "it, and what it records is compared here, value by value.\n\n"
            "What it cannot catch without --reference: a VQGAN's codebook whose rows are in another order "
            "(harmless, but tokens saved elsewhere "
            "then mean something else); exchanged queries and keys in a VQGAN whose attention does little (then "
            "the check is skipped); a network "
            "that has been changed a little, such as another epoch of the same training; weights that were "
            "rounded; exact GELU for QuickGELU, or the "
            "reverse, in a CLIP whose file does not tell. And with it: files that PyTorch misreads as well.\n",
    .examples =
        "  vqgen doctor\n"
        "  vqgen doctor --vqgan vqgan_imagenet_f16_16384.ckpt --config model.yaml --clip ViT-B-32.pt\n"
        "  vqgen doctor --vqgan v.safetensors --clip c.safetensors --reference recorded.safetensors --json\n",
    .run = run,
};
