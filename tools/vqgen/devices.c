/* devices.c -- what can compute here. */
#include "base/processor.h"
#include "kernels/cpu/gemm.h"
#include "runtime/machine.h"
#include "runtime/place.h"
#include "tools/vqgen/tool.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

/* A JSON list of the words in it. */
static json_t *list_of(const char *text)
{
  json_t *list = json_array();
  for (size_t n; *(text += strspn(text, " ")); text += n) {
    n = strcspn(text, " ");
    json_array_append_new(list, json_stringn(text, n));
  }
  return list;
}

/* The cards, and in `status` that they can be used, or why not. */
static json_t *gpus(char *status, size_t bytes)
{
  json_t *list = json_array();
  const vq_cuda_module *cuda;
  vq_cuda_card card;
  int cards = 0;
  vq_status done = vq_cuda_open(&cuda);
  if (!done)
    done = cuda->count(&cards);
  for (int i = 0; i < cards && !done; i++) {
    char device[24], capability[16];
    snprintf(device, sizeof device, "cuda:%d", i);
    done = cuda->describe(&card, i);
    snprintf(capability, sizeof capability, "%d.%d", card.major, card.minor);
    if (!done)
      json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:I}", "device", device, "name", card.name,
                                            "compute_capability", capability, "memory_bytes",
                                            (json_int_t)card.memory, "free_bytes", (json_int_t)card.free));
  }
  snprintf(status, bytes, "%s",
           done    ? vq_error_message()
           : cards ? "--device cuda computes on it"
                   : "there is none");
  return list;
}

/* NVIDIA's libraries, that can stand in for our own kernels: an object of a sentence each. */
static json_t *libraries(const json_t *cards)
{
  json_t *list = json_object();
  const vq_cuda_module *cuda;
  if (vq_cuda_open(&cuda))
    return list;
  for (int maker = VQ_OWN + 1; maker < VQ_MAKERS; maker++) {
    char text[256], sentence[1400];
    bool there = !cuda->library(maker, json_array_size(cards) ? 0 : -1, text, sizeof text);
    bool used = cuda->chooses(VQ_PRODUCTS_TABLE, maker);
    snprintf(sentence, sizeof sentence, "%s%s", there ? text : "cannot be used: ",
             !there ? vq_error_message()
             : used ? "; computes what the table of measured products gives to it"
                    : "; nothing is its own, for nothing has been measured: vqbench --products tries it");
    json_object_set_new(list, vq_library_name(maker), json_string(sentence));
  }
  return list;
}

static void print(const char *model, long processors, const char *sets, const json_t *cards, json_t *with,
                  const char *status)
{
  const char *name;
  json_t *one;
  size_t i;
  printf("cpu        %s\nprocessors %ld\ninstructions %s\nproducts   %s\n", model, processors, sets,
         vq_gemm_backend());
  printf("precision  %s\n", vq_processor_has_tiles()  ? "fp32, and bf16, by AMX, if --precision bf16 asks for it"
                            : vq_place_cpu_has_bf16() ? "fp32, and bf16 if --precision bf16 asks for it"
                                                      : "fp32 (no dot products of bf16: AVX512_BF16)");
  json_array_foreach (cards, i, one)
    printf("%-10s %s, compute capability %s, %.1f of %.1f GiB free\n",
           json_string_value(json_object_get(one, "device")), json_string_value(json_object_get(one, "name")),
           json_string_value(json_object_get(one, "compute_capability")),
           (double)json_integer_value(json_object_get(one, "free_bytes")) / (1 << 30),
           (double)json_integer_value(json_object_get(one, "memory_bytes")) / (1 << 30));
  printf("gpu        %s\n", status);
  json_object_foreach (with, name, one)
    printf("%-10s %s\n", name, json_string_value(one));
}

static int run(const command *c, int argc, char **argv)
{
  words rest = {0};
  bool json = false;
  int status;
  char model[128], sets[256], why[1024];
  const option table[] = {{.name = "json", .set = set_flag, .to = &json, .help = "one JSON object"}};
  if (!tool_begin(c, table, ROWS(table), argc, argv, &rest, &status))
    return status;
  words_free(&rest);
  vq_machine_cpu(model, sizeof model);
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  json_t *cards = gpus(why, sizeof why), *with = libraries(cards);
  vq_machine_instructions(sets, sizeof sets);
  if (json) {
    json_t *o = json_pack("{s:{s:s, s:i, s:o, s:s, s:o}, s:O, s:s, s:O}", "cpu", "model", model, "processors",
                          (int)processors, "instruction_sets", list_of(sets), "products", vq_gemm_backend(),
                          "precisions", list_of(vq_place_cpu_has_bf16() ? "fp32 bf16" : "fp32"), "gpus", cards,
                          "gpu_status", why, "gpu_libraries", with);
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
  } else {
    print(model, processors, sets, cards, with, why);
  }
  json_decref(cards);
  json_decref(with);
  return EXIT_DONE;
}

const command command_devices = {
    .name = "devices",
    .usage = "[--json]",
    .summary = "tells what can compute here",
    .text =
        "Tells what can compute here, in which precisions, why a GPU is not used, and which of NVIDIA's libraries "
        "for matrix products and convolutions there are: they are not needed, for our own kernels compute "
        "everything.",
    .examples = "  vqgen devices\n"
                "  vqgen devices --json\n",
    .run = run,
};
