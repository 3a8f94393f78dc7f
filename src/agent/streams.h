/* SPDX-License-Identifier: MIT */
/*
 * Events as they happen, and the statistics every second: GET /v1/events and /v1/stats with Accept: text/event-stream
 * (server-sent events, WHATWG HTML 9.2). A stream that has nothing to say is suspended, so that it costs nothing, and looked at
 * again from the agent's loop.
 */
#ifndef WEIR_AGENT_STREAMS_H
#define WEIR_AGENT_STREAMS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/agent/api.h"
#include "weir/segment.h"

#define WEIR_STREAMS_MAX 16

struct weir_stream;
struct weir_streams {
	const struct weir_segment *segment;
	const struct weir_alerts *alerts;
	struct weir_stream *first;
	size_t count;
	uint64_t head; /* events when the streams were last looked at */
	uint64_t spoke_ns;
	bool ending;
};

/* Whether a request wants a stream. */
bool weir_streams_asked(const struct weir_api_request *request);

/* Begins one, at the number that "since" in the query or else the present says. */
enum MHD_Result weir_streams_open(struct weir_streams *s, struct MHD_Connection *connection,
				  const struct weir_api_request *request);

/* Wakes the streams when there is something to say, or when they should show that they are alive. Returns whether there are any.
 */
bool weir_streams_go_on(struct weir_streams *s, uint64_t now_ns);

/* Has all of them end with the next MHD_run. */
void weir_streams_end(struct weir_streams *s);

#endif
