/* SPDX-License-Identifier: MIT */
/* An answer's headers out of a list, for tests and the simulator. */
#ifndef WEIR_TESTS_UNIT_HEADER_LINES_H
#define WEIR_TESTS_UNIT_HEADER_LINES_H

#include <stddef.h>
#include <stdint.h>
#include <strings.h>

#include "weir/http.h"

/* The usual headers by name, and others as pairs of name and value. NULL: not there. */
struct headers {
	const char *date, *age, *retry_after;
	const char *ratelimit, *ratelimit_policy;
	const char *ratelimit_limit, *ratelimit_remaining, *ratelimit_reset;
	const char *x_ratelimit_limit, *x_ratelimit_remaining, *x_ratelimit_reset;
	const char *x_rate_limit_limit, *x_rate_limit_interval;
	struct {
		const char *name, *value;
	} more[12];
};

static inline const char *headers_line(const void *of, const char *name, uint32_t nth)
{
	static const struct {
		const char *name;
		size_t field;
	} usual[] = {
		{"Date", offsetof(struct headers, date)},
		{"Age", offsetof(struct headers, age)},
		{"Retry-After", offsetof(struct headers, retry_after)},
		{"RateLimit", offsetof(struct headers, ratelimit)},
		{"RateLimit-Policy", offsetof(struct headers, ratelimit_policy)},
		{"RateLimit-Limit", offsetof(struct headers, ratelimit_limit)},
		{"RateLimit-Remaining", offsetof(struct headers, ratelimit_remaining)},
		{"RateLimit-Reset", offsetof(struct headers, ratelimit_reset)},
		{"X-RateLimit-Limit", offsetof(struct headers, x_ratelimit_limit)},
		{"X-RateLimit-Remaining", offsetof(struct headers, x_ratelimit_remaining)},
		{"X-RateLimit-Reset", offsetof(struct headers, x_ratelimit_reset)},
		{"X-Rate-Limit-Limit", offsetof(struct headers, x_rate_limit_limit)},
		{"X-Rate-Limit-Interval", offsetof(struct headers, x_rate_limit_interval)},
	};
	const struct headers *h = of;

	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
		const char *value = *(const char *const *)(const void *)((const char *)h + usual[i].field);

		if (value && strcasecmp(usual[i].name, name) == 0 && nth-- == 0)
			return value;
	}
	for (size_t i = 0; i < sizeof h->more / sizeof h->more[0]; i++) {
		if (h->more[i].name && strcasecmp(h->more[i].name, name) == 0 && nth-- == 0)
			return h->more[i].value;
	}
	return NULL;
}

static inline void headers_read(const struct headers *h, uint64_t wall_ns, struct weir_said *out)
{
	weir_said_read(&(struct weir_header_lines){headers_line, h}, wall_ns, out);
}

#endif
