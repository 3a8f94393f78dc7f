/* SPDX-License-Identifier: MIT */
/* The names under which servers speak of their limits. The tables are in dialect.c. */
#ifndef WEIR_SRC_HTTP_DIALECT_H
#define WEIR_SRC_HTTP_DIALECT_H

#include <stdbool.h>
#include <stdint.h>

/* One quota with a header for each of its parts. NULL: the dialect has none. */
struct dialect {
	const char *sign;      /* there in every answer that speaks it */
	const char *limit;     /* requests per window; "32/40": what is used of it as well */
	const char *remaining; /* requests left in it */
	const char *used;      /* or requests already made */
	const char *reset;     /* until it ends: whatever src/http/until.h understands */
	const char *window;    /* its length */
	const char *resource;  /* what it is for */
	uint64_t window_ns;    /* its length, where the names say it; 0: they do not */
	bool other_unit;       /* counts something else than requests: of interest only when nothing is left */
	bool beside;           /* comes with another dialect's sign, or with refusals alone: good answers are not asked for it */
};

/* Ends with a dialect that has no sign. In the order in which a part that two of them name is believed. */
extern const struct dialect weir_dialects[];

/* A header that says how long to stay away. */
struct wait_header {
	const char *name;
	uint64_t unit_ns; /* of a bare number */
};

/* Ends with one that has no name. The first that is understood counts. */
extern const struct wait_header weir_wait_headers[];

#endif
