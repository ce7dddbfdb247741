/* replay.c -- a picture made again from the settings inside it. */
#include "tools/vqgen/request.h"

static int run(const command *c, int argc, char **argv)
{
  request r;
  int status;
  return request_read_over(&r, origin_open_picture, c, argc, argv, &status) ? generate_run(c, &r) : status;
}

const command command_replay = {
    .name = "replay",
    .usage = "[options] IMAGE [PROMPT...]",
    .summary = "makes a picture again from the settings inside it",
    .text =
        "Makes a picture again from the settings that are written in it, and says before whether it will be exact "
        "(made "
        "by this build on this device), close, or another; and after, how many pixels differ. All options of "
        "generate "
        "are taken and change what they name; prompts replace those of the picture.\n\n"
        "A picture does not tell in which folders its networks and its starting picture lay. They are looked for "
        "beside "
        "the picture, in the present folder, and, the networks, where generate looks; they are known by size and "
        "checksum. --vqgan, --clip and --init name them. A run that was interrupted is made again up to where it "
        "was.",
    .examples = "  vqgen replay the-sea.png\n"
                "  vqgen replay the-sea.png --seed 8 -o another.png\n"
                "  vqgen replay the-sea.png \"the sea at night\" -s 128x96\n",
    .run = run,
};
