/* SPDX-License-Identifier: MIT */
/* How long a throttled answer wants everybody to stay away. */
#include "weir/http.h"

uint64_t weir_hold_asked(const struct weir_headers *h, const struct weir_quota *quota, uint32_t quotas, uint64_t wall_ns,
			 enum weir_cause *cause)
{
	uint64_t ns = 0;

	/* Retry-After goes first, as the RateLimit drafts want it: it may be shorter or longer than the window. */
	*cause = WEIR_CAUSE_RETRY_AFTER;
	if (h->retry_after && weir_retry_after(h->retry_after, h->date, wall_ns, &ns) && ns > 0)
		return ns;
	ns = 0;
	for (uint32_t i = 0; i < quotas && i < WEIR_QUOTAS; i++) {
		if (quota[i].has_remaining && quota[i].remaining == 0 && quota[i].has_reset && quota[i].resets_in_ns > ns)
			ns = quota[i].resets_in_ns;
	}
	*cause = ns > 0 ? WEIR_CAUSE_QUOTA_HEADER : WEIR_CAUSE_NONE;
	return ns;
}
