/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/stats/explain_parts.h"
#include "weir/log.h"
#include "weir/units.h"

const char *weir_duration_word(struct weir_words *w, uint64_t ns)
{
	char *out = w->text[w->next++ % 8];

	return weir_print_duration(ns, out, sizeof w->text[0]);
}

const char *weir_rate_word(struct weir_words *w, uint64_t nano_per_s)
{
	char *out = w->text[w->next++ % 8];

	return weir_print_rate(nano_per_s, out, sizeof w->text[0]);
}

void weir_say(struct weir_explaining *x, const char *format, ...)
{
	struct weir_explanation *e = x->e;
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (e->sentences < WEIR_SENTENCES && vasprintf(&text, format, arguments) >= 0) {
		weir_make_printable(text, strlen(text));
		e->sentence[e->sentences++] = text;
	}
	va_end(arguments);
}
