/* What a limit tells its clients: the content of RateLimit headers, before any dialect. */
#ifndef QUOTAD_QUOTA_VIEW_H
#define QUOTAD_QUOTA_VIEW_H

#include <stdbool.h>
#include <stdint.h>

struct quota_view {
	bool known;        /* false: no limit has anything to say */
	int64_t limit;     /* requests per window */
	int64_t remaining; /* requests left */
	int64_t window_ns; /* length of the window; for a bucket, the time it takes to fill */
	int64_t reset_ns;  /* from now: until the quota is restored, or, with none left, until the next request may go */
};

#endif
