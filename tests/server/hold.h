/* Who came too early: what the server asked clients to wait, and which requests did not.
 *
 * A throttled answer that names a time (Retry-After, a reset) opens a hold until then. A request
 * that arrives before the end is counted; how long after the announcement it arrived tells one that
 * was in flight already (a fraction of a round trip) from one that was sent in disregard of it. */
#ifndef QUOTAD_HOLD_H
#define QUOTAD_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLD_STEPS 64

/* Announcements still in force: each later and reaching further than the one before, since one
 * that does not reach further is already covered. */
struct hold {
	struct {
		int64_t announced_ns;
		int64_t end_ns;
	} step[HOLD_STEPS];
	size_t steps;
	int64_t last_end_ns; /* end of the latest hold, 0 = none yet */
	bool resume_pending; /* nobody has come back since `last_end_ns` was set */
};

struct hold_arrival {
	bool inside;
	int64_t since_announced_ns; /* inside: since the first announcement that covers this arrival */
	bool resumes;               /* the first arrival after a hold */
	int64_t late_ns;            /* resumes: how long after its end */
};

/* Notes that a client was told at `now_ns` to stay away until `end_ns`. True if this opened a hold
 * where none was in force. */
bool hold_announce(struct hold *h, int64_t now_ns, int64_t end_ns);

/* Judges one arrival. */
struct hold_arrival hold_arrive(struct hold *h, int64_t now_ns);

#endif
