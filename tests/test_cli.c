/* test_cli.c -- the tool's words: what it takes, what it refuses and how it says so. */
#include "tests/cli.h"

#include "base/processor.h"
#include "loaders/npy.h"

#include <jansson.h>
#include <math.h>

TestSuite(cli, .init = scratch_create, .fini = scratch_remove, .timeout = 300);

typedef struct refusal {
  int status;
  const char *says, *words[8];
} refusal;

static const refusal refusals[] = {
    {2, "usage: vqgen", {NULL}},
    {2, "no prompt", {"generate"}},
    {2, "no text", {""}},
    {2, "weight", {"a:nan"}},
    /* unknown ones, with the nearest known */
    {2, "unknown option --sede: did you mean --seed?", {"a", "--sede", "3"}},
    {2, "did you mean --cutouts?", {"a", "--cutout=3"}},
    {2, "did you mean --seed?", {"a", "-seed", "3"}},
    {2, "did you mean --save-every?", {"a", "--save-evrey", "3"}},
    {2, "did you mean --pad?", {"tokenize", "a", "--pat"}},
    {2, "did you mean --help?", {"devices", "--hepl"}},
    {2, "did you mean the subcommand generate?", {"genrate", "a"}},
    {2, "did you mean the subcommand plan?", {"plna"}},
    {2, "did you mean the subcommand tokenize?", {"tokenise", "a"}},
    {2, "did you mean the subcommand resume?", {"resmue", "a"}},
    /* the words of other tools */
    {2, "vqgen \"TEXT\"", {"-p", "a cat"}},
    {2, "-n N", {"a", "-i", "3"}},
    {2, "--init PICTURE", {"a", "-ii", "x.png"}},
    {2, "--init-weight zero-decay:X", {"a", "-iw", "1"}},
    {2, "--cutouts N", {"a", "-cuts", "3"}},
    {2, "--seed N", {"a", "-sd", "3"}},
    {2, "--clip FILE", {"a", "-m", "ViT-B/32"}},
    {2, "--config YAML", {"a", "-conf", "x.yaml"}},
    {2, "--vqgan FILE", {"a", "-ckpt", "x.ckpt"}},
    {2, "--lr X", {"a", "--step_size", "1"}},
    {2, "one word, WxH: 512x512", {"a", "-s", "512", "512"}},
    /* values */
    {2, "wants a value: N", {"a", "-n"}},
    {2, "takes no value", {"a", "--trap=yes"}},
    {2, "\"1.5\" is not an integer", {"a", "-n1.5"}},
    {2, "-2 is not from -1", {"a", "-n", "-2"}},
    {2, "too large", {"a", "--seed", "99999999999999999999"}},
    {2, "\"0x10\" is not a number", {"a", "--lr", "0x10"}},
    {2, "\"nan\" is not a number", {"a", "--lr", "nan"}},
    {2, "a side has 1 to", {"a", "-s", "0x64"}},
    {2, "not a size", {"a", "-s", "wide"}},
    {2, "no schedule", {"a", "--lr-schedule", "linear"}},
    {2, "LEAST:MOST", {"a", "--cut-size", "1"}},
    {2, "does not rise", {"a", "--cut-size", "1:0.5"}},
    {2, "none of pool|lanczos", {"a", "--cut-method", "kornia"}},
    {2, "pairs", {"a", TINY_CLIP}},
    {2, "--json is for --plan", {"a", "--json"}},
    {2, "ends in .png, .jpg or .webp", {"a", "-o", "picture"}},
    /* what is there in name only */
    {2, "phases", {"dawn ^ dusk"}},
    {1, "GPU", {"a", "--device=cuda:1023"}},
    {2, "no device: write auto", {"a", "--device", "gpu"}},
    {2, "no device: write auto", {"a", "--device", "cuda:one"}},
    {2, "tf32 is for GPUs", {"a", "--device", "cpu", "--precision", "tf32"}},
    {1, "no network of that name", {"embed", "--text", "a", "--clip", "ViT-B/0"}},
    {2, "no checkpoint given", {"convert", "-o", "x.safetensors"}},
    {2, "no -o", {"convert", "x.ckpt"}},
    {1, "no network of that name", {"inspect", "x.ckpt"}},
    {2, "is not in this version yet", {"a", "--clip", "x.safetensors", "--clip", "y.safetensors"}},
    {2,
     "weight (:0.5) is not in this version yet",
     {"embed", "--text", "a", "--clip", VQ_SOURCE_ROOT "/weights/clip.safetensors:0.5"}},
    /* the others */
    {2, "no text", {"tokenize"}},
    {2, "give one", {"tokenize", "a", "--clip", "x.safetensors", "--vocab", "y"}},
    {1, "nowhere.txt: No such file", {"tokenize", "a", "--vocab", "nowhere.txt"}},
    {2, "either --text or --image", {"embed"}},
    {2, "either --text or --image", {"embed", "--text", "a", "--image", "b"}},
    {2, "neither behind", {"embed", "a"}},
    {2, "no picture", {"score", "--prompt", "a", "x.png"}},
    {2, "no text", {"score", "x.png"}},
    {1, "x.png", {"score", "x.png", "--prompt", "a"}},
    {2, "0 pictures", {"encode", "-o", "x.safetensors"}},
    {2, "no -o", {"encode", "x.png"}},
    {2, "no -o", {"decode", "x.safetensors"}},
    {2, "no --given", {"trace", "-o", "x.safetensors"}},
    {1, "nowhere", {"encode", "x.png", "-o", "nowhere/x.safetensors"}},
    {1, "nowhere", {"a", "-o", "nowhere/x.png"}},
    {1, "x.safetensors", {"a", "--vqgan", "x.safetensors", "--clip", "y.safetensors"}},
};

