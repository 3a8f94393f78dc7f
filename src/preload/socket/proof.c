/* SPDX-License-Identifier: MIT */
#include "src/preload/socket/proof.h"

#include <string.h>

#include "src/preload/socket/exchange.h"
#include "src/preload/socket/order.h"
#include "src/preload/socket/same_head.h"
#include "src/preload/socket/tcp_state.h"
#include "weir/opaque.h"

bool weir_proof_can_wait(const struct weir_record *r, const struct iovec *iov, size_t parts)
{
	return parts == 1 && weir_same_head_at(r, iov[0].iov_base, iov[0].iov_len) && !r->asked && r->hands == 0 && !r->plain &&
	       !r->inherited && weir_talk_of(r) == WEIR_TALK_HTTP;
}

static void leave(const struct weir_gate *g, struct weir_record *r, struct weir_request *request)
{
	struct weir_result result;

	if (request->phase == WEIR_PHASE_ADMITTED && request->tentative && weir_gate_leave(g, request)) {
		request->phase = WEIR_PHASE_IDLE;
		return;
	}
	memset(&result, 0, weir_opaque(sizeof result));
	result.outcome = WEIR_IGNORED;
	weir_exchange_settle_request(g, r, request, &result);
}

bool weir_proof_holds(const struct weir_gate *g, struct weir_record *r, int fd)
{
	if (!r->unproved)
		return true;
	r->unproved = false;
	if (!g || weir_socket_identity(fd) == r->identity)
		return true;
	if (r->asked)
		leave(g, r, &r->next);
	r->asked = false;
	for (; r->hands > 0; drop_oldest(r))
		leave(g, r, oldest(r));
	r->minds = 0;
	r->mind = 0;
	return false;
}
