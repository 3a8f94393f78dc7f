/* SPDX-License-Identifier: MIT */
/* From now until a moment that a server names. Times: nanoseconds, 0 when past, UINT64_MAX when absurd or not understood. */
#ifndef WEIR_SRC_HTTP_UNTIL_H
#define WEIR_SRC_HTTP_UNTIL_H

#include <stdbool.h>
#include <stdint.h>

/* When an answer is read: by the server's clock, and by ours. */
struct moment {
	uint64_t server_ns; /* the Date header and what has passed since (Age); 0: the server shows no clock */
	uint64_t wall_ns;   /* CLOCK_REALTIME */
	uint64_t age_ns;    /* since the server sent it */
};

/* `date`: the Date header or NULL. */
struct moment weir_http_moment(const char *date, uint64_t age_ns, uint64_t wall_ns);

/* Until `seconds` and `nanos` since 1970. */
uint64_t weir_http_until(int64_t seconds, uint32_t nanos, const struct moment *now);

/* Until a reset, or the end of a wait: a length of time from the answer on (a number of unit_ns, or with units: "1.5s", "6m0s"),
 * seconds or milliseconds since 1970, an HTTP-date or ISO 8601's; quoted or not. */
uint64_t weir_http_until_reset(const char *text, uint64_t unit_ns, const struct moment *now);

/* The same for a list: the longest of those that are understood. */
uint64_t weir_http_until_last(const char *text, uint64_t unit_ns, const struct moment *now);

/* One of a list: the part at *p up to the comma, into out, which also moves *p behind it. False at the end. A part that is too
 * long comes out empty. */
#define WEIR_TOKEN_MAX 64
bool weir_http_token(const char **p, char out[WEIR_TOKEN_MAX]);

/* A length of time with or without units: "1s", "60", "5m", "1 hour", "1h2m3s". Without: so many of unit_ns. */
uint64_t weir_http_interval(const char *text, uint64_t unit_ns);

#endif
