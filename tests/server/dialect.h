/* Header dialects: the ways in which servers tell a client what is left and when to come back. */
#ifndef QUOTAD_DIALECT_H
#define QUOTAD_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/server/quota_view.h"

enum dialect {
	DIALECT_RETRY_AFTER = 1 << 0,       /* Retry-After: 3                      (RFC 9110 §10.2.3) */
	DIALECT_RETRY_AFTER_FLOAT = 1 << 1, /* Retry-After: 2.417                  (Ensembl) */
	DIALECT_RETRY_AFTER_DATE = 1 << 2,  /* Retry-After: Sun, 06 Nov 1994 …     (RFC 9110) */
	DIALECT_RATELIMIT_DRAFT =
		1 << 3,              /* RateLimit-*, and RateLimit + RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers) */
	DIALECT_X_EPOCH = 1 << 4,    /* X-RateLimit-Reset: 1700000000       (GitHub) */
	DIALECT_X_EPOCH_MS = 1 << 5, /* X-RateLimit-Reset: 1700000000000 */
	DIALECT_X_DELTA = 1 << 6,    /* X-RateLimit-Reset: 17               (Ensembl) */
	DIALECT_DOCKER = 1 << 7,     /* ratelimit-limit: 100;w=21600 */
	DIALECT_MALFORMED = 1 << 8,  /* what cannot be read: a client should behave as if it were absent */
	DIALECT_ABSURD = 1 << 9,     /* what can be read and must not be obeyed as it is */
	DIALECT_REDDIT = 1 << 10,    /* X-RateLimit-Remaining: 9.0, -Used, -Reset: 17, no limit */
	DIALECT_OPENAI = 1 << 11,    /* X-RateLimit-Remaining-Requests, -Reset-Requests: 6m0s */
	DIALECT_ANTHROPIC = 1 << 12, /* Anthropic-RateLimit-Requests-*, RFC 3339 */
	DIALECT_AZURE = 1 << 13,     /* Retry-After-Ms: 2417 */
	DIALECT_RETRY_AFTER_ISO = 1 << 14,
	DIALECT_TWO_LINES = 1 << 15, /* a gateway's generous X-RateLimit-* before the server's own */
};

struct dialect_settings {
	unsigned spoken;    /* enum dialect, or-ed */
	double date_skew_s; /* the server's wall clock is this much fast: dates, epochs and the Date header */
	bool retry_fixed;   /* announce `retry_after_s` whatever the limits say */
	double retry_after_s;
	int64_t age_s; /* tell that a cache has kept the answer for so long; 0 = it has not */
};

#define ANNOUNCEMENT_HEADERS 24

struct announcement {
	struct {
		char name[40];
		char value[96];
	} header[ANNOUNCEMENT_HEADERS];
	size_t headers;
	int64_t hold_ns; /* from now until the announced time; 0 = no readable time was named */
};

/* "none", or names joined by commas. False leaves `spoken` as it was. */
bool dialect_parse(const char *text, unsigned *spoken);

/* Adds what the quota of this path is for: X-RateLimit-Resource, the first part of the path. */
void dialect_name(struct announcement *a, const char *path);

/* Writes the headers of one answer, Date included. `retry_ns` is the time until a throttled request
 * would be accepted (0 and unused when it was not throttled). Where several times are announced, the
 * hold is Retry-After's, which has precedence over the others, else the latest. The malformed and the
 * absurd dialect go through their repertoire by `sequence`. */
void dialect_announce(const struct dialect_settings *s, struct quota_view view, bool throttled, int64_t retry_ns,
		      int64_t wall_now_ns, uint64_t sequence, struct announcement *out);

#endif
