/* The quota: every limit that a request must pass, what to say about it, and what was counted.
 *
 * One mutex covers all of it, so that requests are judged one after the other in the order in which
 * the journal shows them. */
#ifndef QUOTAD_QUOTA_H
#define QUOTAD_QUOTA_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/server/bucket.h"
#include "tests/server/dialect.h"
#include "tests/server/error_mix.h"
#include "tests/server/fixed_window.h"
#include "tests/server/hold.h"
#include "tests/server/journal.h"
#include "tests/server/random.h"
#include "tests/server/slots.h"
#include "tests/server/tally.h"

#define THROTTLE_NEXT_KEEP (-1)
#define QUOTA_PARTITIONS   32 /* further ones share the common window */

/* What can be changed while the server runs. */
struct quota_settings {
	struct bucket_settings bucket;
	struct fixed_window_settings window;
	bool apart; /* a window for each Authorization and first part of a path */
	bool named; /* and the latter is told: X-RateLimit-Resource */
	struct slots_settings slots;
	int64_t latency_ns; /* on every answer */
	struct error_mix errors;
	int64_t seed;
	int throttle_status;
	int64_t throttle_next; /* reject so many requests on demand; THROTTLE_NEXT_KEEP = as it stands */
	struct dialect_settings dialect;
};

struct quota {
	pthread_mutex_t mutex;
	struct quota_settings settings;
	struct bucket bucket;
	struct fixed_window window;
	struct partition {
		uint64_t key; /* 0: not in use */
		struct fixed_window window;
	} partition[QUOTA_PARTITIONS];
	struct fixed_window *current; /* the one that the request at hand counts in */
	struct slots slots;
	struct random random;
	struct hold hold;
	struct journal journal;
	struct tally total;
	struct tally since_mark;
	int64_t wall_offset_ns; /* wall clock minus monotonic, read once: the two agree to the ns, and no step of the clock is
				   followed */
	uint64_t in_flight;
	uint64_t announcements; /* throttled answers so far: walks through the malformed and absurd repertoire */
};

struct verdict {
	int status;     /* to answer with */
	bool overruled; /* by a limit or an error: the path's own answer is not given */
	bool throttled;
	int64_t ready_ns; /* when to answer, on the monotonic clock */
	struct announcement announcement;
};

/* 0, or -1 with errno. */
int quota_open(struct quota *q, const struct quota_settings *settings);
void quota_close(struct quota *q);

/* Judges a request that arrives now and would be answered with `path_status` after `path_delay_ns`.
 * Every call is followed by one quota_leave. */
void quota_arrive(struct quota *q, const char *path, const char *credential, int path_status, int64_t path_delay_ns,
		  struct verdict *out);

/* Counts a request that will never be answered. Every call is followed by one quota_leave. */
void quota_arrive_hung(struct quota *q, const char *path);
void quota_leave(struct quota *q);

/* Takes new settings. A limit that was off starts full; one that was on keeps what was used of it. */
void quota_set(struct quota *q, const struct quota_settings *settings);

/* The settings, to be changed and given to quota_set; `throttle_next` is THROTTLE_NEXT_KEEP, since
 * requests go on to be rejected meanwhile. */
struct quota_settings quota_settings(struct quota *q);

void quota_count_connection(struct quota *q, bool during_outage);
void quota_count_outage(struct quota *q, uint64_t dropped_syns, uint64_t netns_resets);

/* Starts a new span for "since_mark". */
void quota_mark(struct quota *q);

/* Forgets counts, journal and holds, refills every limit, and seeds the generator again. */
void quota_reset(struct quota *q);

#endif
