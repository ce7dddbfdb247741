/* embed.c -- CLIP's features, as JSON or for NumPy. */
#include "loaders/npy.h"
#include "tools/vqgen/features.h"

#include <stdlib.h>

typedef struct embed_options {
  network_options network;
  words texts, images;
  const char *output;
} embed_options;

static void print_rows(const vq_real *features, int count, int width)
{
  putchar('[');
  for (int i = 0; i < count; i++) {
    printf("%s[", i ? ",\n " : "");
    for (int j = 0; j < width; j++)
      printf("%s%.9g", j ? ", " : "", (double)features[(int64_t)i * width + j]);
    putchar(']');
  }
  puts("]");
}

static vq_status write_npy(const char *path, const vq_real *features, int count, int width)
{
  stream out;
  size_t bytes = (size_t)count * (size_t)width * sizeof *features;
  const vq_file_tensor array = {
      NULL, sizeof *features == 4 ? VQ_FILE_F32 : VQ_FILE_F64, 2, {count, width}, features, bytes};
  VQ_TRY(stream_out(&out, path));
  return stream_finish(&out, vq_npy_write(out.path, &array));
}

static vq_status embed(const embed_options *o)
{
  int count = o->texts.count ? o->texts.count : o->images.count;
  vq_network *clip;
  vq_real *features;
  vq_place place;
  if (!count || (o->texts.count && o->images.count))
    return vq_fail(VQ_ERR_ARGUMENT, "give either --text or --image");
  VQ_TRY(tool_place(&place, &o->network));
  VQ_TRY(tool_network(&clip, &o->network, VQ_NETWORK_CLIP));
  int width = vq_network_clip(clip)->embed_dim;
  vq_status status = o->texts.count ? features_of_texts(clip, &o->texts, &place, &features)
                                    : features_of_pictures(clip, &o->images, &place, &features);
  vq_network_close(clip);
  if (!status && o->output)
    status = write_npy(o->output, features, count, width);
  else if (!status)
    print_rows(features, count, width);
  free(features);
  return status;
}

static int run(const command *c, int argc, char **argv)
{
  embed_options o = {.output = NULL};
  words rest = {0};
  int status;
  const option table[] = {
      {0, "text", "TEXT...", set_words, &o.texts, "texts, up to the next option", .many = true},
      {0, "image", "FILE...", set_words, &o.images, "pictures, up to the next option; - is standard input",
       .many = true},
      {'o', "output", "F.npy", set_text, &o.output, "a NumPy array [N, D]; - for standard output",
       "JSON to standard output"},
      OPTION_CLIP(&o.network),
      OPTION_CONFIG(&o.network),
      OPTION_VOCAB(&o.network),
      OPTION_COMPUTE(&o.network),
  };
  if (tool_begin(c, table, ROWS(table), argc, argv, &rest, &status))
    status = tool_end(
        c, rest.count ? vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is neither behind --text nor behind --image", rest.word[0])
                      : embed(&o));
  words_free(&rest);
  words_free(&o.texts);
  words_free(&o.images);
  return status;
}

const command command_embed = {
    .name = "embed",
    .usage = "[options] (--text TEXT... | --image FILE...)",
    .summary = "prints CLIP's features of texts or pictures",
    .text = "Prints CLIP's features, one row a text or picture, not normalised: a JSON list of lists, or a NumPy "
            "array. "
            "Pictures are prepared as OpenAI's CLIP does it.",
    .examples = "  vqgen embed --text \"a red circle\" \"a blue square\"\n"
                "  vqgen embed --clip my-clip.safetensors --image *.png -o features.npy\n",
    .run = run,
};
