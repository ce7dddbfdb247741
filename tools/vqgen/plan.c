/* plan.c -- the memory that a run would take, by part. Nothing is allocated and nothing refused. */
#include "tools/vqgen/request.h"

#include <jansson.h>

static void print_table(const vq_plan *p, const request *r)
{
  const double mib = 1 << 20;
  int64_t all = p->network_bytes + p->step_bytes;
  printf("picture          %dx%d, %d cutouts, %d at a time through CLIP\n", p->width, p->height,
         r->settings.cutouts, p->chunk < r->settings.cutouts ? p->chunk : r->settings.cutouts);
  printf("networks and z   %9.1f MiB\n", (double)p->network_bytes / mib);
  printf("a step           %9.1f MiB\n", (double)p->step_bytes / mib);
  printf("together         %9.1f MiB\n", (double)all / mib);
  if (r->settings.vram)
    printf("allowed          %9.1f MiB%s\n", (double)r->settings.vram / mib,
           all > r->settings.vram ? ": it does not fit" : "");
  if (p->available_bytes)
    printf("free now         %9.1f MiB of %.1f%s\n", (double)p->available_bytes / mib,
           (double)p->device_bytes / mib, all > p->available_bytes ? ": it does not fit" : "");
  if (!p->fits)
    printf("would fit        %s\n", *p->advice ? p->advice : "no smaller picture");
}

static void print_json(const vq_plan *p, const request *r)
{
  json_t *available = p->available_bytes ? json_integer(p->available_bytes) : json_null();
  json_t *device = p->device_bytes ? json_integer(p->device_bytes) : json_null();
  json_t *limit = r->settings.vram ? json_integer(r->settings.vram) : json_null();
  json_t *o = json_pack("{s:[ii], s:i, s:i, s:I, s:I, s:o, s:o, s:o, s:b, s:s}", "size", p->width, p->height,
                        "cutouts", r->settings.cutouts, "cutout_chunk", p->chunk, "network_bytes",
                        (json_int_t)p->network_bytes, "step_bytes", (json_int_t)p->step_bytes, "available_bytes",
                        available, "device_bytes", device, "vram", limit, "fits", p->fits, "would_fit", p->advice);
  json_dumpf(o, stdout, JSON_COMPACT);
  putchar('\n');
  json_decref(o);
}

int plan_print(const command *c, const request *r)
{
  vq_session *session = NULL;
  vq_plan plan;
  vq_status status = vq_session_create(&session, &r->settings);
  if (!status)
    status = r->prompts ? request_prompts(r, session) : vq_session_prompt(session, "a picture", 1, VQ_NO_STOP);
  if (!status)
    status = vq_session_plan(session, &plan);
  if (!status)
    (r->json ? print_json : print_table)(&plan, r);
  vq_session_free(session);
  return tool_end(c, status);
}

static int run(const command *c, int argc, char **argv)
{
  request r;
  int status;
  if (!request_read(&r, c, argc, argv, &status))
    return status;
  status = plan_print(c, &r);
  request_clear(&r);
  return status;
}

const command command_plan = {
    .name = "plan",
    .usage = "[options] [PROMPT...]",
    .summary = "tells the memory that a run would take",
    .text =
        "Tells the memory that `vqgen generate` with the same options would take, by part. It computes nothing and "
        "takes none of that memory itself. Where it does not fit, it tells what would.",
    .examples = "  vqgen plan -s 512x512\n"
                "  vqgen plan -s 512x512 --cutouts 64 --json\n"
                "  vqgen plan -s 1024x1024 --device cuda --vram 8G\n",
    .run = run,
};
