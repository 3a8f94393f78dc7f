/* SPDX-License-Identifier: MIT */
#include "src/cli/subcommand.h"

#include <string.h>

#include "src/cli/subcommand_names.h"

#define ENTRY(name) &weir_subcommand_##name,
const struct weir_subcommand *const weir_subcommands[] = {WEIR_SUBCOMMANDS(ENTRY) NULL};

const struct weir_subcommand *weir_subcommand_find(const char *name)
{
	for (size_t i = 0; weir_subcommands[i]; i++)
		if (strcmp(weir_subcommands[i]->name, name) == 0)
			return weir_subcommands[i];
	return NULL;
}

static size_t least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;
	return m < c ? m : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b (optimal string alignment); names are short.
 */
static size_t distance(const char *a, const char *b)
{
	enum { LONGEST = 16 };
	size_t d[LONGEST + 1][LONGEST + 1];
	size_t n = strlen(a), m = strlen(b);
	if (n > LONGEST || m > LONGEST)
		return LONGEST;
	for (size_t i = 0; i <= n; i++) {
		for (size_t j = 0; j <= m; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1, d[i][j]);
		}
	}
	return d[n][m];
}

const char *weir_subcommand_near(const char *name)
{
	const char *near = NULL;
	size_t best = 3; /* two slips are a typo, three are another word */
	for (size_t i = 0; weir_subcommands[i]; i++) {
		const char *candidate = weir_subcommands[i]->name;
		size_t d = distance(name, candidate);
		if (d < best && d < strlen(candidate)) {
			best = d;
			near = candidate;
		}
	}
	return near;
}
