/* tool.h -- what the subcommands share: exit statuses, networks that are given or found, standard input and output as
 * files, and how they report to a person.
 */
#ifndef VQGEN_TOOLS_TOOL_H
#define VQGEN_TOOLS_TOOL_H

#include "base/log.h"
#include "runtime/network.h"
#include "runtime/place.h"
#include "tools/vqgen/options.h"

#include <stdio.h>

typedef enum tool_exit { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 } tool_exit;

extern const command command_convert, command_inspect, command_generate, command_resume, command_replay,
    command_reveal, command_plan, command_tokenize, command_embed, command_score, command_encode, command_decode,
    command_trace, command_devices, command_doctor;

/* What a subcommand ends with: prints the last error, if there is one, and returns the exit status. */
int tool_end(const command *c, vq_status status);

/* Reads the options of a subcommand and answers --help and --version. False: it is to return *status at once. */
bool tool_begin(const command *c, const option *table, int rows, int argc, char **argv, words *rest, int *status);

void tool_version(void);

/* Warnings and notices go to stderr. */
extern const vq_log tool_log;

/* ---- networks ---- */

typedef struct network_options {
  const char *vqgan, *clip;
  const char *config, *vocab; /* of networks as they were published */
  const char *device;         /* NULL: auto */
  int precision;              /* vq_precision */
  int threads;
} network_options;

vq_status set_network(const option *o, const char *value); /* const char *: a file or a name, given once */

/* Rows of an option table. */
#define OPTION_VQGAN(n)                                                                       \
  {                                                                                           \
    0, "vqgan", "FILE|NAME", set_network, &(n)->vqgan, "the VQGAN, converted or as published" \
  }
#define OPTION_CLIP(n)                                                                     \
  {                                                                                        \
    0, "clip", "FILE|NAME", set_network, &(n)->clip, "the CLIP, converted or as published" \
  }
#define OPTION_CONFIG(n)                                                                                     \
  {                                                                                                          \
    0, "config", "YAML", set_text, &(n)->config, "a published network's settings, yaml or json", "beside it" \
  }
#define OPTION_VOCAB(n)                                                                      \
  {                                                                                          \
    0, "vocab", "FILE", set_text, &(n)->vocab, "a published CLIP's vocabulary", "looked for" \
  }
#define OPTION_COMPUTE(n)                                                                                  \
  {0, "threads", "N", set_integer, &(n)->threads, "how many compute at once", "one a processor", 1, 4096}, \
      {0, "device", "auto|cpu|cuda[:I]", set_text, &(n)->device, "what computes", "auto"},                 \
  {                                                                                                        \
    0, "precision", "auto|fp32|tf32|bf16", set_choice, &(n)->precision,                                    \
        "how numbers are kept: auto is fp32 on the CPU", "auto"                                            \
  }

/* Opens the one that is given, or else that of the pair that is found. The caller closes it. */
vq_status tool_network(vq_network **out, const network_options *n, vq_network_kind kind);

/* Where the options say that it is computed. */
vq_status tool_place(vq_place *out, const network_options *n);

/* Runs a subcommand that turns one file, a `noun`, into another by the VQGAN: its options and their errors. `argument` is
 * what --output takes, for the help. */
int tool_run_vqgan(const command *c, int argc, char **argv, const char *noun, const char *argument,
                   vq_status (*work)(const network_options *n, const char *from, const char *to));

/* Prints the settings inside a picture, as JSON. VQ_ERR_FORMAT: there are none */
vq_status tool_reveal(const char *path);

/* ---- `-` ---- */

/* A file's path for a path that may be "-", standard input or output, by way of a temporary file. */
typedef struct stream {
  const char *path;
  char *temporary; /* NULL: not "-" */
} stream;

vq_status stream_in(stream *out, const char *path);  /* VQ_ERR_FILE */
vq_status stream_out(stream *out, const char *path); /* also asks whether it can be written: VQ_ERR_WRITE */
vq_status stream_finish(stream *s,
                        vq_status status); /* of an output: to standard output, unless `status` is an error */
void stream_close(stream *s);              /* removes the temporary file; again is allowed */

/* All of standard input, ended by NUL; the caller frees it. */
vq_status read_standard_input(char **text);

#endif
