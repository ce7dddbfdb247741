/* devices.c -- what can compute here. */
#include "kernels/cpu/gemm.h"
#include "runtime/machine.h"
#include "tools/vqgen/tool.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

static json_t *instruction_sets(void)
{
  json_t *list = json_array();
#if defined __x86_64__ && defined __GNUC__
#define HAS(name)                   \
  if (__builtin_cpu_supports(name)) \
  json_array_append_new(list, json_string(name))
  HAS("sse4.2");
  HAS("avx");
  HAS("avx2");
  HAS("fma");
  HAS("avx512f");
  HAS("avx512vnni");
#undef HAS
#elif defined __aarch64__
  json_array_append_new(list, json_string("neon"));
#endif
  return list;
}

static const char no_gpu[] = "not used: this version computes on the CPU only, the GPU module is not in it yet";

static int run(const command *c, int argc, char **argv)
{
  words rest = {0};
  bool json = false;
  int status;
  char model[128];
  const option table[] = {{.name = "json", .set = set_flag, .to = &json, .help = "one JSON object"}};
  if (!tool_begin(c, table, ROWS(table), argc, argv, &rest, &status))
    return status;
  words_free(&rest);
  vq_machine_cpu(model, sizeof model);
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  json_t *sets = instruction_sets(), *set;
  size_t i;
  if (json) {
    json_t *o =
        json_pack("{s:{s:s, s:i, s:O, s:s}, s:n, s:s}", "cpu", "model", model, "processors", (int)processors,
                  "instruction_sets", sets, "products", vq_gemm_backend(), "gpu", "gpu_status", no_gpu);
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
  } else {
    printf("cpu        %s\nprocessors %ld\ninstructions", model, processors);
    json_array_foreach(sets, i, set) printf(" %s", json_string_value(set));
    printf("\nproducts   %s\ngpu        %s\n", vq_gemm_backend(), no_gpu);
  }
  json_decref(sets);
  return EXIT_DONE;
}

const command command_devices = {
    .name = "devices",
    .usage = "[--json]",
    .summary = "tells what can compute here",
    .text = "Tells what can compute here, and why a GPU is not used.",
    .examples = "  vqgen devices\n"
                "  vqgen devices --json\n",
    .run = run,
};
