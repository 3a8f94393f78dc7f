/* SPDX-License-Identifier: MIT */
#include "src/policy/compilation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir_finding_add(struct weir_compilation *c, struct weir_place at, const char *key, const char *format, ...)
{
	char *what, *text;
	int written;
	va_list ap;

	if (c->findings == c->findings_room) {
		size_t room = c->findings_room * 2 + 16;
		struct weir_finding *more = realloc(c->finding, room * sizeof *more);

		if (!more) {
			c->out_of_memory = true;
			return;
		}
		c->finding = more;
		c->findings_room = room;
	}
	va_start(ap, format);
	written = vasprintf(&what, format, ap);
	va_end(ap);
	if (written < 0) {
		c->out_of_memory = true;
		return;
	}
	const char *path = at.document > 0 ? c->document[at.document - 1].path : "configuration";
	const char *between = key ? ": " : "";

	if (!key)
		key = "";
	written = at.line > 0 ? asprintf(&text, "%s:%u: %s%s%s", path, at.line, key, between, what)
			      : asprintf(&text, "%s: %s%s%s", path, key, between, what);
	free(what);
	if (written < 0) {
		c->out_of_memory = true;
		return;
	}
	c->finding[c->findings++] = (struct weir_finding){.at = at, .text = text};
}

static bool before(struct weir_place a, struct weir_place b)
{
	return a.document != b.document ? a.document < b.document : a.line < b.line;
}

/* Stable merge sort: findings come mostly in order already, and a file may hold tens of thousands. */
static void sort(struct weir_finding *f, struct weir_finding *scratch, size_t n)
{
	if (n < 2)
		return;
	size_t half = n / 2, a = 0, b = half;

	sort(f, scratch, half);
	sort(f + half, scratch, n - half);
	for (size_t i = 0; i < n; i++)
		scratch[i] = b >= n || (a < half && !before(f[b].at, f[a].at)) ? f[a++] : f[b++];
	memcpy(f, scratch, n * sizeof *f);
}

void weir_findings_hand_over(struct weir_compilation *c, struct weir_findings *out)
{
	size_t n = c->findings + (c->out_of_memory ? 1 : 0);
	struct weir_finding *scratch = calloc(n, sizeof *scratch);

	out->line = calloc(n, sizeof *out->line);
	if (scratch)
		sort(c->finding, scratch, c->findings);
	free(scratch);
	for (size_t i = 0; i < c->findings; i++) {
		if (out->line)
			out->line[out->count++] = c->finding[i].text;
		else
			free(c->finding[i].text);
	}
	c->findings = 0;
	if (c->out_of_memory && out->line) {
		out->line[out->count] = strdup("configuration: out of memory");
		out->count += out->line[out->count] != NULL;
	}
}

void weir_findings_free(struct weir_findings *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->line[i]);
	free(f->line);
	*f = (struct weir_findings){0};
}
