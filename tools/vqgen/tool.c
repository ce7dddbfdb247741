/* tool.c -- reports, networks, and standard input and output as files. */
#include "tools/vqgen/tool.h"
#include "vqgen.h"

#include "loaders/output.h"
#include "runtime/find_network.h"
#include "runtime/number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_log(void *user, vq_log_level level, const char *message)
{
  (void)user;
  fprintf(stderr, "vqgen: %s%s\n", level == VQ_LOG_WARNING ? "warning: " : "", message);
}

const vq_log tool_log = {write_log, NULL};

int tool_end(const command *c, vq_status status)
{
  if (!status)
    return EXIT_DONE;
  fprintf(stderr, "vqgen: %s\n", vq_error_message());
  if (status == VQ_ERR_ARGUMENT)
    fprintf(stderr, "See vqgen %s --help\n", c->name);
  return status == VQ_ERR_ARGUMENT || status == VQ_ERR_PROMPT || status == VQ_ERR_UNSUPPORTED ? EXIT_USAGE
                                                                                              : EXIT_FAILED;
}

bool tool_begin(const command *c, const option *table, int rows, int argc, char **argv, words *rest, int *status)
{
  asked question;
  vq_status read = options_read(table, rows, argc, argv, rest, &question);
  if (!read && question == ASKED_NOTHING)
    return true;
  if (!read && question == ASKED_HELP)
    options_help(c, table, rows);
  else if (!read)
    tool_version();
  words_free(rest);
  *status = tool_end(c, read);
  return false;
}

void tool_version(void)
{
  printf("vqgen %s\n", vq_version());
}

/* ---- networks ---- */

vq_status set_network(const option *o, const char *value)
{
  const char **path = o->to, *colon = strrchr(value, ':');
  double weight;
  if (*path && strcmp(*path, value))
    return vq_fail(VQ_ERR_UNSUPPORTED, "more than one is not in this version yet");
  if (colon && access(value, F_OK) && !vq_number_read(colon + 1, &weight))
    return vq_fail(VQ_ERR_UNSUPPORTED, "a weight (%s) is not in this version yet", colon);
  *path = value;
  return VQ_OK;
}

vq_status tool_network(vq_network **out, const network_options *n, vq_network_kind kind)
{
  const char *given = kind == VQ_NETWORK_CLIP ? n->clip : n->vqgan;
  vq_network_hints hints = {n->config, n->vocab, &tool_log};
  vq_settings found;
  char *path;
  *out = NULL;
  if (given) {
    VQ_TRY(vq_network_find(&path, given));
    vq_status opened = vq_network_open(out, path, kind, &hints);
    free(path);
    return opened;
  }
  vq_settings_init(&found);
  vq_status status = vq_settings_load(&found);
  if (!status)
    status = vq_network_open(out, kind == VQ_NETWORK_CLIP ? found.clip : found.vqgan, kind, &hints);
  vq_settings_clear(&found);
  return status;
}

vq_status tool_place(vq_place *out, const network_options *n)
{
  return vq_place_find(out, n->device, (vq_precision)n->precision, n->threads, &tool_log);
}

int tool_run_vqgan(const command *c, int argc, char **argv, const char *noun, const char *argument,
                   vq_status (*work)(const network_options *n, const char *from, const char *to))
{
  network_options n = {.threads = 0};
  words rest = {0};
  const char *output = NULL;
  int status;
  const option table[] = {
      {'o', "output", argument, set_text, &output, "where to; - for standard output"},
      OPTION_VQGAN(&n),
      OPTION_CONFIG(&n),
      OPTION_COMPUTE(&n),
  };
  if (!tool_begin(c, table, ROWS(table), argc, argv, &rest, &status))
    return status;
  vq_status done = rest.count != 1 ? vq_fail(VQ_ERR_ARGUMENT, "%d %ss given where one is wanted", rest.count, noun)
                   : !output       ? vq_fail(VQ_ERR_ARGUMENT, "no -o: name the file to write")
                                   : work(&n, rest.word[0], output);
  status = tool_end(c, done);
  words_free(&rest);
  return status;
}

