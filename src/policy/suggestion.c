/* SPDX-License-Identifier: MIT */
#include "src/policy/setting.h"

#include <string.h>

#define WORD_MAX 31 /* longer than any key */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters must be added, dropped, replaced or swapped with their neighbour (optimal string alignment). */
static unsigned distance(const char *a, const char *b)
{
	size_t m = strlen(a), n = strlen(b);
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= m; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= n; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= m; i++) {
		for (size_t j = 1; j <= n; j++) {
			unsigned replaced = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			d[i][j] = least(replaced, 1 + least(d[i - 1][j], d[i][j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[m][n];
}

const char *weir_suggestion(const char *word, const char *const names[])
{
	const char *best = NULL;
	/* Two slips at most, and fewer than half of the word: "x" resembles nothing. */
	unsigned bound = strlen(word) < 4 ? 2 : 3;

	if (strlen(word) > WORD_MAX)
		return NULL;
	for (size_t i = 0; names[i]; i++) {
		unsigned n = distance(word, names[i]);

		if (n < bound) {
			bound = n;
			best = names[i];
		}
	}
	return best;
}
