/* SPDX-License-Identifier: MIT */
/*
 * A host's name as it is shown and asked for, everywhere alike: text, JSON, Prometheus, the API's paths, the command line.
 *
 * Names come from the network and may hold any byte. What is printable ASCII stands for itself; a blank, a quote, a backslash and
 * every other byte is \xHH. So no two names are spelled alike, none acts on a terminal, and what is shown can be typed again.
 */
#ifndef WEIR_STATS_SPELLING_H
#define WEIR_STATS_SPELLING_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/segment.h"

#define WEIR_SPELLING_MAX (4 * WEIR_KEY_MAX)

/* Spells a name of less than WEIR_KEY_MAX bytes; of a longer one the rest is left out. Returns the length. */
size_t weir_spell(const char *name, char out[WEIR_SPELLING_MAX]);

/* Takes \xHH back, in place. False when a backslash begins anything else, or a NUL. */
bool weir_unspell(char *text);

#endif
