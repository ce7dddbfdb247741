/* trace.c -- exact steps on given numbers, for comparison with another implementation. */
#include "runtime/trace.h"
#include "tools/vqgen/tool.h"
#include "vqgen.h"

/* Both networks as given, or both of the pair that is found. */
static vq_status open_pair(const network_options *n, vq_network **vqgan, vq_network **clip)
{
  *vqgan = *clip = NULL;
  if (!n->vqgan != !n->clip)
    return vq_fail(VQ_ERR_ARGUMENT, "networks are used in pairs: give --vqgan and --clip, or neither");
  VQ_TRY(tool_network(vqgan, n, VQ_NETWORK_VQGAN));
  return tool_network(clip, n, VQ_NETWORK_CLIP);
}

static vq_status trace(const network_options *n, const char *given, const char *to)
{
  stream in, out;
  vq_network *vqgan = NULL, *clip = NULL;
  vq_place place;
  VQ_TRY(stream_out(&out, to));
  vq_status status = stream_in(&in, given);
  if (!status) {
    status = tool_place(&place, n);
    if (!status)
      status = open_pair(n, &vqgan, &clip);
    if (!status)
      status = vq_trace(vqgan, clip, in.path, out.path, &place);
    vq_network_close(vqgan);
    vq_network_close(clip);
    stream_close(&in);
  }
  return stream_finish(&out, status);
}

static int run(const command *c, int argc, char **argv)
{
  network_options n = {.threads = 0};
  words rest = {0};
  const char *given = NULL, *output = NULL;
  int status;
  const option table[] = {
      {0, "given", "IN.safetensors", set_text, &given, "z, boxes, prompts and settings; - for standard input"},
      {'o', "output", "OUT.safetensors", set_text, &output, "where to; - for standard output"},
      OPTION_VQGAN(&n),
      OPTION_CLIP(&n),
      OPTION_CONFIG(&n),
      OPTION_VOCAB(&n),
      OPTION_COMPUTE(&n),
  };
  if (!tool_begin(c, table, ROWS(table), argc, argv, &rest, &status))
    return status;
  vq_status done = rest.count ? vq_fail(VQ_ERR_ARGUMENT, "\"%s\" is one word too many", rest.word[0])
                   : !given   ? vq_fail(VQ_ERR_ARGUMENT, "no --given: name the file that says what to trace")
                   : !output  ? vq_fail(VQ_ERR_ARGUMENT, "no -o: name the file to write")
                              : trace(&n, given, output);
  status = tool_end(c, done);
  words_free(&rest);
  return status;
}

const command command_trace = {
    .name = "trace",
    .usage = "[options] --given IN.safetensors -o OUT.safetensors",
    .summary = "computes exact steps, to compare with another implementation",
    .text = "Runs steps on given numbers and writes what comes out on the way. Arrays have PyTorch's layouts "
            "(NCHW).\n\n"
            "IN holds z [N,C,h,w]; boxes, int32 [n,3] = x, y, size of each cutout, which comes to CLIP's size by "
            "adaptive average pooling; text_features [m,D], if the prompts are not to be encoded; and the metadata "
            "prompts (a JSON list of [text, weight, stop]), lr, steps, keep (the steps after which z is written); "
            "optionally cut_method and augment, as `vqgen generate` has them, and the seed and step that "
            "augmentations are drawn by.\n\n"
            "OUT holds, of the given z, indices, decode, image, cutouts, image_features, text_features, losses "
            "[m], grad_z; draws_K [n,9], what augmentation K drew for each cutout; "
            "and z_after_K, trajectory [steps,m] and image_final.",
    .examples =
        "  vqgen trace --given case.safetensors -o ours.safetensors\n"
        "  vqgen trace --vqgan v.safetensors --clip c.safetensors --given case.safetensors -o ours.safetensors\n",
    .run = run,
};