Test(cli, refuses)
{
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    const refusal *r = &refusals[i];
    said s = tool_run(NULL, r->words);
    cr_expect(s.status == r->status && strstr(s.err, r->says) && !*s.out, "%s %s %s: %d\n%s%s",
              r->words[0] ? r->words[0] : "", r->words[0] && r->words[1] ? r->words[1] : "", r->says, s.status,
              s.out, s.err);
    forget(&s);
  }
  cr_expect_eq(scratch_entries(), 0, "a refusal left a file");
}

/* All that the finished interface has and this version has not. */
Test(cli, refuses_later_things_by_name)
{
  static const char *const options[] = {
      "--mask", "--zoom-scale", "--zoom", "--preview", "--print-tape",
  };
  static const char *const subcommands[] = {"batch"};
  char want[96];
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    said s = TOOL("a cat", options[i], "1");
    snprintf(want, sizeof want, "vqgen: %s is not in this version yet", options[i]);
    cr_expect(s.status == 2 && strstr(s.err, want), "%s: %d\n%s", options[i], s.status, s.err);
    forget(&s);
  }
  for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
    said s = TOOL(subcommands[i], "x");
    snprintf(want, sizeof want, "vqgen: %s is not in this version yet", subcommands[i]);
    cr_expect(s.status == 2 && strstr(s.err, want), "%s: %d\n%s", subcommands[i], s.status, s.err);
    forget(&s);
  }
}

Test(cli, helps)
{
  static const char *const subcommands[] = {"generate", "plan",   "tokenize", "embed",  "score",
                                            "encode",   "decode", "trace",    "devices"};
  char name[64];
  for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
    said s = TOOL_OK(subcommands[i], "--help");
    char *examples = strstr(s.out, "\nExamples:\n");
    snprintf(name, sizeof name, "usage: vqgen %s ", subcommands[i]);
    cr_expect(!strncmp(s.out, name, strlen(name)) && examples && !*s.err, "%s", s.out);
    int lines = 0;
    for (char *p = examples ? examples + 11 : NULL; p && *p; p = strchr(p, '\n') + 1)
      lines += !strncmp(p, "  vqgen ", 8);
    cr_expect(lines == 2 || lines == 3, "%s has %d examples", subcommands[i], lines);
    forget(&s);
    s = TOOL_OK(subcommands[i], "--version");
    cr_expect(!strncmp(s.out, "vqgen ", 6));
    forget(&s);
  }
  /* defaults are those of the networks in use */
  said s = TOOL_OK("--help");
  cr_expect(strstr(s.out, "tokenize"));
  forget(&s);
  s = TOOL_OK("generate", "--help");
  cr_expect(strstr(s.out, "[linear:") && strstr(s.out, VQ_SOURCE_ROOT "/weights/vqgan.safetensors"), "%s", s.out);
  forget(&s);
  s = TOOL_OK("generate", TINY, "--help");
  cr_expect(strstr(s.out, "[256x256]") && strstr(s.out, "[constant]"), "%s", s.out);
  forget(&s);
}

