/* SPDX-License-Identifier: MIT */
/* A strict reader of the Prometheus text format 0.0.4: says what is wrong with a page, or NULL. */
#ifndef WEIR_TEST_PROMETHEUS_CHECK_H
#define WEIR_TEST_PROMETHEUS_CHECK_H

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct prometheus_page {
	char family[128], type[16];
	char seen[128][128]; /* families that were there already */
	size_t seen_count;
	bool helped;
	char series[160]; /* of a histogram: its labels without le */
	double bucket;    /* the last bucket's count and bound */
	double bound;
	double infinity; /* the count of +Inf, -1 = not seen yet */
	char samples[4096][256];
	size_t sample_count;
	char why[400];
};

static inline const char *wrong(struct prometheus_page *p, const char *why, const char *line)
{
	snprintf(p->why, sizeof p->why, "%s: %.250s", why, line);
	return p->why;
}

static inline size_t name_length(const char *s)
{
	size_t n = 0;
	if (!isalpha((unsigned char)s[0]) && s[0] != '_')
		return 0;
	while (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == ':')
		n++;
	return n;
}

static inline const char *check_comment(struct prometheus_page *p, const char *line)
{
	bool help = strncmp(line, "# HELP ", 7) == 0;
	if (!help && strncmp(line, "# TYPE ", 7) != 0)
		return wrong(p, "a comment that is neither HELP nor TYPE", line);
	size_t n = name_length(line + 7);
	if (n == 0 || n >= sizeof p->family || line[7 + n] != ' ')
		return wrong(p, "no name", line);
	if (help) {
		snprintf(p->family, sizeof p->family, "%.*s", (int)n, line + 7);
		for (size_t i = 0; i < p->seen_count; i++)
			if (strcmp(p->seen[i], p->family) == 0)
				return wrong(p, "a family in two places", line);
		if (p->seen_count == sizeof p->seen / sizeof *p->seen)
			return wrong(p, "too many families", line);
		memcpy(p->seen[p->seen_count++], p->family, sizeof p->family);
		p->type[0] = '\0';
		p->series[0] = '\0';
		p->infinity = 0;
		p->helped = true;
		return line[7 + n + 1] ? NULL : wrong(p, "an empty HELP", line);
	}
	if (!p->helped || strncmp(p->family, line + 7, n) != 0 || p->family[n])
		return wrong(p, "TYPE without its HELP", line);
	p->helped = false;
	snprintf(p->type, sizeof p->type, "%s", line + 7 + n + 1);
	if (strcmp(p->type, "counter") != 0 && strcmp(p->type, "gauge") != 0 && strcmp(p->type, "histogram") != 0)
		return wrong(p, "unknown type", line);
	bool total = n > 6 && strcmp(p->family + n - 6, "_total") == 0;
	if (total != (strcmp(p->type, "counter") == 0))
		return wrong(p, "_total and counter belong together", line);
	return NULL;
}

/* Reads {a="b",...}; copies the labels but le into rest, le's value into le. Returns what follows, NULL when malformed. */
static inline const char *check_labels(const char *at, char *rest, size_t size, char le[32])
{
	size_t used = 0;
	le[0] = rest[0] = '\0';
	if (*at != '{')
		return at;
	at++;
	while (*at != '}') {
		char value[300];
		size_t n = name_length(at), v = 0;
		const char *name = at;
		if (n == 0 || at[n] != '=' || at[n + 1] != '"')
			return NULL;
		for (at += n + 2; *at != '"'; at++) {
			if (*at == '\0' || (unsigned char)*at < 0x20 || v + 2 >= sizeof value)
				return NULL;
			if (*at == '\\' && strchr("\\\"n", at[1]) == NULL)
				return NULL;
			if (*at == '\\')
				value[v++] = *at++;
			value[v++] = *at;
		}
		value[v] = '\0';
		at++;
		if (n == 2 && strncmp(name, "le", 2) == 0)
			snprintf(le, 32, "%.31s", value);
		else
			used += (size_t)snprintf(rest + used, size - used, "%.*s=%s;", (int)n, name, value);
		if (used >= size)
			return NULL;
		if (*at == ',')
			at++;
		else if (*at != '}')
			return NULL;
	}
	return at + 1;
}

static inline const char *check_histogram(struct prometheus_page *p, const char *suffix, const char *labels, const char *le,
					  double value, const char *line)
{
	if (strcmp(suffix, "_bucket") == 0) {
		double bound = strcmp(le, "+Inf") == 0 ? HUGE_VAL : strtod(le, NULL);
		if (!le[0])
			return wrong(p, "a bucket without le", line);
		if (strcmp(p->series, labels) != 0) {
			snprintf(p->series, sizeof p->series, "%.150s", labels);
			p->bucket = 0;
			p->bound = -1;
			p->infinity = -1;
		}
		if (bound <= p->bound || value < p->bucket)
			return wrong(p, "buckets that do not grow", line);
		p->bound = bound;
		p->bucket = value;
		if (bound == HUGE_VAL)
			p->infinity = value;
		return NULL;
	}
	if (strcmp(suffix, "_count") == 0 && (strcmp(p->series, labels) != 0 || value != p->infinity))
		return wrong(p, "_count is not the +Inf bucket", line);
	if (strcmp(suffix, "_count") != 0 && strcmp(suffix, "_sum") != 0)
		return wrong(p, "no part of a histogram", line);
	return NULL;
}

static inline const char *check_sample(struct prometheus_page *p, const char *line)
{
	char labels[400], le[32], *end;
	size_t n = name_length(line), f = strlen(p->family);
	if (n == 0 || n < f || strncmp(line, p->family, f) != 0 || !p->type[0])
		return wrong(p, "a sample outside its family", line);
	const char *at = check_labels(line + n, labels, sizeof labels, le);
	if (!at || *at != ' ')
		return wrong(p, "malformed labels", line);
	double value = strtod(at + 1, &end);
	if (end == at + 1 || *end)
		return wrong(p, "malformed value", line);
	if (strcmp(p->type, "gauge") != 0 && !(value >= 0))
		return wrong(p, "a negative count", line);
	size_t length = (size_t)(at - line);
	for (size_t i = 0; i < p->sample_count; i++)
		if (strlen(p->samples[i]) == length && strncmp(p->samples[i], line, length) == 0)
			return wrong(p, "a sample given twice", line);
	if (p->sample_count < 4096 && length < 256)
		snprintf(p->samples[p->sample_count++], 256, "%.*s", (int)length, line);
	if (strcmp(p->type, "histogram") == 0) {
		char suffix[16];
		snprintf(suffix, sizeof suffix, "%.*s", (int)(n - f), line + f);
		return check_histogram(p, suffix, labels, le, value, line);
	}
	return n == f ? NULL : wrong(p, "a sample outside its family", line);
}

/* The result is static text, valid until the next call. */
static inline const char *prometheus_wrong(const char *page)
{
	static struct prometheus_page p;
	memset(&p, 0, sizeof p);
	size_t length = strlen(page);
	if (length == 0 || page[length - 1] != '\n')
		return "the page does not end in a newline";
	for (const char *at = page; *at;) {
		char line[1024];
		size_t n = strcspn(at, "\n");
		if (n >= sizeof line)
			return wrong(&p, "a line that is too long", at);
		memcpy(line, at, n);
		line[n] = '\0';
		const char *why = n == 0 ? "an empty line" : line[0] == '#' ? check_comment(&p, line) : check_sample(&p, line);
		if (why)
			return why;
		at += n + 1;
	}
	return NULL;
}

#endif
