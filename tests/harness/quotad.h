/* A quotad of the test's own, and its control port. */
#ifndef HARNESS_QUOTAD_H
#define HARNESS_QUOTAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define QUOTAD_STATUS_END 600
#define QUOTAD_URLS       16

struct quotad {
	pid_t pid;
	int http_port;
	int https_port; /* 0 without --tls */
	int control_port;
	char *cert_file; /* PEM, with --tls; else NULL */
	/* private */
	struct quotad *next;
	char *url[QUOTAD_URLS];
	size_t urls;
};

/* What quotad counted, in all or since the last mark (see tests/server/tally.h). */
struct quotad_count {
	uint64_t requests;
	uint64_t accepted;
	uint64_t throttled;
	uint64_t hung;
	uint64_t in_hold;
	uint64_t holds;
	double in_hold_latest_s;
	double resume_late_max_s;
	uint64_t connections;
	uint64_t outage_connections;
	uint64_t dropped_syns;
	uint64_t netns_resets;
	uint64_t max_in_flight;
	double first_s; /* monotonic_s() of the first and the last arrival; 0 = none */
	double last_s;
	uint64_t by_status[QUOTAD_STATUS_END];
};

struct quotad_arrival {
	double arrival_s; /* on the clock of monotonic_s() */
	int status;       /* 0 = never answered */
	char path[56];
};

/* Starts $WEIR_BUILD/quotad with further options (NULL-terminated; NULL = none) and waits until it
 * listens. Ports are ephemeral unless given; its files are put in `dir`; it dies with the test. */
struct quotad *quotad_start(const char *dir, const char *const *options);

/* Has it exit, asserts that it did so cleanly, and frees it. NULL is fine. */
void quotad_stop(struct quotad *q);

/* The same for all of them, but prints what is wrong and returns false: for the end of a test. */
bool quotad_stop_all(void);

/* "http://127.0.0.1:PORT/path", and the same with https and with localhost for a name. The text
 * belongs to `q` and lasts for sixteen more calls. */
const char *quotad_url(struct quotad *q, const char *path);
const char *quotad_https_url(struct quotad *q, const char *path);
const char *quotad_localhost_url(struct quotad *q, const char *path);

struct quotad_count quotad_count(struct quotad *q);
struct quotad_count quotad_count_since_mark(struct quotad *q);
void quotad_mark(struct quotad *q);
void quotad_reset(struct quotad *q);

/* Sets options as in "bucket=10/s:10&dialect=retry-after". */
void quotad_set(struct quotad *q, const char *query);

/* Begins an outage ("refuse", "hang", "blackhole") or ends it ("none"). seconds 0 = until told. In
 * force on return. */
void quotad_outage(struct quotad *q, const char *kind, double seconds);

/* All requests, in the order of their arrival. To be freed by the caller. */
struct quotad_arrival *quotad_journal(struct quotad *q, size_t *count);

#endif
