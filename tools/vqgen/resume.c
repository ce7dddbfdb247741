/* resume.c -- a run that goes on where a snapshot was taken. */
#include "tools/vqgen/request.h"

static int run(const command *c, int argc, char **argv)
{
  request r;
  int status;
  return request_read_over(&r, origin_open_snapshot, c, argc, argv, &status) ? generate_run(c, &r) : status;
}

const command command_resume = {
    .name = "resume",
    .usage = "[options] SNAPSHOT",
    .summary = "goes on where a snapshot was taken, to the same bytes",
    .text =
        "Goes on where a run stood when --snapshot wrote the file, and ends with the same bytes as if it had never "
        "stopped. The networks, the starting picture and the output are those of the run, unless options name "
        "where they "
        "are now; snapshots go on being written to the same file.\n\n"
        "Options that change the picture are refused, but for -n: with more steps a run that is done goes on.",
    .examples = "  vqgen \"the sea\" -n 5000 --snapshot sea.safetensors\n"
                "  vqgen resume sea.safetensors\n"
                "  vqgen resume sea.safetensors -n 8000 -o further.png\n",
    .run = run,
};
