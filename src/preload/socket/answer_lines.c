/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/answer_lines.h"

#include <string.h>
#include <strings.h>

#include "weir/http.h"

void weir_answer_line_keep(void *record, const char *name, size_t name_bytes, const char *value, size_t value_bytes)
{
	struct weir_record *r = record;
	char *to = r->lines + r->line_bytes;

	if (!weir_said_concerns(name, name_bytes) || name_bytes + value_bytes + 2 > sizeof r->lines - r->line_bytes)
		return;
	memcpy(to, name, name_bytes);
	to[name_bytes] = '\0';
	memcpy(to + name_bytes + 1, value, value_bytes);
	to[name_bytes + 1 + value_bytes] = '\0';
	r->line_bytes = (uint16_t)(r->line_bytes + name_bytes + value_bytes + 2);
	r->limits |= name_bytes > 4;
}

const char *weir_answer_line(const void *record, const char *name, uint32_t nth)
{
	const struct weir_record *r = record;

	for (size_t at = 0; at < r->line_bytes;) {
		const char *here = r->lines + at, *value = here + strlen(here) + 1;

		if (strcasecmp(here, name) == 0 && nth-- == 0)
			return value;
		at = (size_t)(value + strlen(value) + 1 - r->lines);
	}
	return NULL;
}

void weir_answer_lines_drop(struct weir_record *r)
{
	r->line_bytes = 0;
	r->limits = false;
}