Test(cli, output_that_cannot_be_written_is_a_failure)
{
  if (access("/dev/full", W_OK))
    visible_skip("there is no /dev/full");
  cr_expect_eq(tool_wait(TOOL_START("/dev/full", "--help")), 1);
  cr_expect_eq(tool_wait(TOOL_START("/dev/full", "devices")), 1);
}

/* ---- subcommands that read and print ---- */

static json_t *parse(const char *text)
{
  json_error_t error;
  json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  cr_assert(value, "%s in\n%s", error.text, text);
  return value;
}

static double at(const json_t *list, size_t i, size_t j)
{
  return json_number_value(json_array_get(json_array_get(list, i), j));
}

/* The reference's 40 prompts; one has a NUL and cannot be an argument, one has line ends and cannot be a line. */
Test(cli, tokenizes)
{
  enum { PROMPTS = 40, CONTEXT = 77 };
  json_error_t error;
  vq_npy golden;
  json_t *prompts = json_load_file(VQ_SOURCE_ROOT "/tests/data/reference/prompts.json", JSON_ALLOW_NUL, &error);
  const char *words[PROMPTS + 8] = {"tokenize", TINY_CLIP, "--pad", "--"};
  int given[PROMPTS], n = 0;
  int32_t want[PROMPTS * CONTEXT];
  cr_assert(json_array_size(prompts) == PROMPTS, "%s", error.text);
  expect_ok(vq_npy_read(&golden, VQ_SOURCE_ROOT "/tests/data/reference/tokens_544.npy"));
  cr_assert(vq_file_tensor_count(&golden.tensor) == PROMPTS * CONTEXT);
  expect_ok(vq_file_tensor_read_i32(&golden.tensor, want));
  for (int i = 0; i < PROMPTS; i++) {
    const json_t *p = json_array_get(prompts, (size_t)i);
    if (strlen(json_string_value(p)) == json_string_length(p)) {
      words[5 + n] = json_string_value(p);
      given[n++] = i;
    }
  }
  said s = tool_ok(tool_run(NULL, words), "tokenize");
  char *line = strtok(s.out, "\n");
  for (int k = 0; k < n; k++, line = strtok(NULL, "\n")) {
    cr_assert(line, "only %d lines for %d texts", k, n);
    json_t *ids = parse(line);
    cr_expect_eq(json_array_size(ids), CONTEXT);
    for (size_t j = 0; j < CONTEXT; j++)
      cr_expect_eq(json_integer_value(json_array_get(ids, j)), want[given[k] * CONTEXT + (int)j],
                   "prompt %d, token %zu", given[k], j);
    json_decref(ids);
  }
  cr_expect(!line);
  forget(&s);
  json_decref(prompts);
  vq_npy_free(&golden);
}

Test(cli, tokenizes_lines)
{
  put_file(in_scratch("lines"), "a\n\na", 4);
  said s = tool_ok(TOOL_FROM("lines", "tokenize", "-", TINY_CLIP), "-");
  cr_expect_str_eq(s.out, "[542, 320, 543]\n[542, 543]\n[542, 320, 543]\n");
  forget(&s);
  char text[256] = "";
  for (int i = 0; i < 100; i++)
    strcat(text, "a ");
  s = TOOL_OK("tokenize", text, TINY_CLIP);
  cr_expect(strstr(s.err, "102 tokens") && strstr(s.out, ", 543]"), "%s%s", s.err, s.out);
  forget(&s);
  s = TOOL("tokenize", text, "--strict", TINY_CLIP);
  cr_expect(s.status == 2 && !*s.out && strstr(s.err, "102"), "%d %s", s.status, s.err);
  forget(&s);
}

