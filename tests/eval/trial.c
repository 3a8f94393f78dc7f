/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "case.h"

double trial_seconds(const struct trial *t, double full_s, double short_s, double check_s)
{
	if (t->form == FORM_CHECK)
		return check_s;
	if (t->form == FORM_SHORT)
		return short_s;
	return t->minutes > 0 ? t->minutes * 60 : full_s;
}

double trial_target(const struct trial *t, double target, double check_target)
{
	return t->form == FORM_CHECK ? check_target : target;
}

void trial_duration(struct trial *t, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(t->result.duration, sizeof t->result.duration, format, arguments);
	va_end(arguments);
}

void trial_figure(struct trial *t, const char *name, enum unit unit, double value, char bound, double target)
{
	struct figure *f = &t->result.figure[t->result.figures];

	if (t->result.figures == FIGURES_MAX)
		fail_msg("%s: too many figures", t->title);
	t->result.figures++;
	*f = (struct figure){.unit = unit, .value = value, .bound = bound, .target = target};
	snprintf(f->name, sizeof f->name, "%s", name);
}

void trial_tell(struct trial *t, const char *name, enum unit unit, double value)
{
	trial_figure(t, name, unit, value, 0, 0);
}

void trial_progress(const struct trial *t, const char *format, ...)
{
	char text[200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	printf("[%5.0f s] %-24s %s\n", monotonic_s() - t->since_s, t->title, text);
	fflush(stdout);
}

unsigned trial_seed(const struct trial *t)
{
	const char *given = getenv("WEIR_SEED");
	unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) ^ ((unsigned)getpid() << 16);

	trial_progress(t, "WEIR_SEED=%u", seed);
	return seed;
}

bool figure_met(const struct figure *f)
{
	/* A figure that is no number, because nothing happened that could be measured, meets nothing. */
	return f->bound == 0 || (f->bound == '>' ? f->value >= f->target : f->value <= f->target);
}

void figure_format(enum unit unit, double value, char out[32])
{
	switch (unit) {
	case UNIT_COUNT:
		snprintf(out, 32, value < 100 && value != (double)(long)value ? "%.1f" : "%.0f", value);
		break;
	case UNIT_RATIO:
		snprintf(out, 32, "%.3f", value);
		break;
	case UNIT_SHARE:
		snprintf(out, 32, "%.2f %%", 100 * value);
		break;
	case UNIT_SECONDS:
		snprintf(out, 32, "%.2f s", value);
		break;
	}
}
