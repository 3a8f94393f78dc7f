#include "tests/server/hold.h"

#include <string.h>

static void drop_ended(struct hold *h, int64_t now_ns)
{
	size_t ended = 0;

	while (ended < h->steps && h->step[ended].end_ns <= now_ns)
		ended++;
	if (ended > 0) {
		memmove(h->step, h->step + ended, (h->steps - ended) * sizeof h->step[0]);
		h->steps -= ended;
	}
}

bool hold_announce(struct hold *h, int64_t now_ns, int64_t end_ns)
{
	bool opens;

	drop_ended(h, now_ns);
	opens = h->steps == 0;
	if (end_ns <= now_ns || (!opens && h->step[h->steps - 1].end_ns >= end_ns))
		return false;
	if (h->steps < HOLD_STEPS) {
		h->step[h->steps].announced_ns = now_ns;
		h->steps++;
	}
	/* With no step left the newest one is stretched: an early arrival then looks a little more
	 * guilty, never less. */
	h->step[h->steps - 1].end_ns = end_ns;
	h->last_end_ns = end_ns;
	h->resume_pending = true;
	return opens;
}

struct hold_arrival hold_arrive(struct hold *h, int64_t now_ns)
{
	struct hold_arrival arrival = {0};

	drop_ended(h, now_ns);
	if (h->steps > 0) {
		arrival.inside = true;
		arrival.since_announced_ns = now_ns - h->step[0].announced_ns;
	} else if (h->resume_pending) {
		h->resume_pending = false;
		arrival.resumes = true;
		arrival.late_ns = now_ns - h->last_end_ns;
	}
	return arrival;
}
