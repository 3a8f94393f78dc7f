/* SPDX-License-Identifier: MIT */
/*
 * A pass over a file's raw text, before libconfig sees it, for what libconfig gets wrong or is silent about: numbers that wrap,
 * comments that are never closed, strings that run over lines, control characters, \x escapes, @include, nesting without end.
 * Strings and numbers are taken out (setting.h says why). The rest of the syntax is libconfig's affair.
 */
#include "src/policy/compilation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/policy/setting.h"

/* hosts = ( { rates = ( { ... } ) } ) is five deep. */
#define DEPTH_MAX 16
/* Four times what any group can hold. libconfig looks for duplicates one by one: a hundred thousand settings would take it a
 * minute. */
#define SETTINGS_MAX 128

struct scan {
	struct weir_compilation *c;
	struct weir_place at;
	const char *p, *end;
	char *out;
	char *literals, *literal; /* where they begin, where the next one goes */
	unsigned depth;
	unsigned settings[DEPTH_MAX + 1]; /* so far in the group at this depth */
	bool wrong;
};

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char ahead(const struct scan *s, ptrdiff_t n)
{
	return s->end - s->p > n ? s->p[n] : '\0';
}

/* Reports and ends the scan: after any of these mistakes what follows would be misread. */
static void stop(struct scan *s, const char *what)
{
	weir_finding_add(s->c, s->at, NULL, "%s", what);
	s->wrong = true;
	s->p = s->end;
}

static bool control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

static void stop_at_control(struct scan *s)
{
	weir_finding_add(s->c, s->at, NULL, "control character 0x%02x", (unsigned char)*s->p);
	s->wrong = true;
	s->p = s->end;
}

/* Comments go: libconfig need not read them, and a blank keeps what they stood between apart. */
static void skip_line(struct scan *s)
{
	while (s->p < s->end && *s->p != '\n') {
		if (control(*s->p)) {
			stop_at_control(s);
			return;
		}
		s->p++;
	}
}

static void skip_block(struct scan *s)
{
	struct weir_place begun = s->at;

	*s->out++ = ' ';
	for (s->p += 2; s->p < s->end; s->p++) {
		if (s->p[0] == '*' && ahead(s, 1) == '/') {
			s->p += 2;
			return;
		}
		if (control(*s->p)) {
			stop_at_control(s);
			return;
		}
		if (*s->p == '\n') {
			*s->out++ = '\n';
			s->at.line++;
		}
	}
	s->at = begun;
	stop(s, "this comment is never closed");
}

/* Puts the place of the literal that begins now into the text. Blanks keep it apart from its neighbours, so that two literals
 * side by side are a syntax error and not one. */
static void begin_literal(struct scan *s, char kind)
{
	s->out += sprintf(s->out, " %u ", (unsigned)(s->literal - s->literals));
	*s->literal++ = kind;
}

static void take_string(struct scan *s)
{
	begin_literal(s, WEIR_LITERAL_STRING);
	s->p++;
	while (s->p < s->end && *s->p != '\n') {
		if (*s->p == '"') {
			*s->literal++ = '\0';
			s->p++;
			return;
		}
		if (control(*s->p) || *s->p == '\t' || *s->p == '\r') {
			stop_at_control(s);
			return;
		}
		if (*s->p == '\\') {
			if (ahead(s, 1) != '"' && ahead(s, 1) != '\\') {
				stop(s, "in strings \\\" and \\\\ are the only escapes");
				return;
			}
			s->p++;
		}
		*s->literal++ = *s->p++;
	}
	stop(s, "this string is not closed on its line");
}

static bool number_begins(const struct scan *s)
{
	ptrdiff_t sign = *s->p == '-' || *s->p == '+';

	return digit(ahead(s, sign)) || (ahead(s, sign) == '.' && digit(ahead(s, sign + 1)));
}

/* Takes all that belongs together, "60s" and "5/s" without quotes as well: the finding can then show it. */
static void take_number(struct scan *s)
{
	begin_literal(s, WEIR_LITERAL_NUMBER);
	do {
		*s->literal++ = *s->p++;
	} while (s->p < s->end && (digit(*s->p) || letter(*s->p) || *s->p == '.' || *s->p == '_' ||
				   (*s->p == '/' && (digit(ahead(s, 1)) || letter(ahead(s, 1)))) ||
				   ((*s->p == '-' || *s->p == '+') && (s->p[-1] == 'e' || s->p[-1] == 'E'))));
	*s->literal++ = '\0';
}

static void copy_name(struct scan *s)
{
	while (s->p < s->end && (digit(*s->p) || letter(*s->p) || *s->p == '_' || *s->p == '-' || *s->p == '*'))
		*s->out++ = *s->p++;
}

static void copy_plain(struct scan *s)
{
	switch (*s->p) {
	case '\n':
		s->at.line++;
		break;
	case '(':
	case '[':
	case '{':
		if (++s->depth > DEPTH_MAX) {
			stop(s, "nested too deeply");
			return;
		}
		s->settings[s->depth] = 0;
		break;
	case ')':
	case ']':
	case '}':
		s->depth -= s->depth > 0;
		break;
	case '=':
	case ':':
		if (++s->settings[s->depth] > SETTINGS_MAX) {
			stop(s, "too many settings in one group");
			return;
		}
		break;
	case '@':
		stop(s, "@include is not supported: put the file into conf.d, or name it in WEIR_CONFIG");
		return;
	}
	*s->out++ = *s->p++;
}

static void step(struct scan *s)
{
	char c = *s->p;

	if (control(c))
		stop_at_control(s);
	else if (c == '#' || (c == '/' && ahead(s, 1) == '/'))
		skip_line(s);
	else if (c == '/' && ahead(s, 1) == '*')
		skip_block(s);
	else if (c == '"')
		take_string(s);
	else if (letter(c) || c == '*')
		copy_name(s);
	else if (number_begins(s))
		take_number(s);
	else
		copy_plain(s);
}

char *weir_scan(struct weir_compilation *c, uint32_t document, const char *text, size_t length)
{
	/* Worst is "1,1,1": every two bytes become ten, " 1234567 ,", and three of literals. */
	struct weir_document *d = &c->document[document - 1];
	char *result = malloc(length * 5 + 16);
	struct scan s = {.c = c, .at = {.document = document, .line = 1}, .p = text, .end = text + length, .out = result};

	d->literals = malloc(length * 2 + 16);
	if (!result || !d->literals) {
		c->out_of_memory = true;
		free(result);
		return NULL;
	}
	s.literals = s.literal = d->literals;
	if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		s.p += 3; /* a byte order mark, as some editors write it */
	while (s.p < s.end)
		step(&s);
	*s.out = '\0';
	d->literal_bytes = (size_t)(s.literal - s.literals);
	if (s.wrong) {
		free(result);
		return NULL;
	}
	return result;
}
