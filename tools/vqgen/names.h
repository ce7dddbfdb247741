/* names.h -- words that this version does not take: misspelt ones, those of later versions, those of older tools. */
#ifndef VQGEN_TOOLS_NAMES_H
#define VQGEN_TOOLS_NAMES_H

#include <stdbool.h>

/* Letters to insert, drop, change or swap with their neighbour to make one word of the other; case does not count. */
int names_distance(const char *a, const char *b);

/* Is `word` in `list`, whose words are separated by |? */
bool names_listed(const char *list, const char *word);

/* Options and subcommands that the interface has and this version has not. */
extern const char *const names_later_options, *const names_later_commands;

/* What an option of an older tool, with its dashes, is called here: "--seed N"; NULL for none. */
const char *names_old(const char *option);

#endif
