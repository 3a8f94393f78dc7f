/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void figure_row(FILE *f, const char *name, const struct figure *figure)
{
	char value[32], target[32];

	figure_format(figure->unit, figure->value, value);
	figure_format(figure->unit, figure->target, target);
	fprintf(f, "| %s | %s | %s |", name, figure->name, value);
	if (figure->bound == 0)
		fprintf(f, " | |\n");
	else
		fprintf(f, " %s %s | %s |\n", figure->bound == '>' ? "≥" : "≤", target,
			figure_met(figure) ? "met" : "**missed**");
}

void report_section(FILE *f, const struct scenario *s, const struct result *result)
{
	double load = 0;

	(void)getloadavg(&load, 1);
	fprintf(f, "### Row %u on loopback, %s: %s\n\n", s->row, s->name, s->text);
	for (size_t i = 0; i < s->count; i++)
		if (result[i].finished)
			fprintf(f, "- `%s`: %s; %s\n", s->cases[i].name, s->cases[i].text, result[i].duration);
	fprintf(f, "\nThe machine's load was %.1f when the last of these ended.\n", load);
	fprintf(f, "\n| case | figure | measured | target | |\n|---|---|---:|---:|---|\n");
	for (size_t i = 0; i < s->count; i++)
		for (size_t k = 0; result[i].finished && k < result[i].figures; k++)
			figure_row(f, s->cases[i].name, &result[i].figure[k]);
}

static char *contents(const char *path)
{
	char *text = read_file(path);

	return text != NULL ? text : strdup("");
}

bool report_update(const char *path, const struct scenario *s, const struct result *result)
{
	char begin_mark[64], end_mark[64];
	char *old = contents(path), *begin, *end;
	FILE *f;

	if (old == NULL)
		return false;
	snprintf(begin_mark, sizeof begin_mark, "<!-- %s: begin -->\n", s->name);
	snprintf(end_mark, sizeof end_mark, "<!-- %s: end -->\n", s->name);
	begin = strstr(old, begin_mark);
	end = begin == NULL ? NULL : strstr(begin, end_mark);
	f = fopen(path, "w");
	if (f == NULL) {
		free(old);
		return false;
	}
	fwrite(old, 1, end == NULL ? strlen(old) : (size_t)(begin - old), f);
	fprintf(f, "%s%s", end == NULL ? "\n" : "", begin_mark);
	report_section(f, s, result);
	fprintf(f, "%s%s", end_mark, end == NULL ? "" : end + strlen(end_mark));
	free(old);
	return fclose(f) == 0;
}
