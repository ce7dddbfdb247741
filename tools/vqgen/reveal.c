/* reveal.c -- the settings inside a picture. */
#include "runtime/reveal.h"
#include "tools/vqgen/tool.h"

vq_status tool_reveal(const char *from)
{
  stream in;
  json_t *found;
  VQ_TRY(stream_in(&in, from));
  vq_status status = vq_reveal(&found, in.path);
  stream_close(&in);
  VQ_TRY(status);
  bool nothing = json_object_size(found) == 0;
  json_dumpf(found, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
  putchar('\n');
  json_decref(found);
  return nothing ? vq_fail(VQ_ERR_FORMAT, "%s: no settings inside: was it edited or re-encoded?", from) : VQ_OK;
}

static int run(const command *c, int argc, char **argv)
{
  words rest = {0};
  int status;
  if (!tool_begin(c, NULL, 0, argc, argv, &rest, &status))
    return status;
  status =
      tool_end(c, rest.count == 1 ? tool_reveal(rest.word[0])
                                  : vq_fail(VQ_ERR_ARGUMENT, "%d pictures given where one is wanted", rest.count));
  words_free(&rest);
  return status;
}

const command command_reveal = {
    .name = "reveal",
    .usage = "IMAGE",
    .summary = "prints the settings inside a picture",
    .text =
        "Prints the settings inside a PNG, JPEG or WebP picture as one JSON object, with a key for each program "
        "that "
        "wrote some: vqgen; notebook (the VQGAN+CLIP notebook's message in the lowest bits, and its XMP fields); "
        "stegano (another hidden text); nerdyrodent, pixray, automatic1111, comfyui, invokeai, novelai.\n\n"
        "Where there are none it prints {}, says so, and exits with status 1.",
    .examples = "  vqgen reveal the-sea.png\n"
                "  vqgen reveal the-sea.png | jq .vqgen.seed\n",
    .run = run,
};
