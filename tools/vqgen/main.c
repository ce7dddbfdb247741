/* main.c -- the tool: which subcommand is meant. A first word that is none begins a prompt, unless it looks like a
 * subcommand that was misspelt.
 */
#include "tools/vqgen/names.h"
#include "tools/vqgen/tool.h"

#include <errno.h>
#include <string.h>

static const command *const commands[] = {
    &command_generate, &command_resume,  &command_replay,  &command_reveal,  &command_plan,
    &command_tokenize, &command_embed,   &command_score,   &command_encode,  &command_decode,
    &command_trace,    &command_convert, &command_inspect, &command_devices, &command_doctor,
};
#define COMMANDS (int)(sizeof commands / sizeof *commands)

static void usage(FILE *to)
{
  fputs("usage: vqgen [generate] [options] PROMPT...\n"
        "       vqgen SUBCOMMAND ...\n\n"
        "Makes pictures from words: two frozen networks, and one small tensor that moves\n"
        "until the picture looks like the words.\n\nSubcommands:\n",
        to);
  for (int i = 0; i < COMMANDS; i++)
    fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
  fputs("\nEach has its own --help. `vqgen --version` tells the version.\n\n"
        "Examples:\n"
        "  vqgen \"a red circle on a blue background\"\n"
        "  vqgen generate --help\n"
        "  vqgen score picture.png --prompt \"a red circle\" \"a blue square\"\n",
        to);
}

static const command *find(const char *word)
{
  for (int i = 0; i < COMMANDS; i++)
    if (!strcmp(commands[i]->name, word))
      return commands[i];
  return NULL;
}

static bool close_to(const char *word, const char *name)
{
  return names_distance(word, name) <= (strlen(name) > 6 ? 2 : 1);
}

/* The subcommand, of this version or a later one, that the word may be meant to be; NULL if it is none's. */
static const char *misspelt(const char *word, char *buffer, size_t bytes)
{
  for (int i = 0; i < COMMANDS; i++)
    if (close_to(word, commands[i]->name))
      return commands[i]->name;
  for (const char *p = names_later_commands; *p; p += strcspn(p, "|"), p += *p == '|') {
    snprintf(buffer, bytes, "%.*s", (int)strcspn(p, "|"), p);
    if (close_to(word, buffer))
      return buffer;
  }
  return NULL;
}

static int dispatch(int argc, char **argv)
{
  char name[32];
  const char *word = argc > 1 ? argv[1] : NULL, *meant;
  if (!word) {
    usage(stderr);
    return EXIT_USAGE;
  }
  if (!strcmp(word, "--version")) {
    tool_version();
    return EXIT_DONE;
  }
  if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
    const command *c = argc > 2 ? find(argv[2]) : NULL;
    char *help[] = {"--help"};
    if (c)
      return c->run(c, 1, help);
    usage(stdout);
    return EXIT_DONE;
  }
  const command *c = find(word);
  if (c)
    return c->run(c, argc - 2, argv + 2);
  if (names_listed(names_later_commands, word)) {
    fprintf(stderr, "vqgen: %s is not in this version yet (to draw the word: vqgen generate %s)\n", word, word);
    return EXIT_USAGE;
  }
  meant = *word == '-' ? NULL : misspelt(word, name, sizeof name);
  if (meant) {
    fprintf(stderr, "vqgen: did you mean the subcommand %s? To draw the word: vqgen generate %s\n", meant, word);
    return EXIT_USAGE;
  }
  return command_generate.run(&command_generate, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
  int status = dispatch(argc, argv);
  if ((ferror(stdout) | fclose(stdout)) && status == EXIT_DONE) {
    fprintf(stderr, "vqgen: standard output: %s\n", strerror(errno));
    status = EXIT_FAILED;
  }
  return status;
}
