/* SPDX-License-Identifier: MIT */
#include "src/http/member.h"

#include <string.h>

#include "src/http/ascii.h"

static bool ends_here(const char *p)
{
	p = ascii_skip_blanks(p);
	return *p == ';' || *p == ',' || *p == '\0';
}

/* The position behind the string that begins at the quote p; sets where its inside is. A missing quote is at the end. */
static const char *read_string(const char *p, const char **inside, size_t *length)
{
	*inside = ++p;
	while (*p != '\0' && *p != '"')
		p += *p == '\\' && p[1] != '\0' ? 2 : 1;
	*length = (size_t)(p - *inside);
	return *p == '"' ? p + 1 : p;
}

/* Up to the ';' or ',' that ends this part, or to the end. */
static const char *skip_part(const char *p)
{
	const char *inside;
	size_t length;

	while (*p != ';' && *p != ',' && *p != '\0')
		p = *p == '"' ? read_string(p, &inside, &length) : p + 1;
	return p;
}

static void set_field(struct member *m, enum member_field field, const char *value)
{
	m->has[field] = weir_http_number(&value, &m->field[field]) && ends_here(value);
}

/* key=value, p behind the '='. */
static void read_parameter(struct member *m, const char *key, size_t length, const char *p)
{
	static const struct {
		const char *name;
		enum member_field field;
	} known[] = {
		{"q", MEMBER_LIMIT},     {"limit", MEMBER_LIMIT},         {"w", MEMBER_WINDOW}, {"window", MEMBER_WINDOW},
		{"r", MEMBER_REMAINING}, {"remaining", MEMBER_REMAINING}, {"t", MEMBER_RESET},  {"reset", MEMBER_RESET},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (ascii_same(key, length, known[i].name))
			set_field(m, known[i].field, p);
	}
	if (ascii_same(key, length, "qu")) {
		const char *unit = p;
		size_t unit_length = strcspn(p, ";, \t");

		if (*p == '"')
			read_string(p, &unit, &unit_length);
		m->other_unit = !ascii_same(unit, unit_length, "requests");
	}
}

/* One of the parts between semicolons. */
static void read_part(struct member *m, const char *p)
{
	size_t length;

	if (*p == '"') {
		read_string(p, &m->name, &m->name_length);
		return;
	}
	if (ascii_digit(*p)) {
		set_field(m, MEMBER_BARE, p);
		return;
	}
	length = strcspn(p, "=;, \t\r\n\"");
	if (p[length] == '=') {
		read_parameter(m, p, length, ascii_skip_blanks(p + length + 1));
	} else if (length > 0 && ends_here(p + length)) {
		m->name = p;
		m->name_length = length;
	}
}

const char *weir_http_member(const char *p, struct member *out)
{
	memset(out, 0, sizeof *out);
	for (;;) {
		p = ascii_skip_blanks(p);
		read_part(out, p);
		p = skip_part(p);
		if (*p != ';')
			return *p == ',' ? p + 1 : p;
		p++;
	}
}
