/* convert.c -- from a published checkpoint to the project's own form. */
#include "loaders/output.h"
#include "runtime/convert.h"
#include "runtime/find_network.h"
#include "tools/vqgen/tool.h"

#include <stdlib.h>
#include <string.h>

typedef struct convert_options {
  network_options network;
  const char *output;
  int dtype;
  bool sha256;
} convert_options;

static vq_status convert(const convert_options *o, const char *from)
{
  vq_network *net;
  char *path;
  VQ_TRY(vq_output_check(o->output));
  VQ_TRY(vq_network_find(&path, from));
  vq_status status =
      vq_network_open_any(&net, path, &(vq_network_hints){o->network.config, o->network.vocab, NULL});
  free(path);
  VQ_TRY(status);
  const vq_checkpoint *file = vq_network_checkpoint(net);
  const vq_layout *layout = vq_network_layout(net);
  fprintf(stderr, "%s: %s, %s\n", vq_network_path(net), vq_container_name(vq_checkpoint_container(file)),
          layout->family);
  for (int i = 0; i < vq_checkpoint_notes(file); i++)
    fprintf(stderr, "left out: %s\n", vq_checkpoint_note(file, i));
  if (vq_network_config_file(net))
    fprintf(stderr, "settings: %s\n", vq_network_config_file(net));
  if (*vq_network_assumed(net))
    vq_log_warning(&tool_log, "assumed, as no file of settings tells: %s", vq_network_assumed(net));
  for (int i = 0; i < layout->superfluous_count && i < 8; i++)
    vq_log_warning(&tool_log, "%s is not known, and left out%s",
                   vq_checkpoint_at(file, layout->superfluous[i])->name, i == 7 ? ", as more are" : "");
  status = vq_convert(net, o->output, (vq_convert_dtype)o->dtype, o->sha256, &tool_log);
  vq_network_close(net);
  if (!status)
    printf("%s\n", o->output);
  return status;
}

static bool ends_in(const char *name, const char *end)
{
  size_t n = strlen(name), m = strlen(end);
  return n >= m && !strcmp(name + n - m, end);
}

/* What each of the files is: by its ending, a file of settings, a vocabulary, or the checkpoint, of which there is one. */
static vq_status sort_out(convert_options *o, const words *files, const char **checkpoint)
{
  *checkpoint = NULL;
  for (int i = 0; i < files->count; i++) {
    const char *f = files->word[i];
    bool index = ends_in(f, ".index.json");
    bool vocab =
        ends_in(f, ".gz") || ends_in(f, ".txt") || ends_in(f, "tokenizer.json") || ends_in(f, "vocab.json");
    bool config = !vocab && (ends_in(f, ".yaml") || ends_in(f, ".yml") || (ends_in(f, ".json") && !index));
    const char **place = vocab ? &o->network.vocab : config ? &o->network.config : checkpoint;
    if (*place)
      return vq_fail(VQ_ERR_ARGUMENT,
                     "%s and %s are both %s; of a network in several files, name the index or the folder", *place,
                     f,
                     vocab    ? "vocabularies"
                     : config ? "settings"
                              : "checkpoints");
    *place = f;
  }
  return *checkpoint ? VQ_OK : vq_fail(VQ_ERR_ARGUMENT, "no checkpoint given");
}

static int run(const command *c, int argc, char **argv)
{
  convert_options o = {.output = NULL};
  words rest = {0};
  int status;
  const option table[] = {
      {'o', "output", "FILE", set_text, &o.output, "the safetensors file to write"},
      OPTION_CONFIG(&o.network),
      OPTION_VOCAB(&o.network),
      {0, "dtype", "stored|f32|f16|bf16", set_choice, &o.dtype, "how numbers are kept in the file", "stored"},
      {0, "sha256", NULL, set_flag, &o.sha256,
       "remember FILE by its SHA-256, to compare with where you have it from; takes longer than all else. Else "
       "that is done of OpenAI's, and others are remembered by XXH3-128"},
  };
  if (!tool_begin(c, table, ROWS(table), argc, argv, &rest, &status))
    return status;
  const char *checkpoint;
  vq_status done = sort_out(&o, &rest, &checkpoint);
  if (!done)
    done = o.output ? convert(&o, checkpoint) : vq_fail(VQ_ERR_ARGUMENT, "no -o: name the file to write");
  status = tool_end(c, done);
  words_free(&rest);
  return status;
}

const command command_convert = {
    .name = "convert",
    .usage = "[options] FILE... -o OUT.safetensors",
    .summary = "makes one file of a published checkpoint, with all that a run needs",
    .text = "Reads a VQGAN (taming-transformers: .ckpt, also the one inside a transformer's checkpoint) or a CLIP "
            "(OpenAI, open_clip, Hugging Face: .pt, .bin, safetensors, a folder) and writes what is needed of it, "
            "with its settings and its vocabulary, as one safetensors file. Nothing that stands in a checkpoint is "
            "ever run.\n\n"
            "Settings are worked out from the tensors, and compared with the yaml or config.json that lies beside "
            "the checkpoint or is named by --config. A CLIP's vocabulary is looked for beside it and where Python "
            "keeps openai-clip and open_clip. Both may also be given as further FILEs.",
    .examples = "  vqgen convert vqgan_imagenet_f16_16384.ckpt model.yaml -o vqgan.safetensors\n"
                "  vqgen convert ViT-B-32.pt --vocab bpe_simple_vocab_16e6.txt.gz -o clip.safetensors\n"
                "  vqgen convert clip-vit-base-patch32/ --dtype f16 -o clip.safetensors\n",
    .run = run,
};
