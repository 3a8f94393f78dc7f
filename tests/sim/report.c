/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_MARK "<!-- simulated: begin -->\n"
#define END_MARK   "<!-- simulated: end -->\n"

static bool is_share(enum sim_metric m)
{
	return m == SIM_THROTTLED || m == SIM_RESUMES_LATE || m == SIM_REFUSED_60 || m == SIM_TOTAL_OFF || m == SIM_SHARES_OFF ||
	       m == SIM_CLIENTS_OFF;
}

static void number(FILE *f, enum sim_metric m, double x)
{
	if (m == SIM_UTILISATION || m == SIM_GOODPUT || m == SIM_JAIN || m == SIM_DRIFT || m == SIM_P99_RATIO ||
	    m == SIM_POLITE || m == SIM_OF_BARE || m == SIM_COST || m == SIM_JAIN_CLASS || m == SIM_QUOTA_USED ||
	    m == SIM_FAILED_SHARE)
		fprintf(f, "%.3f", x);
	else if (is_share(m))
		fprintf(f, x < .01 ? "%.3f %%" : "%.1f %%", 100 * x);
	else
		fprintf(f, x < 10 && x != (double)(long)x ? "%.2f" : "%.0f", x);
}

/* The figure that the target is about. */
static double figure(const struct sim_cell *c, const struct sim_target *t)
{
	return t->bound == 'm' ? c->mean[t->metric] : t->bound == 'w' ? c->most[t->metric] : c->median[t->metric];
}

static bool met(const struct sim_cell *c, const struct sim_target *t)
{
	return t->bound == '>' ? figure(c, t) >= t->value : figure(c, t) <= t->value;
}

/* A target that everything meets is a column alone. */
static bool is_bound(const struct sim_target *t)
{
	return !((t->bound == '>' && t->value <= 0) || (t->metric == SIM_THROTTLED && t->value >= 1) || t->value >= 1e9);
}

static double worst(const struct sim_cell *c, const struct sim_target *t)
{
	return t->bound == '>' ? c->least[t->metric] : c->most[t->metric];
}

static unsigned targets(const struct sim_scenario *s)
{
	unsigned n = 0;

	while (n < SIM_TARGETS && s->target[n].metric != SIM_NO_METRIC)
		n++;
	return n;
}

static void table(FILE *f, const struct sim_batch *batch, const struct sim_scenario *s)
{
	unsigned n = targets(s);

	if (s->row != 0)
		fprintf(f, "\n### Row %u, ", s->row);
	else
		fprintf(f, "\n### Beyond the list, ");
	fprintf(f, "%s: %s", s->name, s->text);
	if (s->seeds != 0)
		fprintf(f, ", %u seeds", s->seeds);
	fprintf(f, "%s\n\n| controller |", s->loopback ? " ●" : "");
	for (unsigned i = 0; i < n; i++)
		fprintf(f, " %s |", sim_metric_name(s->target[i].metric));
	fprintf(f, "\n|---|");
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "---:|");
	for (unsigned k = 0; k < sim_controller_count; k++) {
		const struct sim_cell *c = sim_batch_cell(batch, s, sim_controllers[k]);

		if (c == NULL)
			continue;
		fprintf(f, "\n| %s |", c->controller->name);
		for (unsigned i = 0; i < n; i++) {
			const struct sim_target *t = &s->target[i];

			fprintf(f, " ");
			number(f, t->metric, figure(c, t));
			fprintf(f, " (");
			number(f, t->metric, worst(c, t));
			fprintf(f, ") |");
		}
	}
	fprintf(f, "\n\n");
	for (unsigned i = 0; i < n; i++) {
		const struct sim_target *t = &s->target[i];
		const struct sim_cell *c = sim_batch_cell(batch, s, &sim_weir);

		if (c == NULL || !is_bound(t))
			continue;
		fprintf(f, "- %s%s %s ", sim_metric_name(t->metric),
			t->bound == 'm'   ? ", mean"
			: t->bound == 'w' ? ", worst seed"
					  : "",
			t->bound == '>' ? ">=" : "<=");
		number(f, t->metric, t->value);
		fprintf(f, ": %s\n", met(c, t) ? "met" : "**missed**");
	}
}

static void summary(FILE *f, const struct sim_batch *batch)
{
	unsigned all = 0, reached = 0;

	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1)
			fprintf(f, "weir meets %u of %u targets%s\n", reached, all, reached < all ? ". Missed:\n" : ".");
		for (unsigned i = 0; i < sim_scenario_count; i++) {
			const struct sim_scenario *s = &sim_scenarios[i];
			const struct sim_cell *c = sim_batch_cell(batch, s, &sim_weir);

			for (unsigned k = 0; c != NULL && k < targets(s); k++) {
				const struct sim_target *t = &s->target[k];

				if (!is_bound(t))
					continue;
				if (pass == 0) {
					all++;
					reached += met(c, t);
				} else if (!met(c, t)) {
					fprintf(f, "- row %u, %s: %s ", s->row, s->name, sim_metric_name(t->metric));
					number(f, t->metric, figure(c, t));
					fprintf(f, ", wanted ");
					number(f, t->metric, t->value);
					fprintf(f, "\n");
				}
			}
		}
	}
}

static void tables(FILE *f, const struct sim_batch *batch)
{
	summary(f, batch);
	fprintf(f, "\nThe figures: median over %d seeds where nothing else is said, in brackets the worst seed.\n", SIM_SEEDS);
	for (unsigned i = 0; i < sim_scenario_count; i++)
		if (sim_batch_cell(batch, &sim_scenarios[i], &sim_weir) != NULL)
			table(f, batch, &sim_scenarios[i]);
}

static char *contents(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	if (f != NULL && text != NULL) {
		size_t got = fread(text, 1, (1 << 20) - 1, f);

		text[got] = 0;
	}
	if (f != NULL)
		fclose(f);
	return text;
}

bool sim_report_write(const struct sim_batch *batch, const char *path)
{
	char *old = contents(path), *begin, *end;
	FILE *f;

	if (old == NULL)
		return false;
	begin = strstr(old, BEGIN_MARK);
	end = strstr(old, END_MARK);
	f = fopen(path, "w");
	if (f == NULL) {
		perror(path);
		free(old);
		return false;
	}
	if (begin != NULL && end != NULL) {
		fwrite(old, 1, (size_t)(begin - old), f);
		end += strlen(END_MARK);
	}
	fprintf(f, BEGIN_MARK "\n");
	tables(f, batch);
	fprintf(f, "\n" END_MARK "%s", begin != NULL && end != NULL ? end : "");
	free(old);
	return fclose(f) == 0;
}

void sim_report_print(const struct sim_batch *batch)
{
	for (unsigned i = 0; i < batch->cells; i++) {
		const struct sim_cell *c = &batch->cell[i];

		printf("%-14s %-12s", c->scenario->name, c->controller->name);
		for (unsigned k = 0; k < targets(c->scenario); k++) {
			const struct sim_target *t = &c->scenario->target[k];

			printf("  %s ", sim_metric_name(t->metric));
			number(stdout, t->metric, figure(c, t));
			printf(" (");
			number(stdout, t->metric, worst(c, t));
			printf(")%s", is_bound(t) && !met(c, t) && c->controller == &sim_weir ? " MISSED" : "");
		}
		printf("\n");
	}
}