Test(cli, embeds_as_the_reference)
{
  enum { WIDTH = 32 };
  vq_npy golden, ours;
  float want[40 * WIDTH], got[2 * WIDTH];
  expect_ok(vq_npy_read(&golden, VQ_SOURCE_ROOT "/tests/data/reference/text_embeds_tinyA.npy"));
  cr_assert(vq_file_tensor_count(&golden.tensor) == 40 * WIDTH);
  vq_file_tensor_read_f32(&golden.tensor, want);
  memcpy(want + WIDTH, want + 3 * WIDTH, WIDTH * sizeof *want); /* of the prompt "A" */
#define TEXTS "--text", "a painting of an apple in a fruit bowl", "A", TINY_CLIP
  said s = TOOL_OK("embed", TEXTS);
  json_t *rows = parse(s.out);
  cr_expect_eq(json_array_size(rows), 2);
  for (int i = 0; i < 2 * WIDTH; i++)
    cr_expect(fabs(at(rows, (size_t)(i / WIDTH), (size_t)(i % WIDTH)) - want[i]) <= 1e-4, "value %d", i);
  forget(&s);
  s = TOOL_OK("embed", TEXTS, "-o", "f.npy");
  cr_expect_str_eq(s.out, "f.npy\n");
  forget(&s);
  expect_ok(vq_npy_read(&ours, in_scratch("f.npy")));
  cr_assert(ours.tensor.rank == 2 && ours.tensor.dim[0] == 2 && ours.tensor.dim[1] == WIDTH);
  vq_file_tensor_read_f32(&ours.tensor, got);
  for (int i = 0; i < 2 * WIDTH; i++)
    cr_expect((float)at(rows, (size_t)(i / WIDTH), (size_t)(i % WIDTH)) == got[i]);
  json_decref(rows);
  vq_npy_free(&ours);
  vq_npy_free(&golden);
}

/* bf16 is for processors that have its dot products; without them, here by VQGEN_CPU, it is refused and nothing is written. */
Test(cli, bf16_on_the_cpu)
{
  cr_assert(!setenv("VQGEN_CPU", "plain", 1));
  said s = TOOL("a", QUICK, "-n", "1", "--device", "cpu", "--precision", "bf16", "-o", "low.png");
  cr_expect(s.status == 2 && strstr(s.err, "AVX512_BF16") && strstr(s.err, "--precision fp32"), "%d\n%s", s.status,
            s.err);
  cr_expect(access(in_scratch("low.png"), F_OK), "a picture was written");
  forget(&s);
  cr_assert(!unsetenv("VQGEN_CPU"));
  if (!vq_processor_has_bf16())
    visible_skip("this processor has no dot products of bf16");
  s = TOOL_OK("a", QUICK, "-n", "1", "--device", "cpu", "--precision", "bf16", "-o", "low.png");
  forget(&s);
  s = TOOL_OK("inspect", "low.png");
  cr_expect(strstr(s.out, "bf16"), "the picture does not say that it was made in bf16:\n%s", s.out);
  forget(&s);
}