/* ---- `-` ---- */

/* An empty file of our own. */
static vq_status make_temporary(stream *s, int *file)
{
  const char *folder = getenv("TMPDIR");
  static const char name[] = "/vqgen-XXXXXX";
  if (!folder || !*folder)
    folder = "/tmp";
  s->temporary = malloc(strlen(folder) + sizeof name);
  if (!s->temporary)
    return vq_fail(VQ_ERR_MEMORY, "no memory for a file name");
  strcpy(s->temporary, folder);
  strcat(s->temporary, name);
  *file = mkstemp(s->temporary);
  if (*file < 0) {
    vq_fail(VQ_ERR_WRITE, "%s: %s: name another folder by $TMPDIR", s->temporary, strerror(errno));
    free(s->temporary);
    s->temporary = NULL;
    return VQ_ERR_WRITE;
  }
  s->path = s->temporary;
  return VQ_OK;
}

static vq_status copy_all(FILE *from, const char *from_name, FILE *to, const char *to_name)
{
  char block[1 << 14];
  size_t n;
  while ((n = fread(block, 1, sizeof block, from)) > 0)
    if (fwrite(block, 1, n, to) != n)
      break;
  if (ferror(from))
    return vq_fail(VQ_ERR_FILE, "%s: %s", from_name, strerror(errno));
  if (ferror(to) || fflush(to))
    return vq_fail(VQ_ERR_WRITE, "%s: %s", to_name, strerror(errno));
  return VQ_OK;
}

vq_status stream_in(stream *out, const char *path)
{
  int file;
  *out = (stream){path, NULL};
  if (strcmp(path, "-"))
    return VQ_OK;
  VQ_TRY(make_temporary(out, &file));
  FILE *to = fdopen(file, "wb");
  vq_status status = to ? copy_all(stdin, "standard input", to, out->path)
                        : vq_fail(VQ_ERR_WRITE, "%s: %s", out->path, strerror(errno));
  if (to)
    fclose(to);
  else
    close(file);
  if (status)
    stream_close(out);
  return status;
}

vq_status stream_out(stream *out, const char *path)
{
  int file;
  *out = (stream){path, NULL};
  if (strcmp(path, "-"))
    return vq_output_check(path);
  if (isatty(STDOUT_FILENO))
    return vq_fail(VQ_ERR_ARGUMENT,
                   "-o - writes a file's bytes, and standard output is a terminal: send it elsewhere");
  VQ_TRY(make_temporary(out, &file));
  close(file);
  return VQ_OK;
}

vq_status stream_finish(stream *s, vq_status status)
{
  if (!status && s->temporary) {
    FILE *from = fopen(s->path, "rb");
    status = from ? copy_all(from, s->path, stdout, "standard output")
                  : vq_fail(VQ_ERR_FILE, "%s: %s", s->path, strerror(errno));
    if (from)
      fclose(from);
  } else if (!status) {
    printf("%s\n", s->path);
  }
  stream_close(s);
  return status;
}

void stream_close(stream *s)
{
  if (s->temporary)
    unlink(s->temporary);
  free(s->temporary);
  s->temporary = NULL;
}

vq_status read_standard_input(char **text)
{
  size_t used = 0, capacity = 1 << 12;
  char *data = malloc(capacity);
  for (size_t n = 1; data && n > 0; used += n) {
    if (capacity - used < 2) {
      char *grown = realloc(data, capacity *= 2);
      if (!grown)
        free(data);
      data = grown;
    }
    n = data ? fread(data + used, 1, capacity - used - 1, stdin) : 0;
  }
  *text = data;
  if (!data)
    return vq_fail(VQ_ERR_MEMORY, "no memory for standard input");
  data[used] = 0;
  return VQ_OK;
}
