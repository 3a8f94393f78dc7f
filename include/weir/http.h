/* SPDX-License-Identifier: MIT */
/*
 * What weir understands of HTTP: where a URL points, and what a server says about its limits. Pure: text and times in, numbers
 * out. Every parser takes untrusted text of bounded length, allocates nothing and never reads past the NUL.
 */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/cause.h"
#include "weir/rate.h"

#define WEIR_HOST_PORT_MAX 264

/* The "host:port" of a URL: lower case, brackets and zone of IPv6 literals stripped, addresses in their canonical form (127.1 is
 * 127.0.0.1), a dot at the end dropped, port from the scheme when not given (http 80, https 443, ftp 21 and so on, 0 for an
 * unknown scheme; no scheme: as curl guesses, http mostly). User, password, path and query are skipped and go nowhere. False, and
 * out empty, when there is no host or it does not fit. */
bool weir_url_host_port(const char *url, char out[WEIR_HOST_PORT_MAX]);

/* The same for a Location that may be relative: `base_host_port` is who answered. "//host" takes https's port when that was port
 * 443, else http's. */
bool weir_location_host_port(const char *location, const char *base_host_port, char out[WEIR_HOST_PORT_MAX]);

/* Whether the URL's scheme is one that weir holds to HTTP's meaning (http, https or none). */
bool weir_url_is_http(const char *url);

/* Joins a name or address and a port into the form above. False, and out empty, when it is no host or does not fit. */
bool weir_host_port(const char *host, uint16_t port, char out[WEIR_HOST_PORT_MAX]);

/* Whether a key "host:port" names this very machine: 127.0.0.0/8, ::1, localhost or a name under localhost (RFC 6761). Other
 * names may lead here as well; only their address tells. */
bool weir_host_is_loopback(const char *host_port);

/* Retry-After: seconds (integer or decimal) or an HTTP-date, which is compared with `date` (the Date header of the same answer;
 * NULL: with wall_ns), so that the server's clock skew cancels. True and *ns (0 when in the past) when understood. */
bool weir_retry_after(const char *value, const char *date, uint64_t wall_ns, uint64_t *ns);

/* HTTP-date in the three forms of RFC 9110 5.6.7, in seconds since 1970. */
bool weir_http_date(const char *text, int64_t *seconds);

/* The headers that weir reads. The caller hands in those it could get, NULL for the others. */
struct weir_headers {
	const char *date;
	const char *retry_after;
	const char *ratelimit; /* RateLimit (draft-ietf-httpapi-ratelimit-headers, -03 list form and -08 structured form) */
	const char *ratelimit_policy;
	const char *ratelimit_limit; /* RateLimit-Limit, Docker's "100;w=21600" */
	const char *ratelimit_remaining;
	const char *ratelimit_reset;
	const char *x_ratelimit_limit; /* X-RateLimit-* or X-Rate-Limit-* */
	const char *x_ratelimit_remaining;
	const char *x_ratelimit_reset;    /* epoch seconds, epoch milliseconds or delta: told apart by plausibility */
	const char *x_ratelimit_interval; /* Crossref: X-Rate-Limit-Interval "1s" */
};

/* Reads the quotas that an answer describes into quota[WEIR_QUOTAS]; returns how many. Malformed and absurd values are left out.
 */
uint32_t weir_quota_read(const struct weir_headers *h, uint64_t wall_ns, struct weir_quota quota[WEIR_QUOTAS]);

/* The hold that a throttled answer asks for: Retry-After, else the reset of a quota with nothing remaining. 0 = none; *cause says
 * which. */
uint64_t weir_hold_asked(const struct weir_headers *h, const struct weir_quota *quota, uint32_t quotas, uint64_t wall_ns,
			 enum weir_cause *cause);

#endif
