/* SPDX-License-Identifier: MIT */
/*
 * Which connection a TLS session speaks over: that of the descriptor that it was given, or, where it was given none (asyncio,
 * uvloop and serf carry the bytes themselves), the one over which its ClientHello has passed. What was found by the hello is
 * remembered for the session as long as it has the same random.
 *
 * Lock-free; leaves errno alone.
 */
#ifndef WEIR_TLS_SESSION_H
#define WEIR_TLS_SESSION_H

#include <stdbool.h>

#include "src/preload/socket/conversation.h"

/* What a TLS library tells of a session, when it is asked. */
struct weir_session {
	const void *session;
	int fd; /* that it writes to, -1 = it does so by other means */
	/* Its client's random, all zero as long as it has none; false when it is a server's, or this cannot be told. */
	bool (*random)(const struct weir_session *s, uint8_t random[32]);
	const void *library; /* for that function */
};

/* 0 when none of the program's connections is known to be it. `final`: the hello has been sent, so that "none" stays. */
weir_conversation weir_session_conversation(const struct weir_session *s, bool final);

#endif
