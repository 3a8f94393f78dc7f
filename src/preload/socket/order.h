/* SPDX-License-Identifier: MIT */
/* The order of a connection's requests: what is meant for each answer that is to come, and the requests in hand, the oldest
 * first. */
#ifndef WEIR_SOCKET_ORDER_H
#define WEIR_SOCKET_ORDER_H

#include "src/preload/socket/record.h"

static inline void push_mind(struct weir_record *r, enum weir_mind mind)
{
	if (r->minds >= WEIR_WIRE_DEPTH)
		return;
	r->mind |= (uint64_t)mind << (2 * r->minds++);
}

static inline enum weir_mind pop_mind(struct weir_record *r)
{
	enum weir_mind mind = (enum weir_mind)(r->mind & 3);

	if (r->minds == 0)
		return WEIR_MIND_NONE;
	r->mind >>= 2;
	r->minds--;
	return mind;
}

static inline struct weir_request *oldest(struct weir_record *r)
{
	return &r->hand[r->oldest % WEIR_HANDS];
}

static inline void drop_oldest(struct weir_record *r)
{
	r->oldest = (uint8_t)((r->oldest + 1) % WEIR_HANDS);
	r->hands--;
}

#endif