Test(cli, tells_devices_and_plans)
{
  said s = TOOL_OK("devices", "--json");
  json_t *o = parse(s.out);
  cr_expect(json_integer_value(json_object_get(json_object_get(o, "cpu"), "processors")) > 0);
  cr_expect(json_is_array(json_object_get(o, "gpus")) && json_is_string(json_object_get(o, "gpu_status")));
  size_t precisions = json_array_size(json_object_get(json_object_get(o, "cpu"), "precisions"));
  cr_expect_eq(precisions, vq_processor_has_bf16() ? 2 : 1);
  json_decref(o);
  forget(&s);
#ifdef VQ_TEST_CUDA_MODULE
  setenv("VQGEN_CUDA_MODULE", VQ_TEST_CUDA_MODULE, 1);
  setenv("VQGEN_CUBLASLT", VQ_TEST_CUBLASLT, 1);
  setenv("VQGEN_CUDNN", "/nowhere/libcudnn.so", 1);
  s = TOOL_OK("devices", "--json");
  json_t *with = json_object_get(o = parse(s.out), "gpu_libraries");
  const char *lt = json_string_value(json_object_get(with, "cuBLASLt"));
  const char *dnn = json_string_value(json_object_get(with, "cuDNN"));
  cr_expect(lt && strstr(lt, "13.9.99 (" VQ_TEST_CUBLASLT "); nothing is its own"), "%s", s.out);
  cr_expect(dnn && strstr(dnn, "cannot be used: /nowhere/libcudnn.so"), "%s", s.out);
  json_decref(o);
  forget(&s);
  s = TOOL_OK("devices");
  cr_expect(strstr(s.out, "\ncuBLASLt   13.9.99 (") && strstr(s.out, "\ncuDNN      cannot be used: "), "%s", s.out);
  forget(&s);
  unsetenv("VQGEN_CUDA_MODULE");
#endif
  s = TOOL_OK("plan", QUICK, "--json");
  o = parse(s.out);
  json_int_t small = json_integer_value(json_object_get(o, "step_bytes"));
  cr_expect(small > 0 && json_integer_value(json_object_get(o, "network_bytes")) > 0);
  json_decref(o);
  forget(&s);
  s = TOOL_OK("generate", "--plan", "a cat", TINY, "--json", "-s", "65x64", "--cutouts", "4");
  o = parse(s.out);
  cr_expect(json_integer_value(json_object_get(o, "step_bytes")) > small);
  cr_expect_eq(json_integer_value(json_array_get(json_object_get(o, "size"), 0)), 64, "floored to whole tokens");
  json_decref(o);
  forget(&s);
  s = TOOL_OK("plan");
  cr_expect(strstr(s.out, "together") && strstr(s.out, "64x64"), "%s", s.out);
  forget(&s);
}

/* Every command but those that ask for a GPU works, and says once why the CPU computes; those that ask for one end with the reason, and
 * write nothing. */
static void expect_only_the_cpu(const char *module, const char *why)
{
  setenv("VQGEN_CUDA_MODULE", module, 1);
  said s = TOOL_OK("devices", "--json");
  json_t *o = parse(s.out);
  const char *status = json_string_value(json_object_get(o, "gpu_status"));
  cr_expect(json_array_size(json_object_get(o, "gpus")) == 0 && status && strstr(status, why), "%s", s.out);
  json_decref(o);
  forget(&s);
  s = TOOL_OK("a cat", QUICK, "-n", "1", "-o", "cpu.png");
  const char *notice = strstr(s.err, "vqgen: the CPU computes: ");
  cr_expect(notice && strstr(notice, why) && !strstr(notice + 1, "vqgen: "), "%s", s.err);
  cr_expect(!remove(in_scratch("cpu.png")), "there is no picture");
  forget(&s);
  s = TOOL("a cat", QUICK, "-n", "1", "-o", "card.png", "--device", "cuda");
  cr_expect(s.status == 1 && !strncmp(s.err, "vqgen: ", 7) && strstr(s.err, why), "%d\n%s", s.status, s.err);
  cr_expect(access(in_scratch("card.png"), F_OK), "it computed all the same");
  forget(&s);
}

Test(cli, starts_where_cuda_is_hidden)
{
  expect_only_the_cpu("/nowhere/libvqgen-cuda.so", "the GPU module is not there: /nowhere/libvqgen-cuda.so");
  put_file(in_scratch("other.so"), "no library", 10);
  expect_only_the_cpu(in_scratch("other.so"), "the GPU module is not there: ");
}
