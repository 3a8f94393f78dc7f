/* SPDX-License-Identifier: MIT */
/* How long a throttled answer wants everybody to stay away. */
#include "weir/http.h"

uint64_t weir_said_hold(const struct weir_said *said, enum weir_cause *cause)
{
	uint64_t ns = 0;

	/* Retry-After goes first, as the RateLimit drafts want it: it may be shorter or longer than the window. */
	*cause = WEIR_CAUSE_RETRY_AFTER;
	if (said->wait_ns > 0)
		return said->wait_ns;
	for (uint32_t i = 0; i < said->quotas && i < WEIR_QUOTAS; i++) {
		const struct weir_quota *q = &said->quota[i];

		if (q->has_remaining && q->remaining == 0 && q->has_reset && q->resets_in_ns > ns)
			ns = q->resets_in_ns;
	}
	*cause = ns > 0 ? WEIR_CAUSE_QUOTA_HEADER : WEIR_CAUSE_NONE;
	return ns;
}
