/* SPDX-License-Identifier: MIT */
#include "src/agent/places.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "weir/gate.h"

#define SPARE     8U                   /* places that are made free for those who speak, by cutting off who does not */
#define SLOW_NS   UINT64_C(5000000000) /* or be answered: the largest answer takes a fraction of it */
#define SCARCE_NS UINT64_C(500000000)  /* and for so long anyone may be silent even then */

struct weir_place {
	struct weir_place *next, *before;
	struct MHD_Connection *connection;
	uint64_t silent_since_ns;
	bool answering, streaming;
};

static struct weir_place *place_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

void weir_places_answering(struct MHD_Connection *connection, bool answering)
{
	struct weir_place *p = place_of(connection);
	if (!p)
		return;
	p->answering = answering;
	p->streaming = false;
	p->silent_since_ns = weir_now_ns();
}

void weir_places_streaming(struct MHD_Connection *connection)
{
	struct weir_place *p = place_of(connection);
	if (p)
		p->streaming = true;
}

static void take(struct weir_places *places, struct MHD_Connection *connection, void **context)
{
	struct weir_place *p = calloc(1, sizeof *p);
	*context = p;
	if (!p)
		return;
	p->connection = connection;
	p->silent_since_ns = weir_now_ns();
	p->next = places->first;
	if (p->next)
		p->next->before = p;
	places->first = p;
	places->count++;
}

static void leave(struct weir_places *places, struct weir_place *p)
{
	if (!p)
		return;
	if (p->next)
		p->next->before = p->before;
	if (p->before)
		p->before->next = p->next;
	else
		places->first = p->next;
	places->count--;
	free(p);
}

void weir_places_notice(void *cls, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		take(cls, connection, context);
	else
		leave(cls, *context);
}

static bool scarce(const struct weir_places *p)
{
	return p->count + SPARE > p->most;
}

bool weir_places_timeout(const struct weir_places *p, bool some, uint64_t *ns)
{
	if (!scarce(p) || (some && *ns <= SCARCE_NS / 2))
		return some;
	*ns = SCARCE_NS / 2;
	return true;
}

void weir_places_turn(struct weir_places *places, uint64_t now_ns)
{
	for (struct weir_place *p = places->first; p && scarce(places); p = p->next) {
		const union MHD_ConnectionInfo *info;
		if (p->streaming || now_ns - p->silent_since_ns < (p->answering ? SLOW_NS : SCARCE_NS))
			continue;
		/* libmicrohttpd reads the end of it and closes. */
		info = MHD_get_connection_info(p->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		if (info)
			shutdown(info->connect_fd, SHUT_RDWR);
	}
}
