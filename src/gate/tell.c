/* SPDX-License-Identifier: MIT */
#include "look.h"

enum weir_verdict request_told(const struct weir_gate *g, const struct weir_request *r, enum weir_verdict verdict)
{
	if (verdict == WEIR_WAIT && r->lease != WEIR_NONE)
		weir_lease_tell(g->segment, r->lease, r->lease_tag, r->owner_pid, r->cause, r->until_ns);
	return verdict;
}
