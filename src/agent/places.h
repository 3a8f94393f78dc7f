/* SPDX-License-Identifier: MIT */
/* The places that clients of the agent take: as many as there are connections at a time. While they are scarce, whoever has not
 * asked anything for half a second loses his, and whoever has not taken his answer in five, so that nobody can keep all others
 * out by saying nothing, or by not listening. */
#ifndef WEIR_AGENT_PLACES_H
#define WEIR_AGENT_PLACES_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

struct weir_place;

struct weir_places {
	struct weir_place *first; /* the latest */
	unsigned count, most;     /* `most`: MHD_OPTION_CONNECTION_LIMIT */
};

/* For MHD_OPTION_NOTIFY_CONNECTION; cls is a struct weir_places. */
void weir_places_notice(void *cls, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code);

/* Its request is whole, and the answer not yet out; or that is over. */
void weir_places_answering(struct MHD_Connection *connection, bool answering);

/* What it is answered has no end: nobody expects it to be read to the end. */
void weir_places_streaming(struct MHD_Connection *connection);

/* Whether the next turn has a time: *ns from now. `some`: *ns is one already. */
bool weir_places_timeout(const struct weir_places *p, bool some, uint64_t *ns);

/* Before MHD_run. */
void weir_places_turn(struct weir_places *p, uint64_t now_ns);

#endif
