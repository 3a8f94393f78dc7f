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

/* The "host:port" of a URL: lower case, international names in ASCII, brackets and zone of IPv6 literals stripped, addresses in
 * their canonical form (127.1 is 127.0.0.1), a dot at the end dropped, port from the scheme when not given (http 80, https 443,
 * ftp 21 and so on, 0 for an unknown scheme; no scheme: as curl guesses, http mostly). User, password, path and query are skipped
 * and go nowhere. False, and out empty, when there is no host or it does not fit. */
bool weir_url_host_port(const char *url, char out[WEIR_HOST_PORT_MAX]);

/* The same for a Location that may be relative: `base_host_port` is who answered. "//host" takes https's port when that was port
 * 443, else http's. */
bool weir_location_host_port(const char *location, const char *base_host_port, char out[WEIR_HOST_PORT_MAX]);

/* Whether the URL's scheme is one that weir holds to HTTP's meaning (http, https or none). */
bool weir_url_is_http(const char *url);

/* Joins a name or address and a port into the form above. False, and out empty, when it is no host or does not fit. */
bool weir_host_port(const char *host, uint16_t port, char out[WEIR_HOST_PORT_MAX]);

/* The port of a "host:port" as that function writes it. 0: there is none. */
uint16_t weir_port_of(const char *host_port);

/* A name (or "name:port", or a glob) of `length` bytes with its letters lowered and its international labels in ASCII
 * ("xn--..."), which is their form in keys and rules. False, and out empty, when it is empty or does not fit, or such a label is
 * no UTF-8 or too long for a host. What is lowered and what is not: src/http/idna.c. */
bool weir_idna(const char *name, size_t length, char *out, size_t size);

/* Whether a key "host:port" names this very machine: 127.0.0.0/8, ::1, localhost or a name under localhost (RFC 6761). Other
 * names may lead here as well; only their address tells. */
bool weir_host_is_loopback(const char *host_port);

/* Digests of what identifies a client to a server: of a secret, of a header line ("Name: value"), of a URL (user and password, or
 * a query's api_key and its like). 0: there is none. Of schemes that sign each request, what stays from one to the next. */
uint64_t weir_secret_digest(const char *text);
uint64_t weir_header_credential(const char *line);
uint64_t weir_url_credential(const char *url);

/* What all these together make: the sum so far, and one digest more (0: none). In whichever order. */
uint64_t weir_credential_and(uint64_t sum, uint64_t digest);

/* Of the n bytes of a request's head that are at hand, from its first header line on: the sum of its lines'. 0: there is none. */
uint64_t weir_head_credential(const char *head, size_t n);

/* The path of a URL, or of a request's target ("/path?query", "http://host/path"), of `bytes` bytes and not terminated: without
 * query and fragment, as it is written. "/" where there is none. */
const char *weir_url_path_text(const char *url, size_t bytes, size_t *path_bytes);

/* A digest of the beginning of a URL's path: its first part that is no version and not "api" or "rest". Never 0. */
uint64_t weir_url_path(const char *url);

/* A Retry-After: seconds (integer or decimal), a length of time ("3s", "6m0s", "3 seconds"), seconds or milliseconds since 1970,
 * or a date in HTTP's or ISO 8601's form; quoted or not, and of several in one line the longest. A moment is compared with `date`
 * (the Date header of the same answer; NULL: with wall_ns), so that the server's clock skew cancels. True and *ns (0 when in the
 * past) when understood. */
bool weir_retry_after(const char *value, const char *date, uint64_t wall_ns, uint64_t *ns);

/* HTTP-date in the three forms of RFC 9110 5.6.7, with or without the weekday, in seconds since 1970. */
bool weir_http_date(const char *text, int64_t *seconds);

/* An answer's header lines, whoever has them. `line` gives the value of the nth line (from 0) of this name, in whichever case it
 * was sent, and NULL when there are no more. The text is the caller's and has to stay good until the next call only. */
struct weir_header_lines {
	const char *(*line)(const void *of, const char *name, uint32_t nth);
	const void *of;
};

/* What an answer says of its host's limits. */
struct weir_said {
	struct weir_quota quota[WEIR_QUOTAS];
	uint32_t quotas;
	bool has_wait;     /* Retry-After or one of its kin was there */
	uint64_t wait_ns;  /* what it asks for, from now; 0: nothing, or not understood */
	uint64_t age_ns;   /* how old the answer is (Age); 0: it comes from the server itself */
	bool named;        /* the server names what its quota is for */
	uint64_t resource; /* a digest of what the quota is for: as the server names it, else of its limits; 0 without quotas */
};

/* Reads it, in whichever of the dialects of src/http/dialect.c the answer speaks. Lines of one name are one list. What is
 * malformed or absurd is as if it had not been said; what was said of a time that Age has put behind us is left out. wall_ns:
 * CLOCK_REALTIME. */
void weir_said_read(const struct weir_header_lines *h, uint64_t wall_ns, struct weir_said *out);

/* Whether a header line of this name may be asked for by weir_said_read: for those who see each line once. About 10 ns. */
bool weir_said_concerns(const char *name, size_t bytes);

/* Whether the answer describes a quota: a look at one name for each dialect, the usual ones first. */
bool weir_said_has_quota(const struct weir_header_lines *h);

/* The hold that a throttled answer asks for: Retry-After, else the reset of a quota with nothing remaining. 0 = none; *cause says
 * which. */
uint64_t weir_said_hold(const struct weir_said *said, enum weir_cause *cause);

#endif
