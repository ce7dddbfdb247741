/* options.h -- how every subcommand reads its options and explains them: from one table, in which --help, the parser
 * and the messages for mistakes all look.
 *
 * An option is given as --name VALUE, --name=VALUE, -l VALUE or -lVALUE; options and other words may be mixed, and
 * after -- all words are other words.
 */
#ifndef VQGEN_TOOLS_OPTIONS_H
#define VQGEN_TOOLS_OPTIONS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Borrowed words in an array that is owned. */
typedef struct words {
  const char **word;
  int count, capacity;
} words;

vq_status words_add(words *list, const char *word);
void words_free(words *list);

typedef struct option option;

/* Takes the value into o->to. VQ_ERR_ARGUMENT: says what is wrong with it, not with which option. */
typedef vq_status (*option_fn)(const option *o, const char *value);

struct option {
  char letter;          /* 0: none */
  const char *name;     /* without its dashes; NULL: a heading in --help, which `help` is */
  const char *argument; /* what --help calls the value; NULL: it takes none */
  option_fn set;
  void *to;
  const char *help;
  const char *normally; /* the default, in words; NULL: none is told */
  double least, most;   /* of a number */
  const char *later;    /* values that this version knows and refuses, separated by | */
  bool many;            /* takes the words after it, up to the next option */
};

/* What `set` may be, and what `to` then points to. */
vq_status set_flag(const option *o, const char *value);    /* bool: true */
vq_status set_text(const option *o, const char *value);    /* const char *: borrowed from argv */
vq_status set_words(const option *o, const char *value);   /* words */
vq_status set_integer(const option *o, const char *value); /* int in [least, most] */
vq_status set_count(const option *o, const char *value);   /* int64_t in [least, most] */
vq_status set_number(const option *o, const char *value);  /* double in [least, most] */
vq_status set_bytes(const option *o, const char *value);   /* int64_t: "6G", "6.5GiB", "600M", in 1024s; above 0 */
vq_status set_choice(const option *o,
                     const char *value); /* int or enum: place of the value in argument, "this|that" */

/* A subcommand. */
typedef struct command command;
struct command {
  const char *program;                /* NULL: vqgen */
  const char *name, *usage, *summary; /* "plan", "[options] PROMPT...", one line for `vqgen --help` */
  const char *text;                   /* --help: what it does, in paragraphs */
  const char *examples;               /* --help: its end, two or three lines */
  int (*run)(const command *c, int argc,
             char **argv); /* argv after the subcommand's name; returns the exit status */
};

typedef enum asked { ASKED_NOTHING, ASKED_HELP, ASKED_VERSION } asked;

/* Reads argv[0..argc) into what the table's rows point to, and the other words into *rest, up to --help or --version.
 * VQ_ERR_ARGUMENT for what is not known or wrong, VQ_ERR_UNSUPPORTED for what is not in this version. */
vq_status options_read(const option *table, int rows, int argc, char **argv, words *rest, asked *question);

/* `PROGRAM NAME --help`, to stdout. */
void options_help(const command *c, const option *table, int rows);

#define ROWS(table) (int)(sizeof(table) / sizeof *(table))

#endif
